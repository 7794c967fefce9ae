"""Non-blind deconvolution by several solvers: ``python -m bench nonblind`` (`command`).

`solvers` holds conjugate gradients and the Fourier solver that residual compensation is compared with, `stages` times
the stages of residual compensation, and `formulations` times implementations of non-uniform convolution.
"""
