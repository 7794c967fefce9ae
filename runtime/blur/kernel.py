"""Operations on blur kernels, which are non-negative, of sum 1, connected and centred.

Kernels are tiny, so that they are NumPy arrays of float64 on the host, unless something else is said.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels import nnls
from kernels.arrays import Array, array_module, is_cuda

Kernel = NDArray[np.float64]
"""A blur kernel (h, w), non-negative, of sum 1."""
_SHIFTS = 4
"""Shifts that centre a kernel on a GPU; on the CPU there are as many as it takes, of which two are many."""


def origin(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the pixel of a kernel of `shape` that stands for no shift: ``((h - 1) // 2, (w - 1) // 2)``."""
    return (shape[0] - 1) // 2, (shape[1] - 1) // 2


def delta(shape: tuple[int, int]) -> Kernel:
    """Return the kernel of no blur: 1 at the origin, 0 elsewhere."""
    kernel = np.zeros(shape)
    kernel[origin(shape)] = 1.0
    return kernel


def normalise(kernel: NDArray[np.floating]) -> Kernel:
    """Return `kernel` scaled to sum 1, or a delta where its sum is not positive."""
    total = float(kernel.sum(dtype=np.float64))
    if total <= 0:
        return delta((kernel.shape[0], kernel.shape[1]))
    return kernel.astype(np.float64) / total


def prune(kernel: Array, *, relative: float = 0.03, island: float = 0.03) -> Array:
    """Clip a kernel to non-negative values, remove very small and isolated ones, and normalise it.

    Parameters
    ----------
    kernel : array (h, w)
        Any real values, on the host or on a GPU, for which nobody waits.
    relative : float
        Values under this fraction of the largest are set to zero.
    island : float
        8-connected components with less than this fraction of the total mass are removed,
        except the one of the largest mass.

    Returns
    -------
    array (h, w), float64, non-negative, of sum 1
    """
    precision = np.float32 if is_cuda(kernel) else np.float64
    return nnls.prune(array_module(kernel).ascontiguousarray(kernel, precision), relative, island)


def centre_offset(kernel: NDArray[np.floating]) -> tuple[int, int]:
    """Return the offset, in whole (rows, columns), of the centre of mass of `kernel` from its origin."""
    rows, cols = (np.arange(n) - o for n, o in zip(kernel.shape, origin(kernel.shape), strict=True))
    total = float(kernel.sum(dtype=np.float64))
    return (
        int(np.rint(float(kernel.sum(axis=1, dtype=np.float64) @ rows) / total)),
        int(np.rint(float(kernel.sum(axis=0, dtype=np.float64) @ cols) / total)),
    )


def shift(kernel: NDArray[np.floating], rows: int, cols: int) -> Kernel:
    """Return `kernel` shifted by whole pixels, filled with zeros; values that leave the frame are lost."""
    moved = np.zeros(kernel.shape)
    height, width = kernel.shape
    target = moved[max(rows, 0) : height + min(rows, 0), max(cols, 0) : width + min(cols, 0)]
    target[...] = kernel[max(-rows, 0) : height + min(-rows, 0), max(-cols, 0) : width + min(-cols, 0)]
    return moved


def centre(kernel: Array) -> Array:
    """Move the centre of mass of `kernel` to its origin by a whole number of pixels.

    Blind deconvolution determines kernel and latent image only up to opposite translations; this choice keeps the
    restored image in place. On a GPU, for which nobody waits, it may be off where `_SHIFTS` shifts are not enough.
    """
    if is_cuda(kernel):
        return _centre_there(kernel)
    centred = normalise(kernel)
    # Mass that leaves the frame changes the centre of mass, so a kernel that fills its frame takes a few iterations.
    for _ in range(max(kernel.shape)):
        rows, cols = centre_offset(centred)
        if (rows, cols) == (0, 0):
            break
        centred = normalise(shift(centred, -rows, -cols))
    return centred


