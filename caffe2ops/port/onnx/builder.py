"""The builder that rules write graphs with: nodes, and what shapes and quantised tensors want."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.port.onnx.nodes import FOLDABLE, Nodes, elem_type
from caffe2ops.port.values import Dim, NotPortable, Value


class Builder(Nodes):
    """Nodes, with short cuts for those that take dims and axes."""

    # --- shapes ---

    def dims(self, x: Value, axes: Sequence[int] | slice = slice(None)) -> Value:
        """Those dims of x as an int64 vector; a constant where they are numbers."""
        if not x.has_rank:
            if not isinstance(axes, slice) or axes.step is not None:
                raise NotPortable(f"needs the number of dims of {x.name!r}")
            return self.Shape(x, start=axes.start, end=axes.stop)
        wanted = list(range(x.rank))[axes] if isinstance(axes, slice) else [a % x.rank for a in axes]
        if all(isinstance(x.shape[a], int) for a in wanted):
            return self.constant(np.asarray([x.shape[a] for a in wanted], np.int64))
        if wanted == list(range(x.rank)):
            made = self.Shape(x)
        elif wanted == list(range(wanted[0], wanted[0] + len(wanted))):
            made = self.Shape(x, start=wanted[0], end=wanted[-1] + 1)
        else:
            made = self.Gather(self.Shape(x), wanted)
        made.dims = tuple(x.shape[a] for a in wanted)
        return made

    def dim(self, x: Value, axis: int) -> Value:
        """One dim as an int64 number."""
        return self.Squeeze(self.dims(x, [axis]), [0])

    def length(self, x: Value) -> Value:
        """How many elements there are, int64."""
        return self.Size(x) if not x.has_rank or x.size is None else self.constant(np.int64(x.size))

    def vector(self, *parts: Any) -> Value:
        """An int64 vector put together from numbers and vectors."""
        pieces: list[Any] = []
        for part in parts:
            if isinstance(part, Value):
                pieces.append(part)
            elif pieces and isinstance(pieces[-1], list):
                pieces[-1] += [part] if isinstance(part, int) else list(part)
            else:
                pieces.append([part] if isinstance(part, int) else list(part))
        values = [self.value(p) for p in pieces]
        if len(values) == 1:
            return values[0]
        made = self.Concat(*values, axis=0)
        known: list[Any] = [v.dims if v.array is None else tuple(v.array.tolist()) for v in values]
        made.dims = sum(map(tuple, known), ()) if made.array is None and None not in known else None
        return made

    def reshape(self, x: Value, *parts: Any) -> Value:
        """x in the shape that numbers (0: as before, -1: the rest) and vectors of dims give."""
        dims: list[Dim] | None = []
        plain = True  # whether all numbers mean themselves
        for part in parts:
            if isinstance(part, Value):
                known = part.dims if part.array is None else part.array.tolist()
                dims = None if known is None or dims is None else [*dims, *known]
                continue
            for dim in [part] if isinstance(part, int) else part:
                plain = plain and dim not in (0, -1)
                if dims is not None:
                    dims.append(x.shape[len(dims)] if dim == 0 and x.has_rank and len(dims) < x.rank else int(dim))
        if dims is not None and -1 in dims and x.has_rank and x.size is not None:
            rest = [d for d in dims if d != -1]
            if all(isinstance(d, int) for d in rest) and 0 not in rest:
                dims[dims.index(-1)] = x.size // math.prod(d for d in rest if isinstance(d, int))
        if dims is not None and all(isinstance(d, int) for d in dims):
            if x.has_rank and dims == list(x.shape):
                return x
            return self.Reshape(x, dims, allowzero=1 if 0 in dims else None)
        made: Value = self.Reshape(x, self.vector(*parts), allowzero=1 if plain else None)
        if dims is not None:
            made.shape = [None if d == -1 else d for d in dims]
        return made

    def flat(self, x: Value) -> Value:
        """All elements in one dim."""
        return x if x.has_rank and x.rank == 1 else self.Reshape(x, [-1])

    def matrix(self, x: Value, axis: int = 1) -> Value:
        """The dims before `axis` joined, and those from it on."""
        return x if x.rank == 2 and axis == 1 else self.Flatten(x, axis=axis)

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        axes = [int(a) for a in axes]
        return x if axes == list(range(len(axes))) else self.Transpose(x, perm=axes)

    def unsqueeze(self, x: Value, *axes: int) -> Value:
        return self.Unsqueeze(x, list(axes)) if axes else x

    def cast(self, x: Value, dtype: Any) -> Value:
        dtype = np.dtype(dtype)
        return x if x.dtype == dtype else self.Cast(x, to=elem_type(dtype))

    def reduce(self, type_name: str, x: Value, axes: Sequence[int] | None = None, keepdims: bool = False) -> Value:
        """A ReduceXxx node; its axes are an attribute before opset 18."""
        old = self.opset < 18 and type_name != "ReduceSum"
        if axes is None:
            return self.op(type_name, x, keepdims=int(keepdims))
        axes = list(axes)
        if not axes:
            return x
        if old:
            return self.op(type_name, x, axes=axes, keepdims=int(keepdims))
        return self.op(type_name, x, axes, keepdims=int(keepdims))

    def slice(self, x: Value, axis: int, start: Any, end: Any, step: int = 1) -> Value:
        """x cut along an axis; start and end are numbers or vectors of one."""
        return self.Slice(x, *(v if isinstance(v, Value) else [v] for v in (start, end)), [axis], [step])

    def split(self, x: Value, sizes: Sequence[int], axis: int) -> tuple[Value, ...]:
        made = self.op("Split", x, list(sizes), out=len(sizes), axis=axis)
        return made if isinstance(made, tuple) else (made,)

    def full(self, shape: Any, value: Any, dtype: Any) -> Value:
        """A tensor of this shape (a list or a vector) that holds one value."""
        shape = self.value(shape)
        if shape.array is not None and np.prod(shape.array) <= FOLDABLE:
            return self.constant(np.full(tuple(shape.array), value, dtype))
        return self.ConstantOfShape(shape, value=np.asarray([value], dtype))

    # --- quantised tensors ---

    def dequantize(self, x: Value) -> Value:
        """The float32 values of a quantised tensor."""
        scale, zero = x.quantisation()
        return self.DequantizeLinear(x, scale, np.asarray(zero, x.dtype))

    def quantize(self, x: Value, scale: float, zero: int) -> Value:
        """Floats as a quantised tensor of bytes."""
        made = self.QuantizeLinear(x, np.float32(scale), np.uint8(zero))
        return self.quantised(made, scale, zero)

    def quantised(self, x: Value, scale: float, zero: int) -> Value:
        x.quantised = (float(np.float32(scale)), int(zero))
        return x
