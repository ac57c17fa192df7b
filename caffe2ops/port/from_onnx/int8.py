"""Quantised models as Caffe2's Int8 operators: which tensors are Int8 ones, and what is computed between them.

In such a model QuantizeLinear and DequantizeLinear stand around nodes of floats, and everything is walked as floats.
Where the node before a QuantizeLinear has dequantised inputs, an Int8 operator is added that says all of them; what
nothing reads in the end is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.int8_operators import LAST, MOVING, OPERATORS, Unit, limits
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.values import NotPortable, Value

Values = Sequence[Value | None]


class Int8:
    """The Int8 tensors of an import; images have their channels last."""

    def __init__(self) -> None:
        self.of: dict[Value, Value] = {}  # the Int8 tensor of a Value of bytes
        self.makers: dict[Value, tuple[Node, Values]] = {}
        self.named: list[tuple[Value, Value]] = []  # whose name an Int8 tensor takes, if that is dropped
        self.left: dict[tuple[str, str], list[str]] = {}  # nodes that stay floats, by operator and reason

    def see(self, g: Builder, node: Node, inputs: Values, results: list[Value | None]) -> None:
        """Adds what says a node in 8 bits, where there is something."""
        first = results[0] if results and g.parent is None else None
        if first is None:
            return
        x = inputs[0] if inputs else None
        if node.type == "QuantizeLinear" and x is not None:
            self._quantise(g, x, inputs[1], inputs[2] if len(inputs) > 2 else None, first)
        elif node.type == "DequantizeLinear" and x in self.of:
            results[0] = dequantised(g, self.of[x], first)
        elif node.type in ("QLinearConv", "QLinearMatMul"):
            x, _, _, w, w_scale, w_zero, scale, zero, *bias = inputs
            found = quantisation(scale, zero)
            if found and x in self.of:
                tensors = [self.of[x], None if w is None else constant(w, w_scale, w_zero), None]
                self._add(g, Unit(g, node, [x, w, *bias], tensors, [x, w, *bias], *found), first)
        elif node.type in MOVING and x in self.of and x is not first:
            tensors = [None if v is None else self.of.get(v) for v in inputs]
            self._add(g, Unit(g, node, list(inputs), tensors, list(inputs), *self.of[x].quantisation()), first)
        self.remember(node, inputs, results)

    def remember(self, node: Node, inputs: Values, results: Values) -> None:
        """Keeps which node gives these values."""
        self.makers.update({value: (node, inputs) for value in results if value is not None and value not in inputs})

    def finish(self, g: Builder, env: Mapping[str, Value]) -> dict[str, Value]:
        """Gives Int8 tensors the names of what they stand for, where that is dropped; the tensors by the model's names.

        `env` are all values of the model by name.
        """
        there = {v for step in g.steps for v in (*step.inputs, *step.outputs)}
        for plain, tensor in (*self.named, *self.of.items()):
            if tensor in there and plain not in there:
                plain.name, tensor.name = tensor.name, plain.name
        return {name: self.of[plain] for name, plain in env.items() if self.of.get(plain) in there}

    @property
    def notes(self) -> list[str]:
        """What stays floats, and why."""
        return [
            f"{len(names)} {kind} in floats ({', '.join(names[:3])}{', ...' * (len(names) > 3)}): {reason}"
            for (kind, reason), names in self.left.items()
        ]

    def _quantise(self, g: Builder, x: Value, scale: Any, zero: Any, plain: Value) -> None:
        found = quantisation(scale, zero, plain.dtype)
        if found is None or x.dtype != np.float32 or not x.has_rank:
            return
        unit = self._unit(g, x, *found)
        if unit is None or not self._add(g, unit, plain):
            made = g.Int8Quantize(g.NCHW2NHWC(x) if x.rank == 4 else x, Y_scale=found[0], Y_zero_point=found[1])
            self._settle(plain, made, found)

    def _unit(self, g: Builder, x: Value, scale: Any, zero: int) -> Unit | None:
        """What gives a Value that is quantised next, if all that it is computed from is quantised; a bound of it that
        lies where the bytes end is none."""
        if x not in self.makers:
            return None
        node, inputs = self.makers[x]
        relu = False
        if inputs and inputs[0] in self.makers and self.makers[inputs[0]][0].type != "DequantizeLinear":
            low, high = limits(node, inputs, scale, zero)
            if low in (0, zero) and high == 255:
                relu, (node, inputs) = low == zero, self.makers[inputs[0]]
        pairs = [self._tensor(v) for v in inputs]
        if not any(t is not None and t.array is None for _, t in pairs):
            return None
        return Unit(g, node, list(inputs), [t for _, t in pairs], [s for s, _ in pairs], scale, zero, relu)

    def _tensor(self, value: Value | None) -> tuple[Value | None, Value | None]:
        """What a Value of floats is dequantised from, and its Int8 tensor, maybe a constant; or itself and None."""
        node, inputs = self.makers.get(value, (None, ())) if value is not None else (None, ())
        if node is None or node.type != "DequantizeLinear" or inputs[0] is None:
            return value, None
        x, scale, zero = inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None
        return x, self.of.get(x) if x.array is None else constant(x, scale, zero)

    def _add(self, g: Builder, unit: Unit, plain: Value) -> bool:
        """Adds an Int8 operator for a Value of bytes; whether there is one that fits."""
        count, names = len(g.steps), set(g.names.taken)
        try:
            if unit.node.type not in OPERATORS:
                raise NotPortable("Caffe2 has no Int8 operator of it")
            made = OPERATORS[unit.node.type](unit)
        except ValueError as error:
            del g.steps[count:]
            g.names.taken = names
            self.left.setdefault((unit.node.type, str(error)), []).append(unit.node.name)
            return False
        self.named += unit.named
        self._settle(plain, made, (unit.scale, unit.zero))
        return True

    def _settle(self, plain: Value, made: Value, quantised: tuple[Any, int]) -> None:
        made.quantised, made.dtype = quantised, np.dtype(np.uint8)
        made.shape = [plain.shape[i] for i in LAST] if plain.rank == 4 else plain.shape
        self.of[plain] = made


def dequantised(g: Builder, x: Value, plain: Value) -> Value:
    """The floats of an Int8 tensor, as the model has them."""
    found = g.Int8Dequantize(x)
    found.shape = x.shape
    found = g.NHWC2NCHW(found) if x.rank == 4 else found
    found.shape = plain.shape
    return found


def quantisation(scale: Value | None, zero: Value | None, dtype: Any = None) -> tuple[Any, int] | None:
    """Scale and zero point of an Int8 tensor, None where there are several, or where they are computed; signed bytes
    are shifted by 128."""
    if scale is None or scale.array is None or scale.array.size != 1 or scale.dtype != np.float32:
        return None
    if zero is not None and (zero.array is None or zero.array.size != 1):
        return None
    kind = dtype or (np.dtype(np.uint8) if zero is None else zero.dtype)
    if kind not in (np.uint8, np.int8):
        return None
    at = 0 if zero is None or zero.array is None else int(zero.array.item())
    return float(scale.array.item()), at + 128 * (kind == np.int8)


def constant(x: Value, scale: Value | None, zero: Value | None) -> Value | None:
    """A constant of bytes as an Int8 tensor, None where it is none."""
    found = quantisation(scale, zero, x.dtype)
    if found is None or x.array is None:
        return None
    array = x.array if x.dtype == np.uint8 else (x.array.astype(np.int16) + 128).astype(np.uint8)
    made = Value(x.name, np.uint8, array.shape, array)
    made.quantised = found
    return made
