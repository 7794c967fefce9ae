"""The functions of ``cupyx.scipy.fft`` that are used, also for arrays at addresses that cuFFT refuses."""

from __future__ import annotations

from typing import Any

from kernels.arrays import Array
from kernels.cuda.graphs import keep_plans


def rfft2(planes: Array, *arguments: Any, **options: Any) -> Array:
    """Transform real planes as ``cupyx.scipy.fft.rfft2``.

    cuFFT refuses real arrays that are not aligned as complex numbers are, such as the second of two planes with an odd
    number of pixels; these are copied first.
    """
    import cupyx.scipy.fft

    misplaced = planes.data.ptr % (2 * planes.dtype.itemsize) != 0
    spectra = cupyx.scipy.fft.rfft2(planes.copy() if misplaced else planes, *arguments, **options)
    keep_plans()
    return spectra


def irfft2(spectra: Array, *arguments: Any, **options: Any) -> Array:
    """Transform half spectra back as ``cupyx.scipy.fft.irfft2``."""
    import cupyx.scipy.fft

    planes = cupyx.scipy.fft.irfft2(spectra, *arguments, **options)
    keep_plans()
    return planes


def next_fast_len(target: int, real: bool = False) -> int:
    """Return the next size from `target` on that is fast to transform, as ``cupyx.scipy.fft.next_fast_len``."""
    import cupyx.scipy.fft

    return int(cupyx.scipy.fft.next_fast_len(target, real=real))
