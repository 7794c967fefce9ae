"""`kernels.nonuniform` for NumPy arrays; that module documents the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernels.arrays import Array
from kernels.cpu._compile import compiled
from kernels.cpu.simd.vectors import LANES, load, splat, store
from kernels.cpu.threads import run_in_slices

if TYPE_CHECKING:
    from kernels.nonuniform import FilterBank

TILE = 8
"""Rows of a tile, which is one vector wide: enough independent sums in registers to keep both FMA units busy."""

LONGEST = 8
"""Rows of tiles of a slice, at most: about a tenth of a second."""


def nonuniform_convolve(
    image: Array, bank: FilterBank, indices: Array, weights: Array, out: Array | None = None
) -> Array:
    """Filter tile by tile with each of the filters that the tile uses.

    Per tile and filter every tap is read once and multiplied with `TILE` vectors of the image, which is padded with
    zeros so that no vector needs a mask.
    """
    if out is None:
        out = np.empty_like(image)
    planes, height, width = image.shape
    down, right = bank.reach
    padded = np.zeros((planes, height + 2 * down + TILE, width + 2 * right + LANES), np.float32)
    padded[:, down : down + height, right : right + width] = image
    taps = bank.starts, bank.rows, bank.cols, bank.values
    run_in_slices(_convolve, -(-height // TILE), padded, *taps, down, right, indices, weights, out, most=LONGEST)
    return out


def nonuniform_adjoint(
    image: Array, bank: FilterBank, indices: Array, weights: Array, out: Array | None = None
) -> Array:
    """Scatter tile by tile with each of the filters that the tile uses.

    Each row of tiles is scattered into a slab of its own, and the slabs are added at the end: no two threads write to
    the same memory, and the result does not depend on their number. This takes twice the time of
    `nonuniform_convolve`, because the sums are in memory, and the memory of ``1 + 2 reach[0] / TILE`` images.
    """
    if out is None:
        out = np.empty_like(image)
    planes, height, width = image.shape
    down, right = bank.reach
    bands = -(-height // TILE)
    slabs = np.empty((bands, planes, TILE + 2 * down, -(-width // LANES) * LANES + 2 * right), np.float32)
    taps = bank.starts, bank.rows, bank.cols, bank.values
    run_in_slices(_spread, bands, image, *taps, down, right, indices, weights, slabs, most=LONGEST)
    run_in_slices(_gather, height, slabs, down, right, out)
    return out


@compiled
def _collect(indices, weights, top, left, slots, filters, shares):  # type: ignore[no-untyped-def]
    """List the filters that are used in the tile at (top, left), and their weights there; return their number.

    The tile has the size of ``shares[0]`` and may extend beyond the image. `slots` holds -1 for every filter of the
    bank, before and after the call.
    """
    height, width, blended = indices.shape
    count = 0
    for m in range(max(0, -top), min(shares.shape[1], height - top)):
        for n in range(max(0, -left), min(shares.shape[2], width - left)):
            for j in range(blended):
                number = indices[top + m, left + n, j]
                slot = slots[number]
                if slot < 0:
                    slot = slots[number] = count
                    filters[slot] = number
                    shares[slot] = 0
                    count += 1
                shares[slot, m, n] += weights[top + m, left + n, j]
    for slot in range(count):
        slots[filters[slot]] = -1
    return count


@compiled
def _add_filtered(image, y, x, rows, cols, values, share, total):  # type: ignore[no-untyped-def]
    """Add the filtered tile at (y, x) of `image`, weighted, to `total`; `rows` and `cols` are offsets of the taps."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = splat(np.float32(0))
    for tap in range(len(values)):
        value, row, col = splat(values[tap]), y + rows[tap], x + cols[tap]
        s0 = s0 + value * load(image, row, col, LANES)
        s1 = s1 + value * load(image, row + 1, col, LANES)
        s2 = s2 + value * load(image, row + 2, col, LANES)
        s3 = s3 + value * load(image, row + 3, col, LANES)
        s4 = s4 + value * load(image, row + 4, col, LANES)
        s5 = s5 + value * load(image, row + 5, col, LANES)
        s6 = s6 + value * load(image, row + 6, col, LANES)
        s7 = s7 + value * load(image, row + 7, col, LANES)
    store(total, 0, 0, LANES, load(total, 0, 0, LANES) + load(share, 0, 0, LANES) * s0)
    store(total, 1, 0, LANES, load(total, 1, 0, LANES) + load(share, 1, 0, LANES) * s1)
    store(total, 2, 0, LANES, load(total, 2, 0, LANES) + load(share, 2, 0, LANES) * s2)
    store(total, 3, 0, LANES, load(total, 3, 0, LANES) + load(share, 3, 0, LANES) * s3)
    store(total, 4, 0, LANES, load(total, 4, 0, LANES) + load(share, 4, 0, LANES) * s4)
    store(total, 5, 0, LANES, load(total, 5, 0, LANES) + load(share, 5, 0, LANES) * s5)
    store(total, 6, 0, LANES, load(total, 6, 0, LANES) + load(share, 6, 0, LANES) * s6)
    store(total, 7, 0, LANES, load(total, 7, 0, LANES) + load(share, 7, 0, LANES) * s7)


