"""Net: builds a NetDef operator by operator.

    net = Net("mlp")
    hidden = net.Relu(net.FC(["X", "W", "b"]))
    net.Softmax(hidden, "Y")

Every registered operator type is a method: inputs, outputs (a name, a list of names, how many, or none to name it after
the operator), arguments by name. It returns a reference to the output blob, a tuple of them for several. What an
operator does not
accept (argument, count, in-place pair) is refused here. Building runs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caffe2ops import registry
from caffe2ops.defs import DeviceOption, NetDef, OperatorDef
from caffe2ops.methods import BlobRef, OperatorMethods

if TYPE_CHECKING:
    from caffe2ops.gradient import Gradient


def create_operator(
    type: str,
    inputs: Any = (),
    outputs: Any = (),
    *,
    name: str = "",
    device_option: DeviceOption | None = None,
    engine: str = "",
    control_input: Sequence[str] = (),
    debug_info: str = "",
    **args: Any,
) -> OperatorDef:
    """An OperatorDef that its operator accepts. Raises SchemaError for what it does not."""
    options: dict[str, Any] = dict(
        device_option=device_option, engine=engine, control_input=control_input, debug_info=debug_info
    )
    given = {key: value for key, value in options.items() if value}
    op = OperatorDef(type=type, input=inputs, output=outputs, name=name, args=args, **given)
    registry.get(type)(op, strict=True)
    return op


class Net(OperatorMethods):
    """A net under construction; `definition` is its NetDef so far."""

    def __init__(
        self, name: str = "net", definition: NetDef | None = None, *, device_option: DeviceOption | None = None
    ):
        self._definition = definition or NetDef(name=name)
        if device_option:
            self._definition = self._definition.replace(device_option=device_option)
        self._ops: list[OperatorDef] = list(self._definition.op)
        self._external_input = list(self._definition.external_input)
        self._external_output = list(self._definition.external_output)
        self._counts: dict[str, int] = {}  # of names made after one
        self._names = {name for op in self._ops for name in (*op.input, *op.output)} | set(self._external_input)

    @property
    def name(self) -> str:
        return self._definition.name

    @property
    def definition(self) -> NetDef:
        """The NetDef: external inputs are those declared and every blob that is read before it is written."""
        changes: dict[str, Any] = {"op": tuple(self._ops), "external_input": self.inputs()}
        if self._external_output:
            changes["external_output"] = tuple(self._external_output)
        return self._definition.replace(**changes)

    def inputs(self) -> tuple[str, ...]:
        written: set[str] = set()
        found = dict.fromkeys(self._external_input)
        for op in self._ops:
            found.update(dict.fromkeys(name for name in op.input if name not in written))
            written.update(op.output)
        return tuple(found)

    def add_input(self, *names: str) -> None:
        """Declares external inputs, in this order."""
        self._external_input += [str(name) for name in names if name not in self._external_input]
        self._names.update(names)

    def add_output(self, *names: str) -> None:
        """Declares external outputs, in this order."""
        self._external_output += [str(name) for name in names if name not in self._external_output]

    def extend(self, ops: Sequence[OperatorDef]) -> None:
        """Appends operators as they are."""
        self._ops += ops
        self._names.update(name for op in ops for name in (*op.input, *op.output))

    def add(self, type: str, inputs: Any = (), outputs: Any = None, **options: Any) -> Any:
        """Appends an operator; `options` are its arguments and those of `create_operator`."""
        if outputs is None:
            outputs = registry.get(type).schema_of().min_output
        if isinstance(outputs, int):
            outputs = [self.fresh(type if outputs == 1 else f"{type}_{i}") for i in range(outputs)]
        op = create_operator(type, inputs, outputs, **options)
        self.extend([op])
        made = tuple(BlobRef(name) for name in op.output)
        return made[0] if len(made) == 1 else made

    def fresh(self, stem: str) -> str:
        """A blob name that the net does not use: net/stem, net/stem_1, ..."""
        base = f"{self.name}/{stem}"
        count = self._counts.get(base, 0)
        while (name := f"{base}_{count}" if count else base) in self._names:
            count += 1
        self._counts[base] = count
        self._names.add(name)
        return name

    def add_gradients(self, losses: Any) -> dict[str, Gradient]:
        """Appends the gradient operators of `losses`; gives the map from blob to its gradient."""
        from caffe2ops.gradient import add_gradients

        return add_gradients(self, losses)[1]

    def __str__(self) -> str:
        lines = [f"net {self.name!r}"]
        for op in self._ops:
            args = ", ".join(f"{key}={value!r}" for key, value in op.args.items())
            lines.append(f"  {', '.join(op.output)} = {op.type}({', '.join(op.input)}{'; ' if args else ''}{args})")
        return "\n".join(lines)
