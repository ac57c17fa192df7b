"""Fillers with random numbers, the same as those of Caffe2's CPU operators for the same `random_seed`; see mt19937.py.

Each operator owns a generator: it goes on from run to run. On CUDA the numbers are those of the CPU, copied (Caffe2
draws others there).
"""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import Any, ClassVar

import numpy as np

from caffe2ops.defs import DataType, dtype_of
from caffe2ops.operator import Arg, Array
from caffe2ops.ops.fill.filler import Filler
from caffe2ops.ops.fill.mt19937 import Generator, generator_of

SHAPE_DOC = {"input": "gives the shape (see input_as_shape)", "output": "the random numbers"}


class RandomFiller(Filler):
    """Base of the random fillers: `draw` gives the values for a shape."""

    docs = SHAPE_DOC

    @cached_property
    def generator(self) -> Generator:
        return generator_of(self)

    def fill(self, out: Array, *more: Array) -> Array:
        return self.put(out, self.draw(out.shape, *more)) if out.size else out

    def draw(self, shape: tuple[int, ...], *more: Array) -> np.ndarray:
        raise NotImplementedError


class UniformFill(RandomFiller):
    """Random float32 numbers, min <= y < max, each of 24 bits; bit-equal to Caffe2's. Caffe2: operators/filler_op.

    shape: any tensor, or with input_as_shape int64[rank]. min, max: float32[1], both or none, instead of the arguments:
    where that min exceeds max the output is empty, [0, ...]. ValueError unless min < max for arguments.
    """

    contract = "shape?: any, min?: float32, max?: float32 -> output: float32[?]"
    arity: ClassVar[Any] = ((0, 1), (1, 1), (3, 1))
    docs = {
        "shape": "gives the shape (see input_as_shape)",
        "min": "least value, one element",
        "max": "bound, one element",
        "output": "the random numbers",
    }
    min: float = Arg(0.0, doc="least value")
    max: float = Arg(1.0, doc="bound above all values")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        for name in ("min", "max"):
            if self.n_inputs == 3 and self.has_arg(name):
                raise ValueError(f"{name}: is given as an argument and as an input")

    def bounds(self, more: tuple[Array, ...]) -> tuple[Any, Any]:
        """min and max of this run."""
        for name, value in zip(("min", "max"), more):
            if value.size != 1:
                raise ValueError(f"{name}: has {value.size} elements, wants 1")
        low, high = (value.reshape(-1)[0].item() for value in more) if more else (self.min, self.max)
        if not (low <= high if more else low < high):
            raise ValueError(f"min: {low} is not less than max: {high}")
        return low, high

    def run_cpu(self, x: Array | None = None, *more: Array) -> Array:
        dims = self.dims(x)
        if more and dims and all(value.size == 1 for value in more) and more[0].item() > more[1].item():
            return self.out(0, (0, *dims[1:]), self.fills)
        return self.fill(self.out(0, dims, self.fills), *more)

    run_cuda = run_cpu

    def draw(self, shape: tuple[int, ...], *more: Array) -> np.ndarray:
        low, high = self.bounds(more)
        if np.float64(np.float32(high)) - np.float64(np.float32(low)) > np.finfo(np.float32).max:
            raise ValueError(f"max: {high} - {low} exceeds float32")
        return self.generator.uniform(prod(shape), low, high)


class UniformIntFill(UniformFill):
    """Random int32 numbers, min <= y <= max; bit-equal to Caffe2's. Caffe2: operators/filler_op.

    shape: any tensor, or with input_as_shape int64[rank]. min, max: int32[1], both or none, instead of the arguments:
    where that min exceeds max the output is empty, [0, ...]. ValueError unless min < max for arguments.
    """

    contract = "shape?: any, min?: int32, max?: int32 -> output: int32[?]"
    min: int = Arg(0, ge=-(2**31), lt=2**31, doc="least value")
    max: int = Arg(1, ge=-(2**31), lt=2**31, doc="greatest value")
    fills = np.dtype(np.int32)

    def draw(self, shape: tuple[int, ...], *more: Array) -> np.ndarray:
        return self.generator.integers(prod(shape), *self.bounds(more))


