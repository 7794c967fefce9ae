"""The operation families for NumPy arrays, compiled by Numba; call them through `kernels.<family>`, with its checks.

Compiled functions take a range of rows, tiles or patches, `first` to `last - 1`; `threads` splits the whole among the
cores. `simd` has building blocks for compiled code.
"""
