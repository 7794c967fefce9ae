"""SIMD vectors of float32 for Numba code.

LLVM does not vectorise loops over several rows of matrices, because it cannot prove that the rows do not overlap. With
these vectors the vectorisation is explicit: `load` a vector from a row of a matrix, add, subtract, multiply and divide
vectors, and `store` the result. If `count` is below `LANES`, only that many elements are read or written.
"""

from __future__ import annotations

import operator
from typing import Any

import llvmlite.binding  # type: ignore[import-untyped]
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model
from numba.np.arrayobj import make_array

_AVX512_LANES = 16
LANES = _AVX512_LANES if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8
"""Number of float32 elements of a vector; where registers are narrower, as of SSE and NEON, it occupies two."""

FLOAT, INDEX, INT32 = ir.FloatType(), ir.IntType(64), ir.IntType(32)
VECTOR = ir.VectorType(FLOAT, LANES)
_MASK, _LANE_NUMBERS = ir.VectorType(ir.IntType(1), LANES), ir.VectorType(INT32, LANES)
_FLOAT_ALIGNMENT = 4


class _VectorType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


_vector = _VectorType()


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: _VectorType) -> None:
        super().__init__(manager, kind, VECTOR)


def pointer(context: Any, builder: Any, kind: Any, array: Any, row: Any, col: Any) -> Any:
    """Emit the address of the element ``[row, col]`` of a matrix whose rows are contiguous."""
    matrix = make_array(kind)(context, builder, array)
    stride = cgutils.unpack_tuple(builder, matrix.strides, 2)[0]
    start = builder.gep(builder.bitcast(matrix.data, ir.IntType(8).as_pointer()), [builder.mul(row, stride)])
    return builder.gep(builder.bitcast(start, FLOAT.as_pointer()), [col])


def broadcast(builder: Any, number: Any) -> Any:
    """Emit a vector of equal elements."""
    single = builder.insert_element(VECTOR(ir.Undefined), number, INT32(0))
    return builder.shuffle_vector(single, VECTOR(ir.Undefined), _LANE_NUMBERS(None))


def multiply_add(builder: Any, x: Any, y: Any, total: Any) -> Any:
    """Emit ``x * y + total``, as a fused multiply-add where the processor has it."""
    return builder.fadd(total, builder.fmul(x, y, flags=("contract",)), flags=("contract",))


def _reversed(builder: Any, vector: Any) -> Any:
    return builder.shuffle_vector(vector, vector, _LANE_NUMBERS(list(range(LANES))[::-1]))


def _mask(builder: Any, count: Any, backwards: bool) -> Any:
    """Emit a mask of the first `count` lanes, or of the last."""
    numbers = list(range(LANES))[::-1] if backwards else list(range(LANES))
    count = builder.trunc(count, INT32)
    single = builder.insert_element(_LANE_NUMBERS(ir.Undefined), count, INT32(0))
    counts = builder.shuffle_vector(single, _LANE_NUMBERS(ir.Undefined), _LANE_NUMBERS(None))
    return builder.icmp_signed("<", _LANE_NUMBERS(numbers), counts)


