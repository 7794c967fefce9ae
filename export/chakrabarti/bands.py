"""Frequency analysis of a patch: the bands of Chakrabarti 2016, Section 2.2, and its power spectrum.

The DFT of the central ``n x n`` pixels at frequencies up to ``high`` is, up to a rotation within each pair of conjugate
coefficients, a product of two real matrices with the patch: ``A X A^T``, where the rows of ``A`` are cosines and sines.
A band is the part of that product with ``low < max |z| <= high``. The de-correlating transform that follows absorbs the
rotation, so nothing is lost and the analysis is two small matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """Frequencies ``low < max |z| <= high`` of the DFT of the central `window` pixels; ``low = -1`` includes z = 0."""

    window: int
    low: int
    high: int

    @property
    def scalars(self) -> int:
        """Number of real coefficients."""
        return (2 * self.high + 1) ** 2 - max(0, 2 * self.low + 1) ** 2


BANDS = (Band(17, 4, 8), Band(33, 4, 8), Band(65, 4, 8), Band(65, -1, 4))
"""H, B1, B2, L: from fine to coarse."""

SMOOTHING = (2, 4)
"""Steps of the smoothed power spectra, in frequency indices."""


def real_basis(window: int, frequencies: int, patch: int) -> Array:
    """Return the real Fourier basis of the central pixels: rows 1, cos 1, sin 1, cos 2, sin 2, ...

    Parameters
    ----------
    window
        Length of the DFT in pixels, odd.
    frequencies
        Highest frequency index.
    patch
        Length of the patch; outside the window the rows are zero.

    Returns
    -------
    Array (2 frequencies + 1, patch)
        Orthonormal for ``frequencies < window / 2``, so white noise keeps its variance. Angles count from the centre.
    """
    cosines, sines = half_basis(window, frequencies, patch)
    rows = np.empty((2 * frequencies + 1, patch))
    rows[0] = cosines[0]
    rows[1::2] = np.sqrt(2) * cosines[1:]
    rows[2::2] = np.sqrt(2) * sines[1:]
    return rows


def half_basis(window: int, frequencies: int, patch: int) -> tuple[Array, Array]:
    """Return cosines and sines of frequencies 0 to `frequencies` over the central `window` pixels, of unit power."""
    place = np.arange(patch) - (patch - 1) / 2
    angle = 2 * np.pi * np.arange(frequencies + 1)[:, None] * place / window
    inside = (np.abs(place) < window / 2) / np.sqrt(window)
    return np.cos(angle) * inside, np.sin(angle) * inside


def ring(band: Band) -> npt.NDArray[np.intp]:
    """Return where the band's coefficients lie in the flattened product ``A X A^T``, row by row."""
    index = (np.arange(2 * band.high + 1) + 1) // 2
    return np.flatnonzero(np.maximum(index[:, None], index) > band.low)


def taper(length: int, ramp: int) -> Array:
    """Return a window that rises over `ramp` pixels at both ends as a squared sine, of unit mean square."""
    place = np.arange(length) + 0.5
    rise = np.minimum(1, np.minimum(place, length - place) / ramp)
    window: Array = np.sin(np.pi / 2 * rise) ** 2
    return window / np.sqrt(np.mean(window**2))


def spectrum_basis(patch: int) -> Array:
    """Return the tapered basis of the power spectrum: all cosines, then all sines, frequencies 0 to ``patch // 2``.

    The taper keeps strong low frequencies from leaking over the patch's border into weak high ones.
    """
    return np.concatenate(half_basis(patch, patch // 2, patch)) * taper(patch, patch // 4)


def smoother(count: int, step: int) -> Array:
    """Return the matrix that smooths `count` frequencies with a triangle of radius `step` and samples every `step`."""
    centres = np.arange(0, count, step)
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(count)) / step)
    return weights / weights.sum(1, keepdims=True)
