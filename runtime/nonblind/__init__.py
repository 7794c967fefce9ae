"""Deconvolution with a known blur kernel."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from kernels.arrays import Array, array_module
from runtime.errors import InvalidArgument, InvalidImage, UnsupportedType

__all__ = ["METHODS", "METHOD_OF", "deconvolve"]

METHODS = ("hyper-laplacian", "epll", "wiener")
METHOD_OF = {"fast": "hyper-laplacian", "balanced": "epll", "best": "epll"}
"""The method of each quality level."""


def deconvolve(
    planes: Array,
    kernel: Array,
    *,
    method: str | None = None,
    quality: str = "balanced",
    noise: float | None = None,
    kernel_error: float = 0.0,
    progress: Callable[[str, float], None] | None = None,
) -> Array:
    """Restore a photograph whose blur kernel is known.

    Solves ``planes = kernel * x + noise`` for `x`, channel by channel. Pixels beyond the border, and saturated
    ones (0.98 and more), take no part in the data term. Large photographs are restored in tiles that fade into
    each other.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Observed photograph, values in [0, 1]; NumPy or CuPy.
    kernel : (h, w) array of float32
        Blur kernel: a true convolution, non-negative, of sum 1, at most as large as the image, origin at
        ``((h - 1) // 2, (w - 1) // 2)``.
    method : {"hyper-laplacian", "epll", "wiener"}, optional
        Prior on the latent image: sparse gradients; a mixture of Gaussians on patches, slower and better; or
        Gaussian gradients, linear in the image and the quickest. By default that of the quality level, see `METHOD_OF`.
    quality : {"fast", "balanced", "best"}
        How much work to put in.
    noise : float, optional
        Standard deviation of the noise in units of the value range; never taken for less than that of rounding
        to 8 bits. Estimated from the photograph by default.
    kernel_error : float, optional
        What the kernel's own error adds to an estimated noise, in the same unit: 0 for a kernel that is known.
    progress : callable, optional
        Told ``("deconvolve", fraction)``.

    Returns
    -------
    (C, H, W) array of float32
        Restored photograph, on the device of `planes`; not clipped.

    Raises
    ------
    InvalidImage
        If `planes` is not a finite image of three axes.
    InvalidArgument
        If the kernel, the method or the noise cannot be used.
    UnsupportedType
        If an array is not of float32.
    """
    from runtime.nonblind.boundary import SATURATED
    from runtime.nonblind.epll import epll
    from runtime.nonblind.hyper_laplacian import hyper_laplacian
    from runtime.nonblind.noise import LEAST, estimate_noise
    from runtime.nonblind.tiles import tiles
    from runtime.nonblind.wiener import wiener

    if quality not in METHOD_OF:
        raise InvalidArgument(f"quality {quality!r} is unknown; choose one of {', '.join(METHOD_OF)}")
    method = METHOD_OF[quality] if method is None else method
    _check(planes, kernel, method)
    for name, value in (("noise", noise), ("kernel_error", kernel_error)):
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise InvalidArgument(f"{name} is {value}; give a standard deviation of 0 or more")
    restore = {"wiener": wiener, "hyper-laplacian": hyper_laplacian, "epll": epll}[method]
    height, width = planes.shape[1:]
    deviations = [
        estimate_noise(plane, kernel) + kernel_error if noise is None else max(noise, LEAST) for plane in planes
    ]
    restored = array_module(planes).zeros_like(planes)
    jobs = list(product(tiles((height, width), kernel.shape), range(len(planes))))
    for done, ((rows, cols), channel) in enumerate(jobs):
        window = planes[channel, rows.start : rows.stop, cols.start : cols.stop]
        tile = restore(window, kernel, deviations[channel], valid=window < SATURATED)
        tile *= rows.weights(height, tile)[:, None] * cols.weights(width, tile)
        restored[channel, rows.start : rows.stop, cols.start : cols.stop] += tile
        if progress is not None:
            progress("deconvolve", (done + 1) / len(jobs))
    return restored


def _check(planes: Array, kernel: Array, method: str) -> None:
    """Refuse what cannot be deconvolved, naming the mend."""
    try:
        xp = array_module(planes)
        together = array_module(kernel) is xp
    except TypeError as error:
        raise UnsupportedType(f"planes and kernel must be NumPy or CuPy arrays; {error}") from error
    if not together:
        raise UnsupportedType("planes and kernel lie on different devices; move the kernel to where the planes are")
    if planes.dtype != np.float32 or kernel.dtype != np.float32:
        raise UnsupportedType(f"planes are {planes.dtype} and the kernel is {kernel.dtype}; convert both to float32")
    if planes.ndim != 3 or planes.size == 0:
        raise InvalidImage(f"planes have shape {planes.shape}; give a (C, H, W) array of at least one pixel")
    if not bool(xp.isfinite(planes).all()):
        raise InvalidImage("planes hold NaN or infinity; replace these pixels first")
    if kernel.ndim != 2 or kernel.size == 0:
        raise InvalidArgument(f"kernel has shape {kernel.shape}; give one 2-D blur kernel")
    if not bool(xp.isfinite(kernel).all()) or float(kernel.min()) < 0:
        raise InvalidArgument("kernel holds negative values, NaN or infinity; clip it to 0 and divide it by its sum")
    if abs(float(kernel.sum()) - 1) > 1e-3:
        raise InvalidArgument(f"kernel sums to {float(kernel.sum()):.4g}; divide it by its sum")
    if kernel.shape[0] > planes.shape[1] or kernel.shape[1] > planes.shape[2]:
        raise InvalidArgument(
            f"kernel {kernel.shape} is larger than the image {planes.shape[1:]}; crop the kernel or give more image"
        )
    if method not in METHODS:
        raise InvalidArgument(f"method {method!r} is unknown; choose one of {', '.join(METHODS)}")
