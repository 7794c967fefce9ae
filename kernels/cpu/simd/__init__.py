"""Building blocks for compiled code, on SIMD vectors.

`vectors` has the vectors themselves. `matmul`, products of small matrices, and `butterflies`, Fourier transforms, are
made of them; `folding` transforms small patches by such products.
"""