def _centre_there(kernel: Array) -> Array:
    """Return what `centre` does on a GPU."""
    xp = array_module(kernel)
    places = [xp.arange(length) for length in kernel.shape]
    for _ in range(_SHIFTS):
        kernel, inside, found = _normalise_there(kernel), [], []
        for axis, (place, at) in enumerate(zip(places, origin(kernel.shape), strict=True)):
            offset = xp.rint((kernel.sum(axis=1 - axis) * (place - at)).sum()).astype(np.int64)
            source = place + offset
            inside.append((source >= 0) & (source < len(place)))
            found.append(xp.clip(source, 0, len(place) - 1))
        kernel = xp.where(inside[0][:, None] & inside[1], kernel[found[0][:, None], found[1]], 0)
    return _normalise_there(kernel)


def _normalise_there(kernel: Array) -> Array:
    """Return what `normalise` does on a GPU, for which nobody waits."""
    xp, total = array_module(kernel), kernel.sum(dtype=np.float64)
    row, column = (xp.arange(length) == at for length, at in zip(kernel.shape, origin(kernel.shape), strict=True))
    return xp.where(total > 0, kernel / xp.where(total > 0, total, 1), row[:, None] & column)


def extent(kernel: NDArray[np.floating]) -> int:
    """Return the odd side in pixels of the smallest square around the origin that contains all of `kernel`."""
    reach = [
        int(np.abs(np.flatnonzero(kernel.any(axis=1 - axis)) - at).max(initial=0))
        for axis, at in enumerate(origin(kernel.shape))
    ]
    return 2 * max(reach) + 1


def resize(kernel: Array, side: int, scale: float) -> Array:
    """Scale `kernel` by `scale` about its origin into a square of `side` pixels, by bilinear interpolation.

    Nobody waits for a GPU.
    """
    xp, weights = array_module(kernel), []
    for length, at in zip(kernel.shape, origin(kernel.shape), strict=True):
        position = (xp.arange(side) - (side - 1) // 2) / scale + at
        weights.append(xp.maximum(1 - xp.abs(position[:, None] - xp.arange(length)), 0.0))
    if not is_cuda(kernel):
        return normalise(weights[0] @ kernel @ weights[1].T)
    # Not by a product of matrices, which no graph can hold.
    rows = (weights[0][:, :, None] * kernel).sum(axis=1)
    resized = (rows[:, None] * weights[1]).sum(axis=2)
    return _normalise_there(resized)


def fit(kernel: NDArray[np.floating], side: int) -> Kernel:
    """Crop or pad `kernel` about its origin to a square of `side` pixels, and normalise it."""
    fitted: Kernel = resize(kernel, side, 1.0)
    return fitted


def align(kernel: NDArray[np.floating], reference: NDArray[np.floating]) -> Kernel:
    """Shift `kernel` by whole pixels to where it correlates best with `reference`, of the same shape."""
    from scipy.signal import fftconvolve

    correlation = fftconvolve(reference, kernel[::-1, ::-1])
    rows, cols = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    return shift(kernel, int(rows) - kernel.shape[0] + 1, int(cols) - kernel.shape[1] + 1)


def spread(kernel: NDArray[np.floating]) -> float:
    """Return the standard deviation, in pixels, of the mass of `kernel` along its longest axis."""
    rows, cols = (np.arange(n, dtype=np.float64) for n in kernel.shape)
    mass = normalise(kernel)
    rows -= float(mass.sum(axis=1) @ rows)
    cols -= float(mass.sum(axis=0) @ cols)
    both = float(rows @ mass @ cols)
    covariance = [[float(mass.sum(axis=1) @ rows**2), both], [both, float(mass.sum(axis=0) @ cols**2)]]
    return float(max(np.linalg.eigvalsh(covariance)[-1], 0.0) ** 0.5)


def similarity(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return the normalised correlation, in [0, 1], of two kernels of one shape."""
    return float(np.sum(first * second) / np.sqrt(np.sum(np.square(first)) * np.sum(np.square(second))))
