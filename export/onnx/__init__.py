"""Export of networks.

* `bundles`: writing, checking and reading bundles; a spec says what one consists of
* `parity`: comparison of graphs with PyTorch
* `graph`: a builder of ONNX graphs; `layers`: layers as nodes of a graph
"""
