"""What goes wrong, as exceptions."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caffe2ops.defs import OperatorDef


class OperatorError(RuntimeError):
    """An operator could not be created or run. The cause, where there is one, is `__cause__`.

    Attributes: `net` (name of the net, or None), `index` (position in the net, or None), `op` (the OperatorDef),
    `reason` (one sentence), `inputs` (descriptions of the input blobs at that time).
    """

    def __init__(
        self,
        reason: str,
        op: OperatorDef,
        inputs: tuple[str, ...] = (),
        net: str | None = None,
        index: int | None = None,
    ):
        self.reason, self.op, self.inputs, self.net, self.index = reason, op, inputs, net, index
        super().__init__(reason)

    def __str__(self) -> str:
        op = self.op
        where = f"{op.type} {op.name!r}" if op.name else op.type
        if self.net is not None:
            where = f"net {self.net!r}, operator {self.index}, {where}"
        lines = [f"{where}: {self.reason}"]
        if self.inputs:
            lines.append(f"  inputs: {', '.join(self.inputs)}")
        if op.output:
            lines.append(f"  outputs: {', '.join(op.output)}")
        if op.debug_info:
            lines.append(f"  debug info: {op.debug_info}")
        return "\n".join(lines)


class SchemaError(ValueError):
    """An operator definition that its schema refuses."""


class UnknownOperator(SchemaError):
    """No operator of that type, device or engine is registered."""


class UnknownShape(Exception):
    """A shape that inference does not know was asked for; inference answers unknown for the outputs."""


class BlobError(KeyError):
    """A blob is missing or holds something else than asked for."""

    def __str__(self) -> str:
        return str(self.args[0])


class GradientError(RuntimeError):
    """The gradient of a net or operator cannot be built."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The tail of a message: near names, or nothing."""
    near = get_close_matches(name, sorted(set(known)), n=4, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""
