"""The Gaussian mixture on patches that is the prior of EPLL.

* `mixture`: the mixture and its fit
* `train`: training on photographs, and its bundle
"""
