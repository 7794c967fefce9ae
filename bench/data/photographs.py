"""Blurred photographs of any size for timing, made of one of scikit-image's."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from runtime.errors import MissingDependency

NOISE = 0.01


def blurred_photograph(megapixels: float, *, grey: bool = False) -> npt.NDArray[np.uint8]:
    """Return a 3:2 photograph, uniformly blurred, with 1 % noise.

    A sharp photograph is mirrored into a periodic tile, blurred by circular convolution, and repeated up to the size:
    real edges and texture under a true convolution, for the cost of one small transform.

    Parameters
    ----------
    megapixels
        Size in units of 1e6 pixels.
    grey
        Whether to return one channel instead of three.

    Returns
    -------
    array
        uint8, ``(H, W, 3)`` or ``(H, W)``.

    Raises
    ------
    MissingDependency
        If scikit-image is not installed.
    """
    height, width = size_of(megapixels)
    period = _blurred_period()
    if grey:
        period = np.rint(period @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    repeats = -(-height // len(period)), -(-width // len(period)), *([1] if period.ndim == 3 else [])
    return np.ascontiguousarray(np.tile(period, repeats)[:height, :width])


def moved_photograph(megapixels: float, field: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return a 3:2 colour photograph, blurred along a motion field, with 1 % noise.

    Parameters
    ----------
    megapixels
        Size in units of 1e6 pixels.
    field
        ``(H, W, 2)``, length in pixels and angle in degrees, of the size that `size_of` gives.

    Returns
    -------
    array
        uint8, ``(H, W, 3)``.

    Raises
    ------
    MissingDependency
        If scikit-image is not installed.
    """
    from bench.data.motions import blur_along

    height, width = size_of(megapixels)
    period = _sharp_period()
    sharp = np.tile(period, (-(-height // len(period)), -(-width // len(period)), 1))[:height, :width]
    return _with_noise(blur_along(sharp.astype(np.float32), field))


def size_of(megapixels: float) -> tuple[int, int]:
    """Return height and width of a 3:2 photograph, in pixels."""
    width = round(math.sqrt(1e6 * megapixels * 1.5))
    return round(1e6 * megapixels / width), width


def shake_kernel(side: int = 25) -> npt.NDArray[np.float64]:
    """Return a blur kernel ``(side, side)`` of sum 1: a curved path drawn with a Gaussian pen."""
    time = np.linspace(0, 1, 400)
    path = side * np.stack([0.28 * np.sin(5 * time) + 0.2 * time, 0.6 * time + 0.08 * np.cos(9 * time)]).T
    path += (side - 1) / 2 - path.mean(0)
    pixels = np.arange(side)
    pen = np.exp(-((pixels - path[:, :, None]) ** 2) / (2 * 0.7**2))
    kernel: npt.NDArray[np.float64] = np.einsum("ti,tj->ij", pen[:, 0], pen[:, 1])
    return kernel / kernel.sum()


@lru_cache(maxsize=1)
def _blurred_period() -> npt.NDArray[np.uint8]:
    mirrored = _sharp_period()
    transfer = np.fft.rfft2(shake_kernel(), s=mirrored.shape[:2])[..., None]
    blurred = np.fft.irfft2(np.fft.rfft2(mirrored, axes=(0, 1)) * transfer, s=mirrored.shape[:2], axes=(0, 1))
    return _with_noise(blurred)


def _sharp_period() -> npt.NDArray[np.float64]:
    try:
        from skimage.data import astronaut
    except ImportError as error:
        raise MissingDependency("benchmarks need scikit-image: pip install 'deblur-runtime[bench]'") from error
    sharp = astronaut() / 255
    mirrored = np.concatenate([sharp, sharp[::-1]])
    return np.concatenate([mirrored, mirrored[:, ::-1]], axis=1)


def _with_noise(image: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    noisy = image + NOISE * np.random.default_rng(1).standard_normal(image.shape)
    return np.rint(255 * noisy.clip(0, 1)).astype(np.uint8)
