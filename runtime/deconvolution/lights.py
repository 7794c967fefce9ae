"""Restoration around highlights that the camera clipped, under a model that clips too.

Deconvolution leaves clipped pixels out. They say more than nothing: that at least white arrived there. And light that
a lamp has spread over its surroundings cannot be undone by less than no light, which a linear deconvolution proposes.
Richardson-Lucy iterations know both (Whyte, Sivic and Zisserman 2014): the latent image stays positive, and a clipped
pixel asks for more light only where less than white is predicted.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module, packed
from kernels.cancellation import checkpoint
from runtime.blur.periodic import BlurModel
from runtime.colour import luminance
from runtime.deconvolution.chroma import combined, separated
from runtime.inference.devices import download
from runtime.response import Response
from runtime.tiles import BAND, FADE, Span, tiles

_ITERATIONS, _EXACT_ITERATIONS = 30, 60
"""Iterations with an estimated kernel, whose errors more of them would bring out, and with the true one."""
_BRIGHT = 2.0
"""Light of clipped pixels in the first estimate with the true kernel, in units of white; with another one, white."""
_LEAST, _MOST = 1e-6, 32.0
"""Bounds of the latent image, in units of white."""
_DARKEST = 1e-3
"""What the first estimate is at least: what is nearly 0 stays there."""
_SPREAD = 0.002
"""Share of the light of a latent pixel that reaches clipped pixels, from which it is restored here alone; where none
does, not at all."""
_CORES = 1024, 512, 256
"""Sides of tiles in pixels, about, without their overlap: where lights are few, small tiles leave more of the
photograph out; where they are many, large ones overlap less."""
_CELL = 32
"""Side in pixels of the squares of which it is known whether a pixel is clipped in them."""


class _Tile(NamedTuple):
    """A tile of a photograph, and the numbers of the planes that have lights in it."""

    rows: Span
    cols: Span
    lit: list[int]

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the tile with its overlap."""
        return slice(self.rows.start, self.rows.stop), slice(self.cols.start, self.cols.stop)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width with the overlap."""
        return self.rows.stop - self.rows.start, self.cols.stop - self.cols.start

    @property
    def blended(self) -> tuple[slice, slice]:
        """Those of its pixels that are restored, without what only surrounds them."""
        rows, cols = (slice(max(span.first - FADE, span.start), min(span.last + FADE, span.stop)) for span in self[:2])
        return rows, cols


class _Lights(NamedTuple):
    """The observed plane (h, w) on the periodic plane of its blur.

    Attributes
    ----------
    observed : array of float32
        Extended smoothly beyond the image.
    clipped : array of bool
        Pixels that are clipped.
    asked : array of float32
        What is compared with the predicted light: the observed values where they are known, white where they are
        clipped, else nothing.
    least : array of float32
        What the ratio of both is at least: 1 where values are not known, so that what is predicted is bright enough.
    """

    observed: Array
    clipped: Array
    asked: Array
    least: Array


def restore_lights(
    planes: Array,
    restored: Array,
    kernel: Array,
    saturated: float,
    known: Array | None = None,
    *,
    exact: bool = False,
    stored: Response | None = None,
) -> None:
    """Restore what clipped pixels received light from, and blend it into a restoration.

    With ``b = kernel * x``, an iteration is ``x <- x (kernel' * r)``, where ``r`` is ``planes / b`` at known pixels,
    ``max(1 / b, 1)`` at clipped ones, and 1 elsewhere. Only tiles that have clipped pixels within reach are looked at.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Observed photograph; values are light, or nearly so, and white is 1.
    restored : (C, H, W) array of float32
        Its restoration without the clipped pixels; changed in place.
    kernel : (h, w) array of float32
        Blur kernel of sum 1.
    saturated : float
        Values whose magnitude is this or more are clipped.
    known : (H, W) array of bool, optional
        Pixels whose values are known, or known to be clipped; all of them by default.
    exact : bool
        Whether the kernel is the true one.
    stored
        If given, the curve to stored values whose colour differences have noise of their own: what is no brighter than
        white keeps those of its restoration (`runtime.deconvolution.chroma`).
    """
    kernel, lit = _kernel_and_lit_cells(planes, kernel, saturated)
    xp, shape, model = array_module(planes), planes.shape[1:], None
    for tile in _fewest_pixels(shape, lit, max(kernel.shape)):
        window, blended = tile.window, tile.blended
        # Most tiles have the same size.
        model = model if model is not None and model.image_shape == tile.shape else BlurModel(tile.shape, kernel)
        before = None if stored is None else separated(restored[:, *blended], stored)
        share, later = _seams(tile, shape, planes)
        for index in tile.lit:
            observed, out = planes[index][window], restored[index][window]
            lights = _placed(observed, saturated, None if known is None else known[window], model)
            weight = xp.clip(_share_of_clipped(lights, model) / np.float32(_SPREAD), 0, 1)
            # What later tiles will change must leave the share that this one has where they are blended.
            weight = weight * share / xp.maximum(1 - weight * later, np.float32(_LEAST))
            out += weight * (model.crop(_iterate(lights, model, exact)) - out)
        if before is not None and stored is not None:
            changed = restored[:, *blended]
            before[0] = luminance(changed)
            dim = (changed <= 1).all(axis=0)
            changed[...] = xp.where(dim, combined(before, stored), changed)


def _kernel_and_lit_cells(planes: Array, kernel: Array, saturated: float) -> tuple[Array, NDArray[np.bool_]]:
    """Return a kernel without zeros around it, and in host memory which cells (C, rows, cols) have clipped pixels.

    Both are told by one copy.
    """
    xp, (count, height, width) = array_module(planes), planes.shape
    lit, band = [], max(BAND // (count * width) // _CELL, 1) * _CELL
    for top in range(0, height, band):
        clipped = xp.abs(planes[:, top : top + band]) >= saturated
        cells = xp.pad(clipped, ((0, 0), *((0, -size % _CELL) for size in clipped.shape[1:])))
        lit.append(cells.reshape(count, -1, _CELL, -(-width // _CELL), _CELL).any(axis=(2, 4)))
    found = download(packed(planes, [kernel.any(axis=1), kernel.any(axis=0), *lit])) > 0
    rows, cols, cells = np.split(found, np.cumsum(kernel.shape))
    ends = np.cumsum([each.size for each in lit])[:-1]
    parts = [part.reshape(each.shape) for part, each in zip(np.split(cells, ends), lit, strict=True)]
    return kernel[_around_origin(rows), _around_origin(cols)], np.concatenate(parts, axis=1)


def _around_origin(present: NDArray[np.bool_]) -> slice:
    """Return the least part of an axis of a kernel that holds all that is present and has the same origin."""
    origin, places = (len(present) - 1) // 2, np.flatnonzero(present)
    before, after = origin - int(places.min()), int(places.max()) - origin
    side = max(2 * before + 1, 2 * after, 1)
    return slice(origin - (side - 1) // 2, origin + side // 2 + 1)


def _fewest_pixels(shape: tuple[int, int], lit: NDArray[np.bool_], side: int) -> list[_Tile]:
    """Return tiles of one size that hold all that receives light from clipped pixels, of as few pixels as possible.

    Parameters
    ----------
    shape
        That of the photograph.
    lit : (C, rows, cols) array of bool
        Cells that have clipped pixels.
    side
        That of the kernel.
    """
    plans = [list(_lit_tiles(shape, lit, side, core)) for core in _CORES]
    return min(plans, key=lambda plan: sum(len(tile.lit) * prod(tile.shape) for tile in plan))


def _lit_tiles(shape: tuple[int, int], lit: NDArray[np.bool_], side: int, core: int) -> Iterator[_Tile]:
    # What a latent pixel receives light from, and what that is seen with.
    reach = 3 * side // 2
    for rows, cols in tiles(shape, (max(2 * side, reach + FADE),) * 2, core):
        around = (
            slice(max(span.first - FADE - reach, 0) // _CELL, -(-(span.last + FADE + reach) // _CELL))
            for span in (rows, cols)
        )
        present = np.flatnonzero(lit[:, *around].any(axis=(1, 2)))
        if len(present):
            yield _Tile(rows, cols, present.tolist())


def _seams(tile: _Tile, shape: tuple[int, int], like: Array) -> tuple[Array, Array]:
    """Return the share that a tile has in each of its pixels, and that of all later tiles together."""
    (height, width), (rows, cols) = shape, tile[:2]
    down, right = rows.weights(height, like)[:, None], cols.weights(width, like)
    return down * right, rows.later(height, like)[:, None] + down * cols.later(width, like)


def _placed(plane: Array, saturated: float, known: Array | None, model: BlurModel) -> _Lights:
    xp = array_module(plane)
    observed, clipped = xp.ascontiguousarray(model.extend(plane)), xp.zeros(model.shape, bool)
    usable, bright = clipped.copy(), xp.abs(plane) >= saturated
    model.crop(clipped)[...] = bright if known is None else bright & known
    model.crop(usable)[...] = ~bright if known is None else known & ~bright
    asked = xp.where(usable, observed, clipped.astype(np.float32))
    return _Lights(observed, clipped, asked, xp.where(usable, np.float32(-np.inf), np.float32(1)))


def _iterate(lights: _Lights, model: BlurModel, exact: bool) -> Array:
    """Return the latent image on the periodic plane."""
    xp = array_module(lights.observed)
    latent, adjoint = xp.maximum(lights.observed, np.float32(_DARKEST)), model.transfer.conj()
    if exact:
        latent = xp.where(lights.clipped, np.float32(_BRIGHT), latent)
    for _ in range(_EXACT_ITERATIONS if exact else _ITERATIONS):
        checkpoint()
        ratio = model.filter(latent, model.transfer)
        xp.maximum(ratio, np.float32(_LEAST), out=ratio)
        xp.divide(lights.asked, ratio, out=ratio)
        xp.maximum(ratio, lights.least, out=ratio)
        latent *= model.filter(ratio, adjoint)
        xp.clip(latent, np.float32(_LEAST), np.float32(_MOST), out=latent)
    return latent


def _share_of_clipped(lights: _Lights, model: BlurModel) -> Array:
    """Return, for latent pixels of the image, the share of light that they exchange with what clipped pixels saw."""
    clipped, seen_again = lights.clipped.astype(np.float32), model.transfer.conj() * model.power
    return model.crop(model.filter(clipped, seen_again))
