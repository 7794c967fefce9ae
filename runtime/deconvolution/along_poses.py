"""Deconvolution of what a turning camera took: part by part, each with the kernel of its middle."""

from __future__ import annotations

from kernels.arrays import Array, array_module
from runtime.blur.operators import _fade, _parts
from runtime.blur.poses import Poses
from runtime.deconvolution import deconvolve
from runtime.inference.progress import Progress


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
        As in `runtime.deconvolution.deconvolve`.

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
