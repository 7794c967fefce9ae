"""The burst network of Wieschollek et al. (2016).

* `network`, on the features of `analysis`
* `data`: bursts; `train`: training on them
* `graph`: the part that fuses as an ONNX graph; `onnx`: the bundle
"""
