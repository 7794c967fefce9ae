"""Kaufman and Fattal 2020: an analysis network finds the blur kernel, a synthesis network undoes the blur.

`analysis` and `synthesis` are trained apart, each with true kernels, and then together (`pair`).
"""
