"""Light that varies over a frame of a burst otherwise than over the reference: bands of flicker, and shading.

A lamp that flickers leaves bands in a frame whose rows are read one after the other, elsewhere in each frame; shadows
of a lens or of a hand move, too. They multiply the light by a gain that is nearly the same along rows, along columns,
or around each place. It is the ratio of sums of block means, which blur hardly changes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array
from runtime.burst.grid import Grid, block_means, enlarge
from runtime.colour import luminance

_BAND = 1.5
"""Standard deviation, in blocks, of the Gaussian under which rows, or columns, are summed."""
_PLACE = 0.125
"""The same around each place, relative to the longer side."""
_TURNS = 4
"""Of the fit, each with less weight for what the gains do not explain."""
_OUTLIER = 4.0
"""Difference, in robust standard deviations, from which a block has no weight."""
_LEAST_DEVIATION = 0.005
"""Least standard deviation of the differences, relative to the mean."""
_FEW = 4.0
"""Number of blocks of mean brightness that weigh as much as the assumption that the gain is 1."""
_LEAST_MEAN = 1e-30
"""Mean below which frames show nothing."""


def gains(frame: Grid, reference: Grid, usable: npt.NDArray[np.bool_]) -> Grid:
    """Return by what a frame is to be multiplied to be lit like the reference.

    Parameters
    ----------
    frame, reference
        Block means ``(C, h, w)``, in the same exposure on the whole.
    usable
        Bool ``(h, w)``, somewhere true: where both are known and not clipped.

    Returns
    -------
    array
        Float32 ``(C, h, w)``, more than 0, smooth.
    """
    return np.stack([_gains(*planes, usable) for planes in zip(frame, reference, strict=True)])


def levelled(planes: Array, trust: Array | None) -> Array:
    """Return the luminance ``(1, H, W)`` of planes ``(C, H, W)`` as if it were equally bright everywhere.

    Frames that are lit differently are alike then.
    """
    plane = luminance(planes)
    blocks = block_means(plane)
    usable = np.ones(blocks.shape, bool) if trust is None else block_means(trust) > 0
    if not usable.any():
        return plane[None]
    level = np.full_like(blocks, blocks[usable].mean())
    return (plane * enlarge(_gains(blocks, level, usable, np.inf), plane))[None]


def _gains(frame: Grid, reference: Grid, usable: npt.NDArray[np.bool_], outlier: float = _OUTLIER) -> Grid:
    frame, reference = np.maximum(frame, 0), np.maximum(reference, 0)
    weights, gain = usable.astype(np.float32), np.ones_like(frame)
    mean = max(float(reference[usable].mean()), _LEAST_MEAN)
    place = _PLACE * max(frame.shape)
    for _ in range(_TURNS):
        for sigmas in ((_BAND, None), (None, _BAND), (place, place)):
            wanted, found = (
                _summed(weights * each, sigmas) + np.float32(_FEW * mean) for each in (reference, gain * frame)
            )
            gain = gain * (wanted / found)
        residual = reference - gain * frame
        deviation = max(1.4826 * float(np.median(np.abs(residual[usable]))), _LEAST_DEVIATION * mean)
        weights = usable * np.maximum(1 - (residual / np.float32(outlier * deviation)) ** 2, 0) ** 2
    return gain


def _summed(values: Grid, sigmas: tuple[float | None, float | None]) -> Grid:
    """Return sums of values (h, w) under a Gaussian along each axis; without a standard deviation, over all of it."""
    import cv2

    down, across = (np.ones(1) if sigma is None else _gaussian(sigma) for sigma in sigmas)
    for axis, sigma in enumerate(sigmas):
        if sigma is None:
            values = values.sum(axis=axis, keepdims=True)
    summed = cv2.sepFilter2D(values, cv2.CV_32F, across, down, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(summed, np.float32).reshape(values.shape)


def _gaussian(sigma: float) -> npt.NDArray[np.float64]:
    reach = round(3 * sigma)
    return np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
