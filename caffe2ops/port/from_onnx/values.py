"""What rules ask of values: their dtypes, dims by NumPy's rule, and that they are constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import DATA_TYPES
from caffe2ops.port.values import NotPortable, Value

FLOAT, NUMBER = ("float32", "float64"), ("float32", "float64", "int32", "int64")
INTEGER = ("int32", "int64")
# What a dtype may be computed in where an operator doesn't take it: the first of these that it takes.
WIDER = {
    "float16": ("float32",), "int8": ("int32",), "uint8": ("int32",), "int16": ("int32",), "uint16": ("int32",),
    "bool": ("int32",), "int32": ("int64",), "float32": ("float64",),
}  # fmt: skip


class NeedsConstant(NotPortable):
    """A rule needs as a constant what is computed or fed: `value`."""

    def __init__(self, value: Value, what: str):
        self.value = value
        super().__init__(f"needs {what} ({value.name!r}) as a constant, an argument of Caffe2's operator")


class Listed(Value):
    """A sequence of tensors, known one by one; no operator of Caffe2 reads it."""

    __slots__ = ("tensors",)

    def __init__(self, tensors: list[Value]):
        super().__init__("a sequence")
        self.tensors, self.settled = tensors, self.name


def fixed(value: Value, what: str) -> np.ndarray[Any, Any]:
    """The array of a constant. Raises NeedsConstant for a value that is computed or fed."""
    if value.array is None:
        raise NeedsConstant(value, what)
    return value.array


def broadcast(*values: Value) -> Any:
    """The dims that NumPy's rule gives, None where no operand says one; None where a rank isn't known."""
    if not all(v.has_rank for v in values):
        return None
    rank = max(v.rank for v in values)
    found = []
    for dims in zip(*((1,) * (rank - v.rank) + v.shape for v in values)):
        wide = {d for d in dims if d != 1}
        numbers = [d for d in wide if isinstance(d, int)]
        found.append(numbers[0] if numbers else 1 if not wide else wide.pop() if len(wide) == 1 else None)
    return found


def shaped(value: Value, like: Value) -> Value:
    """The value, known to have the shape of another one."""
    value.shape = like.shape
    return value


def known(dtype: Any) -> np.dtype[Any]:
    """The dtype. Raises NotPortable for one that Caffe2 has no tensors of."""
    if dtype is None:
        raise NotPortable("the dtype of an input is not known")
    found: np.dtype[Any] = np.dtype(dtype)
    if found not in DATA_TYPES:
        raise NotPortable(f"Caffe2 has no tensors of dtype {found}")
    return found
