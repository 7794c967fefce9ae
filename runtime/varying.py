"""Deconvolution of what a turning camera took: part by part, each with the kernel of its middle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kernels.arrays import Array, array_module
from runtime.blind.kernel_shape import extent, fit
from runtime.blind.poses import Poses
from runtime.nonblind import deconvolve
from runtime.nonblind.boundary import convolve
from runtime.nonblind.tiles import Span, tiles
from runtime.progress import Progress

SMALLEST, LARGEST = 96, 512
"""Sides in pixels, about, of the parts."""
CHANGE = 0.4
"""Pixels by which the rolls, by their standard deviation, may set the kernels of neighbouring parts apart."""

Kernels = Iterator[tuple[tuple[Span, Span], tuple[slice, slice], Array]]


def deconvolve_varying(
    planes: Array,
    poses: Poses,
    *,
    quality: str = "balanced",
    noise: float | None = None,
    kernel_error: float = 0.0,
    progress: Progress | None = None,
) -> Array:
    """Restore a photograph that a turning camera took.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Observed photograph, values in [0, 1]; NumPy or CuPy.
    poses : Poses
        What the camera did.
    quality, noise, kernel_error, progress
        As in `runtime.nonblind.deconvolve`.

    Returns
    -------
    (C, H, W) array of float32
        Restored photograph, on the device of `planes`; not clipped.
    """
    restored = array_module(planes).zeros_like(planes)
    parts = list(_parts(planes, poses))
    for done, (spans, window, kernel) in enumerate(parts):
        part = deconvolve(planes[:, *window], kernel, quality=quality, noise=noise, kernel_error=kernel_error)
        restored[:, *window] += _fade(spans, planes) * part
        if progress is not None:
            progress("deconvolve", (done + 1) / len(parts))
    return restored


def blur_varying(plane: Array, poses: Poses) -> Array:
    """Blur a plane (H, W) of float32, smoothly continued beyond its border, as a turning camera does."""
    blurred = array_module(plane).zeros_like(plane)
    for spans, window, kernel in _parts(plane, poses):
        blurred[window] += _fade(spans, plane) * convolve(plane[window], kernel)
    return blurred


def _parts(like: Array, poses: Poses) -> Kernels:
    """Yield spans, window and kernel of every part of planes (..., H, W)."""
    xp = array_module(like)
    height, width = like.shape[-2:]
    shares = poses.weights.sum(axis=(1, 2))
    rolling = float(np.sqrt(shares @ np.square(poses.rolls - shares @ poses.rolls)))
    core = round(min(max(CHANGE / max(rolling, 1e-9), SMALLEST), LARGEST))
    corner = poses.kernel((height / 2, width / 2)).shape[0]
    for rows, cols in tiles((height, width), (corner, corner), core):
        middle = (rows.first + rows.last - height) / 2, (cols.first + cols.last - width) / 2
        kernel = poses.kernel(middle)
        window = slice(rows.start, rows.stop), slice(cols.start, cols.stop)
        room = min(span.stop - span.start for span in (rows, cols)) - 1 | 1
        yield (rows, cols), window, xp.asarray(fit(kernel, min(extent(kernel), room)).astype(np.float32))


def _fade(spans: tuple[Span, Span], like: Array) -> Array:
    rows, cols = spans
    height, width = like.shape[-2:]
    return rows.weights(height, like)[:, None] * cols.weights(width, like)
