"""`kernels.shrinkage` for CuPy arrays; that module documents the functions."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from kernels.cuda._module import THREADS, launch
from kernels.device_tables import constants
from kernels.formulas.hyper_laplacian import unit_scale

COLS, ROWS = 32, 8
"""Pixels of a block, as in the source."""


def shrink(values: Array, coupling: float) -> Array:
    """Run one thread per value: 8 bytes and about 80 operations, which take as long as 6 bytes of memory (sm_90)."""
    result = array_module(values).empty_like(values)
    _for_each(values.size, "shrink_values", values, unit_scale(coupling), values.size, result)
    return result


def shrunk_divergence(image: Array, coupling: float) -> Array:
    """Run one thread per pixel; blocks share their shrunk differences: 8 bytes, about 180 operations per pixel."""
    result, (height, width) = array_module(image).empty_like(image), image.shape
    launch(
        "shrinkage", "shrunk_divergence", (-(-width // COLS), -(-height // ROWS)), (COLS, ROWS),
        image, unit_scale(coupling), height, width, result, shared_bytes=4 * (ROWS * (1 + COLS) + (1 + ROWS) * COLS),
    )  # fmt: skip
    return result


def shrink_by_table(values: Array, table: Array, reach: float, threshold: float) -> Array:
    """Run one thread per value: 8 bytes and 12 operations. The table is uploaded once."""
    result = array_module(values).empty_like(values)
    (entries,) = constants(values, _table, table.tobytes())
    step = reach / (len(table) - 1) * threshold
    _for_each(values.size, "look_up", values, entries, len(table), step, threshold, values.size, result)
    return result


def _for_each(count: int, name: str, *arguments: Array | float) -> None:
    """Launch one thread per value."""
    launch("shrinkage", name, (-(-count // THREADS),), (THREADS,), *arguments)


def _table(entries: bytes) -> tuple[Array, ...]:
    return (np.frombuffer(entries, np.float32),)
