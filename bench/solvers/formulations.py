"""Implementations of non-uniform convolution: that of `kernels.nonuniform` and its alternatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np

from bench.data.motions import turning_field
from bench.report import Column, Table
from bench.speed.timing import measure_in_turn
from kernels.arrays import Array
from kernels.nonuniform import FilterBank, nonuniform_adjoint, nonuniform_convolve
from runtime.blur.motion import blend, load_bank

LONGEST = (21.0, 35.0)
"""Longest motions of the measured fields, in pixels."""
SEED = 3
SHAPE = (409, 534)
"""Size of a photograph of 375 x 500 pixels with the padding that its longest motions need."""


def pixel_by_pixel(image: Array, bank: FilterBank, indices: Array, weights: Array) -> Array:
    """Convolve as `nonuniform_convolve` does, pixel by pixel, on one core."""
    out = np.zeros_like(image)
    _convolve_pixels(image, bank.starts, bank.rows, bank.cols, bank.values, indices, weights, out)
    return out


def by_transforms(image: Array, bank: FilterBank, indices: Array, weights: Array) -> Array:
    """Convolve the whole image with each filter by FFT and sum the results by each pixel's weights, on one core."""
    from scipy.fft import irfft2, next_fast_len, rfft2

    filters, (down, right), (_, height, width) = bank.dense(), bank.reach, image.shape
    shape = next_fast_len(height + 2 * down, real=True), next_fast_len(width + 2 * right, real=True)
    spectrum = rfft2(image, s=shape)
    out = np.zeros_like(image)
    for number, kernel in enumerate(filters):
        share = np.where(indices == number, weights, 0).sum(axis=2)
        filtered = irfft2(spectrum * rfft2(kernel, s=shape), s=shape)
        out += share * filtered[:, down : down + height, right : right + width]
    return out


def formulation_table(repeats: int, shape: tuple[int, int] = SHAPE) -> Table:
    """Time every implementation on three planes, with motion kernels and with their inverse filters."""
    rows: list[dict[str, Any]] = []
    image = np.random.default_rng(SEED).random((3, *shape), np.float32)
    for longest in LONGEST:
        found, weights = blend(turning_field(shape, longest, np.random.default_rng(SEED)))
        used, places = np.unique(found, return_inverse=True)
        indices = places.reshape(weights.shape).astype(np.int32)
        for name, bank in zip(("motions", "inverses"), load_bank().select(used), strict=True):
            implementations: dict[str, Callable[..., Array]] = {
                "tiles": nonuniform_convolve, "adjoint": nonuniform_adjoint, "pixels": pixel_by_pixel,
                "transforms": by_transforms,
            }  # fmt: skip
            timings = measure_in_turn(
                {key: partial(convolve, image, bank, indices, weights) for key, convolve in implementations.items()},
                repeats=repeats,
            )
            rows.append(
                {"filters": name, "longest": longest, "used": len(bank), "taps": len(bank.values) / len(bank),
                 **{key: timing.scaled() for key, timing in timings.items()}}
            )  # fmt: skip
    columns = (
        Column("filters", "filters"), Column("longest px", "longest", ".0f"), Column("in use", "used"),
        Column("taps", "taps", ".0f"), Column("tiles (ms)", "tiles", ".0f", 1e3),
        Column("adjoint (ms)", "adjoint", ".0f", 1e3), Column("pixel by pixel (ms)", "pixels", ".0f", 1e3),
        Column("by transforms (ms)", "transforms", ".0f", 1e3),
    )  # fmt: skip
    return Table(
        f"Non-uniform convolution of three planes of {shape[0]} x {shape[1]} pixels", columns, rows,
        notes=("Tiles, as in the CPU kernel, and its adjoint use all cores; the others use one.",),
    )  # fmt: skip


@numba.njit(nogil=True)
def _convolve_pixels(image, starts, rows, cols, values, indices, weights, out):  # type: ignore[no-untyped-def]
    planes, height, width = image.shape
    for y in range(height):
        for x in range(width):
            for j in range(indices.shape[2]):
                number = indices[y, x, j]
                for tap in range(starts[number], starts[number + 1]):
                    row, col = y - rows[tap], x - cols[tap]
                    if 0 <= row < height and 0 <= col < width:
                        factor = weights[y, x, j] * values[tap]
                        for plane in range(planes):
                            out[plane, y, x] += factor * image[plane, row, col]
