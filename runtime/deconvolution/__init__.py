"""Deconvolution: the latent photograph, given its blur.

`deconvolve` takes any blur of `runtime.blur`. For one kernel the method is hyper-Laplacian or Wiener deconvolution,
EPLL, or iterative residual compensation (`uniform`). For the poses of a camera, each part of the photograph is
deconvolved with its own kernel (`along_poses`). For a motion at each pixel the method is iterative residual
compensation (`along_motion`).
"""

from __future__ import annotations

from kernels.arrays import Array
from runtime.blur.blurs import Blur, KernelBlur, MotionBlur, PoseBlur
from runtime.deconvolution.along_motion import deconvolve_along_motion
from runtime.deconvolution.along_poses import deconvolve_along_poses
from runtime.deconvolution.uniform import deconvolve_uniform
from runtime.errors import InvalidArgument
from runtime.options import NEURAL, Options
from runtime.run import Run

__all__ = ["deconvolve"]


def deconvolve(
    planes: Array, blur: Blur, run: Run[Options], *, kernel_error: float = 0.0, noise: float | None = None
) -> Array:
    """Restore a photograph whose blur is known or estimated.

    Pixels beyond the boundary, unknown and saturated ones are left out of the data term. Large photographs are
    restored in tiles, which are blended where they overlap.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Observed photograph, values in [0, 1]; NumPy or CuPy.
    blur : Blur
        One kernel, the poses of a camera, or a motion at each pixel.
    run : Run
        Its options set the method (`Options.nonblind`), the amount of work (`Options.quality`) and the noise
        (`Options.noise`); it knows which pixels are known and not saturated. By default the noise is estimated for each
        plane; with one kernel, from the frequencies that the kernel blocks. Progress is reported for the stage
        ``"deconvolve"``.
    kernel_error : float
        Euclidean norm of the error of the kernel, relative to the kernel's own norm; 0 for a known kernel. It is not
        used for a motion field.
    noise : float, optional
        Standard deviation of the noise in units of the value range, in place of that of the options; at least that
        of rounding to 8 bits is assumed.

    Returns
    -------
    (C, H, W) array of float32
        Restored photograph, on the device of `planes`; not clipped.

    Raises
    ------
    InvalidImage
        If `planes` is not a finite image of three axes.
    InvalidArgument
        If the blur or the noise is not valid, or the method does not apply to such a blur.
    UnsupportedType
        If an array is not of float32, or the arrays are on different devices.
    """
    method, effort = run.options.nonblind, run.options.level.deconvolution
    noise = run.options.noise if noise is None else noise
    if method == NEURAL:
        raise InvalidArgument(f"nonblind {method!r} stops at the network's estimate: choose a method of deconvolution")
    if isinstance(blur, MotionBlur):
        if method not in (None, "irc"):
            raise InvalidArgument(f"method {method!r} is unknown for a motion field; choose irc")
        return deconvolve_along_motion(
            planes,
            blur.field,
            noise=noise,
            known=run.known,
            saturated=run.saturated,
            response=run.response,
            progress=run.progress,
        )
    if isinstance(blur, PoseBlur):
        return deconvolve_along_poses(
            planes,
            blur,
            effort,
            method=method,
            noise=noise,
            kernel_error=kernel_error,
            known=run.known,
            saturated=run.saturated,
            response=run.response,
            synthesis=run.synthesis,
            progress=run.progress,
        )
    if isinstance(blur, KernelBlur):
        return deconvolve_uniform(
            planes,
            blur.kernel,
            effort,
            method=method,
            noise=noise,
            kernel_error=kernel_error,
            adapt=kernel_error == 0,
            known=run.known,
            saturated=run.saturated,
            response=run.response,
            synthesis=run.synthesis,
            progress=run.progress,
        )
    raise InvalidArgument(f"a blur of type {type(blur).__name__} is unknown: give one kernel, poses or a motion field")
