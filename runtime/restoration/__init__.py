"""Restoration with an estimated blur, and the decision whether to keep the result.

* `finish`: deconvolution, repair and softening, and acceptance of the result by its predicted gain.
* `repair`: a network that removes artefacts of kernel errors and predicts the gain.
* `softness`: compensation of the sharpening that a too soft kernel causes.
* `uniformity`: a check of the motion network whether one kernel can explain the whole photograph.
* `misfit`: the difference between the observed photograph and a restoration that is blurred again.
"""
