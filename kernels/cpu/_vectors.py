"""Vectors of float32 for Numba code.

LLVM does not vectorise a loop over many rows of matrices by itself: it cannot tell that the rows do not overlap.
These vectors say it. `load` one from a matrix, add, subtract and multiply it with its like, `store` it; a `count`
below `LANES` reads and writes only so many elements, and nothing beyond them.
"""

from __future__ import annotations

import operator
from typing import Any

import llvmlite.binding  # type: ignore[import-untyped]
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model
from numba.np.arrayobj import make_array

LANES = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8
"""float32 numbers in a vector; two NEON or SSE registers where there is nothing wider."""

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
    """Emit ``x * y + total``, rounded once where the processor can."""
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
        mask = _mask(builder, count, backwards)
        _masked(builder, "store", ir.VoidType(), [vector, place, INT32(_FLOAT_ALIGNMENT), mask])
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
