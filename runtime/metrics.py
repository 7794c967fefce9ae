"""PSNR of a restoration against its ground truth, and how unevenly it explains what was observed.

Blind deconvolution determines a blur kernel only up to a translation, so a restoration is aligned before it is scored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, array_module
from runtime.arguments import check_array, check_whole
from runtime.errors import InvalidArgument, UnsupportedType

_SUBPIXEL_SHIFTS = np.arange(-3, 4) / 4
"""Shifts, in pixels, that are tried around the best integer shift."""

_PARTS = 3
"""Parts of a photograph along each axis, fewer where it is too short."""
_LEAST_KNOWN = 0.1
"""Share of the pixels of a part that have to be known."""
_LEAST_CONTRAST = 0.1
"""Mean squared gradient of a part, relative to the largest of all, from which it counts: any blur explains a part that
shows next to nothing, as a night sky does."""
_LEAST_PARTS = 3
"""Fewest parts that can be compared."""
_TINY = 1e-12

Plane = npt.NDArray[np.floating]


def psnr(image: Plane, reference: Plane, *, border: int = 0) -> float:
    """Return the peak signal-to-noise ratio ``-10 log10(mean((image - reference)^2))`` in dB, for a peak of 1.

    Parameters
    ----------
    image, reference
        ``(H, W)`` or ``(H, W, C)``, both of the same shape; values in [0, 1].
    border
        Number of pixels to leave out at each side.

    Returns
    -------
    float
        In dB; infinite for equal images.

    Raises
    ------
    InvalidArgument
        If the shapes differ, a value is not finite, or nothing is left inside the border.
    UnsupportedType
        If an image is no array of floating point values.
    """
    image, reference, border = _check(image, reference, border)
    difference = _inside(image, border).astype(np.float64) - _inside(reference, border)
    error = float(np.mean(difference * difference))
    return -10 * math.log10(error) if error > 0 else math.inf


def align(image: Plane, reference: Plane, *, border: int, max_shift: int = 10) -> npt.NDArray[np.float64]:
    """Shift an image to minimise its mean squared error to the reference, to a quarter of a pixel.

    All integer shifts are compared at once by correlation, then the quarter-pixel shifts around the best one, by a
    phase ramp in the Fourier domain. The shift is periodic; the border excludes the pixels that wrap around.

    Parameters
    ----------
    image, reference
        ``(H, W)``, both of the same shape.
    border
        Number of pixels to leave out at each side; more than `max_shift`.
    max_shift
        Largest integer shift in pixels, along each axis, in either direction.

    Returns
    -------
    array
        The shifted image, float64 ``(H, W)``.

    Raises
    ------
    InvalidArgument
        If the shapes differ or are not ``(H, W)``, a value is not finite, nothing is left inside the border, or the
        border is too small.
    """
    image, reference, border = _check(image, reference, border)
    max_shift = check_whole("max_shift", max_shift, least=0, optional=False)
    if image.ndim != 2:
        raise InvalidArgument(f"an image of shape {image.shape} cannot be aligned: give its luminance, (H, W)")
    if border <= max_shift:
        raise InvalidArgument(f"a border of {border} px does not cover shifts of {max_shift} px: give a wider one")
    row, col = _best_integer_shift(image, reference, border, max_shift)
    spectrum = np.fft.rfft2(image.astype(np.float64))
    candidates = (
        _shifted(spectrum, image.shape, (row + dy, col + dx)) for dy in _SUBPIXEL_SHIFTS for dx in _SUBPIXEL_SHIFTS
    )
    return min(candidates, key=lambda candidate: _squared_error(candidate, reference, border))


def _best_integer_shift(image: Plane, reference: Plane, border: int, max_shift: int) -> tuple[int, int]:
    """Minimise ``sum((image(x - s) - reference(x))^2)`` over ``s``; the square is expanded into correlations."""
    from scipy.signal import correlate, oaconvolve

    window = _inside(reference, border).astype(np.float64)
    searched = _inside(image, border - max_shift).astype(np.float64)
    energy = oaconvolve(searched * searched, np.ones(window.shape), mode="valid")
    errors = energy - 2 * correlate(searched, window, mode="valid", method="fft")
    row, col = np.unravel_index(int(np.argmin(errors)), errors.shape)
    return max_shift - int(row), max_shift - int(col)


def _shifted(
    spectrum: npt.NDArray[np.complex128], shape: tuple[int, ...], shift: tuple[float, float]
) -> npt.NDArray[np.float64]:
    rows = np.exp(-2j * np.pi * shift[0] * np.fft.fftfreq(shape[0]))
    cols = np.exp(-2j * np.pi * shift[1] * np.fft.rfftfreq(shape[1]))
    return np.fft.irfft2(spectrum * rows[:, None] * cols, s=(shape[0], shape[1]))


def _squared_error(image: Plane, reference: Plane, border: int) -> float:
    difference = _inside(image, border) - _inside(reference, border)
    return float(np.sum(difference * difference))


def _inside(image: Plane, border: int) -> Plane:
    return image[border : image.shape[0] - border, border : image.shape[1] - border]


def _check(image: Plane, reference: Plane, border: int) -> tuple[Plane, Plane, int]:
    """Return the arguments as arrays and a number, or raise an error that names the remedy."""
    image, reference = _plane("image", image), _plane("reference", reference)
    border = check_whole("border", border, least=0, optional=False)
    if image.ndim not in (2, 3):
        raise InvalidArgument(f"an image of shape {image.shape} cannot be scored: give (H, W) or (H, W, C)")
    if image.shape != reference.shape:
        raise InvalidArgument(f"images of shapes {image.shape} and {reference.shape}: give two images of one shape")
    if min(image.shape[:2]) <= 2 * border:
        raise InvalidArgument(f"a border of {border} px leaves nothing of an image of shape {image.shape}")
    # A mean squared error of NaN would be reported as an infinite PSNR.
    if not (np.isfinite(image).all() and np.isfinite(reference).all()):
        raise InvalidArgument("an image to be scored holds NaN or infinity: correct the code that made it")
    return image, reference, border


def _plane(name: str, value: Plane) -> Plane:
    array = check_array(name, value)
    if array.dtype.kind != "f":
        raise UnsupportedType(f"{name} is of {array.dtype}: give floating point values, with white as 1")
    return array


def parts(planes: Array) -> list[Array]:
    """Return the parts of planes (..., H, W), views, row by row."""
    split = array_module(planes).array_split
    rows, cols = (min(_PARTS, max(size, 1)) for size in planes.shape[-2:])
    return [part for band in split(planes, rows, axis=-2) for part in split(band, cols, axis=-1)]


def unevenness(
    sums: npt.NDArray[np.float64], sizes: Sequence[int], edges: npt.NDArray[np.float64] | None = None
) -> float:
    """Return how unevenly a blur explains a photograph: the misfits of its parts, compared.

    One kernel for the whole photograph leaves about the same misfit everywhere, unless the blur varies.

    Parameters
    ----------
    sums : array (2, N) float64
        For each of N parts: the sum of the squared misfits of its known pixels, and their number.
    sizes
        The numbers of all pixels of the parts.
    edges : array (N,) float64, optional
        The sums of the squared gradients of known pixels, where parts that show next to nothing are not to count.

    Returns
    -------
    float
        The largest root mean square misfit over their median; 1 if there are too few parts to compare.
    """
    squares, counts = sums
    shown = counts > _LEAST_KNOWN * np.asarray(sizes)
    misfits = squares / np.maximum(counts, 1)
    if edges is not None:
        contrasts = edges / np.maximum(counts, 1)
        shown &= contrasts >= _LEAST_CONTRAST * contrasts.max(where=shown, initial=0)
    if shown.sum() < _LEAST_PARTS:
        return 1.0
    return float(np.sqrt(misfits[shown].max() / max(float(np.median(misfits[shown])), _TINY)))
