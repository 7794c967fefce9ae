"""Which library transforms an array where it lies."""

from __future__ import annotations

from types import ModuleType

from kernels.arrays import Array, is_cuda


def fft_module(array: Array) -> ModuleType:
    """Return what transforms `array` where it lies: ``scipy.fft``, or as much as `kernels.cuda.fft` has of CuPy's."""
    if is_cuda(array):
        from kernels.cuda import fft as cuda_fft

        return cuda_fft
    import scipy.fft as cpu_fft

    return cpu_fft  # type: ignore[no-any-return]
