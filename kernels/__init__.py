"""Array kernels for patch-wise deblurring: arrays in, arrays out, on the CPU or on the GPU.

Each operation family is one module (`kernels.patches`, `kernels.patch_filters`) whose functions run where their
arrays lie: Numba for NumPy arrays, CUDA for CuPy arrays. `kernels.reference` holds the same functions
written like their formulas, for reading and for comparing with.
"""
