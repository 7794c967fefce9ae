"""Deconvolution: the latent photograph, given what blurred it.

`deconvolve` takes any blur of `runtime.blur`. One kernel is undone by hyper-Laplacian or Wiener deconvolution, by EPLL
or by iterative residual compensation (`uniform`); the poses of a camera part by part, each part by its own kernel
(`along_poses`); a motion at each pixel by iterative residual compensation (`along_motion`).
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
    """Restore a photograph whose blur is known, or estimated.

    Pixels beyond the border, and saturated ones (0.98 and more), take no part in the data term. Large photographs are
    restored in tiles that fade into each other.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Observed photograph, values in [0, 1]; NumPy or CuPy.
    blur : Blur
        One kernel, the poses of a camera, or a motion at each pixel.
    run : Run
        Its options say by which method (`Options.nonblind`), with how much work (`Options.quality`), and which noise
        there is (`Options.noise`; by default it is estimated plane by plane, from what the kernel blocks where there
        is one). Told the progress of ``"deconvolve"``.
    kernel_error : float
        Euclidean norm of the error that a kernel may have, relative to its own: 0 for a kernel that is known. A motion
        field's error is not considered.
    noise : float, optional
        Standard deviation of the noise in units of the value range, in place of that of the options; never taken for
        less than that of rounding to 8 bits.

    Returns
    -------
    (C, H, W) array of float32
        Restored photograph, on the device of `planes`; not clipped.

    Raises
    ------
    InvalidImage
        If `planes` is not a finite image of three axes.
    InvalidArgument
        If the blur or the noise cannot be used, or the method cannot undo such a blur.
    UnsupportedType
        If an array is not of float32.
    """
    method, effort = run.options.nonblind, run.options.level.deconvolution
    noise = run.options.noise if noise is None else noise
    if method == NEURAL:
        raise InvalidArgument(f"nonblind {method!r} stops at the network's estimate: choose a method of deconvolution")
    if isinstance(blur, MotionBlur):
        if method not in (None, "irc"):
            raise InvalidArgument(f"method {method!r} is unknown for a motion field; choose irc")
        return deconvolve_along_motion(planes, blur.field, noise=noise, progress=run.progress)
    if isinstance(blur, PoseBlur):
        return deconvolve_along_poses(
            planes, blur, effort, method=method, noise=noise, kernel_error=kernel_error, progress=run.progress
        )
    if isinstance(blur, KernelBlur):
        return deconvolve_uniform(
            planes, blur.kernel, effort, method=method, noise=noise, kernel_error=kernel_error, progress=run.progress
        )
    raise InvalidArgument(f"a blur of type {type(blur).__name__} is unknown: give one kernel, poses or a motion field")