@compiled
def _convolve(  # type: ignore[no-untyped-def]
    first, last, padded, starts, rows, cols, values, down, right, indices, weights, out
):
    """Compute the rows of tiles `first` to `last - 1`."""
    planes, height, width = out.shape
    slots = np.full(len(starts) - 1, -1, np.int32)
    filters = np.empty(min(len(slots), TILE * LANES * indices.shape[2]), np.int32)
    shares = np.empty((len(filters), TILE, LANES), np.float32)
    total = np.empty((TILE, LANES), np.float32)
    for top in range(first * TILE, min(last * TILE, height), TILE):
        for left in range(0, width, LANES):
            count = _collect(indices, weights, top, left, slots, filters, shares)
            for plane in range(planes):
                total[:] = 0
                for slot in range(count):
                    taps = slice(starts[filters[slot]], starts[filters[slot] + 1])
                    _add_filtered(
                        padded[plane], top + down, left + right, -rows[taps], -cols[taps], values[taps],
                        shares[slot], total,
                    )  # fmt: skip
                for m in range(min(TILE, height - top)):
                    store(out[plane], top + m, left, width - left, load(total, m, 0, LANES))


@compiled
def _add_spread(tile, y, x, rows, cols, values, total):  # type: ignore[no-untyped-def]
    """Add a tile to `total` once for each tap, times its value, at its offset `rows`, `cols` from (y, x)."""
    t0, t1, t2, t3 = load(tile, 0, 0, LANES), load(tile, 1, 0, LANES), load(tile, 2, 0, LANES), load(tile, 3, 0, LANES)
    t4, t5, t6, t7 = load(tile, 4, 0, LANES), load(tile, 5, 0, LANES), load(tile, 6, 0, LANES), load(tile, 7, 0, LANES)
    for tap in range(len(values)):
        value, row, col = splat(values[tap]), y + rows[tap], x + cols[tap]
        store(total, row, col, LANES, load(total, row, col, LANES) + value * t0)
        store(total, row + 1, col, LANES, load(total, row + 1, col, LANES) + value * t1)
        store(total, row + 2, col, LANES, load(total, row + 2, col, LANES) + value * t2)
        store(total, row + 3, col, LANES, load(total, row + 3, col, LANES) + value * t3)
        store(total, row + 4, col, LANES, load(total, row + 4, col, LANES) + value * t4)
        store(total, row + 5, col, LANES, load(total, row + 5, col, LANES) + value * t5)
        store(total, row + 6, col, LANES, load(total, row + 6, col, LANES) + value * t6)
        store(total, row + 7, col, LANES, load(total, row + 7, col, LANES) + value * t7)


@compiled
def _spread(  # type: ignore[no-untyped-def]
    first, last, image, starts, rows, cols, values, down, right, indices, weights, slabs
):
    """Compute the slabs `first` to `last - 1`, one for each row of tiles."""
    planes, height, width = image.shape
    slots = np.full(len(starts) - 1, -1, np.int32)
    filters = np.empty(min(len(slots), TILE * LANES * indices.shape[2]), np.int32)
    shares = np.empty((len(filters), TILE, LANES), np.float32)
    tile = np.zeros((TILE, LANES), np.float32)
    for band in range(first, last):
        top = band * TILE
        slabs[band] = 0
        for left in range(0, width, LANES):
            count = _collect(indices, weights, top, left, slots, filters, shares)
            for plane in range(planes):
                for slot in range(count):
                    # Beyond the image the weights are 0, and zeros are read.
                    for m in range(min(TILE, height - top)):
                        seen = load(image[plane], top + m, left, width - left)
                        store(tile, m, 0, LANES, load(shares[slot], m, 0, LANES) * seen)
                    for m in range(height - top, TILE):
                        tile[m] = 0
                    taps = slice(starts[filters[slot]], starts[filters[slot] + 1])
                    _add_spread(tile, down, left + right, -rows[taps], -cols[taps], values[taps], slabs[band, plane])


@compiled
def _gather(first, last, slabs, down, right, out):  # type: ignore[no-untyped-def]
    """Sum the rows `first` to `last - 1` over all slabs that cover them."""
    planes, _, width = out.shape
    bands = len(slabs)
    for plane in range(planes):
        for row in range(first, last):
            line = out[plane, row]
            line[:] = 0
            for band in range(max(0, (row - down) // TILE), min(bands, (row + down) // TILE + 1)):
                line += slabs[band, plane, row - band * TILE + down, right : right + width]
