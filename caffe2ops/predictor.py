"""Predictor: an init net run once, a predict net run as often as you like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from caffe2ops.dataflow import last_written, read_by
from caffe2ops.defs import DeviceOption, NetDef
from caffe2ops.errors import did_you_mean
from caffe2ops.workspace import Workspace, definition_of

if TYPE_CHECKING:
    from caffe2ops.formats import PredictorExport


class Predictor:
    """Runs a predict net.

    `init` gives the parameters: a NetDef that makes them, a mapping from name to array, or None. `run({name: array})`,
    or a sequence in the order of `inputs`, gives `{name: array}` for the outputs. The inputs are the external inputs
    that `init` does not make; where it makes them all, as exports with placeholders do, the order is that of the
    external inputs.
    """

    def __init__(
        self,
        init: NetDef | Mapping[str, Any] | None,
        net: Any,
        *,
        device: DeviceOption | None = None,
        workspace: Workspace | None = None,
        outputs: Sequence[str] = (),
    ):
        self.workspace = workspace or Workspace()
        self.definition = definition_of(net)
        self._device = device
        if isinstance(init, Mapping):
            for name, value in init.items():
                self.workspace.feed(name, value, device)
        elif init is not None:
            self.workspace.run(init, device=device)
        read = dict.fromkeys(read_by(self.definition))
        externals = self.definition.external_input or tuple(read)
        self.inputs = tuple(name for name in externals if not self.workspace.has(name))
        self._wanted = tuple(name for name in self.inputs if name in read)
        self.outputs = tuple(outputs) or self.definition.external_output or last_written(self.definition)
        for name in self.inputs:
            self.workspace.blob(name)
        self.net = self.workspace.create(self.definition, device=device, overwrite=True)

    @classmethod
    def of_export(cls, export: PredictorExport, device: DeviceOption | None = None) -> Predictor:
        """The predictor that a predictor file holds (what `load` gives for one)."""
        workspace = Workspace()
        workspace.run(global_init(export), device=device)
        return cls(export.blobs, export.net(), device=device, workspace=workspace, outputs=export.outputs)

    def run(self, feeds: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
        """Feeds, runs, and fetches the outputs. Raises ValueError for an input that is missing or not the net's."""
        takes = f"the net takes {', '.join(self.inputs) or 'none'}"
        if not isinstance(feeds, Mapping):
            if hasattr(feeds, "dtype") or isinstance(feeds, (str, bytes)):
                raise TypeError(f"one {type(feeds).__name__} given, wants a mapping or a list; {takes}")
            order = self.inputs or self.definition.external_input
            if len(feeds) > len(order):
                raise ValueError(f"{len(feeds)} inputs given, {takes}")
            feeds = dict(zip(order, feeds))
        for name in feeds:
            if name not in self.inputs and name not in self.definition.external_input:
                raise ValueError(f"{name!r} is no input, {takes}{did_you_mean(name, self.inputs)}")
        for name, value in feeds.items():
            self.workspace.feed(name, value, self._device)
        missing = [name for name in self._wanted if self.workspace.blob(name).value is None]
        if missing:
            raise ValueError(f"input {', '.join(map(repr, missing))} was not given; {takes}")
        self.net.run()
        return {name: self.workspace.fetch(name) for name in self.outputs}

    __call__ = run


def global_init(export: PredictorExport) -> NetDef:
    """The global init net of a predictor file, without the operators that load its blobs: those are in the export."""
    from caffe2ops.formats.predictor import DBREADER, GLOBAL_INIT_NET

    nets = {entry.key: entry.value for entry in export.meta.nets}
    net = nets.get(GLOBAL_INIT_NET, NetDef())
    rest = tuple(op for op in net.op if DBREADER not in op.input)
    return net.replace(op=rest, external_input=(), external_output=())
