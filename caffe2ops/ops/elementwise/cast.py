"""Cast."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise as Kernel
from caffe2ops.defs import DataType, OperatorDef
from caffe2ops.errors import GradientError, SchemaError, did_you_mean
from caffe2ops.operator import Arg, Operator, Step

NUMBERS = ("float32", "float64", "int32", "int64", "int16", "uint16", "int8", "uint8", "bool", "float16")
NAMES = {
    t.name: t.value for t in DataType if t.name not in ("UNDEFINED", "BYTE", "ZERO_COLLISION_HASH", "REBATCHING_BUFFER")
}
DIRECT = Kernel("(T_Y)X", "X", dtypes=NUMBERS, name="Cast")
BY_INT = Kernel("(T_Y)(int)X", "X", dtypes=NUMBERS, name="Cast")


def data_type(value: Any, name: str) -> int:
    """The number of a TensorProto data type given as number or as name, in letters of either case."""
    text = value.decode() if isinstance(value, bytes) else value
    if isinstance(text, str):
        text = NAMES.get(text.upper(), text)
    if text not in NAMES.values():
        near = did_you_mean(text.upper(), NAMES) if isinstance(text, str) else ""
        raise SchemaError(
            f"Cast: {name} = {value!r}, wants the number or name of a data type ({', '.join(NAMES)}){near}"
        )
    return int(text)


def _numbered(op: OperatorDef) -> OperatorDef:
    """The definition with data types as numbers."""
    return op.replace(args={n: data_type(v, n) if n in ("to", "from_type") else v for n, v in op.args.items()})


def _convert(X: Any, out: Any) -> None:
    if X.dtype.kind == "f" and out.dtype.kind in "iu" and out.dtype.itemsize < 4:
        X = X.astype(np.int32)  # what is too large wraps, as it does in C on x86
    np.copyto(out, X, casting="unsafe")


def _texts(X: Any, out: Any) -> None:
    """Numbers as C++ writes them: six digits behind the point, whole numbers without one."""
    out[...] = np.char.mod(
        b"%f" if X.dtype.kind == "f" else b"%d", X.astype(np.uint8) if X.dtype == bool else X
    ).astype(object)


class Cast(Operator):
    """Y = X in another dtype.

    Fractions are cut off towards 0; whole numbers that are too large wrap; anything but 0 is true. A float beyond the
    range of int32 (int64) and NaN become its least value on the CPU, the nearest one on CUDA. Strings get the digits.
    float16 is an extension on the CPU. For a gradient the net must say from_type. Caffe2: operators/cast_op.
    """

    contract = f"X: {'|'.join(NUMBERS)}[...] -> Y: $to[...]"
    docs = {"X": "a tensor of numbers or booleans", "Y": "a tensor of X's shape"}
    to: int = Arg(doc="the data type of Y, by number or name")
    from_type: int = Arg(0, doc="the data type of X, by number or name; only the gradient looks at it")

    def __init__(self, op_def: OperatorDef, *args: Any, **kwargs: Any):
        super().__init__(_numbered(op_def), *args, **kwargs)

    def run_cpu(self, X: Any) -> Any:
        out = self._out(X)
        self.bind((X,), (out,))()
        return out

    def run_cuda(self, X: Any) -> Any:
        out = self._out(X)
        if out.dtype == object:
            raise TypeError("to = STRING: there are no strings on a CUDA device")
        small = X.dtype.kind == "f" and out.dtype.kind in "iu" and out.dtype.itemsize < 4
        return (BY_INT if small else DIRECT)(X, out=out)

    def _out(self, X: Any) -> Any:
        return self.out(0, X.shape, self.parsed.dtype(self.parsed.outputs[0], {}, self.arg_value))

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        (X,), (out,) = inputs, outputs
        return partial(_texts if out.dtype == object else _convert, X, out)

    @classmethod
    def make_gradient(cls, g):
        if "from_type" not in g.def_.args:
            raise GradientError(
                "Cast: argument from_type is missing, wants the data type of X: its gradient is cast back to it"
            )
        args = _numbered(g.def_).args
        return [g.op("Cast", [g.GO(0)], [g.GI(0)], to=args["from_type"], from_type=args["to"])]
