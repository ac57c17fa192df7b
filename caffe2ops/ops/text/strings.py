"""Tensors of strings: parts of them, comparisons, and rows joined."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, ArgSpec, Operator, row
from caffe2ops.ops.shape.axes import show


def as_strings(values: Iterable[bytes], shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of strings of that shape."""
    return np.fromiter(values, object, math.prod(shape)).reshape(shape)


class OfStrings(Operator):
    """Base of the rows: `each` maps a string and the argument to an element of the output."""

    gradient = FORBIDDEN
    each: Callable[[bytes, Any], Any]

    def run_cpu(self, strings: np.ndarray) -> Any:
        (name,) = self.arg_specs
        argument, each = getattr(self, name), type(self).each
        values = (each(text, argument) for text in strings.reshape(-1).tolist())
        if self.parsed.outputs[0].dtype == "bool":
            return np.fromiter(values, bool, strings.size).reshape(strings.shape)
        return as_strings(values, strings.shape)


def _strings(name: str, doc: str, output: str, says: str, each: Any, arg: str, kind: str, spec: ArgSpec) -> None:
    members = dict(
        contract=f"strings: string[...] -> {output}[...]", docs={"strings": "any shape", output.split(":")[0]: says},
        each=staticmethod(each), __annotations__={arg: kind},
    )  # fmt: skip
    row(name, f"{doc} Caffe2: operators/string_ops.", OfStrings, 2, **members, **{arg: spec})


_strings(
    "StringPrefix", "The first bytes of each string, all of a shorter one.", "prefixes: strings", "the first bytes",
    lambda text, length: text[:length], "length", "int", Arg(3, ge=0, doc="how many bytes"),
)  # fmt: skip
_strings(
    "StringSuffix", "The last bytes of each string, all of a shorter one.", "suffixes: strings", "the last bytes",
    lambda text, length: text[max(0, len(text) - length) :], "length", "int", Arg(3, ge=0, doc="how many bytes"),
)  # fmt: skip
_strings(
    "StringStartsWith", "Whether each string starts with `prefix`.", "bools: bool", "whether it does",
    bytes.startswith, "prefix", "bytes", Arg(b"", doc="how to start"),
)  # fmt: skip
_strings(
    "StringEndsWith", "Whether each string ends with `suffix`.", "bools: bool", "whether it does",
    bytes.endswith, "suffix", "bytes", Arg(b"", doc="how to end"),
)  # fmt: skip
_strings(
    "StringEquals", "Whether each string is `text`.", "bools: bool", "whether it is",
    bytes.__eq__, "text", "bytes", Arg(b"", doc="what to compare with"),
)  # fmt: skip

# How elements are written; all others as whole numbers. Floats as C++ streams have them, 8-bit ones as characters.
WRITTEN: dict[str, Callable[[Any], bytes]] = {
    "O": lambda value: value,
    "f": lambda value: b"%g" % value,
    "b": lambda value: b"%d" % value,
    "B": lambda value: bytes([value % 256]),
}


class StringJoin(Operator):
    """The elements of each row, or each column, as one string: each with the delimiter behind it.

    ValueError for no elements, no or more than two dims, or one dim and axis 1. Caffe2: operators/string_ops.
    """

    contract = "input: float32|float64|object|bool|int8|uint8|int16|uint16|int32|int64 -> strings: string[?]"
    docs = {"input": "a matrix, or a vector, whose elements are rows", "strings": "one for each row or column"}
    gradient = FORBIDDEN
    delimiter: bytes = Arg(b",", doc="what stands behind each element")
    axis: int = Arg(0, choices=(0, 1), doc="0: a string for each row, 1: for each column")

    def infer(self, x: TensorSpec) -> TensorSpec:
        if not self.axis < x.ndim <= 2:
            raise ValueError(f"input: shape is {show(x.shape)}, wants {'2' if self.axis else '1 or 2'} dims")
        return TensorSpec((x.shape[self.axis],), object)

    def run_cpu(self, x: np.ndarray) -> np.ndarray:
        if not x.size:
            raise ValueError(f"input: shape is {show(x.shape)}, wants elements")
        count = self.infer(TensorSpec(x.shape, x.dtype)).shape[0]
        rows = (x.T if self.axis else x).reshape(count, -1)
        code = "B" if x.dtype.itemsize == 1 and x.dtype.kind in "iu" else x.dtype.kind
        write = WRITTEN.get(code, WRITTEN["b"])
        return as_strings((b"".join(write(v) + self.delimiter for v in values) for values in rows.tolist()), (count,))
