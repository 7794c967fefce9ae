"""As much of ``cupyx.scipy.fft`` as is used, for planes that may lie anywhere."""

from __future__ import annotations

from typing import Any

from kernels.arrays import Array


def rfft2(planes: Array, *arguments: Any, **options: Any) -> Array:
    """Transform real planes as ``cupyx.scipy.fft.rfft2``; so, too, the second of two with an odd number of pixels.

    cuFFT refuses an array that does not begin where a complex number may; such a view is copied first.
    """
    import cupyx.scipy.fft

    misplaced = planes.data.ptr % (2 * planes.dtype.itemsize) != 0
    return cupyx.scipy.fft.rfft2(planes.copy() if misplaced else planes, *arguments, **options)


def irfft2(spectra: Array, *arguments: Any, **options: Any) -> Array:
    """Transform half spectra back as ``cupyx.scipy.fft.irfft2``."""
    import cupyx.scipy.fft

    return cupyx.scipy.fft.irfft2(spectra, *arguments, **options)


def next_fast_len(target: int, real: bool = False) -> int:
    """Find a size from `target` up that is quick to transform, as ``cupyx.scipy.fft.next_fast_len``."""
    import cupyx.scipy.fft

    return int(cupyx.scipy.fft.next_fast_len(target, real=real))
