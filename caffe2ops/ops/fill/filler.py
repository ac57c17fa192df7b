"""What all fillers share: the shape of the output comes from an argument, from an input's shape, or from an input's
values."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec, Unknown
from caffe2ops.operator import NO_GRADIENT, Arg, Array, Operator


class Filler(Operator):
    """Base of the fillers: a subclass says the output's dtype and fills a buffer.

    Without an input the output has the shape `shape` (a scalar if that is empty). With an input it has the input's
    shape, or with `input_as_shape` the shape that the int64 input lists; `extra_shape` is appended to either.
    """

    gradient = NO_GRADIENT
    inplace: ClassVar[Any] = ((0, 0),)
    shape: list[int] = Arg((), ge=0, doc="shape of the output; only without an input")
    extra_shape: list[int] = Arg((), ge=0, doc="dims appended to the shape that the input gives")
    input_as_shape: bool = Arg(
        False, doc="whether the values of the input, an int64 vector, are the shape, not its own shape"
    )
    fills: np.dtype[Any] = np.dtype(np.float32)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if isinstance(self.op_def.args.get("shape"), (int, float)):
            raise ValueError(f"shape: is one number, {self.shape[0]}, wants a list")
        if self.n_inputs and self.shape:
            raise ValueError(f"shape: {self.shape} is given together with an input; one of them says the shape")
        if not self.n_inputs and (self.extra_shape or self.input_as_shape):
            name = "extra_shape" if self.extra_shape else "input_as_shape"
            raise ValueError(f"{name}: wants an input to take the shape from, there is none")

    def dims(self, x: Array | None) -> tuple[int, ...]:
        """The shape of the output."""
        if x is None:
            return tuple(self.shape)
        if not self.input_as_shape:
            return (*x.shape, *self.extra_shape)
        if x.dtype != np.int64 or x.ndim != 1 or not x.size:
            raise TypeError(
                f"input 0: is {x.dtype}{list(x.shape)}, with input_as_shape a non-empty int64 vector is wanted"
            )
        dims = x.tolist()
        if min(dims) < 0:
            raise ValueError(f"input 0: holds {dims}, a shape wants dims >= 0")
        return (*dims, *self.extra_shape)

    def infer(self, *inputs: TensorSpec) -> TensorSpec:
        if not inputs:
            return TensorSpec(self.shape, self.fills)
        dims = inputs[0].shape
        if self.input_as_shape and isinstance(dims[0], Unknown):
            return TensorSpec(None, self.fills)
        if self.input_as_shape:
            dims = (UNKNOWN,) * dims[0]
        return TensorSpec((*dims, *self.extra_shape), self.fills)

    def run_cpu(self, x: Array | None = None, *more: Array) -> Array:
        return self.fill(self.out(0, self.dims(x), self.fills), *more)

    run_cuda = run_cpu

    def fill(self, out: Array, *more: Array) -> Array:
        """Fills `out` (of the device at hand) and returns it; `more` are the inputs after the first."""
        raise NotImplementedError

    def put(self, out: Array, values: np.ndarray) -> Array:
        """Copies values made on the CPU, in any shape, into `out`."""
        values = values.reshape(out.shape)
        if self.device == "cpu":
            out[...] = values
        else:
            out.set(np.ascontiguousarray(values))
        return out
