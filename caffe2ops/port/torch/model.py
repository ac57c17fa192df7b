"""What to_torch gives: the source of the module with its weights, and writing both to files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

import caffe2ops
from caffe2ops.defs import NetDef
from caffe2ops.port.packages import need
from caffe2ops.port.torch.text import WIDTH, class_name, fold, laid_out, literal
from caffe2ops.port.torch.values import Steps
from caffe2ops.port.torch.writer import WORD, Source
from caffe2ops.port.values import Value


@dataclass
class TorchModel:
    """A ported net. `save` writes it.

    `net` is the part of the net that was ported, `parameters` are the blobs that it finds in the workspace; `outputs`
    the blobs that forward gives, in order. `written` holds statements, functions, weights and notes; `steps` what the
    bytes of outputs mean that are quantised.
    """

    net: NetDef
    parameters: dict[str, Any]
    inputs: list[Value]
    arguments: list[str]
    outputs: tuple[str, ...]
    results: list[str]
    written: Source
    steps: dict[str, Steps] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What the source cannot do as Caffe2 did, and what was left out."""
        return self.written.notes

    @property
    def class_name(self) -> str:
        return class_name(self.net.name)

    @property
    def running(self) -> dict[str, str]:
        """The blobs of running statistics that a run in training mode updates, and their entries of the weights."""
        states = ((key.partition("."), state.blob) for key, state in self.written.states.items())
        return {
            blob: f"{module}.{entry}"
            for (module, _, entry), blob in states
            if module in self.written.training and entry.startswith("running_")
        }

    def weights(self) -> dict[str, np.ndarray[Any, Any]]:
        """The entries of the weights file."""
        return {key: np.asarray(state.array, order="C") for key, state in self.written.states.items()}

    def save(self, path: str | Path) -> list[Path]:
        """Writes the source, and its weights beside it (the same name with .safetensors). Gives the files written."""
        path = Path(path)
        path.write_text(self.source(), encoding="utf-8")
        if not self.written.states:
            return [path]
        beside = path.with_suffix(".safetensors")
        need("safetensors.numpy").save_file(self.weights(), str(beside))
        return [path, beside]

    def source(self) -> str:
        """The text of the module."""
        forward = self.written.forward(self.results)
        body = "\n".join([*self._functions(forward), *self._class(forward), *self._load()])
        return "\n".join([*self._docstring(), *self._imports(body), body, ""])

    def _docstring(self) -> Iterator[str]:
        name = self.net.name or "net"
        yield f'"""{_plain(name)}: a Caffe2 net as a PyTorch module, ported by caffe2ops {caffe2ops.__version__}.'
        yield ""
        inputs = "; ".join(f"{_plain(v.name)} {v.dtype}[{_dims(v)}]{_meaning(v.quantised)}" for v in self.inputs)
        yield from wrap(f"Inputs: {inputs or 'none'}.", WIDTH)
        outputs = "; ".join(f"{_plain(name)}{_meaning(self.steps.get(name))}" for name in self.outputs)
        yield from wrap(f"Outputs: {outputs}.", WIDTH)
        for note in self.notes:
            yield from wrap(f"Note: {_plain(note)}.", WIDTH)
        yield '"""'
        yield ""

    def _imports(self, body: str) -> Iterator[str]:
        used = set(re.findall(r"(?<![\w.])(\w+)\.", body))  # blobs may have these names: self.math.sum()
        standard = ["import math"] if "math" in used else []
        if self.written.states:
            standard.append("from pathlib import Path")
        if standard:
            yield from standard
            yield ""
        if "torch" in used:
            yield "import torch"
        if "F" in used:
            yield "import torch.nn.functional as F"
        if self.written.states:
            yield "from safetensors.torch import load_file"
        yield "from torch import Tensor, nn"
        yield ""
        if self.written.states:
            yield 'WEIGHTS = Path(__file__).with_suffix(".safetensors")'
            yield ""
        yield ""

    def _functions(self, forward: list[str]) -> Iterator[str]:
        """The functions that forward calls, and those that these call, which stand before them."""
        used, kept = set(WORD.findall("\n".join(forward))), []
        for name, text in reversed(self.written.functions.items()):
            if name in used:
                used.update(WORD.findall(text))
                kept.append(text)
        for text in reversed(kept):
            yield from (text, "", "")

    def _class(self, forward: list[str]) -> Iterator[str]:
        yield f"class {self.class_name}(nn.Module):"
        if self.written.buffers:
            yield from (f"    {name}: Tensor" for name in self.written.buffers)
            yield ""
        if self.written.init:
            yield "    def __init__(self) -> None:"
            yield "        super().__init__()"
            yield from self.written.init
            yield ""
        gives = "Tensor" if len(self.results) == 1 else f"tuple[{', '.join(['Tensor'] * len(self.results))}]"
        arguments = ["self", *(f"{name}: Tensor" for name in self.arguments)]
        line = f"    def forward({', '.join(arguments)}) -> {gives}:"
        if len(line) <= WIDTH:
            yield line
        else:
            yield "    def forward("
            yield from (f"        {argument}," for argument in arguments)
            yield from laid_out(") -> ", gives, ":", 1, bare=False)
        yield from forward
        yield from fold(f"return {', '.join(self.results)}", 2)
        yield from ("", "")

    def _load(self) -> Iterator[str]:
        name = self.class_name
        if self.written.states:
            yield f"def load(path: str | Path = WEIGHTS) -> {name}:"
            yield '    """The module with the weights of the file, ready to answer."""'
            yield f"    model = {name}()"
            yield "    model.load_state_dict(load_file(path))"
            yield "    return model.eval()"
        else:
            yield f"def load() -> {name}:"
            yield '    """The module, ready to answer."""'
            yield f"    return {name}().eval()"


def _dims(value: Value) -> str:
    return ", ".join("?" if d is None else str(d) for d in value.shape)


def _meaning(steps: tuple[float, int] | None) -> str:
    """What the bytes of a quantised tensor stand for."""
    return "" if steps is None else f" (bytes, {literal(steps[0])} * (byte - {steps[1]}))"


def _plain(text: str) -> str:
    return text.replace("\\", "/").replace('"""', "'''").rstrip(".")
