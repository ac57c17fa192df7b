"""What from_onnx gives: the two nets, and how the model's inputs and outputs map to their blobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from caffe2ops import formats
from caffe2ops.defs import NetDef
from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.parameters import parameter
from caffe2ops.port.values import Value
from caffe2ops.workspace import Workspace


@dataclass
class Imported:
    """An imported model. `init` makes the parameters, `net` computes; `save` writes both.

    `model` is the ModelProto; `given` and `outputs` map the names of its inputs and outputs to the Values that stand
    for them, whose `name` is the blob's.
    """

    model: Any = field(repr=False)
    builder: Builder = field(repr=False)
    given: dict[str, Value]
    outputs: dict[str, Value]
    name: str
    constants: dict[str, Any] = field(default_factory=dict, repr=False)  # of inputs that became parameters, by name
    notes: list[str] = field(default_factory=list)  # where Caffe2 may do something else than ONNX
    int8: dict[str, Value] = field(default_factory=dict)  # Int8 tensors, by the names of the model's tensors of bytes

    @property
    def inputs(self) -> list[Value]:
        """What must be fed."""
        return list(self.given.values())

    @cached_property
    def parameters(self) -> list[Value]:
        """The constants that the net reads."""
        return [value for value in self.builder.read() if value.array is not None]

    @cached_property
    def init(self) -> NetDef:
        """The net that makes the parameters."""
        ops = tuple(op for value in self.parameters for op in parameter(value))
        return NetDef(name=f"{self.name}_init", op=ops, external_output=tuple(v.name for v in self.parameters))

    @cached_property
    def net(self) -> NetDef:
        """The net that computes the outputs."""
        inputs = [v.name for v in (*self.inputs, *self.parameters)]
        return self.builder.net(self.name, inputs, [v.name for v in self.outputs.values()])

    def workspace(self) -> Workspace:
        """A workspace with the parameters in it."""
        workspace = Workspace()
        workspace.run(self.init)
        return workspace

    def run(self, feeds: Mapping[str, Any], workspace: Workspace | None = None) -> dict[str, Any]:
        """The model's outputs by name, for inputs by name."""
        workspace = workspace or self.workspace()
        for name, value in feeds.items():
            workspace.feed(self.given[name].name if name in self.given else name, value)
        workspace.run(self.net)
        return {name: workspace.fetch(value.name) for name, value in self.outputs.items()}

    def save(self, init: str | Path, predict: str | Path | None = None) -> list[Path]:
        """Writes both nets: to two files, or to init_net.pb and predict_net.pb in a folder. Gives the files."""
        if predict is None:
            folder = Path(init)
            folder.mkdir(parents=True, exist_ok=True)
            init, predict = folder / "init_net.pb", folder / "predict_net.pb"
        formats.dump(self.init, init)
        formats.dump(self.net, predict)
        return [Path(init), Path(predict)]
