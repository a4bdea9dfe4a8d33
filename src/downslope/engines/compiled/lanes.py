"""Sixty-four bytes of numbers at a time, as a value inside compiled code: the fixed lanes of every sum.

A sum over rows is taken in a fixed number of lanes (16 of float32, 8 of float64) and the lanes are added as a fixed
tree, so its bits do not depend on how wide the processor's own vectors are: LLVM splits these values where it must.
Lanes know + − ×, and are loaded from and stored to raw pointers. Nothing here allocates.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models, register_default
from numba.extending import intrinsic, overload

from downslope.engines.compiled.tables import LANE_BYTES

__all__ = [
    "above_zero",
    "call",
    "clear_below_zero",
    "lanes_of",
    "larger_size",
    "like",
    "load",
    "load_wide",
    "pointer_at",
    "repeat",
    "shift",
    "store",
    "tree_largest",
    "tree_sum",
    "where_below",
    "where_equal",
]


class LanesType(types.Type):  # Numba has no types of its own
    """The type of so many numbers of one kind."""

    def __init__(self, element: Any) -> None:
        self.element = element
        self.count = 8 * LANE_BYTES // element.bitwidth
        super().__init__(name=f"Lanes({element}, {self.count})")


@register_default(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: LanesType) -> None:
        element = ir.FloatType() if lanes.element == types.float32 else ir.DoubleType()
        super().__init__(manager, lanes, ir.VectorType(element, lanes.count))


def _vector(context: Any, lanes: LanesType) -> Any:
    return context.get_value_type(lanes)


@intrinsic
def shift(_context, pointer, count):
    """Return the pointer to the element `count` further on."""

    def build(context, builder, signature, arguments):
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), build


@intrinsic
def pointer_at(_context, addresses, which, kin):
    """Return an address out of an array of them, as a pointer of the same type as `kin`."""

    def build(context, builder, signature, arguments):
        address = builder.load(builder.gep(arguments[0], [arguments[1]]))
        return builder.inttoptr(address, context.get_value_type(kin))

    return kin(addresses, types.int64, kin), build


@intrinsic
def load(_context, pointer, index):
    """Return the lanes that begin at an index; the address need not be aligned."""
    lanes = LanesType(pointer.dtype)

    def build(context, builder, signature, arguments):
        first = builder.gep(arguments[0], [arguments[1]])
        return builder.load(
            builder.bitcast(first, _vector(context, lanes).as_pointer()), align=lanes.element.bitwidth // 8
        )

    return lanes(pointer, types.int64), build


@intrinsic
def store(_context, pointer, index, lanes):
    """Write lanes from an index on."""

    def build(context, builder, signature, arguments):
        first = builder.gep(arguments[0], [arguments[1]])
        builder.store(
            arguments[2],
            builder.bitcast(first, _vector(context, lanes).as_pointer()),
            align=lanes.element.bitwidth // 8,
        )
        return context.get_dummy_value()

    return types.none(pointer, types.int64, lanes), build


@intrinsic
def repeat(_context, number):
    """Return lanes that all hold one number."""
    lanes = LanesType(number)

    def build(context, builder, signature, arguments):
        return _repeated(builder, arguments[0], _vector(context, lanes))

    return lanes(number), build


def _repeated(builder: Any, number: Any, vector: Any) -> Any:
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(
        one, one, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    )


def _arithmetic(operation: str) -> Any:
    @intrinsic
    def apply(_context, a, b):
        def build(context, builder, signature, arguments):
            return getattr(builder, operation)(*arguments)

        return a(a, b), build

    return apply


_add, _subtract, _multiply = _arithmetic("fadd"), _arithmetic("fsub"), _arithmetic("fmul")


def _overload_operator(symbol: Any, apply: Any) -> None:
    @overload(symbol)
    def _operator(a, b):
        if isinstance(a, LanesType) and isinstance(b, LanesType):
            return lambda a, b: apply(a, b)  # noqa: PLW0108 - Numba needs a function of Python
        return None


_overload_operator(operator.add, _add)
_overload_operator(operator.sub, _subtract)
_overload_operator(operator.mul, _multiply)


@intrinsic
def clear_below_zero(_context, lanes):
    """Return 0 where a lane is below 0, else the lane; NaN stays."""

    def build(context, builder, signature, arguments):
        zero = ir.Constant(_vector(context, lanes), None)
        return builder.select(builder.fcmp_ordered(">", zero, arguments[0]), zero, arguments[0])

    return lanes(lanes), build


@intrinsic
def above_zero(_context, lanes, where):
    """Return the lanes where `where` is above 0, else 0."""

    def build(context, builder, signature, arguments):
        zero = ir.Constant(_vector(context, lanes), None)
        return builder.select(builder.fcmp_ordered(">", arguments[1], zero), arguments[0], zero)

    return lanes(lanes, lanes), build


@intrinsic
def load_wide(_context, pointer, index):
    """Return the eight numbers that begin at an index as lanes of float64."""
    wide = LanesType(types.float64)
    narrow = pointer.dtype

    def build(context, builder, signature, arguments):
        first = builder.gep(arguments[0], [arguments[1]])
        vector = ir.VectorType(context.get_value_type(narrow), wide.count)
        values = builder.load(builder.bitcast(first, vector.as_pointer()), align=narrow.bitwidth // 8)
        return values if narrow == types.float64 else builder.fpext(values, _vector(context, wide))

    return wide(pointer, types.int64), build


@intrinsic
def tree_sum(_context, lanes):
    """Return the sum of the lanes as a fixed tree: the upper half is added to the lower until one is left."""

    def build(context, builder, signature, arguments):
        (values,), count = arguments, lanes.count
        while count > 1:
            count //= 2
            values = builder.fadd(*_halves(builder, values, count))
        return builder.extract_element(values, ir.Constant(ir.IntType(32), 0))

    return lanes.element(lanes), build


def _choosing(comparison: str) -> Any:
    @intrinsic
    def choose(_context, a, b, chosen, otherwise):
        def build(context, builder, signature, arguments):
            first, second, yes, no = arguments
            return builder.select(builder.fcmp_ordered(comparison, first, second), yes, no)

        return chosen(a, a, chosen, chosen), build

    return choose


# Lane by lane: `chosen` where a is equal to, or below, b; elsewhere, and where either is NaN, `otherwise`.
where_equal, where_below = _choosing("=="), _choosing("<")


@intrinsic
def larger_size(_context, lanes, other):
    """Return the larger of a lane and |other|; where that is NaN, the lane."""

    def build(context, builder, signature, arguments):
        size = _size(builder, arguments[1], lanes)
        return builder.select(builder.fcmp_ordered(">", size, arguments[0]), size, arguments[0])

    return lanes(lanes, lanes), build


def _size(builder: Any, values: Any, lanes: LanesType) -> Any:
    bits = ir.VectorType(ir.IntType(lanes.element.bitwidth), lanes.count)
    mask = ir.Constant(bits, [2 ** (lanes.element.bitwidth - 1) - 1] * lanes.count)
    return builder.bitcast(builder.and_(builder.bitcast(values, bits), mask), values.type)


@intrinsic
def tree_largest(_context, lanes):
    """Return the largest of the lanes, none of which is NaN."""

    def build(context, builder, signature, arguments):
        (values,), count = arguments, lanes.count
        while count > 1:
            count //= 2
            lower, upper = _halves(builder, values, count)
            values = builder.select(builder.fcmp_ordered(">", upper, lower), upper, lower)
        return builder.extract_element(values, ir.Constant(ir.IntType(32), 0))

    return lanes.element(lanes), build


def _halves(builder: Any, values: Any, count: int) -> tuple[Any, Any]:
    places = ir.VectorType(ir.IntType(32), count)
    lower = builder.shuffle_vector(values, values, ir.Constant(places, list(range(count))))
    return lower, builder.shuffle_vector(values, values, ir.Constant(places, list(range(count, 2 * count))))


@intrinsic
def lanes_of(_context, pointer):
    """Return how many lanes the numbers at a pointer have."""
    count = LanesType(pointer.dtype).count

    def build(context, builder, signature, arguments):
        return context.get_constant(types.int64, count)

    return types.int64(pointer), build


@intrinsic
def call(_context, address, arguments):
    """Call the compiled function at an address, which takes these arguments and returns nothing."""

    def build(context, builder, signature, values):
        unpacked = cgutils.unpack_tuple(builder, values[1], len(arguments))
        taken = [context.get_value_type(each) for each in arguments]
        # Numba's own convention: where to put the result and the error, then the arguments; the status comes back.
        place = ir.IntType(8).as_pointer().as_pointer()
        kind = ir.FunctionType(ir.IntType(32), [place, place, *taken])
        nowhere = cgutils.alloca_once(builder, ir.IntType(8).as_pointer())
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), [nowhere, nowhere, *unpacked])
        return context.get_dummy_value()

    return types.none(address, arguments), build


@intrinsic
def like(_context, pointer, number):
    """Return a float64 number in the type of what lies at a pointer: a literal would turn float32 into float64."""
    element = pointer.dtype

    def build(context, builder, signature, arguments):
        return arguments[1] if element == types.float64 else builder.fptrunc(arguments[1], ir.FloatType())

    return element(pointer, types.float64), build
