"""Deconvolution of a photograph whose blur is a motion field: a linear motion at each pixel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module
from runtime.blur.motion import LONGEST, load_bank, motion_kernel
from runtime.blur.operators import MotionOperator
from runtime.decisions.thresholds import SATURATED
from runtime.deconvolution.arguments import check_planes_and
from runtime.deconvolution.chroma import CHROMA_NOISE, combined, hidden_noise, noise_scales, separated
from runtime.deconvolution.irc import THRESHOLD, Problem, admm, residual_compensation, smooth_start
from runtime.errors import InvalidArgument
from runtime.inference.devices import download
from runtime.inference.progress import Progress
from runtime.noise import LEAST_NOISE, estimate_noises_where, white_noises
from runtime.response import LINEAR, Response
from runtime.tiles import tiles

_REACH = 2 * LONGEST
"""Pixels by which a tile is extended beyond its seams."""
_TYPICAL = 6
"""Pixels along each axis, about, whose motions stand for all."""
_EVERY = 48
"""Pixels from one motion to the next of those that stand for all of a window, in which the noise is measured."""
_DOUBTFUL = 0.008
"""Hidden noise of a colour difference, in units of the value range, of which half the correction is applied: residual
compensation, whose weight of the prior is fixed, amplifies part of such noise."""


def deconvolve_along_motion(
    planes: Array,
    field: Array,
    *,
    noise: float | None = None,
    known: Array | None = None,
    saturated: float = SATURATED,
    response: Response = LINEAR,
    progress: Progress | None = None,
) -> Array:
    """Restore a photograph whose motion is known at every pixel (Eboli et al., section 2.2).

    Each observed pixel is the mean of the latent image along a line through it, of the length and angle
    ``field[y, x]``. The prior is the L1 norm of the gradients, the solver iterative residual compensation. Three planes
    are separated into their mean and colour differences, or luma and differences of stored values, as one kernel
    separates them (`runtime.deconvolution.uniform`). The more noise of their own the differences have
    (`runtime.deconvolution.chroma`), the less they change.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Observed photograph, values in [0, 1]; NumPy or CuPy.
    field : (H, W, 2) array of float32
        Length in pixels, from 0 to 35 (up to 1 is no motion), and angle in degrees, counter-clockwise as the
        photograph is seen: a pixel moves along ``(cos angle, -sin angle)`` in (column, row). On the device of `planes`.
    noise : float, optional
        Standard deviation of the noise in units of the value range; at least that of rounding to 8 bits is assumed. By
        default it is estimated for each plane, or for the mean and the differences of colours, from what the motions
        block, with what storage has left (`runtime.noise`).
    known, saturated
        As in `runtime.run.Run`.
    response
        The curve from the planes to stored values.
    progress : callable, optional
        Called with ``("deconvolve", fraction)``.

    Returns
    -------
    (C, H, W) array of float32
        Restored photograph, on the device of `planes`; not clipped.

    Raises
    ------
    InvalidImage
        If `planes` is not a finite image of three axes.
    InvalidArgument
        If the field or the noise is not valid.
    UnsupportedType
        If an array is not of float32, or the arrays are on different devices.
    """
    _check(planes, field, noise)
    xp = array_module(planes)
    every = xp.ones(planes.shape[1:], bool) if known is None else known
    usable = every & (xp.abs(planes) < saturated).all(axis=0)
    hidden, slope = hidden_noise(planes, usable, _typical_kernels(field), response), response.mean_slope_of(planes)
    separate, stored = len(planes) == 3, response if hidden.found else LINEAR
    parts = separated(planes, stored) if separate else planes.copy()
    if noise is not None:
        # The mean has as much as a plane where an error of the motions is a part of it.
        scales = [1.0, *noise_scales(stored, slope)[1:]] if separate else [1.0] * len(parts)
        levels = [max(noise, LEAST_NOISE) * scale for scale in scales]
    else:
        levels = _noise_levels(parts, field)
        levels[0] = hidden.with_luma(levels[0], slope)
    for index, level in enumerate(levels):
        # The differences of clipped pixels, above all those of white, say what their colours are, or nearly so.
        difference = separate and index > 0
        hidden_level, read = (hidden.levels[index - 1], every) if difference else (0.0, usable)
        part = parts[index : index + 1]
        least = max(level * CHROMA_NOISE, hidden_level) if difference else level
        latent = _in_tiles(part, field, least, read, _share(progress, index, len(parts)))
        share = hidden.share / (1 + (hidden_level / _DOUBTFUL) ** 2) if hidden_level else 1.0
        part += np.float32(share) * (latent - part)
    return combined(parts, stored) if separate else parts


def _noise_levels(planes: Array, field: Array) -> list[float]:
    """Return the noise level of each plane (C, H, W): where motions block, or what is white if they block nothing."""
    xp, some = array_module(planes), download(field[::_EVERY, ::_EVERY])

    def kernels_in(window: tuple[slice, slice]) -> list[Array]:
        rows, cols = (slice(side.start // _EVERY, -(-side.stop // _EVERY)) for side in window)
        return [xp.asarray(kernel) for kernel in _kernels(some[rows, cols])]

    blocked, white = estimate_noises_where(planes, kernels_in), white_noises(planes, None)
    return [max(levels) for levels in zip(blocked, white, strict=True)]


def _typical_kernels(field: Array) -> list[Array]:
    """Return the kernels of some motions of a field, in the memory of the host, which reads them.

    Of the motions at even distances they are the longer half: what is hardly blurred, such as the middle of a turn,
    tells no detail from noise, nor is any amplified there.
    """
    down, right = (-(-size // _TYPICAL) for size in field.shape[:2])
    kernels = sorted(_kernels(download(field[::down, ::right])), key=len)
    return kernels[len(kernels) // 2 :]


def _kernels(motions: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return the kernels of motions (h, w, 2), which are in the memory of the host."""
    return [motion_kernel(max(length, 1.0), angle) for length, angle in motions.reshape(-1, 2).astype(np.float64)]


