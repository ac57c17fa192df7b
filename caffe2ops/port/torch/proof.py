"""The proof of a port to PyTorch: the source runs, its outputs and gradients are compared with those of caffe2ops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from caffe2ops.errors import GradientError
from caffe2ops.port.packages import need
from caffe2ops.port.proof import TOLERANCE, Difference, Proof, Run, compare, feeds_for
from caffe2ops.port.torch.export import to_torch
from caffe2ops.port.torch.gradients import of_gradients, versions
from caffe2ops.port.torch.model import TorchModel
from caffe2ops.port.torch.running import fed, imported, tensor


def prove_torch(
    model: TorchModel, *feeds: Mapping[str, Any], tolerance: float = TOLERANCE, gradients: bool = True,
    path: str | Path | None = None, trace: bool = False,
) -> Proof:  # fmt: skip
    """Runs the module in PyTorch and the net in caffe2ops on the same inputs, and compares all outputs.

    `feeds`: inputs by name, as often as wanted; without any, inputs are drawn, with named dims of several sizes.
    `path`: the file that the model was saved to, which is then imported. With `gradients`, those of a sum of the
    outputs with random weights are compared too, by all inputs and parameters, in float64; where caffe2ops has none, a
    note of the model says why. `trace` looks for the first blob that differs. Raises ValueError where inputs that hold
    whole numbers are not given, and whatever the source raises.
    """
    proof = Proof(tolerance)
    with TemporaryDirectory() as folder:
        if path is None:
            path = model.save(Path(folder) / "model.py")[0]
        source = imported(Path(path))
        module = source.load()
    for given in feeds_for(model, feeds):  # type: ignore[arg-type]
        run = Run({name: np.shape(v) for name, v in given.items()}, list(differences(model, module, given)))
        if trace and not all(d.within(tolerance) for d in run.differences):
            run.first = first_difference(model, given, tolerance)
        proof.runs.append(run)
    if gradients:
        try:
            for run, given in zip(proof.runs, feeds_for(model, feeds)):  # type: ignore[arg-type]
                run.differences += of_gradients(model, module, given, tolerance)
        except GradientError as error:
            model.note(f"gradients are not compared: {error}")
    return proof


def differences(model: TorchModel, module: Any, feeds: Mapping[str, Any]) -> Iterator[Difference]:
    """How far the outputs are from those of caffe2ops."""
    torch = need("torch")
    workspace = fed(model, feeds)
    workspace.run(model.net)
    with torch.no_grad():
        made = module(*(tensor(feeds[value.name]) for value in model.inputs))
    for blob, theirs in zip(model.outputs, made if isinstance(made, tuple) else (made,)):
        yield compare(blob, None, workspace.fetch(blob), theirs.detach().numpy())  # type: ignore[arg-type]


def first_difference(model: TorchModel, feeds: Mapping[str, Any], tolerance: float) -> str:
    """The first operator of the net whose output differs, in a sentence; every blob is given out for that."""
    net, _ = versions(model.net)
    blobs = {name: index for index, op in enumerate(net.op) for name in op.output}
    whole = to_torch(net, model.parameters, {value.name: value for value in model.inputs}, outputs=list(blobs))
    for found in prove_torch(whole, feeds, tolerance=tolerance, gradients=False).differences:
        if not found.within(tolerance):
            op = net.op[blobs[found.blob]]
            return (
                f"first difference: operator {blobs[found.blob]} ({op.type}), blob {found.blob!r}: "
                f"{found.problem or f'relative {found.relative:.3g}'}"
            )
    return "no blob alone differs"
