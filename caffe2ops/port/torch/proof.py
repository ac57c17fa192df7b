"""The proof of a port to PyTorch: the source runs, its outputs and gradients are compared with those of caffe2ops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from caffe2ops.errors import GradientError
from caffe2ops.ops.detection.by_score import equal_by_index
from caffe2ops.port.packages import need
from caffe2ops.port.proof import TOLERANCE, Difference, Proof, Run, alone, compare, feeds_for, in_one_order
from caffe2ops.port.torch.export import to_torch
from caffe2ops.port.torch.gradients import of_gradients, versions
from caffe2ops.port.torch.model import TorchModel
from caffe2ops.port.torch.running import fed, imported, plain, tensor
from caffe2ops.qtensor import QTensor

EIGHT_BITS = "gradients are not compared: operators of 8 bits have none"


def prove_torch(
    model: TorchModel, *feeds: Mapping[str, Any], tolerance: float = TOLERANCE, gradients: bool = True,
    path: str | Path | None = None, trace: bool = False, stepwise: bool = False,
) -> Proof:  # fmt: skip
    """Runs the module in PyTorch and the net in caffe2ops on the same inputs, and compares all outputs.

    `feeds`: inputs by name, as often as wanted; without any, inputs are drawn, with named dims of several sizes.
    `path`: the file that the model was saved to, which is then imported. With `gradients`, those of a sum of the
    outputs with random weights are compared too, by all inputs and parameters, in float64; where caffe2ops has none, a
    note says why. `trace` looks for the first blob that differs. `stepwise` compares operator by operator,
    each ported alone and fed what caffe2ops has, and no gradients. Raises ValueError where inputs that hold whole
    numbers are not given, and whatever the source raises.
    """
    proof = Proof(tolerance)
    module = None if stepwise else loaded(model, path)
    fed_to_runs = runs_for(model, feeds)
    for given in fed_to_runs:
        run = Run({name: tuple(tensor(v).shape) for name, v in given.items()}, [])
        proof.runs.append(run)
        if stepwise:
            run.differences = list(differences_of_steps(model, given))
            continue
        compared = partial(differences, model, module, given)
        run.differences = compared()
        in_one_order(proof, model.net, run, compared)
        if trace and not run.within(tolerance):
            run.first = first_difference(model, given, tolerance)
    if stepwise or not gradients:
        return proof

    def note(text: str) -> None:
        if text not in proof.notes:
            proof.notes.append(text)

    if any(op.type.startswith("Int8") for op in model.net.op):
        note(EIGHT_BITS)
        return proof
    try:
        for run, given in zip(proof.runs, fed_to_runs):
            run.differences += of_gradients(model, module, given, tolerance, note)
    except GradientError as error:
        note(f"gradients are not compared: {error}")
    return proof


def runs_for(model: TorchModel, feeds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is fed in each run; statistics of a batch of one may be none, and such a run is left out for another."""
    found = feeds_for(model, feeds)  # type: ignore[arg-type]
    more = [given for given in found if all(np.shape(plain(given[v.name]))[:1] != (1,) for v in model.inputs)]
    return more if model.running and more else found


def loaded(model: TorchModel, path: str | Path | None = None) -> Any:
    """The module with its weights, from the file that it was saved to or from one that is made for it."""
    if path is None:
        with TemporaryDirectory() as folder:
            return loaded(model, model.save(Path(folder) / "model.py")[0])
    module = imported(Path(path)).load()
    for name in model.written.training:
        getattr(module, name).train()
    return module


def differences(model: TorchModel, module: Any, feeds: Mapping[str, Any]) -> list[Difference]:
    """How far the outputs are from those of caffe2ops."""
    workspace = fed(model, feeds)
    workspace.run(model.net)
    return compared(model, module, feeds, {name: workspace.fetch(name) for name in (*model.outputs, *model.running)})


def compared(model: TorchModel, module: Any, feeds: Mapping[str, Any], results: Mapping[str, Any]) -> list[Difference]:
    """How far what the module gives is from results."""
    torch = need("torch")
    if model.running:
        module = deepcopy(module)  # a run changes it
    with torch.no_grad():
        made = module(*(tensor(feeds[value.name]) for value in model.inputs))
    found = []
    for blob, theirs in zip(model.outputs, made if isinstance(made, tuple) else (made,)):
        mine, steps = results[blob], model.steps.get(blob)
        if isinstance(mine, QTensor) and (mine.scale, mine.zero_point) != steps:
            problem = f"is {mine.scale:.9g} * (byte - {mine.zero_point}) in caffe2ops, {steps} in the model"
            found.append(Difference(blob, "quantised", mine.shape, np.inf, np.inf, problem))
        else:
            mine = mine if isinstance(mine, QTensor) else plain(mine)
            found.append(compare(blob, mine, theirs.detach().numpy()))
    for blob, key in model.running.items():
        if blob in results:
            found.append(compare(blob, results[blob].reshape(-1), module.state_dict()[key].numpy()))
    return found


def differences_of_steps(model: TorchModel, feeds: Mapping[str, Any]) -> Iterator[Difference]:
    """The difference of every blob when its operator is ported alone."""
    for step in alone(model.net, model.parameters, feeds, model.outputs):
        one = to_torch(step.net, step.parameters, step.feeds, outputs=list(step.results))
        for found in compared(one, loaded(one), step.feeds, step.results):
            yield replace(found, blob=f"{step.title}: {found.blob}")


def first_difference(model: TorchModel, feeds: Mapping[str, Any], tolerance: float) -> str:
    """The first operator of the net whose output differs, in a sentence; every blob is given out for that."""
    net, _ = versions(model.net)
    blobs = {name: (index, i) for index, op in enumerate(net.op) for i, name in enumerate(op.output)}
    whole = to_torch(net, model.parameters, {value.name: value for value in model.inputs}, outputs=list(blobs))
    with equal_by_index():
        proof = prove_torch(whole, feeds, tolerance=tolerance, gradients=False)
    for found in proof.differences:
        if not found.within(tolerance):
            index, i = blobs[found.blob]
            op = model.net.op[index]
            return (
                f"first difference: operator {index} ({op.type}), blob {op.output[i]!r}: "
                f"{found.problem or f'relative {found.relative:.3g}'}"
            )
    return "no blob alone differs"
