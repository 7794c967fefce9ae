"""The network that repairs restored photographs.

* `network`
* `scenes`: blurred photographs; `estimates`: their kernels with errors; `examples`: their restorations
* `train`: training on examples; `run`: recording and training
* `onnx`: its graph and bundle
"""
