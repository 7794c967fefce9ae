"""`kernels.transforms` for NumPy arrays; that module documents the functions.

The transforms are those of `kernels.cpu.simd.butterflies`. Forward and back, planes of 500 and 1000 px take 0.51 and
0.45 times as long as with ``scipy.fft`` on one core of a Xeon with AVX-512, and 0.54 and 0.56 times on two (`python -m
bench kernels --family transforms`, medians of 9).
"""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.cpu._compile import compiled
from kernels.cpu.simd.butterflies import (
    PAIR,
    START,
    columns_back,
    columns_forward,
    plan,
    rows_back,
    rows_forward,
    scratch,
)
from kernels.cpu.simd.vectors import LANES
from kernels.cpu.threads import run_in_slices

MANY = 2**18
"""Number of pixels from which several cores are faster than one."""


def rfft2(planes: Array) -> Array:
    """Transform plane by plane: rows into a transposed scratch plane, then its columns."""
    height, width = planes.shape[-2:]
    columns = width // 2 + 1
    spectra = np.empty((*planes.shape[:-2], height, columns), np.complex64)
    read = np.ascontiguousarray(planes).reshape(-1, height, width)
    written = spectra.view(np.float32).reshape(-1, height, 2 * columns)
    across, plans = scratch(height, width), (*plan(width), *plan(height))
    if height * width < MANY:
        _forward(read, across, written, *plans)
        return spectra
    for plane, spectrum in zip(read, written, strict=True):
        run_in_slices(rows_forward, _blocks(height, PAIR), plane, across, *plans[:3])
        run_in_slices(columns_forward, _blocks(columns, LANES), across, spectrum, *plans[3:])
    return spectra


def irfft2(spectra: Array, width: int) -> Array:
    """Transform plane by plane: columns into the scratch plane, then rows."""
    height, columns = spectra.shape[-2:]
    planes = np.empty((*spectra.shape[:-2], height, width), np.float32)
    read = np.ascontiguousarray(spectra).view(np.float32).reshape(-1, height, 2 * columns)
    written = planes.reshape(-1, height, width)
    across, plans = scratch(height, width), (*plan(width), *plan(height))
    if height * width < MANY:
        _back(read, across, written, *plans)
        return planes
    for spectrum, plane in zip(read, written, strict=True):
        run_in_slices(columns_back, _blocks(columns, LANES), spectrum, across, *plans[3:])
        run_in_slices(rows_back, _blocks(height, PAIR), across, plane, *plans[:3])
    return planes


def _blocks(count: int, size: int) -> int:
    return -(-count // size)


@compiled
def _forward(  # type: ignore[no-untyped-def]
    planes, across, spectra, radices, cosines, sines, column_radices, column_cosines, column_sines
):
    for n in range(len(planes)):
        rows_forward(START, -(-planes.shape[1] // PAIR), planes[n], across, radices, cosines, sines)
        columns_forward(
            START, -(-across.shape[1] // LANES), across, spectra[n], column_radices, column_cosines, column_sines
        )


@compiled
def _back(  # type: ignore[no-untyped-def]
    spectra, across, planes, radices, cosines, sines, column_radices, column_cosines, column_sines
):
    for n in range(len(planes)):
        columns_back(
            START, -(-across.shape[1] // LANES), spectra[n], across, column_radices, column_cosines, column_sines
        )
        rows_back(START, -(-planes.shape[1] // PAIR), across, planes[n], radices, cosines, sines)
