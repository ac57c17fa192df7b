"""The builder that rules write nets with: one method an operator, checked and with shapes inferred as it is added."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from caffe2ops import registry
from caffe2ops.build import create_operator
from caffe2ops.defs import NetDef, data_type_of
from caffe2ops.errors import OperatorError
from caffe2ops.infer import Unknown
from caffe2ops.ops.elementwise.broadcast import Broadcasting
from caffe2ops.port.from_onnx.steps import Names, Step
from caffe2ops.port.from_onnx.values import NUMBER, WIDER, Listed, broadcast, known
from caffe2ops.port.values import NotPortable, Value


class Builder:
    """Adds operators to a net: `g.Relu(x)` adds one and gives its first output, `g.op("TopK", x, k=3, out=2)` all.

    Inputs are Values, or arrays and numbers, which become parameters; arguments of None are left out.
    """

    def __init__(self, parent: Builder | None = None):
        self.parent = parent
        self.steps: list[Step] = []
        self.names: Names = parent.names if parent else Names()
        self.constants: dict[Any, Value] = parent.constants if parent else {}
        self.scope: str = parent.scope if parent else ""
        self.node: str = parent.node if parent else ""  # the node that is being said, for the operators' names
        self.inside = ""  # the scope of the function or body around
        self.walker: Any = parent.walker if parent else None  # what walks bodies

    # --- values ---

    def value(self, x: Any) -> Value:
        """A Value of whatever an input may be given as."""
        return x if isinstance(x, Value) else self.constant(x)

    def constant(self, array: Any, name: str = "") -> Value:
        """A constant; equal small ones are one. Of a dtype that Caffe2 lacks it can be computed with, not read."""
        array = np.asarray(array)
        key = (array.dtype.name, array.shape, array.tobytes()) if array.size <= 64 and array.dtype != object else None
        if name or key is None or key not in self.constants:
            made = Value(self.names.unique(name or f"{self.scope}/constant"), array.dtype, array.shape, array)
            if name or key is None:
                return made
            self.constants[key] = made
        return self.constants[key]

    def like(self, x: Value, number: Any) -> Value:
        """A number as a constant of x's dtype."""
        return self.constant(np.asarray(number, x.dtype))

    # --- operators ---

    def __getattr__(self, type_name: str) -> Callable[..., Value]:
        if not type_name[:1].isupper():
            raise AttributeError(type_name)
        return lambda *inputs, **args: self.one(type_name, *inputs, **args)

    def op(self, type_name: str, *inputs: Any, out: int = 1, **args: Any) -> Any:
        """Adds an operator with `out` outputs. Raises NotPortable for what it doesn't accept."""
        values = [self.value(x) for x in inputs]
        for value in values:
            if isinstance(value, Listed):
                raise NotPortable("is a sequence or reads one, Caffe2 has tensors only")
            if value.array is not None and value.dtype != object:
                known(value.dtype)
        args = {name: value for name, value in args.items() if value is not None}
        made = [Value(self.names.unique(f"{self.scope}/{type_name}{f'_{i}' * (i > 0)}")) for i in range(out)]
        names = {v: f"in{i}" for i, v in enumerate(values)}  # in-place pairs are none of our business
        try:
            op = create_operator(type_name, [names[v] for v in values], [v.name for v in made], **args)
            specs = registry.get(type_name)(op).infer_specs([v.spec for v in values])
        except (ValueError, TypeError, LookupError, OperatorError) as error:
            raise NotPortable(f"{type_name} of Caffe2: {str(error).removeprefix(f'{type_name}: ')}") from error
        for value, spec in zip(made, specs):
            value.dtype = spec.dtype
            value.shape = [None if isinstance(d, Unknown) else int(d) for d in spec.shape] if spec.has_rank else None
        if issubclass(registry.get(type_name), Broadcasting) and len(values) == 2 and not args.get("broadcast"):
            made[0].shape = broadcast(*values)
        self.steps.append(Step(type_name, values, made, args, self.node))
        return made[0] if out == 1 else tuple(made)

    def one(self, type_name: str, *inputs: Any, **args: Any) -> Value:
        """Adds an operator and gives its first output; the others are left unread."""
        made = self.op(type_name, *inputs, out=registry.get(type_name).schema_of().min_output or 1, **args)
        first: Value = made[0] if isinstance(made, tuple) else made
        return first

    def aten(self, function: str, *inputs: Any, like: Any = None, **args: Any) -> Value:
        """The operator ATen, which calls a function of PyTorch's library; the result's dtype is that of `like`, a Value
        or dtype (default: the first input's)."""
        made = self.one("ATen", *inputs, operator=function, **args)
        first = self.value(inputs[0]) if like is None else like
        made.dtype = first.dtype if isinstance(first, Value) else np.dtype(first)
        return made

    def over(self, accepted: Sequence[str], type_name: str, *inputs: Value, **args: Any) -> Value:
        """An operator with a result of its inputs' dtype, computed in a wider one where it doesn't take that."""
        dtype = inputs[0].dtype
        return self.cast(self.one(type_name, *self.accepted(accepted, *inputs), **args), dtype)

    def accepted(self, dtypes: Sequence[str], *inputs: Value) -> list[Value]:
        """The inputs, cast to the first of these dtypes that holds all their values."""
        name = known(inputs[0].dtype).name
        while name not in dtypes:
            wider = [n for n in WIDER.get(name, ()) if n in dtypes or n in WIDER]
            if not wider:
                raise NotPortable(f"its input is {inputs[0].dtype}, Caffe2's operator takes {', '.join(dtypes)}")
            name = wider[0]
        return [self.cast(x, name) for x in inputs]

    # --- what rules share ---

    def cast(self, x: Value, dtype: Any) -> Value:
        dtype = known(dtype)
        if x.dtype == dtype:
            return x
        if x.array is not None and x.dtype != object:
            return self.constant(x.array.astype(dtype))
        if {x.dtype.name, dtype.name} == {"float16", "float32"}:
            return self.FloatToHalf(x) if dtype == np.float16 else self.HalfToFloat(x)
        return self.one("Cast", x, to=int(data_type_of(dtype)))

    def reshape(self, x: Value, shape: Any) -> Value:
        """x in another shape: a list of numbers (0: as before, -1: the rest), or a Value."""
        if isinstance(shape, Value) and shape.array is not None:
            shape = shape.array.tolist()
        if isinstance(shape, Value):
            made = self.one("Reshape", x, self.cast(shape, np.int64))
            if shape.dims is not None:
                made.shape = [None if d in (-1, 0) else d for d in shape.dims]
            elif shape.known and shape.rank == 1:
                made.shape = [None] * shape.static(0)
            return made
        shape = [int(d) for d in shape]
        if x.known and len(shape) == x.rank and all(d in (-1, 0, n) for d, n in zip(shape, x.shape)):
            return x
        if not shape:  # Caffe2's list of no dims is none
            return self.squeeze(self.reshape(x, [1]), 0)
        return self.one("Reshape", x, shape=shape)

    def reshape_to(self, x: Value, dims: Sequence[Any]) -> Value:
        """x in a shape of numbers, of which one may be unknown, and of `dim`s. Raises NotPortable where more are."""
        rest = [d for d in dims if not isinstance(d, (int, Value))]
        if len(rest) > 1:
            raise NotPortable(f"needs the dims of {x.name!r} as numbers, all but one; give the shapes of the inputs")
        shape = [d if isinstance(d, int) else -1 for d in dims]
        if shape.count(-1) < 2:
            return self.reshape(x, shape)
        made = self.reshape(
            x, self.join([d if isinstance(d, Value) else np.asarray([n]) for d, n in zip(dims, shape)], 0)
        )
        made.shape = [None if n == -1 else n for n in shape]
        return made

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        axes = [int(a) for a in axes]
        return (
            x
            if axes == list(range(len(axes)))
            else self.over((*NUMBER, "float16", "object"), "Transpose", x, axes=axes)
        )

    def moved(self, x: Value, axis: int, to: int) -> Value:
        """x with an axis at another place."""
        axes = list(range(x.rank))
        axes.insert(to % x.rank, axes.pop(axis % x.rank))
        return self.transpose(x, axes)

    def unsqueeze(self, x: Value, *axes: int) -> Value:
        return self.one("ExpandDims", x, dims=sorted(axes)) if axes else x

    def squeeze(self, x: Value, *axes: int) -> Value:
        return self.one("Squeeze", x, dims=sorted(axes)) if axes else x

    def dims(self, x: Value, *axes: int) -> Value:
        """Those dims as an int64 vector (all without axes); a constant where they are known."""
        wanted = [a % x.rank for a in axes] if axes else None
        if x.known or (wanted is not None and x.has_rank and all(isinstance(x.shape[a], int) for a in wanted)):
            return self.constant(np.asarray([x.shape[a] for a in (wanted or range(x.rank))], np.int64))
        return self.one("Shape", x, axes=wanted)

    def dim(self, x: Value, axis: int) -> Any:
        """A dim as a number, or where it is open as a vector of one."""
        return size if isinstance(size := x.shape[axis], int) else self.dims(x, axis)

    def times(self, *dims: Any) -> Any:
        """The product of such dims."""
        parts = [d for d in dims if isinstance(d, Value)]
        number = int(np.prod([d for d in dims if isinstance(d, int)]))
        return reduce(self.Mul, [*parts, np.array([number])] if number != 1 else parts) if parts else number

    def cut(self, x: Value, axis: int, start: int, end: int) -> Value:
        """x from start to before end (0 <= start <= end; end -1: as far as it goes) along an axis."""
        if start == 0 and end in (-1, x.shape[axis]):
            return x
        starts, ends = [0] * x.rank, [-1] * x.rank
        starts[axis], ends[axis] = start, end
        return self.one("Slice", x, starts=starts, ends=ends)

    def split(self, x: Value, sizes: Sequence[int], axis: int) -> list[Value]:
        if len(sizes) == 1:
            return [x]
        return list(self.op("Split", x, out=len(sizes), axis=axis, split=[int(s) for s in sizes]))

    def join(self, values: Sequence[Any], axis: int) -> Value:
        if len(values) == 1:
            return self.value(values[0])
        return self.one("Concat", *values, axis=axis)

    def expand(self, x: Value, shape: Any) -> Value:
        """x broadcast with a shape (a Value or list)."""
        dims = shape if not isinstance(shape, Value) else None if shape.array is None else shape.array.tolist()
        (inner,) = self.accepted(NUMBER, x)
        if dims is None:  # Caffe2's Expand takes a 0 for a 1
            made = self.Mul(inner, self.full(shape, 1, inner.dtype))
        elif 0 in dims:
            return self.full(dims, 0, x.dtype)
        else:
            made = self.Expand(inner, np.asarray(dims, np.int64))
        return self.cast(made, x.dtype)

    def full(self, shape: Any, number: Any, dtype: Any) -> Value:
        """A tensor of one number; its shape is a list or a Value."""
        dtype = known(dtype)
        if isinstance(shape, Value) and shape.array is not None:
            shape = shape.array.tolist()
        if not isinstance(shape, Value):
            return self.constant(np.full(tuple(shape), number, dtype))
        plain = np.float32 if dtype == np.float16 else dtype
        value = float(number) if plain == np.float64 or plain == np.float32 else int(number)
        made = self.ConstantFill(shape, input_as_shape=1, value=value, dtype=int(data_type_of(plain)))
        made.dtype = np.dtype(plain)  # which inference doesn't know where the rank isn't
        return self.cast(made, dtype)

    def where(self, condition: Value, x: Any, y: Any) -> Value:
        """x where the condition holds, else y; all three are broadcast."""
        values = [condition, self.value(x), self.value(y)]
        if not all(v.known for v in values):
            made = self.aten("where", *values, like=values[1])
            made.shape = broadcast(*values)
            return made
        shape = np.broadcast_shapes(*(v.shape for v in values))  # type: ignore[arg-type]
        return self._where(*(v if v.shape == shape else self._expanded(v, list(shape)) for v in values))

    def _where(self, condition: Value, x: Value, y: Value) -> Value:
        if x.dtype == object:
            return self.one("Where", condition, x, y)
        a, b = self.accepted((*NUMBER, "bool"), x, y)
        return self.cast(self.Where(condition, a, b), x.dtype)

    def _expanded(self, x: Value, shape: list[Any]) -> Value:
        if x.array is not None:
            return self.constant(np.broadcast_to(x.array, shape))
        return self.expand(x, shape)

    # --- nets ---

    def net(self, name: str, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> NetDef:
        ops = tuple(step.definition() for step in self.steps)
        return NetDef(name=name, op=ops, external_input=tuple(inputs), external_output=tuple(outputs))

    def note(self, text: str) -> None:
        """Tells the user where Caffe2 may do something else than ONNX."""
        self.walker.notes.append(f"{self.node}: {text}")

    def sources(self, value: Value) -> set[Value]:
        """The values that a value is computed from and that nothing here computes."""
        seen, waiting, makers = set(), [value], {}
        builder: Builder | None = self
        while builder is not None:
            makers.update({v: step for step in builder.steps for v in step.outputs})
            builder = builder.parent
        while waiting:
            found = waiting.pop()
            if found not in seen:
                seen.add(found)
                waiting += makers[found].inputs if found in makers else []
        return {v for v in seen if v not in makers}

    def prune(self, wanted: Iterable[Value]) -> None:
        """Drops the operators that nothing wanted is computed from."""
        needed, kept = set(wanted), []
        for step in reversed(self.steps):
            if needed.intersection(step.outputs):
                kept.append(step)
                needed.update(step.inputs, *(body.read() for body in step.bodies.values()))
        self.steps = kept[::-1]

    def read(self) -> list[Value]:
        """What the operators and their bodies read and don't write, in the order of their first use."""
        written: set[Value] = set()
        found: dict[Value, None] = {}
        for step in self.steps:
            inner = [v for body in step.bodies.values() for v in body.read()]
            found.update(dict.fromkeys(v for v in (*step.inputs, *inner) if v not in written))
            written.update(step.outputs)
        return list(found)
