"""What a net is made of while it is being built: operators, the nets that they hold, the names that are taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from caffe2ops.build import create_operator
from caffe2ops.defs import NetDef, OperatorDef
from caffe2ops.port.values import Value

if TYPE_CHECKING:
    from caffe2ops.port.from_onnx.builder import Builder


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
        inputs, outputs = ([v.name for v in values] for values in (self.inputs, self.outputs))
        nets: dict[str, Any] = {name: body.net() for name, body in self.bodies.items()}
        return create_operator(self.type, inputs, outputs, name=self._named(), **self.args, **nets)

    def _named(self) -> str:
        """The name, in which Pool, and Conv at the front, make Caffe2 want a kernel of these, too."""
        if self.type != "PadImage" and "global_pooling" not in self.args:
            return self.name
        name = self.name.replace("Pool", "pool")
        return name.replace("Conv", "conv", 1) if name.startswith("Conv") else name


@dataclass
class Body:
    """A net that an operator holds; no two have one name, which Caffe2 would take for the same net."""

    name: str
    builder: Builder
    inputs: list[Value]
    outputs: list[Value]

    def read(self) -> list[Value]:
        """What comes from outside."""
        known = {*self.inputs, *(v for step in self.builder.steps for v in step.outputs)}
        return [v for v in dict.fromkeys((*self.builder.read(), *self.outputs)) if v not in known]

    def net(self) -> NetDef:
        inputs = [v.name for v in (*self.inputs, *self.read())]
        return self.builder.net(self.name, inputs, [v.name for v in self.outputs])
