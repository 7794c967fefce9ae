"""`kernels.nonuniform` for CuPy arrays; that module documents the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernels.arrays import Array, array_module
from kernels.cuda._module import launch
from kernels.device_tables import constants_of

if TYPE_CHECKING:
    from kernels.nonuniform import FilterBank

BLOCK = (32, 8)
"""Threads of a block: one per pixel, so that a warp covers pixels of one row."""

PLANES = 3
"""Planes that a thread computes, as in the source, so that they share indices, weights and taps."""


def nonuniform_convolve(
    image: Array, bank: FilterBank, indices: Array, weights: Array, out: Array | None = None
) -> Array:
    """Run one thread per pixel of up to `PLANES` planes, which loops over the taps of its filters.

    Per tap it takes 16 bytes that threads with the same filters share, and for each plane 4 bytes of the image, from
    the L1 cache, and 2 floating-point operations; per pixel 8 bytes of memory for each of its filters, and 8 for each
    plane.

    A tap takes one load, and one for the pixel of each plane. A multiprocessor completes 32 loads in the time of 256
    operations (sm_90), so that loads are the bottleneck: for four motions of up to 21 pixels, 82 taps in all, 344
    loads for three planes. With a thread for each plane, and rows, columns and values apart, it would be 1032.
    """
    return _launch("nonuniform_convolve", image, constants_of(bank, image, _taps), bank, indices, weights, out)


def nonuniform_adjoint(
    image: Array, bank: FilterBank, indices: Array, weights: Array, out: Array | None = None
) -> Array:
    """Run one thread per output pixel of up to `PLANES` planes, which loops over all pixels within reach.

    The filters are those of the other pixel, so that lists of taps do not help: for each of ``(2 reach + 1)^2`` pixels
    it takes 12 bytes from cache and 2 floating-point operations for each of its filters, and 4 and 2 for each plane. No
    two threads write to the same pixel, so that the result is reproducible.

    Loads are the bottleneck, as in `nonuniform_convolve`: 15 per pixel within reach if four filters are blended and
    there are three planes. With a thread for each plane there would be 39.
    """
    return _launch("nonuniform_adjoint", image, constants_of(bank, image, _dense), bank, indices, weights, out)


def _launch(
    name: str,
    image: Array,
    tables: tuple[Array, ...],
    bank: FilterBank,
    indices: Array,
    weights: Array,
    out: Array | None,
) -> Array:
    xp, (planes, height, width) = array_module(image), image.shape
    if out is None:
        out = xp.empty_like(image)
    blocks = (-(-width // BLOCK[0]), -(-height // BLOCK[1]), -(-planes // PLANES))
    reach = bank.reach if name == "nonuniform_adjoint" else ()
    launch(
        "nonuniform", name, blocks, BLOCK,
        image, *tables, *reach, indices, weights, len(bank) - 1, indices.shape[2], planes, height, width, out,
    )  # fmt: skip
    return out


def _taps(bank: FilterBank) -> tuple[Array, ...]:
    # Integers, since to copy a float that is no number may change its bits.
    taps = np.zeros((len(bank.values), 4), np.int32)
    taps[:, 0], taps[:, 1], taps[:, 2] = bank.rows, bank.cols, bank.values.view(np.int32)
    return bank.starts, taps.view(np.float32)


def _dense(bank: FilterBank) -> tuple[Array, ...]:
    return (bank.dense(),)
