"""`kernels.nonuniform` for CuPy arrays; that module documents the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.arrays import Array, array_module
from kernels.cuda._module import launch
from kernels.device_tables import constants_of

if TYPE_CHECKING:
    from kernels.nonuniform import FilterBank

BLOCK = (32, 8)
"""Threads in a block: one per pixel, a warp on a row of the image."""


def nonuniform_convolve(
    image: Array, bank: FilterBank, indices: Array, weights: Array, out: Array | None = None
) -> Array:
    """Give each pixel of each plane a thread that goes through the taps of its filters.

    Per tap 4 bytes of the image, from the first-level cache, 12 bytes that a warp within one bin shares, and 2
    floating-point operations; per pixel 8 bytes for each of its filters from memory, and 8 of the planes.

    A tap is four loads, row, column, value and pixel, each one instruction of a warp. A multiprocessor serves 32
    loads in the cycle in which it does 256 operations (sm_90), so that the loads are the bound, at 1/16 of the
    float32 rate: for four motions of up to 21 pixels, 82 taps in all, 344 loads against 40 bytes.
    """
    return _launch("nonuniform_convolve", image, constants_of(bank, image, _taps), bank, indices, weights, out)


def nonuniform_adjoint(
    image: Array, bank: FilterBank, indices: Array, weights: Array, out: Array | None = None
) -> Array:
    """Give each pixel of each plane a thread that asks every pixel within reach for its tap.

    The filters are those of the other pixel, so that lists of taps are of no help: ``(2 reach + 1)^2`` places times
    the filters per pixel, each with 12 bytes from cache and 2 floating-point operations, and a pixel of the image
    each, with 2 more. Nothing is added by two threads: the result is the same in every run.

    Loads are the bound, as they are for `nonuniform_convolve`: 13 per place where four filters are blended.
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
    blocks = (-(-width // BLOCK[0]), -(-height // BLOCK[1]), planes)
    reach = bank.reach if name == "nonuniform_adjoint" else ()
    launch(
        "nonuniform", name, blocks, BLOCK,
        image, *tables, *reach, indices, weights, indices.shape[2], height, width, out,
    )  # fmt: skip
    return out


def _taps(bank: FilterBank) -> tuple[Array, ...]:
    return bank.starts, bank.rows, bank.cols, bank.values


def _dense(bank: FilterBank) -> tuple[Array, ...]:
    return (bank.dense(),)
