"""Deconvolution of a photograph from a camera that rolled: part by part, each with the kernel of its centre."""

from __future__ import annotations

from kernels.arrays import Array, array_module
from runtime.blur.blurs import PoseBlur
from runtime.decisions.thresholds import SATURATED
from runtime.deconvolution.chroma import hidden_noise
from runtime.deconvolution.uniform import deconvolve_uniform
from runtime.inference.bundle import Bundle
from runtime.inference.progress import Progress
from runtime.quality import DeconvolutionEffort
from runtime.response import LINEAR, Response


def deconvolve_along_poses(
    planes: Array,
    blur: PoseBlur,
    effort: DeconvolutionEffort,
    *,
    method: str | None = None,
    noise: float | None = None,
    kernel_error: float = 0.0,
    known: Array | None = None,
    saturated: float = SATURATED,
    response: Response = LINEAR,
    synthesis: Bundle | None = None,
    progress: Progress | None = None,
) -> Array:
    """Restore a photograph, given the poses of its camera.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Observed photograph, values in [0, 1]; NumPy or CuPy.
    blur : PoseBlur
    effort, method, noise, kernel_error, known, saturated, response, synthesis, progress
        As in `runtime.deconvolution.uniform.deconvolve_uniform`.

    Returns
    -------
    (C, H, W) array of float32
        Restored photograph, on the device of `planes`; not clipped.
    """
    xp = array_module(planes)
    restored = xp.zeros_like(planes)
    valid = (xp.abs(planes) < saturated).all(axis=0)
    parts = list(blur.parts(planes))
    # A part is too small to measure it.
    hidden = hidden_noise(planes, valid if known is None else valid & known, [part.kernel for part in parts], response)
    for done, part in enumerate(parts):
        latent = deconvolve_uniform(
            planes[:, *part.window],
            part.kernel,
            effort,
            method=method,
            noise=noise,
            kernel_error=kernel_error,
            known=None if known is None else known[part.window],
            saturated=saturated,
            hidden=hidden,
            response=response,
            synthesis=synthesis,
        )
        restored[:, *part.window] += part.weights(planes) * latent
        if progress is not None:
            progress("deconvolve", (done + 1) / len(parts))
    return restored
