"""The blur kernel as lamps draw it: each small light leaves a streak of the kernel's shape (Hu, Cho, Wang, Yang 2014).

Not every bright spot is a streak: windows, signs and clouds are bright too. Those that are streaks look alike, so the
spot that most others resemble stands for them, and of those that resemble it the thinnest is the smallest lamp's, which
is nearest to the kernel itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array
from runtime.blur.kernel import Kernel, centre, fit, normalise
from runtime.inference.devices import download

_LEVELS = (0.95, 0.7, 0.45, 0.25)
"""Light, in units of white, above which connected pixels are a spot."""
_SHORTEST = 7
"""Least extent of a spot in pixels: shorter ones say nothing of a blur."""
_SOLID = 0.6
"""Share of the square around a spot above which it is no streak but a thing."""
_RIM = 2
"""Pixels around a spot that belong to it, being dimmer."""
_DARK = 0.6
"""Light around a spot, relative to the level, up to which it stands out."""
_FAINTEST = 0.1
"""Values under this fraction of the largest are what the scene shows beside the lamp."""
_MOST = 40
"""Most spots that are compared, the brightest first."""
_ALIKE, _OF_THE_SAME_SHAPE = 0.6, 0.7
"""Similarity from which spots speak for each other, and from which one can stand for the other."""
_LEAST_SUPPORT = 3.0
"""Sum of the similarities to other spots, each above `_ALIKE`, from which streaks are believed in."""


def find_streak(light: Array, support: int) -> Kernel | None:
    """Find the blur kernel in the streaks of small lights.

    Parameters
    ----------
    light : array (H, W) float32
        Observed light, in units of white; clipped at about 1.
    support : int
        Largest side of the kernel in pixels.

    Returns
    -------
    array (side, side), float64, non-negative, of sum 1, or None
        The kernel, centred and at most `support` pixels wide, roughly; ``None`` if no streaks resemble each other.
    """
    image = np.asarray(download(light))
    spots, taken = list[NDArray[np.float64]](), np.zeros(image.shape, bool)
    for level in _LEVELS:
        spots += _spots(image, level, support, taken)[: _MOST - len(spots)]
    if len(spots) < 2:
        return None
    alike = _similarities(spots)
    beyond = np.clip(alike - _ALIKE, 0, None) / (1 - _ALIKE)
    agreed = beyond.sum(axis=1) - np.diag(beyond)
    typical = int(np.argmax(agreed))
    if agreed[typical] < _LEAST_SUPPORT:
        return None
    shape = max(
        (spot for spot, like in zip(spots, alike[typical], strict=True) if like >= _OF_THE_SAME_SHAPE),
        key=lambda spot: float(max(spot.shape) * np.square(spot).sum() / spot.sum() ** 2),
    )
    square = np.zeros((max(shape.shape) | 1,) * 2)
    square[: shape.shape[0], : shape.shape[1]] = shape
    streak: Kernel = centre(normalise(fit(square, min(len(square), support))))
    return streak


def _spots(
    image: NDArray[np.float32], level: float, support: int, taken: NDArray[np.bool_]
) -> list[NDArray[np.float64]]:
    """Return the bright spots that stand alone, from `_SHORTEST` to `support` pixels long.

    Spots with pixels of the mask `taken` are left out, and those that are found are added to it.
    """
    from scipy import ndimage

    margin, found = 2 * _RIM, []
    labels, _ = ndimage.label(image > level, np.ones((3, 3)))
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        extent = max(side.stop - side.start for side in box)
        window = tuple(slice(side.start - margin, side.stop + margin) for side in box)
        inside = all(side.start >= 0 and side.stop <= size for side, size in zip(window, image.shape, strict=True))
        if not (_SHORTEST <= extent <= support and inside):
            continue
        light, own = image[window], labels[window] == number
        if own.sum() > _SOLID * extent**2 or taken[window][own].any():
            continue
        near = ndimage.binary_dilation(own, iterations=_RIM)
        around = light[ndimage.binary_dilation(near, iterations=_RIM) & ~near]
        if np.median(around) > _DARK * level or (around > level).mean() > _FAINTEST:
            continue
        above = np.where(near, light - np.median(around), 0)
        above[above < _FAINTEST * above.max()] = 0
        taken[window] |= own
        found.append(above)
    return found


def _similarities(shapes: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the largest normalised correlations (N, N) of shapes over all shifts."""
    from scipy.fft import irfft2, next_fast_len, rfft2

    side = next_fast_len(2 * max(max(shape.shape) for shape in shapes), real=True)
    planes = np.zeros((len(shapes), side, side), np.float32)
    for plane, shape in zip(planes, shapes, strict=True):
        plane[: shape.shape[0], : shape.shape[1]] = shape / np.linalg.norm(shape)
    spectra, alike = rfft2(planes), np.zeros((len(shapes), len(shapes)))
    for row, one in enumerate(spectra):
        alike[row:, row] = irfft2(one.conj() * spectra[row:], (side, side)).max(axis=(1, 2))
    return np.maximum(alike, alike.T)
