"""The patch network of Chakrabarti (2016).

* `network`, with its frequency `bands`
* `train`: training on single blurred patches
* `onnx`: its graph and bundle
"""
