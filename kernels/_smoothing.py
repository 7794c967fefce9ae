"""The periodic Gaussian that smooths weights over the frequencies of a half spectrum."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]


def periodic_gaussian(size: int, sigma: float) -> npt.NDArray[np.float64]:
    """Return the weights of the distances 0 to `size` - 1 on a circle of as many samples: float64, of sum 1.

    A Gaussian of standard deviation `sigma` samples, its tails wrapped around; of `sigma` 0, one sample.
    """
    if sigma == 0:
        return np.array([1.0] + [0.0] * (size - 1))
    if sigma > size:
        return np.full(size, 1 / size)  # to nine digits
    turns = int(np.ceil(6 * sigma / size))
    distances = np.arange(size) + size * np.arange(-turns - 1, turns + 1)[:, None]
    with np.errstate(over="ignore"):
        weights = np.exp(-0.5 * (distances / sigma) ** 2).sum(axis=0)
    normalised: npt.NDArray[np.float64] = weights / weights.sum()
    return normalised


def transfers(height: int, width: int, sigma: float) -> tuple[Matrix, Matrix]:
    """Return the discrete Fourier transforms of both Gaussians, which are real: ``(height, 1)`` and ``(width,)``."""
    down, across = (np.fft.fft(periodic_gaussian(size, sigma)).real.astype(np.float32) for size in (height, width))
    return down[:, None], across


def half_spectrum_smoothers(size: int, sigma: float) -> tuple[Matrix, Matrix]:
    """Return the matrices that smooth a real even function of ``(size, size)`` frequencies by its left half.

    With ``half = size // 2 + 1``, and ``a`` of shape ``(size, half)`` in the layout of ``numpy.fft.rfft2``::

        down @ (numpy.hstack([a, a[-numpy.arange(size)]]) @ across)

    is the left half of the smoothed function, `down` being float32 ``(size, size)`` and `across`
    ``(2 * half, half)``. Half the columns of a spectrum are the mirror images of others, ``a[-u, -v] = a[u, v]``;
    column 0, and for an even size the last one, are their own. There the mean of both is taken, which makes even
    what is not.
    """
    weights, half = periodic_gaussian(size, sigma), size // 2 + 1
    down = weights[(np.arange(size)[:, None] - np.arange(size)) % size]
    source, target = np.arange(half)[:, None], np.arange(half)
    own = np.where((2 * source) % size == 0, 0.5, 1.0)
    across = np.concatenate([own * weights[(source - target) % size], own * weights[(-source - target) % size]])
    return np.ascontiguousarray(down, np.float32), np.ascontiguousarray(across, np.float32)
