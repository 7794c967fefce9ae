"""Training and export: PyTorch networks, synthetic blur, training, and bundles of ONNX graphs for the runtime.

Run ``python -m export --help``. A new kind of network is a folder and a row in `registry`.

* `registry`: the kinds of networks, and reading configurations, checkpoints and bundles
* `chakrabarti`, `wieschollek`, `eboli`, `schuler`, `kaufman`, `kernel_prior`, `repair`, `epll`: a
  folder for each network
* `pack`: anybody's network from patches to patches becomes a bundle
* `onnx`: graphs, bundles, and parity with PyTorch
* `loop`: configurations, checkpoints, and the training loop
* `data`: photographs, cameras and blur
* `layers`: layers that several networks share
* `configs`: shipped configurations
"""
