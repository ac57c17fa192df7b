"""Gradients of single operators: gradient lines and makers.

A line says which operators compute the gradient: `d` before the name of an output is the gradient that comes in, before
the name of an input the one that goes out. Statements are separated by `;`:

    ReluGradient(Y, dY) -> dX                 one operator; arguments may be added as name=literal
    dA = dC; dB = dC                          no operator: the gradient is passed on
    dDATA = sparse(INDICES, dOUTPUT)          a GradientSlice of two blobs
    Scale(dY, scale=2.0) -> dY; Mul(dY, X) -> dX   several; dY is overwritten, unless others need it

`name?` is left out where the forward operator has no such blob; what a statement has written, later ones may read. What
a line cannot say is said by a classmethod `make_gradient(cls, g)` that gets a GradientMaker.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from caffe2ops import registry
from caffe2ops.defs import OperatorDef
from caffe2ops.errors import GradientError, SchemaError
from caffe2ops.operator import NonGradient, Operator


class GradientSlice(NamedTuple):
    """A sparse gradient: row `indices[i]` of the blob has gradient `values[i]`; rows may repeat. Both are blob
    names."""

    indices: str
    values: str


Gradient = str | GradientSlice


class GradientMaker:
    """What a `make_gradient` is given: the forward operator and the gradients of its outputs; it says where gradients
    go.

    `I(i)`/`O(i)` are input and output names, `GO(i)` the gradient of output i (dense), `GI(i)` the name of the dense
    gradient of
    input i, which is thereby set.
    """

    def __init__(self, def_: OperatorDef, output_gradients: Sequence[Gradient | None]):
        self.def_ = def_
        self.output_gradients = tuple(output_gradients)
        self.input_gradients: list[Gradient | None] = [None] * len(def_.input)

    def I(self, i: int) -> str:  # noqa: E743
        return self._blob("input", i)

    def O(self, i: int) -> str:  # noqa: E743
        return self._blob("output", i)

    def _blob(self, way: str, i: int) -> str:
        blobs: tuple[str, ...] = getattr(self.def_, way)
        if i >= len(blobs):
            raise GradientError(f"{self.def_.type}: the gradient needs {way} {i}, the operator has {len(blobs)}")
        return blobs[i]

    def GO(self, i: int) -> str:
        gradient = self.output_gradients[i] if i < len(self.output_gradients) else None
        if gradient is None:
            raise GradientError(f"{self.def_.type}: the gradient of output {self.O(i)!r} is not provided")
        if isinstance(gradient, GradientSlice):
            raise GradientError(f"{self.def_.type}: the gradient of output {self.O(i)!r} is sparse, wants a dense one")
        return gradient

    def GO_indices(self, i: int) -> str:
        return self._slice(i).indices

    def GO_values(self, i: int) -> str:
        return self._slice(i).values

    def _slice(self, i: int) -> GradientSlice:
        gradient = self.output_gradients[i]
        if not isinstance(gradient, GradientSlice):
            raise GradientError(f"{self.def_.type}: the gradient of output {self.O(i)!r} is not sparse")
        return gradient

    def has_GO(self, i: int) -> bool:
        return i < len(self.output_gradients) and self.output_gradients[i] is not None

    def GI(self, i: int) -> str:
        return self.set_dense(i, f"{self.I(i)}_grad")

    def GI_indices(self, i: int) -> str:
        return self._set_slice(i).indices

    def GI_values(self, i: int) -> str:
        return self._set_slice(i).values

    def _set_slice(self, i: int) -> GradientSlice:
        if not isinstance(self.input_gradients[i], GradientSlice):
            self.set_sparse(i, f"{self.I(i)}_grad_indices", f"{self.I(i)}_grad_values")
        found = self.input_gradients[i]
        assert isinstance(found, GradientSlice)
        return found

    def set_dense(self, i: int, name: str) -> str:
        self.input_gradients[i] = name
        return name

    def set_sparse(self, i: int, indices: str, values: str) -> None:
        self.input_gradients[i] = GradientSlice(indices, values)

    def op(self, type: str, inputs: Sequence[str], outputs: Sequence[str], **args: Any) -> OperatorDef:
        """A gradient operator; the forward operator's arguments, device and engine are added to it afterwards."""
        return OperatorDef(
            type=type, input=tuple(inputs), output=tuple(outputs), name="", args=args, is_gradient_op=True
        )


class _Call(NamedTuple):
    type: str
    inputs: tuple[str, ...]
    args: dict[str, Any]
    outputs: tuple[str, ...]


class _Assign(NamedTuple):
    target: str
    values: tuple[str, ...]


