"""The operation families for CuPy arrays, in CUDA; call them through `kernels.<family>`, with its checks."""
