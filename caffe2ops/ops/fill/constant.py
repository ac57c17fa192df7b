"""Fillers with one value: the same everywhere, or along a diagonal."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import DataType, Value, dtype_of
from caffe2ops.operator import Arg, Array
from caffe2ops.ops.fill.filler import Filler


class Constant(Filler):
    """Base of the fillers with an argument `value` of a dtype that `dtype` or the value itself says."""

    value: Value = Arg(0.0, doc="the value; without dtype a whole number makes the output int64, any other float32")
    dtype: int = Arg(None, doc="TensorProto.DataType of the output")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        text = isinstance(self.value, (str, bytes))
        if self.dtype is not None:
            self.fills = dtype_of(self.dtype)
        elif text:
            raise TypeError(f"value: {self.value!r} is text, wants dtype={int(DataType.STRING)} (STRING) to be given")
        else:
            self.fills = np.dtype(np.int64 if isinstance(self.value, int) else np.float32)
        self._value = self._convert()

    def _convert(self) -> Any:
        value: Any = self.value
        kind = self.fills.kind
        if kind == "O":
            value = b"" if not self.has_arg("value") else value
            if isinstance(value, (str, bytes)):
                return value.encode() if isinstance(value, str) else value
        elif kind == "f":
            if isinstance(value, (int, float)):
                with np.errstate(over="ignore"):
                    return self.fills.type(np.float32(value) if isinstance(value, float) else value)
        elif isinstance(value, int) or not self.has_arg("value"):
            if kind == "b":
                return bool(value)
            limits = np.iinfo(self.fills)
            if limits.min <= value <= limits.max:
                return int(value)
        raise TypeError(
            f"value: {value!r} does not fit into {'STRING' if kind == 'O' else self.fills.name}, as dtype asks for"
        )


class ConstantFill(Constant):
    """A tensor that holds one value everywhere.

    X: any tensor, or with input_as_shape int64[rank]. V: one element of the output's dtype, takes the place of `value`.
    TypeError where the value does not fit the dtype; a whole number is taken for a floating dtype too (Caffe2 refuses
    it), and float16 is possible. Caffe2: operators/filler_op.
    """

    contract = "X?: any, V?: any -> Y: any[?]"
    docs = {
        "X": "gives the shape (see input_as_shape)",
        "V": "the value, a tensor of one element of the dtype",
        "Y": "the filled tensor",
    }

    def fill(self, out: Array, *more: Array) -> Array:
        if not more:
            out.fill(self._value)
            return out
        value = more[0]
        if self.fills.kind == "O":
            raise TypeError("V: a string cannot be given as an input, give the argument value")
        if value.dtype != self.fills or value.size != 1:
            raise TypeError(f"V: is {value.dtype}{list(value.shape)}, wants one element of {self.fills}")
        out[...] = value.reshape(())
        return out


class DiagonalFill(Constant):
    """A tensor that holds a value where all indices are equal, 0 elsewhere.

    input: any tensor, or with input_as_shape int64[rank]. ValueError for fewer than 2 dims, and for more than 2 that
    are not all equal. In a matrix with more rows than columns the diagonal starts again in the row after next. Caffe2:
    operators/filler_op.
    """

    contract = "input?: any -> output: any[?]"
    docs = {"input": "gives the shape (see input_as_shape)", "output": "the filled tensor, of 2 or more dims"}

    def fill(self, out: Array, *more: Array) -> Array:
        if self.fills.kind == "O":
            raise TypeError("dtype: STRING has no diagonal, wants a number or bool")
        if out.ndim < 2 or (out.ndim > 2 and len(set(out.shape)) > 1):
            wanted = "at least 2 dims" if out.ndim < 2 else "all dims equal where there are more than 2"
            raise ValueError(f"output: shape is {list(out.shape)}, wants {wanted}")
        out.fill(0)
        if out.size:
            out.reshape(-1)[:: sum(out.strides) // out.itemsize] = self._value
        return out


class Float16ConstantFill(Filler):
    """A float16 tensor that holds one value everywhere (rounded; infinite beyond 65504).

    Caffe2: operators/half_float_ops.
    """

    contract = "-> output: float16[?]"
    docs = {"output": "the filled tensor"}
    inplace = ()
    value: float = Arg(0.0, doc="the value")
    fills = np.dtype(np.float16)

    def fill(self, out: Array, *more: Array) -> Array:
        with np.errstate(over="ignore"):
            out.fill(np.float16(np.float32(self.value)))
        return out
