"""The FFT library for an array."""

from __future__ import annotations

from types import ModuleType

from kernels.arrays import Array, is_cuda


def fft_module(array: Array) -> ModuleType:
    """Return ``scipy.fft`` for a NumPy array, and `kernels.cuda.fft`, a part of its interface, for a CuPy array."""
    if is_cuda(array):
        from kernels.cuda import fft as cuda_fft

        return cuda_fft
    import scipy.fft as cpu_fft

    return cpu_fft  # type: ignore[no-any-return]
