"""Learned blind deconvolution of Schuler et al. 2014: features by a small network, kernels by quotients of spectra.

* `network`: the stages and scales; `quotients`: the divisions and what surrounds them, in PyTorch
* `data`: blurred crops and their kernels; `pages`: pages of text to crop from
* `train`: training stage by stage; `onnx`: the features of each stage as a part of a bundle
"""