class UniqueUniformFill(RandomFiller):
    """Random whole numbers, min <= y <= max, no two equal; bit-equal to Caffe2's. Caffe2: operators/filler_op.

    input: any tensor, or with input_as_shape int64[rank]. avoid: numbers of the output's dtype that must not occur, no
    two equal. ValueError unless min < max leaves enough numbers.
    """

    contract = "input?: any, avoid?: int32|int64 -> output: int32|int64[?]"
    docs = {**SHAPE_DOC, "avoid": "numbers that must not occur"}
    min: int = Arg(doc="least value")
    max: int = Arg(doc="greatest value")
    dtype: int = Arg(
        DataType.INT32, choices=(int(DataType.INT32), int(DataType.INT64)), doc="TensorProto.DataType of the output"
    )

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fills = dtype_of(self.dtype)
        limits = np.iinfo(self.fills)
        if not limits.min <= self.min < self.max <= limits.max:
            raise ValueError(f"min: {self.min}, max: {self.max}; wants min < max within {self.fills}")

    def draw(self, shape: tuple[int, ...], *more: Array) -> np.ndarray:
        avoid = None
        if more:
            avoid = more[0] if self.device == "cpu" else more[0].get()
            if avoid.dtype != self.fills:
                raise TypeError(f"avoid: dtype is {avoid.dtype}, wants {self.fills}")
            if np.unique(avoid).size != avoid.size:
                raise ValueError("avoid: holds a number twice")
            avoid = avoid.reshape(-1)
        return self.generator.unique_integers(prod(shape), self.min, self.max, avoid, self.fills.type)


class GaussianFill(RandomFiller):
    """Random float32 numbers of a normal distribution; equal to Caffe2's but for about one last bit in 10^8.

    input: any tensor, or with input_as_shape int64[rank]. Numbers come in pairs (Box-Muller): what an odd size leaves
    over opens the next run. Caffe2: operators/filler_op.
    """

    contract = "input?: any -> output: float32[?]"
    mean: float = Arg(0.0, doc="mean of the distribution")
    std: float = Arg(1.0, ge=0, doc="standard deviation")

    def draw(self, shape: tuple[int, ...], *more: Array) -> np.ndarray:
        return self.generator.normal(prod(shape), self.mean, self.std)


class XavierFill(RandomFiller):
    """Random float32 weights, uniform in +-sqrt(3 / fan_in), fan_in being the elements per first dim; bit-equal to
    Caffe2's.

    input: any tensor, or with input_as_shape int64[rank]. ValueError for a scalar. Caffe2: operators/filler_op.
    """

    contract = "input?: any -> output: float32[?]"

    def draw(self, shape: tuple[int, ...], *more: Array) -> np.ndarray:
        if not shape:
            raise ValueError("output: is a scalar, wants a first dim")
        scale = np.sqrt(np.float32(3) / np.float32(prod(shape[1:])))
        return self.generator.uniform(prod(shape), -scale, scale)


class MSRAFill(RandomFiller):
    """Random float32 weights, normal with std = sqrt(2 / fan_out), fan_out being the elements per second dim; as
    GaussianFill.

    input: any tensor, or with input_as_shape int64[rank]. ValueError for fewer than 2 dims. Caffe2:
    operators/filler_op.
    """

    contract = "input?: any -> output: float32[?]"

    def draw(self, shape: tuple[int, ...], *more: Array) -> np.ndarray:
        if len(shape) < 2:
            raise ValueError(f"output: shape is {list(shape)}, wants 2 dims or more")
        std = np.sqrt(np.float32(2) / np.float32(prod(shape) // shape[1]))
        return self.generator.normal(prod(shape), 0.0, std)


class Float16UniformFill(UniformFill):
    """Random float16 numbers: those of UniformFill, rounded; bit-equal to Caffe2's.

    Caffe2: operators/half_float_ops.
    """

    contract = "-> output: float16[?]"
    arity = ()
    inplace = ()
    docs = {"output": "the random numbers"}
    fills = np.dtype(np.float16)
