"""The builder that rules write nets with: one method an operator, checked and with shapes inferred as it is added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from caffe2ops import registry
from caffe2ops.build import create_operator
from caffe2ops.defs import DATA_TYPES, DTYPES, DataType, NetDef, OperatorDef, data_type_of
from caffe2ops.errors import OperatorError
from caffe2ops.infer import Unknown
from caffe2ops.port.onnx.values import NotPortable, Value

FLOAT, NUMBER = ("float32", "float64"), ("float32", "float64", "int32", "int64")
INTEGER = ("int32", "int64")
# What a dtype may be computed in where an operator doesn't take it: the first of these that it takes.
WIDER = {
    "float16": ("float32",), "int8": ("int32",), "uint8": ("int32",), "int16": ("int32",), "uint16": ("int32",),
    "bool": ("int32",), "int32": ("int64",), "float32": ("float64",),
}  # fmt: skip
# dtype -> the filler of the init net that gives it; others are cast from one of these.
FILLERS = {
    "float32": "GivenTensorFill", "float64": "GivenTensorDoubleFill", "int32": "GivenTensorIntFill",
    "int64": "GivenTensorInt64Fill", "bool": "GivenTensorBoolFill", "int16": "GivenTensorInt16Fill",
    "object": "GivenTensorStringFill",
}  # fmt: skip


@dataclass
class Step:
    """One operator of the net; names are read off the values when the net is done."""

    type: str
    inputs: list[Value]
    outputs: list[Value]
    args: dict[str, Any]
    name: str = ""
    bodies: dict[str, Body] = field(default_factory=dict)

    def definition(self) -> OperatorDef:
        names = [v.name for v in self.inputs], [v.name for v in self.outputs]
        nets = {name: body.net() for name, body in self.bodies.items()}
        return create_operator(self.type, *names, name=self.name, **self.args, **nets)


@dataclass
class Body:
    """A net that an operator holds."""

    builder: Builder
    inputs: list[Value]
    outputs: list[Value]

    def read(self) -> list[Value]:
        """What comes from outside."""
        known = {*self.inputs, *(v for step in self.builder.steps for v in step.outputs)}
        return [v for v in dict.fromkeys((*self.builder.read(), *self.outputs)) if v not in known]

    def net(self) -> NetDef:
        inputs = [v.name for v in (*self.inputs, *self.read())]
        return self.builder.net(self.builder.scope, inputs, [v.name for v in self.outputs])


@dataclass
class Names:
    """The names that are taken."""

    taken: set[str] = field(default_factory=set)

    def unique(self, name: str) -> str:
        """The name without blanks, with a number behind it where it is taken."""
        name = stem = "_".join(name.split()) or "blob"
        count = 1
        while name in self.taken:
            count += 1
            name = f"{stem}_{count}"
        self.taken.add(name)
        return name


class Builder:
    """Adds operators to a net. `g.Relu(x)` adds one and gives its output, `g.TopK(x, k=3, out=2)` two.

    Inputs are Values, or arrays and numbers, which become parameters; arguments of None are left out.
    """

    def __init__(self, parent: Builder | None = None):
        self.parent = parent
        self.steps: list[Step] = []
        self.names: Names = parent.names if parent else Names()
        self.constants: dict[Any, Value] = parent.constants if parent else {}
        self.scope = parent.scope if parent else ""
        self.node = parent.node if parent else ""  # the node that is being said, for the operators' names
        self.inside = ""  # the scope of the function or body around
        self.walker: Any = parent.walker if parent else None  # what walks bodies

    # --- values ---

    def value(self, x: Any) -> Value:
        """A Value of whatever an input may be given as."""
        return x if isinstance(x, Value) else self.constant(x)

    def constant(self, array: Any, name: str = "") -> Value:
        """A constant; equal small ones are one."""
        array = np.asarray(array)
        if array.dtype != object:
            known(array.dtype)
        if array.dtype.kind == "V" or array.dtype.kind in "US":
            raise NotPortable(f"Caffe2 has no tensors of dtype {array.dtype}")
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 64 and array.dtype != object else None
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

    def __getattr__(self, type_name: str) -> Any:
        if not type_name[:1].isupper():
            raise AttributeError(type_name)
        return lambda *inputs, **options: self.op(type_name, *inputs, **options)

    def op(self, type_name: str, *inputs: Any, out: int = 1, **args: Any) -> Any:
        """Adds an operator with `out` outputs. Raises NotPortable for what it doesn't accept."""
        values = [self.value(x) for x in inputs]
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
        self.steps.append(Step(type_name, values, made, args, self.node))
        return made[0] if out == 1 else tuple(made)

    def aten(self, function: str, *inputs: Any, out: int = 1, like: Any = None, **args: Any) -> Any:
        """The operator ATen, which calls a function of PyTorch's library; dtype and shape of the result as `like`, a
        Value or dtype (default: the first input's)."""
        made = self.op("ATen", *inputs, out=out, operator=function, **args)
        first = like if like is not None else self.value(inputs[0])
        for value in made if isinstance(made, tuple) else (made,):
            if value.dtype is None:
                value.dtype = first.dtype if isinstance(first, Value) else np.dtype(first)
        return made

    def over(self, accepted: Sequence[str], type_name: str, *inputs: Value, **args: Any) -> Value:
        """An operator with a result of its inputs' dtype, computed in a wider one where it doesn't take that."""
        dtype = inputs[0].dtype
        made: Value = self.cast(self.op(type_name, *self.accepted(accepted, *inputs), **args), dtype)
        return made

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
            made: Value = self.FloatToHalf(x) if dtype == np.float16 else self.HalfToFloat(x)
            return made
        return self.op("Cast", x, to=int(data_type_of(dtype)))  # type: ignore[no-any-return]

    def reshape(self, x: Value, shape: Any) -> Value:
        """x in another shape: a list of numbers (0: as before, -1: the rest), or a Value."""
        if isinstance(shape, Value) and shape.array is not None:
            shape = shape.array.tolist()
        if isinstance(shape, Value):
            return self.Reshape(x, self.cast(shape, np.int64), out=2)[0]  # type: ignore[no-any-return]
        shape = [int(d) for d in shape]
        if x.known and list(x.shape) == shape:
            return x
        if not shape:  # Caffe2's list of no dims is none
            return self.squeeze(self.reshape(x, [1]), 0)
        return self.Reshape(x, out=2, shape=shape)[0]  # type: ignore[no-any-return]

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        axes = [int(a) for a in axes]
        return x if axes == list(range(len(axes))) else self.op("Transpose", x, axes=axes)  # type: ignore[no-any-return]

    def moved(self, x: Value, axis: int, to: int) -> Value:
        """x with an axis at another place."""
        axes = list(range(x.rank))
        axes.insert(to % x.rank, axes.pop(axis % x.rank))
        return self.transpose(x, axes)

    def unsqueeze(self, x: Value, *axes: int) -> Value:
        return self.op("ExpandDims", x, dims=sorted(axes)) if axes else x  # type: ignore[no-any-return]

    def squeeze(self, x: Value, *axes: int) -> Value:
        return self.op("Squeeze", x, dims=sorted(axes)) if axes else x  # type: ignore[no-any-return]

    def dims(self, x: Value, *axes: int) -> Value:
        """Those dims as an int64 vector (all without axes); a constant where they are known."""
        wanted = [a % x.rank for a in axes] if axes else None
        if x.known or (wanted is not None and x.has_rank and all(isinstance(x.shape[a], int) for a in wanted)):
            return self.constant(np.asarray([x.shape[a] for a in (wanted or range(x.rank))], np.int64))
        return self.op("Shape", x, axes=wanted)  # type: ignore[no-any-return]

    def cut(self, x: Value, axis: int, start: int, end: int) -> Value:
        """x from start to before end (0 <= start <= end; end -1: as far as it goes) along an axis."""
        if start == 0 and end in (-1, x.shape[axis]):
            return x
        starts, ends = [0] * x.rank, [-1] * x.rank
        starts[axis], ends[axis] = start, end
        return self.op("Slice", x, starts=starts, ends=ends)  # type: ignore[no-any-return]

    def split(self, x: Value, sizes: Sequence[int], axis: int) -> list[Value]:
        if len(sizes) == 1:
            return [x]
        return list(self.op("Split", x, out=len(sizes), axis=axis, split=[int(s) for s in sizes]))

    def join(self, values: Sequence[Any], axis: int) -> Value:
        if len(values) == 1:
            return self.value(values[0])
        return self.Concat(*values, out=2, axis=axis)[0]  # type: ignore[no-any-return]

    def expand(self, x: Value, shape: Any) -> Value:
        """x broadcast with a shape (a Value or list)."""
        shape = shape if isinstance(shape, Value) else self.constant(np.asarray(shape, np.int64))
        (inner,) = self.accepted(NUMBER, x)
        return self.cast(self.Expand(inner, shape), x.dtype)

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
        return self.cast(made, dtype)

    def where(self, condition: Value, x: Any, y: Any) -> Value:
        """x where the condition holds, else y; all three are broadcast."""
        values = [condition, self.value(x), self.value(y)]
        if not all(v.known for v in values):
            return self.aten("where", *values, like=values[1])  # type: ignore[no-any-return]
        shape = np.broadcast_shapes(*(v.shape for v in values))  # type: ignore[arg-type]
        return self._where(*(v if v.shape == shape else self._expanded(v, list(shape)) for v in values))

    def _where(self, condition: Value, x: Value, y: Value) -> Value:
        if x.dtype == object:
            return self.op("Where", condition, x, y)  # type: ignore[no-any-return]
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

    def read(self) -> list[Value]:
        """What the operators and their bodies read and don't write, in the order of their first use."""
        written: set[Value] = set()
        found: dict[Value, None] = {}
        for step in self.steps:
            inner = [v for body in step.bodies.values() for v in body.read()]
            found.update(dict.fromkeys(v for v in (*step.inputs, *inner) if v not in written))
            written.update(step.outputs)
        return list(found)


