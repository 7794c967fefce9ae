"""Deconvolution with a known blur kernel."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from kernels.arrays import Array, array_module
from runtime.errors import InvalidArgument, InvalidImage, UnsupportedType
from runtime.quality import LEVELS, Level

if TYPE_CHECKING:
    from runtime.deconvolution.observation import Observation

__all__ = ["LEVELS", "METHODS", "Level", "deconvolve"]


METHODS = ("hyper-laplacian", "epll", "wiener", "irc")
CHROMA = 2.0
"""Noise that the differences of the colours are restored for, in units of theirs: their detail is that much weaker."""
PARTLY_CLIPPED = 0.02
"""Share of pixels saturated in some colours only from which on each colour is restored by itself."""
BROKEN = 2.0
"""Observed values are cut to this magnitude: what exceeds it is no light."""


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

    Solves ``planes = kernel * x + noise`` for `x`: plane by plane, or where there are three for their mean, by the
    method, and their differences, by a cheaper one. Pixels beyond the border, and saturated ones (0.98 and more),
    take no part in the data term. Large photographs are restored in tiles that fade into
    each other.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Observed photograph, values in [0, 1]; NumPy or CuPy.
    kernel : (h, w) array of float32
        Blur kernel: a true convolution, non-negative, of sum 1, at most as large as the image, origin at
        ``((h - 1) // 2, (w - 1) // 2)``.
    method : {"hyper-laplacian", "epll", "wiener", "irc"}, optional
        Prior on the latent image: sparse gradients; a mixture of Gaussians on patches, slower and better; Gaussian
        gradients, linear in the image and the quickest; or sparse gradients by local inverse filters, which also
        restore what moved differently everywhere, see `runtime.deconvolution.along_motion`. By default that of the quality level,
        see `LEVELS`.
    quality : {"fast", "balanced", "best"}
        How much work to put in.
    noise : float, optional
        Standard deviation of the noise in units of the value range; never taken for less than that of rounding
        to 8 bits. Estimated from the photograph by default.
    kernel_error : float, optional
        Euclidean norm of the error that the kernel may have, relative to its own: 0 for a kernel that is known.
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
    from runtime.colour import NOISE, from_opponent, to_opponent
    from runtime.deconvolution.noise import LEAST, estimate_noise
    from runtime.deconvolution.observation import Observation
    from runtime.deconvolution.saturation import SATURATED
    from runtime.tiles import tiles

    _check(planes, kernel, method, quality)
    for name, value in (("noise", noise), ("kernel_error", kernel_error)):
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise InvalidArgument(f"{name} is {value}; give a number of 0 or more")
    xp = array_module(planes)
    level = LEVELS[quality]
    method = method or level.method
    methods, scales, caution = [method] * len(planes), [1.0] * len(planes), [1.0] * len(planes)
    valid = xp.abs(planes) < SATURATED
    planes = xp.clip(planes, -BROKEN, BROKEN)
    opponent = len(planes) == 3 and float((valid.any(axis=0) & ~valid.all(axis=0)).mean()) < PARTLY_CLIPPED
    if opponent:
        planes, valid = to_opponent(planes), xp.broadcast_to(valid.all(axis=0), valid.shape)
        methods[1:] = ["hyper-laplacian" if method == "epll" else method] * 2
        scales, caution = NOISE.tolist(), [1.0, CHROMA, CHROMA]
    deviations = [
        care * (estimate_noise(plane, kernel) if noise is None else max(noise, LEAST) * scale)
        for plane, care, scale in zip(planes, caution, scales, strict=True)
    ]
    height, width = planes.shape[1:]
    restored = xp.zeros_like(planes)
    jobs = list(product(tiles((height, width), kernel.shape), range(len(planes))))
    for done, ((rows, cols), index) in enumerate(jobs):
        window = (index, slice(rows.start, rows.stop), slice(cols.start, cols.stop))
        observation = Observation(
            planes[window], kernel, deviations[index], kernel_error=kernel_error, valid=valid[window]
        )
        tile = observation.model.crop(_restore(observation, methods[index], level))
        tile *= rows.weights(height, tile)[:, None] * cols.weights(width, tile)
        restored[window] += tile
        if progress is not None:
            progress("deconvolve", (done + 1) / len(jobs))
    return from_opponent(restored) if opponent else restored


def _restore(observation: Observation, method: str, level: Level) -> Array:
    """Restore one plane by one method."""
    from runtime.deconvolution.epll import epll
    from runtime.deconvolution.hyper_laplacian import hyper_laplacian
    from runtime.deconvolution.irc import irc
    from runtime.deconvolution.wiener import wiener

    if method == "epll":
        return epll(observation, steps=level.steps, stride=level.stride)
    if method == "irc":
        return irc(observation)
    return {"hyper-laplacian": hyper_laplacian, "wiener": wiener}[method](observation, steps=level.steps)


def _check(planes: Array, kernel: Array, method: str | None, quality: str) -> None:
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
    if method not in (None, *METHODS):
        raise InvalidArgument(f"method {method!r} is unknown; choose one of {', '.join(METHODS)}")
    if quality not in LEVELS:
        raise InvalidArgument(f"quality {quality!r} is unknown; choose one of {', '.join(LEVELS)}")