def _in_tiles(planes: Array, field: Array, noise: float, usable: Array, progress: Callable[[float], None]) -> Array:
    """Restore planes that have the same noise, tile by tile."""
    height, width = planes.shape[1:]
    restored = array_module(planes).zeros_like(planes)
    spans = list(tiles((height, width), (_REACH, _REACH)))
    for done, (rows, cols) in enumerate(spans):
        window = slice(rows.start, rows.stop), slice(cols.start, cols.stop)

        def report(fraction: float, done: int = done) -> None:
            progress((done + fraction) / len(spans))

        tile = _restore(planes[:, *window], field[window], noise, usable[window], report)
        restored[:, *window] += rows.weights(height, tile)[:, None] * cols.weights(width, tile) * tile
    return restored


def _share(progress: Progress | None, done: int, count: int) -> Callable[[float], None]:
    """Return what reports the progress of one of `count` equal parts."""

    def report(fraction: float) -> None:
        if progress is not None:
            progress("deconvolve", (done + fraction) / count)

    return report


def motion_problem(
    planes: Array, field: Array, noise: float, usable: Array | None = None
) -> tuple[Problem, tuple[slice, slice]]:
    """Return the problem whose solution is the latent image, extended to all latent pixels that `planes` depend on.

    Parameters
    ----------
    planes, field
        As in `deconvolve_along_motion`.
    noise : float
        Standard deviation of the noise, in units of the value range.
    usable : (H, W) array of bool, optional
        Pixels that take part in the data term; by default those that are not saturated.

    Returns
    -------
    problem : Problem
    inside : tuple of slice
        Rows and columns of the photograph in the planes of the problem.
    """
    xp = array_module(planes)
    margin = int(np.ceil((max(float(field[..., 0].max()), 1.0) - 1) / 2)) + 1
    inside = tuple(slice(margin, margin + size) for size in planes.shape[1:])
    around = ((margin, margin), (margin, margin))
    observed = xp.pad(planes, ((0, 0), *around), mode="symmetric")
    usable = (xp.abs(planes) < SATURATED).all(axis=0) if usable is None else usable
    known = xp.pad(usable.astype(np.float32), around)
    blur = MotionOperator.of_field(xp.pad(field, (*around, (0, 0)), mode="edge"), load_bank())
    return Problem(observed, known, blur, THRESHOLD * noise), (inside[0], inside[1])


def _restore(planes: Array, field: Array, noise: float, usable: Array, progress: Callable[[float], None]) -> Array:
    problem, inside = motion_problem(planes, field, noise, usable)
    return admm(problem, residual_compensation(), smooth_start(problem), progress=progress)[:, *inside]


def _check(planes: Array, field: Array, noise: float | None) -> None:
    """Raise an error, which names the remedy, unless the arguments are valid."""
    check_planes_and("motion", planes, field)
    xp = array_module(planes)
    wanted = (*planes.shape[1:], 2)
    if field.shape != wanted:
        raise InvalidArgument(f"motion has shape {field.shape}; give {wanted}: length and angle for every pixel")
    if not bool(xp.isfinite(field).all()):
        raise InvalidArgument("motion holds NaN or infinity; give 0 px where nothing moves")
    shortest, longest = float(field[..., 0].min()), float(field[..., 0].max())
    if shortest < 0:
        raise InvalidArgument(f"motion of {shortest:.4g} px is negative; turn it by 180 degrees instead")
    if longest > LONGEST:
        raise InvalidArgument(f"motion of {longest:.4g} px is longer than {LONGEST}; make the photograph smaller first")
    if noise is not None and not (np.isfinite(noise) and noise >= 0):
        raise InvalidArgument(f"noise is {noise}; give a number of 0 or more")
