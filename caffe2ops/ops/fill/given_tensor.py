"""Fillers whose values stand in the net: the parameters of a saved model."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import DataType, dtype_of
from caffe2ops.operator import Arg, Array, Operator, row
from caffe2ops.ops.fill.filler import Filler

GIVEN = (
    DataType.FLOAT,
    DataType.DOUBLE,
    DataType.BOOL,
    DataType.INT16,
    DataType.INT32,
    DataType.INT64,
    DataType.STRING,
)


class GivenTensor(Filler):
    """Base of the fillers with given values."""

    docs = {"input": "gives the shape (see input_as_shape)", "output": "the values in this shape"}
    values: list = Arg(doc="the values, in the order of memory")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._values = self._convert()

    def _convert(self) -> np.ndarray:
        """The values in the output's dtype; bulk values of the right dtype stay a view of the file they came from."""
        kind = self.fills.kind
        if kind == "O":
            return _strings(self.values)
        given = np.asarray(self.values)
        if given.size and given.dtype.kind not in ("fiub" if kind == "f" else "iub"):
            raise TypeError(
                f"values: are {given.dtype}, wants {'numbers' if kind == 'f' else 'whole numbers'} for {self.fills}"
            )
        if kind == "f":
            return given.astype(np.float32, copy=False).astype(self.fills, copy=False)  # an argument holds float32
        if kind == "i" and given.size:
            limits = np.iinfo(self.fills)
            if given.min() < limits.min or given.max() > limits.max:
                raise ValueError(f"values: {given.min()} .. {given.max()} does not fit into {self.fills}")
        return given.astype(self.fills, copy=False)

    def fill(self, out: Array, *more: Array) -> Array:
        if out.size != self._values.size:
            raise ValueError(f"values: has {self._values.size} elements, shape {list(out.shape)} wants {out.size}")
        return self.put(out, self._values)


def _strings(values: Any) -> np.ndarray:
    out = np.empty(len(values), np.object_)
    for i, value in enumerate(values):
        if not isinstance(value, (str, bytes)):
            raise TypeError(f"values: element {i} is {value!r}, wants text")
        out[i] = value.encode() if isinstance(value, str) else value
    return out


class GivenTensorFill(GivenTensor):
    """A tensor of given values; float32, or what `dtype` says. Caffe2: operators/given_tensor_fill_op.

    input: any tensor, or with input_as_shape int64[rank]. ValueError where the number of values is not that of the
    shape's elements, or a value does not fit; whole numbers are taken for a floating dtype too (Caffe2 ignores them).
    """

    contract = "input?: any -> output: any[?]"
    dtype: int = Arg(DataType.FLOAT, choices=tuple(map(int, GIVEN)), doc="TensorProto.DataType of the output")

    def _convert(self) -> np.ndarray:
        self.fills = dtype_of(self.dtype)
        return super()._convert()


def given_tensor(name: str, data_type: DataType) -> type[Operator]:
    """A filler of one dtype."""
    dtype = dtype_of(data_type)
    kind = "string" if dtype.kind == "O" else dtype.name
    doc = f"""A {kind} tensor of given values. Caffe2: operators/given_tensor_fill_op.

    input: any tensor, or with input_as_shape int64[rank]. ValueError where there are not as many values as elements, or
    where a value does not fit.
    """
    contract = f"input?: any -> output: {kind}[?]"
    return row(name, doc, GivenTensor, depth=2, contract=contract, fills=dtype)


# fmt: off
given_tensor("GivenTensorDoubleFill", DataType.DOUBLE)
given_tensor("GivenTensorBoolFill",   DataType.BOOL)
given_tensor("GivenTensorInt16Fill",  DataType.INT16)
given_tensor("GivenTensorIntFill",    DataType.INT32)
given_tensor("GivenTensorInt64Fill",  DataType.INT64)
given_tensor("GivenTensorStringFill", DataType.STRING)
# fmt: on


class GivenTensorByteStringToUInt8Fill(Filler):
    """A uint8 tensor of the bytes of a string. Caffe2: operators/given_tensor_byte_string_to_uint8_fill_op.

    input: any tensor, or with input_as_shape int64[rank]. Bytes beyond the shape's elements are left out, and so are
    further strings; ValueError where there are too few bytes (Caffe2 reads past them).
    """

    contract = "input?: any -> output: uint8[?]"
    docs = GivenTensor.docs
    values: list[bytes] = Arg(doc="one string, whose bytes are the elements in the order of memory")
    fills = np.dtype(np.uint8)

    def fill(self, out: Array, *more: Array) -> Array:
        text = self.values[0] if self.values else b""
        if len(text) < out.size:
            raise ValueError(f"values: the string has {len(text)} bytes, shape {list(out.shape)} wants {out.size}")
        return self.put(out, np.frombuffer(text, np.uint8, out.size))
