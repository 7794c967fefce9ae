"""Motion-Net of Eboli et al., and their bank of inverse filters.

* `network`, its blurred patches (`data`), `train` and `onnx`
* `bank`: inverse filters of linear motions, which are computed
"""