@cache
def parse_line(line: str) -> tuple[_Call | _Assign, ...]:
    """The statements of a gradient line. Raises ValueError naming the part that is none."""
    statements: list[_Call | _Assign] = []
    for part in (p.strip() for p in line.split(";")):
        if call := re.fullmatch(r"(\w+)\((.*?)\)\s*->\s*(.*)", part):
            given = _split(call[2])
            args = dict(a.split("=", 1) for a in given if "=" in a)
            inputs = tuple(a for a in given if "=" not in a)
            statements.append(
                _Call(call[1], inputs, {k.strip(): ast.literal_eval(v) for k, v in args.items()}, _split(call[3]))
            )
        elif sparse := re.fullmatch(r"(\w+)\s*=\s*sparse\((.*)\)", part):
            statements.append(_Assign(sparse[1], _split(sparse[2])))
        elif plain := re.fullmatch(r"(\w+)\s*=\s*(\w+)", part):
            statements.append(_Assign(plain[1], (plain[2],)))
        else:
            raise ValueError(f"gradient line {line!r}: {part!r} is neither Type(inputs) -> outputs nor dX = dY")
    return tuple(statements)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part for part in (p.strip() for p in text.split(",")) if part)


def _from_line(cls: type[Operator], line: str, maker: GradientMaker) -> list[OperatorDef]:
    inputs = {port.name: i for i, port in enumerate(cls.parsed.inputs)}
    outputs = {port.name: i for i, port in enumerate(cls.parsed.outputs)}

    local: dict[str, str] = {}  # what the statements so far have written

    def source(name: str) -> str | None:
        optional, name = name.endswith("?"), name.rstrip("?")
        if name in local:
            return local[name]
        if name in inputs:
            index = inputs[name]
            if optional and index >= len(maker.def_.input):
                return None
            if maker.I(index) in maker.def_.output and len(maker.def_.input) == 1:
                raise GradientError(
                    f"the gradient of {cls.type} reads {name} ({maker.I(index)!r}), which the operator overwrites: "
                    "compute it out of place"
                )
            return maker.I(index)
        if name in outputs:
            return None if optional and outputs[name] >= len(maker.def_.output) else maker.O(outputs[name])
        if name.startswith("d") and name[1:] in outputs:
            return maker.GO(outputs[name[1:]])
        return name

    def target(name: str) -> str | None:
        optional, name = name.endswith("?"), name.rstrip("?")
        if name.startswith("d") and name[1:] in inputs:
            index = inputs[name[1:]]
            if optional and index >= len(maker.def_.input):
                return None
            local[name] = maker.GI(index)
            return local[name]
        return maker.GO(outputs[name[1:]]) if name.startswith("d") and name[1:] in outputs else name

    ops = []
    for statement in parse_line(line):
        if isinstance(statement, _Call):
            given = [name for name in map(source, statement.inputs) if name is not None]
            made = [name for name in map(target, statement.outputs) if name is not None]
            ops.append(maker.op(statement.type, given, made, **statement.args))
        else:
            index = inputs[statement.target[1:]]
            if index < len(maker.def_.input):
                values = [str(source(value)) for value in statement.values]
                maker.input_gradients[index] = values[0] if len(values) == 1 else GradientSlice(*values)
    return ops


def gradient_of(
    op: OperatorDef, output_gradients: Sequence[Gradient | None]
) -> tuple[list[OperatorDef], list[Gradient | None]]:
    """The gradient operators of one operator and the gradients of its inputs (None: none flows there).

    Raises GradientError where the operator has none registered, must not be asked, has none yet, or is not well formed.
    """
    cls = registry.get(op.type)
    try:
        cls.schema_of().verify(op)
    except SchemaError as error:
        raise GradientError(str(error)) from None
    maker = GradientMaker(op, output_gradients)
    make = getattr(cls, "make_gradient", None)
    if make is not None:
        ops = make(maker)
    elif isinstance(cls.gradient, str):
        ops = _from_line(cls, cls.gradient, maker)
    elif cls.gradient is NonGradient.NO_GRADIENT:
        return [], maker.input_gradients
    elif cls.gradient is None:
        raise GradientError(f"{op.type} has no gradient registered ({cls.declared})")
    else:
        raise GradientError(f"{op.type} {cls.gradient.value}")
    return [_inherit(made, op, cls.copy_arguments) for made in ops], maker.input_gradients


def _inherit(made: OperatorDef, op: OperatorDef, copy_arguments: bool) -> OperatorDef:
    changes: dict[str, Any] = {"args": {**op.args, **made.args}} if copy_arguments else {}
    for name in ("device_option", "engine"):
        if name in op.model_fields_set:
            changes[name] = getattr(op, name)
    if op.debug_info:
        changes["debug_info"] = op.debug_info
    return made.replace(**changes)
