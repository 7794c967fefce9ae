"""The operations on NumPy arrays in Numba. Called through `kernels.<family>`, which checks the arguments."""
