"""Periodic Gaussian smoothing over the frequencies of a spectrum."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]

NEGLIGIBLE = 1e-9
"""Share of the largest weight below which a weight is left out: its part of a float32 sum is lost in rounding."""


def periodic_gaussian(size: int, sigma: float) -> npt.NDArray[np.float64]:
    """Return a Gaussian filter for periodic signals of `size` samples.

    Parameters
    ----------
    size
        Number of samples in a period.
    sigma
        Standard deviation in samples; 0 gives a unit impulse.

    Returns
    -------
    weights
        float64 ``(size,)``, of sum 1: the weight of each shift from 0 to `size` - 1, the tails wrapped around.
    """
    if sigma == 0:
        return np.array([1.0] + [0.0] * (size - 1))
    if sigma > size:
        return np.full(size, 1 / size)  # equal to the wrapped Gaussian in nine digits
    turns = int(np.ceil(6 * sigma / size))
    distances = np.arange(size) + size * np.arange(-turns - 1, turns + 1)[:, None]
    with np.errstate(over="ignore"):
        weights = np.exp(-0.5 * (distances / sigma) ** 2).sum(axis=0)
    normalised: npt.NDArray[np.float64] = weights / weights.sum()
    return normalised


def transfers(height: int, width: int, sigma: float) -> tuple[Matrix, Matrix]:
    """Return the transfer functions of the Gaussian along both axes, which are real: ``(height, 1)``, ``(width,)``."""
    down, across = (np.fft.fft(periodic_gaussian(size, sigma)).real.astype(np.float32) for size in (height, width))
    return down[:, None], across


def gaussian_taps(size: int, sigma: float) -> Matrix:
    """Return the middle and one half of a periodic Gaussian filter, as far as it matters in single precision.

    Parameters
    ----------
    size, sigma
        As in `periodic_gaussian`.

    Returns
    -------
    taps
        float32 ``(reach + 1,)``, `reach` at most ``size // 2``: the weights of shifts 0 to `reach` in either direction.
        The weights beyond are less than 1e-9 of the largest each. Half the period is a shift in both directions, of
        half the weight each.
    """
    weights = periodic_gaussian(size, sigma)[: size // 2 + 1]
    if size % 2 == 0:
        weights[-1] /= 2
    return weights[: np.flatnonzero(weights > NEGLIGIBLE * weights[0])[-1] + 1].astype(np.float32)


def half_spectrum_smoothers(size: int, sigma: float) -> tuple[Matrix, Matrix]:
    """Return the matrices that smooth a real even function of ``(size, size)`` frequencies by its left half.

    With ``half = size // 2 + 1``, and ``a`` of shape ``(size, half)`` in the layout of ``numpy.fft.rfft2``::

        down @ (numpy.hstack([a, a[-numpy.arange(size)]]) @ across)

    is the left half of the smoothed function; `down` is float32 ``(size, size)`` and `across` ``(2 * half, half)``.
    By symmetry, ``a[-u, -v] = a[u, v]``, the right half mirrors the left; column 0, and for an even size the last
    column, mirror themselves. These are replaced by the mean of both copies, in case they are not symmetric.
    """
    weights, half = periodic_gaussian(size, sigma), size // 2 + 1
    down = weights[(np.arange(size)[:, None] - np.arange(size)) % size]
    source, target = np.arange(half)[:, None], np.arange(half)
    own = np.where((2 * source) % size == 0, 0.5, 1.0)
    across = np.concatenate([own * weights[(source - target) % size], own * weights[(-source - target) % size]])
    return np.ascontiguousarray(down, np.float32), np.ascontiguousarray(across, np.float32)