def known(dtype: Any) -> np.dtype[Any]:
    """The dtype. Raises NotPortable for one that Caffe2 has no tensors of."""
    if dtype is None:
        raise NotPortable("the dtype of an input is not known")
    dtype = np.dtype(dtype)
    if dtype not in DATA_TYPES:
        raise NotPortable(f"Caffe2 has no tensors of dtype {dtype}")
    return dtype


def parameter(value: Value) -> list[OperatorDef]:
    """The operators of an init net that make a constant."""
    array, shape = value.constant("a parameter"), list(value.shape)
    name = "float32" if array.dtype == np.float16 else array.dtype.name
    if array.dtype == np.float64:
        return _doubles(value.name, array.reshape(-1), shape)
    filler = FILLERS.get(name, "GivenTensorIntFill")
    values: Any = array.reshape(-1)
    values = values.tolist() if array.dtype == object else values.astype(np.float32 if values.dtype.kind == "f" else np.int64)
    args = {"shape": shape, "values": values}
    if array.dtype.name in FILLERS:
        return [OperatorDef(type=filler, output=value.name, args=args)]
    wide = f"{value.name}/wide"
    made = [OperatorDef(type=filler, output=wide, args=args)]
    if array.dtype == np.float16:
        return [*made, OperatorDef(type="FloatToHalf", input=wide, output=value.name)]
    return [*made, OperatorDef(type="Cast", input=wide, output=value.name, args={"to": int(data_type_of(array.dtype))})]


def _doubles(name: str, values: np.ndarray[Any, Any], shape: list[int]) -> list[OperatorDef]:
    """float64 numbers as a sum of tensors: arguments hold float32."""
    parts, rest = [], values
    for _ in range(3):
        with np.errstate(over="ignore"):
            parts.append(rest.astype(np.float32))
        rest = np.where(np.isfinite(parts[-1]), rest - parts[-1], 0)
        if not rest.any():
            break
    names = [name, *(f"{name}/part_{i}" for i in range(1, len(parts)))]
    made = [
        OperatorDef(type="GivenTensorDoubleFill", output=n, args={"shape": shape, "values": part})
        for n, part in zip(names, parts)
    ]
    for part in names[1:]:
        made.append(OperatorDef(type="Add", input=(name, part), output=name))
    return made


__all__ = ["DTYPES", "FLOAT", "INTEGER", "NUMBER", "Builder", "DataType", "NotPortable", "Value", "known", "parameter"]
