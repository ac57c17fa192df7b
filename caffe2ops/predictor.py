"""Predictor: an init net run once, a predict net run as often as you like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caffe2ops.defs import DeviceOption, NetDef
from caffe2ops.errors import did_you_mean
from caffe2ops.workspace import Workspace, definition_of


class Predictor:
    """Runs a predict net.

    `init` gives the parameters: a NetDef that makes them, a mapping from name to array, or None. `run({name:
    array})`, or a sequence in the
    order of `inputs`, gives `{name: array}` for the external outputs. The inputs are the external inputs that `init`
    does not make.
    """

    def __init__(
        self,
        init: NetDef | Mapping[str, Any] | None,
        net: Any,
        *,
        device: DeviceOption | None = None,
        workspace: Workspace | None = None,
    ):
        self.workspace = workspace or Workspace()
        self.definition = definition_of(net)
        self._device = device
        if isinstance(init, Mapping):
            for name, value in init.items():
                self.workspace.feed(name, value, device)
        elif init is not None:
            self.workspace.run(init, device=device)
        written: set[str] = set()
        needed: list[str] = []
        for op in self.definition.op:
            needed += [name for name in op.input if name not in written]
            written.update(op.output)
        externals = self.definition.external_input or tuple(dict.fromkeys(needed))
        self.inputs = tuple(name for name in externals if not self.workspace.has(name))
        self.outputs = self.definition.external_output or (self.definition.op[-1].output if self.definition.op else ())
        for name in self.inputs:
            self.workspace.blob(name)
        self.net = self.workspace.create(self.definition, device=device, overwrite=True)

    def run(self, feeds: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
        """Feeds, runs, and fetches the external outputs. Raises ValueError for an input that is missing or not the
        net's."""
        if not isinstance(feeds, Mapping):
            if len(feeds) > len(self.inputs):
                raise ValueError(
                    f"{len(feeds)} inputs given, the net takes {len(self.inputs)}: {', '.join(self.inputs)}"
                )
            feeds = dict(zip(self.inputs, feeds))
        for name in feeds:
            if name not in self.inputs and name not in self.definition.external_input:
                raise ValueError(
                    f"{name!r} is no input of the net, it takes {', '.join(self.inputs)}{did_you_mean(name, self.inputs)}"
                )
        for name, value in feeds.items():
            self.workspace.feed(name, value, self._device)
        missing = [name for name in self.inputs if self.workspace.blob(name).value is None]
        used = {name for op in self.definition.op for name in op.input}
        missing = [name for name in missing if name in used]
        if missing:
            raise ValueError(
                f"input {', '.join(map(repr, missing))} was not given; the net takes {', '.join(self.inputs)}"
            )
        self.net.run()
        return {name: self.workspace.fetch(name) for name in self.outputs}

    __call__ = run
