"""The deblurring methods, one module per paper.

* `registry`: the methods by name; options that a method does not support are errors.
* `chakrabarti`: one blur kernel, from a patch network and refinement.
* `eboli`: a motion at each pixel, from a network.
* `fba`: Fourier burst accumulation.
* `wieschollek`: a burst network.
"""
