"""Compiled array kernels for deblurring: arrays in, arrays out, on the CPU or on a CUDA device.

Each operation family is one module, whose functions check their arguments and run on the device that holds them: by
Numba (`kernels.cpu`) for NumPy arrays, by CUDA (`kernels.cuda`) for CuPy arrays. `kernels.reference` has the same
functions in NumPy, in double precision, written as their formulas read, to document and to test the others.

Families
--------
patches
    Overlapping patches: extraction from an image, and weighted overlap-add of restored cores.
patch_filters
    A filter per patch, applied in the Fourier domain.
burst
    Fourier burst accumulation of registered frames or patches.
nonuniform
    Spatially varying convolution with a bank of sparse filters, and its adjoint.
transforms
    2-D Fourier transforms of real planes.
spectra
    Least-squares deconvolution, frequency by frequency.
edges
    Differences of an image, and the shock filter that sharpens its edges.
shrinkage
    Shrinkage of gradients under a sparse prior.
mixture
    Denoising of patches under a Gaussian mixture, as in EPLL.
quotient
    Kernels and latent images by division of spectra, summed over features.
correlation
    Cross-correlations of feature maps at the lags of a blur kernel.
nnls
    Non-negative least squares whose normal matrix is a convolution, as in blur kernel estimation.
"""
