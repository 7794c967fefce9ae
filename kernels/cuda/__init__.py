"""The operations on CuPy arrays in CUDA. Called through `kernels.<family>`, which checks the arguments."""