def _masked(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.{name}.v{LANES}f32.p0")
    return builder.call(function, arguments)


def _write(builder: Any, vector: Any, place: Any, count: Any, backwards: bool = False) -> None:
    """Emit a store of the first `count` elements, or of the last.

    Where AVX-512 is missing, whole vectors are not stored through a mask, which is slow there: on an EPYC with AVX2
    (Zen 3) filtering a patch takes 1.35 times as long with masks alone.
    """

    def masked() -> None:
        mask = _mask(builder, count, backwards)
        _masked(builder, "store", ir.VoidType(), [vector, place, INT32(_FLOAT_ALIGNMENT), mask])

    if LANES == _AVX512_LANES:
        masked()
        return
    with builder.if_else(builder.icmp_signed(">=", count, INDEX(LANES))) as (whole, part):
        with whole:
            builder.store(vector, place, align=_FLOAT_ALIGNMENT)
        with part:
            masked()


def _loader(backwards: bool) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, row, col, count = arguments
        if backwards:
            col = builder.sub(col, INDEX(LANES - 1))
        place = builder.bitcast(pointer(context, builder, signature.args[0], array, row, col), VECTOR.as_pointer())
        mask = _mask(builder, count, backwards)
        vector = _masked(builder, "load", VECTOR, [place, INT32(_FLOAT_ALIGNMENT), mask, VECTOR(None)])
        return _reversed(builder, vector) if backwards else vector

    def declare(typing, array, row, col, count):  # type: ignore[no-untyped-def]
        return _vector(array, types.intp, types.intp, types.intp), generate

    return intrinsic(declare)


def _storer(backwards: bool) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, row, col, count, vector = arguments
        if backwards:
            col = builder.sub(col, INDEX(LANES - 1))
            vector = _reversed(builder, vector)
        place = builder.bitcast(pointer(context, builder, signature.args[0], array, row, col), VECTOR.as_pointer())
        _write(builder, vector, place, count, backwards)
        return context.get_dummy_value()

    def declare(typing, array, row, col, count, vector):  # type: ignore[no-untyped-def]
        return types.void(array, types.intp, types.intp, types.intp, _vector), generate

    return intrinsic(declare)


@intrinsic
def splat(typing, number):  # type: ignore[no-untyped-def]
    """Return a vector of elements that all equal `number`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return broadcast(builder, arguments[0])

    return _vector(types.float32), generate


load, load_backwards = _loader(False), _loader(True)
store, store_backwards = _storer(False), _storer(True)


def _take(first: int) -> Any:
    """Make the function that loads every second element of a row, beginning with the element `first`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, row, col, count = arguments
        halves = []
        for start in (0, LANES):
            at = builder.add(col, INDEX(start))
            place = builder.bitcast(pointer(context, builder, signature.args[0], array, row, at), VECTOR.as_pointer())
            mask = _mask(builder, builder.sub(builder.shl(count, INDEX(1)), INDEX(start)), False)
            halves.append(_masked(builder, "load", VECTOR, [place, INT32(_FLOAT_ALIGNMENT), mask, VECTOR(None)]))
        return builder.shuffle_vector(*halves, _LANE_NUMBERS(list(range(first, 2 * LANES, 2))))

    def declare(typing, array, row, col, count):  # type: ignore[no-untyped-def]
        return _vector(array, types.intp, types.intp, types.intp), generate

    return intrinsic(declare)


load_even, load_odd = _take(0), _take(1)


@intrinsic
def store_interleaved(typing, array, row, col, count, even, odd):  # type: ignore[no-untyped-def]
    """Write the first `count` elements of two vectors alternately."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, row, col, count, even, odd = arguments
        for start in (0, LANES):
            lanes = [n // 2 + n % 2 * LANES for n in range(start, start + LANES)]
            mixed = builder.shuffle_vector(even, odd, _LANE_NUMBERS(lanes))
            at = builder.add(col, INDEX(start))
            place = builder.bitcast(pointer(context, builder, signature.args[0], array, row, at), VECTOR.as_pointer())
            _write(builder, mixed, place, builder.sub(builder.shl(count, INDEX(1)), INDEX(start)))
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, _vector, _vector), generate


@intrinsic
def transpose(typing, source, row, col, rows, cols, target, to_row, to_col, to_rows, to_cols):  # type: ignore[no-untyped-def]
    """Copy a square of `LANES` rows and columns, transposed.

    Only `rows` rows and `cols` columns of it are read, and zeros taken for the others; only `to_rows` and `to_cols` of
    the result are written. Numbers above `LANES` stand for all.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, row, col, rows, cols, target, to_row, to_col, to_rows, to_cols = arguments

        def place(position: int, array: Any, row: Any, col: Any) -> Any:
            at = pointer(context, builder, signature.args[position], array, row, col)
            return builder.bitcast(at, VECTOR.as_pointer())

        def lanes(number: int, count: Any, width: Any) -> Any:
            return builder.select(builder.icmp_signed("<", INDEX(number), count), width, INDEX(0))

        vectors = []
        for number in range(LANES):
            at = place(0, source, builder.add(row, INDEX(number)), col)
            mask = _mask(builder, lanes(number, rows, cols), False)
            vectors.append(_masked(builder, "load", VECTOR, [at, INT32(_FLOAT_ALIGNMENT), mask, VECTOR(None)]))
        width = 1
        while width < LANES:
            # Within each square of twice this width, exchange the two off-diagonal squares of this width.
            low = [n if n // width % 2 == 0 else LANES + n - width for n in range(LANES)]
            high = [n + width if n // width % 2 == 0 else LANES + n for n in range(LANES)]
            for number in range(LANES):
                if number // width % 2 == 0:
                    pair = vectors[number], vectors[number + width]
                    vectors[number] = builder.shuffle_vector(*pair, _LANE_NUMBERS(low))
                    vectors[number + width] = builder.shuffle_vector(*pair, _LANE_NUMBERS(high))
            width *= 2
        for number, vector in enumerate(vectors):
            at = place(5, target, builder.add(to_row, INDEX(number)), to_col)
            _write(builder, vector, at, lanes(number, to_rows, to_cols))
        return context.get_dummy_value()

    numbers = [types.intp] * 4
    return types.void(source, *numbers, target, *numbers), generate


def _overload(symbol: Any, emit: str) -> None:
    @intrinsic
    def apply(typing, x, y):  # type: ignore[no-untyped-def]
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, emit)(*arguments, flags=("contract",))

        return _vector(_vector, _vector), generate

    @overload(symbol)
    def choose(x, y):  # type: ignore[no-untyped-def]
        if x is _vector and y is _vector:
            return lambda x, y: apply(x, y)
        return None


_overload(operator.add, "fadd")
_overload(operator.sub, "fsub")
_overload(operator.mul, "fmul")
_overload(operator.truediv, "fdiv")


@intrinsic
def larger(typing, x, y, chosen, other):  # type: ignore[no-untyped-def]
    """Return the elements of `chosen` where `x` is larger than `y`, and elsewhere those of `other`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, y, chosen, other = arguments
        return builder.select(builder.fcmp_ordered(">", x, y), chosen, other)

    return _vector(_vector, _vector, _vector, _vector), generate


@intrinsic
def square_root(typing, x):  # type: ignore[no-untyped-def]
    """Return the square roots of the elements."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(VECTOR, [VECTOR])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{LANES}f32")
        return builder.call(function, arguments)

    return _vector(_vector), generate
