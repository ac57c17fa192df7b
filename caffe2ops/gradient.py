"""The backward pass: a walk over the SSA versions of a net's blobs that adds gradient operators.

Names and order follow Caffe2's own backward pass: a gradient of X is X_grad, uses of one version of a blob are summed
into the first generated name and the others renamed _X_grad_autosplit_N, several sparse gradients are concatenated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from caffe2ops.defs import DeviceOption, NetDef, OperatorDef
from caffe2ops.errors import GradientError
from caffe2ops.gradient_rules import Gradient, GradientSlice, gradient_of

__all__ = ["Gradient", "GradientSlice", "add_gradients", "backward", "gradient_of"]

AUTO_SUM = "is_auto_gen_sum_ops:1"


class _Op:
    """A generated operator, whose outputs may still be renamed."""

    def __init__(self, op: OperatorDef):
        self.op = op

    def rename(self, i: int, name: str) -> str:
        self.op = self.op.replace(output=(*self.op.output[:i], name, *self.op.output[i + 1 :]))
        return name


class _Dense(NamedTuple):
    op: _Op | None
    at: int
    gradient: str
    device: DeviceOption | None


class _Sparse(NamedTuple):
    indices_op: _Op | None
    indices_at: int
    values_op: _Op | None
    values_at: int
    gradient: GradientSlice
    device: DeviceOption | None


@dataclass
class _Played:
    """A forward operator with the versions of its inputs and outputs at that time."""

    op: OperatorDef
    inputs: dict[str, int]
    outputs: dict[str, int]


@dataclass
class _Tape:
    """The forward operators in SSA form, and what has been generated for each version of each blob."""

    played: list[_Played] = field(default_factory=list)
    uses: dict[tuple[str, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    version: dict[str, int] = field(default_factory=dict)
    writer: dict[str, int] = field(default_factory=dict)  # the operator that writes a blob last
    gradient_version: dict[str, int] = field(default_factory=dict)
    generators: dict[tuple[str, int], list[_Dense | _Sparse]] = field(default_factory=lambda: defaultdict(list))

    def play(self, op: OperatorDef) -> None:
        inputs = {name: self.version.setdefault(name, 0) for name in op.input}
        for name in op.input:
            self.uses[name, inputs[name]].append(len(self.played))
        outputs = {}
        for name in op.output:
            self.writer[name] = len(self.played)
            self.version[name] = outputs[name] = self.version[name] + 1 if name in self.version else 0
        self.played.append(_Played(op, inputs, outputs))

    def check_input(
        self, name: str, step: _Played, output_gradients: Sequence[Gradient | None], local: set[str]
    ) -> None:
        """A gradient operator must find each of its inputs at the version that the forward operator saw or wrote."""
        index = _index_of(output_gradients, name)
        if index is not None:
            blob = step.op.output[index]
            wanted, now = step.outputs[blob], self.gradient_version.get(blob, 0)
            what = f"gradient {name!r} of {blob!r}"
        elif name in step.outputs or name in step.inputs:
            wanted = step.outputs[name] if name in step.outputs else step.inputs[name]
            now, what = self.version.get(name, 0), f"blob {name!r}"
        elif name in local:
            return
        else:
            raise GradientError(
                f"the gradient of {step.op.type} reads {name!r}, which is neither of that operator nor made for it"
            )
        if wanted != now:
            raise GradientError(
                f"the gradient of {step.op.type} needs {what} at version {wanted}, but it has been overwritten since: "
                f"it is at version {now}"
            )

    def generate(
        self, index: int, gradients: Mapping[str, Gradient | None]
    ) -> tuple[list[_Op], dict[str, Gradient | None]]:
        """The gradient operators of forward operator `index`, and the gradients that its inputs get."""
        step = self.played[index]
        incoming = [gradients.get(name) for name in step.op.output]
        if all(g is None for g in incoming) and step.op.type != "ZeroGradient":
            return [], {}
        made, outgoing = gradient_of(step.op, incoming)
        written = {name for op in made for name in op.output}
        needed: set[Gradient | None] = set()
        if not written.isdisjoint(incoming):
            needed = {
                g for name, g in gradients.items() if name not in step.op.output and self.writer.get(name, -1) < index
            }
        ops = [_Op(op) for op in _spared(made, {g for g in incoming if isinstance(g, str)} & needed)]
        self._record(step, ops, incoming, outgoing)
        found: dict[str, Gradient | None] = {}
        for name, gradient in zip(step.op.input, outgoing):
            if gradient is not None or name not in gradients or name in step.op.output:
                found[name] = gradient
        return ops, found

    def _record(
        self, step: _Played, ops: list[_Op], incoming: Sequence[Gradient | None], outgoing: Sequence[Gradient | None]
    ) -> None:
        local: set[str] = set()
        sparse: dict[int, _Sparse] = {}
        for op in ops:
            for name in op.op.input:
                self.check_input(name, step, incoming, local)
            local.update(op.op.output)
            for i, name in enumerate(op.op.output):
                k = _index_of(outgoing, name)
                if k is None:
                    continue
                gradient = outgoing[k]
                if isinstance(gradient, GradientSlice):
                    old = sparse.get(k, _Sparse(None, 0, None, 0, gradient, op.op.device_option))
                    if name == gradient.indices:
                        sparse[k] = old._replace(indices_op=op, indices_at=i)
                    else:
                        sparse[k] = old._replace(values_op=op, values_at=i)
                else:
                    assert gradient is not None
                    self._add(step, k, _Dense(op, i, gradient, op.op.device_option))
        for k, generator in sparse.items():
            self._add(step, k, generator)
        for k, gradient in enumerate(outgoing):
            if isinstance(gradient, GradientSlice):
                if gradient.indices not in local and gradient.values not in local:
                    self._add(step, k, _Sparse(None, 0, None, 0, gradient, step.op.device_option))
            elif gradient is not None and gradient not in local:
                self._add(step, k, _Dense(None, 0, gradient, step.op.device_option))
        for k, gradient in enumerate(outgoing):
            if gradient is not None:
                self.gradient_version[step.op.input[k]] = step.inputs[step.op.input[k]]

    def _add(self, step: _Played, k: int, generator: _Dense | _Sparse) -> None:
        name = step.op.input[k]
        self.generators[name, step.inputs[name]].append(generator)

    def accumulate(self, index: int) -> tuple[list[_Op], dict[str, Gradient]]:
        """Sums of the gradients of blobs whose first use is forward operator `index`."""
        ops: list[_Op] = []
        found: dict[str, Gradient] = {}
        step = self.played[index]
        for name in dict.fromkeys(step.op.input):
            key = (name, step.inputs[name])
            uses, generators = self.uses[key], self.generators[key]
            if len(uses) <= 1 or uses[0] != index or not _several(name, generators):
                continue
            base = _sum_name(generators, name)
            dense = isinstance(generators[0], _Dense)
            made, found[name] = _sum_dense(generators, base) if dense else _concat_sparse(generators, base)
            device = generators[0].device or DeviceOption()
            device = device.replace(extra_info=(*device.extra_info, AUTO_SUM))
            ops += [_Op(op.replace(device_option=device)) for op in made]
        return ops, found


def _spared(ops: Sequence[OperatorDef], needed: set[str]) -> list[OperatorDef]:
    """The operators, writing elsewhere where they would overwrite a gradient that is still needed (Caffe2 does)."""
    names: dict[str, str] = {}
    made = []
    for op in ops:
        inputs = tuple(names.get(name, name) for name in op.input)
        names |= {name: f"_{name}_spared" for name in op.output if name in needed}
        made.append(op.replace(input=inputs, output=tuple(names.get(name, name) for name in op.output)))
    return made


def _index_of(gradients: Sequence[Gradient | None], name: str) -> int | None:
    for i, gradient in enumerate(gradients):
        if name == gradient or (isinstance(gradient, GradientSlice) and name in gradient):
            return i
    return None


def _several(name: str, generators: Sequence[_Dense | _Sparse]) -> bool:
    if len({type(g) for g in generators}) > 1:
        raise GradientError(f"blob {name!r} gets both dense and sparse gradients, which cannot be added up")
    if len(generators) < 2:
        return False
    devices = [g.device for g in generators if g.device is not None]
    if any((d.device_type, d.device_id) != (devices[0].device_type, devices[0].device_id) for d in devices[1:]):
        raise GradientError(f"the gradients of blob {name!r} are made on different devices")
    return True


def _sum_name(generators: Sequence[_Dense | _Sparse], name: str) -> str:
    for g in generators:
        if isinstance(g, _Dense):
            if g.op:
                return g.op.op.output[g.at]
        elif g.indices_op:
            return g.indices_op.op.output[g.indices_at].removesuffix("_indices")
        elif g.values_op:
            return g.values_op.op.output[g.values_at].removesuffix("_values")
    return f"{name}_grad"


def _passed_on(base: str, name: str) -> str:
    if base == name:
        raise GradientError(
            f"gradient {name!r} is passed on by an operator and also the name of the sum it would go into"
        )
    return name


def _split_name(op: _Op, index: int, count: int) -> str:
    return op.rename(index, f"_{op.op.output[index]}_autosplit_{count}")


def _sum_dense(generators: Sequence[Any], base: str) -> tuple[list[OperatorDef], Gradient]:
    inputs: list[str] = []
    made = 0
    for g in generators:
        if g.op is None:
            inputs.append(_passed_on(base, g.gradient))
        else:
            inputs.append(g.op.op.output[g.at] if made == 0 else _split_name(g.op, g.at, made - 1))
            made += 1
    if base in inputs:  # Sum works in place on its first input
        i = inputs.index(base)
        inputs[0], inputs[i] = inputs[i], inputs[0]
    return [OperatorDef(type="Sum", input=tuple(inputs), output=(base,), name="")], base


def _concat_sparse(generators: Sequence[Any], base: str) -> tuple[list[OperatorDef], Gradient]:
    names: dict[str, list[str]] = {"indices": [], "values": []}
    made = {"indices": 0, "values": 0}
    for g in generators:
        for part, op, index in (("indices", g.indices_op, g.indices_at), ("values", g.values_op, g.values_at)):
            if op is None:
                names[part].append(_passed_on(base, getattr(g.gradient, part)))
            else:
                names[part].append(_split_name(op, index, made[part]))
                made[part] += 1
    ops = [
        OperatorDef(
            type="Concat",
            input=tuple(inputs),
            output=(f"{base}_{part}_concat", f"{base}_{part}_concat_split"),
            name="",
            args={"axis": 0},
        )
        for part, inputs in names.items()
    ]
    return ops, GradientSlice(f"{base}_indices_concat", f"{base}_values_concat")


def backward(
    ops: Sequence[OperatorDef], ys: Sequence[str] | Mapping[str, Gradient | None]
) -> tuple[list[OperatorDef], dict[str, Gradient]]:
    """The gradient operators of a sequence of operators and the map from blob to its gradient.

    `ys` are the blobs to differentiate: a list (a gradient of ones is generated for each) or a mapping to the name of
    the given
    gradient (None: ones). Raises GradientError.
    """
    if isinstance(ys, str):
        raise TypeError("ys: wants a list of blobs or a mapping from blob to gradient")
    wanted: dict[str, Gradient | None] = (
        {str(y): g if g is None or isinstance(g, GradientSlice) else str(g) for y, g in ys.items()}
        if isinstance(ys, Mapping)
        else {str(y): None for y in ys}
    )
    tape = _Tape()
    for op in ops:
        tape.play(op)
    read = {name for name, _ in tape.uses}
    for op in ops:
        if op.type == "StopGradient" and op.output[0] not in read:
            raise GradientError(
                f"nothing reads the output {op.output[0]!r} of StopGradient, so it stops nothing; "
                f"it is usually computed in place, with input and output {op.input[0]!r}"
            )
    made: list[_Op] = []
    gradients: dict[str, Gradient | None] = {}
    for y, given in wanted.items():
        version = tape.version.setdefault(y, 0)
        tape.gradient_version[y] = version
        tape.uses[y, version].append(len(tape.played))
        if given is None:
            given = f"{y}_autogen_grad"
            fill = _Op(OperatorDef(type="ConstantFill", input=(y,), output=(given,), name="", args={"value": 1.0}))
            made.append(fill)
            tape.generators[y, version].append(_Dense(fill, 0, given, None))
        gradients[y] = given
    for index in reversed(range(len(tape.played))):
        for step in (tape.generate(index, gradients), tape.accumulate(index)):
            made += step[0]
            gradients.update(step[1])
    return [op.op for op in made], {name: g for name, g in gradients.items() if g is not None}


def add_gradients(
    net: Any, losses: Sequence[str] | Mapping[str, Gradient | None], skip: int = 0
) -> tuple[NetDef, dict[str, Gradient]]:
    """A net with the gradient operators of `losses` appended (those of the first `skip` operators left out), and the
    map from
    blob to gradient. `net` is a NetDef or a builder; a builder is extended in place as well."""
    definition = net if isinstance(net, NetDef) else net.definition
    ops, gradients = backward(definition.op[skip:], losses)
    if not isinstance(net, NetDef):
        net.extend(ops)
        return net.definition, gradients
    return definition.replace(op=(*definition.op, *ops)), gradients
