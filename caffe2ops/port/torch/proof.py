"""The proof of a port to PyTorch: the source runs, and its outputs and gradients are compared with those of caffe2ops."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np

from caffe2ops import registry
from caffe2ops.defs import NetDef
from caffe2ops.errors import GradientError, OperatorError
from caffe2ops.gradient import Gradient, GradientSlice, backward
from caffe2ops.net import BoundNet
from caffe2ops.port.packages import need
from caffe2ops.port.proof import TOLERANCE, Difference, Proof, Run, compare, feeds_for
from caffe2ops.port.torch.model import TorchModel
from caffe2ops.workspace import Workspace

SEED = "_proof_seed"  # behind the name of an output: its gradient
NOTHING = {True: 1e-12, False: 1e-6}  # of the greatest gradient: what rounding leaves of one that is 0
_count = itertools.count()


def prove(
    model: TorchModel, *feeds: Mapping[str, Any], tolerance: float = TOLERANCE, gradients: bool = True,
    path: str | Path | None = None,
) -> Proof:  # fmt: skip
    """Runs the module in PyTorch and the net in caffe2ops on the same inputs, and compares all outputs.

    `feeds`: inputs by name, as often as wanted; without any, inputs are drawn, with named dims of several sizes.
    `path`: the file that the model was saved to, which is then imported. With `gradients`, those of a sum of the outputs
    with random weights are compared too, by all inputs and parameters, in float64; where caffe2ops has none, a note
    of the proof's model says why. Raises ValueError where inputs that hold whole numbers are not given, and whatever
    the source raises.
    """
    proof = Proof(tolerance)
    with TemporaryDirectory() as folder:
        if path is None:
            path = model.save(Path(folder) / "model.py")[0]
        source = imported(Path(path))
        module = source.load()
    for given in feeds_for(model, feeds):  # type: ignore[arg-type]
        run = Run({name: np.shape(v) for name, v in given.items()}, list(differences(model, module, given)))
        proof.runs.append(run)
    if gradients:
        try:
            for run, given in zip(proof.runs, feeds_for(model, feeds)):  # type: ignore[arg-type]
                run.differences += of_gradients(model, module, given, tolerance)
        except GradientError as error:
            model.notes.append(f"gradients are not compared: {error}")
    return proof


def of_gradients(model: TorchModel, module: Any, feeds: Mapping[str, Any], tolerance: float) -> list[Difference]:
    """How far the gradients are apart: in float64, so that no rounding decides what is greater, else in float32.

    Where elements of a pooling window are equally great, Caffe2 gives each of them the gradient, PyTorch the first one;
    gradients that differ are compared once more with Caffe2's rule in PyTorch.
    """
    try:
        wide = True
        found = list(differences_of_gradients(model, module.double(), feeds, wide))
    except OperatorError:  # an operator that makes float32 stands in the net
        wide = False
        found = list(differences_of_gradients(model, module.float(), feeds, wide))
    if all(d.within(tolerance) for d in found) or "F.max_pool" not in model.source():
        return found
    with to_all_greatest(module):
        again = list(differences_of_gradients(model, module, feeds, wide))
    if not all(d.within(tolerance) for d in again):
        return found
    model.notes.append(
        "where elements of a max pooling window are equally great, Caffe2 gives each of them the gradient and PyTorch the "
        "first; gradients agree by Caffe2's rule"
    )
    return again


def imported(path: Path) -> ModuleType:
    """The module in a file."""
    need("torch")
    spec = importlib.util.spec_from_file_location(f"caffe2ops_ported_{next(_count)}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    try:
        spec.loader.exec_module(made)
    finally:
        del sys.modules[spec.name]
    return made


def differences(model: TorchModel, module: Any, feeds: Mapping[str, Any]) -> Iterator[Difference]:
    """How far the outputs are from those of caffe2ops."""
    torch = need("torch")
    workspace = fed(model, feeds)
    workspace.run(model.net)
    with torch.no_grad():
        made = module(*(tensor(feeds[value.name]) for value in model.inputs))
    for blob, theirs in zip(model.outputs, made if isinstance(made, tuple) else (made,)):
        yield compare(blob, None, workspace.fetch(blob), theirs.numpy())  # type: ignore[arg-type]


def tensor(value: Any) -> Any:
    return need("torch").from_numpy(np.array(value))


def fed(model: TorchModel, feeds: Mapping[str, Any], wide: bool = False) -> Workspace:
    """A workspace with parameters and inputs; `wide`: floats in float64."""
    workspace = Workspace()
    for name, value in {**model.parameters, **feeds}.items():
        if wide and isinstance(value, np.ndarray) and value.dtype.kind == "f":
            value = value.astype(np.float64)
        workspace.feed(name, value)
    return workspace


def differences_of_gradients(
    model: TorchModel, module: Any, feeds: Mapping[str, Any], wide: bool
) -> Iterator[Difference]:
    """How far the gradients are from those that caffe2ops computes. Raises GradientError where it has none."""
    torch = need("torch")
    mine = fed(model, feeds, wide)
    net, last = versions(model.net)
    BoundNet(net, mine).run()
    values = {name: mine.fetch(last.get(name, name)) for name in model.outputs}
    values = {name: value for name, value in values.items() if value.dtype.kind == "f"}
    if not values:
        raise GradientError("no output holds floats")
    ops, gradients = backward(net.op, differentiable(net, {name: last.get(name, name) for name in values}))
    values = {name: value for name, value in values.items() if name + SEED in {g for op in ops for g in op.input}}
    generator = np.random.default_rng(0)
    seeds = {name: generator.standard_normal(v.shape).astype(v.dtype) for name, v in values.items()}
    for name, seed in seeds.items():
        mine.feed(name + SEED, seed)
    BoundNet(NetDef(name="gradient", op=tuple(ops)), mine).run()

    inputs = {value.name: tensor(feeds[value.name]) for value in model.inputs}
    inputs = {n: (x.double() if wide else x).requires_grad_() if x.is_floating_point() else x for n, x in inputs.items()}
    made = module(*inputs.values())
    pairs = zip(model.outputs, made if isinstance(made, tuple) else (made,))
    total = sum((x * tensor(seeds[name])).sum() for name, x in pairs if name in seeds)
    states = {state.blob: (key, state) for key, state in model.written.states.items()}
    places = dict(module.named_parameters())
    found: dict[str, Any] = {n: x for n, x in inputs.items() if x.is_floating_point()}
    found |= {blob: places[key] for blob, (key, _) in states.items() if key in places}
    found = {blob: x for blob, x in found.items() if blob in gradients}
    if not found or not total.requires_grad:
        return
    theirs = torch.autograd.grad(total, list(found.values()), allow_unused=True, materialize_grads=True)
    wants = {blob: dense(mine, gradients[blob], blob) for blob in found}
    floor = NOTHING[wide] * max((float(np.abs(want).max(initial=0)) for want in wants.values()), default=0.0)
    for (blob, want), gradient in zip(wants.items(), theirs):
        if blob in states and blob not in inputs:
            want = states[blob][1].change(want)
        got = gradient.numpy()
        apart = compare(f"gradient by {blob}", None, want.astype(got.dtype), got)  # type: ignore[arg-type]
        yield replace(apart, relative=0.0) if apart.absolute <= floor else apart


@contextmanager
def to_all_greatest(module: Any) -> Iterator[None]:
    """Within, max pooling of the module's source gives gradients to all equally great elements of a window."""
    from caffe2ops.port.torch.pooling import Pooling

    names = type(module).forward.__globals__
    plain = names["F"]
    names["F"] = Pooling(plain)
    try:
        yield
    finally:
        names["F"] = plain


def differentiable(net: NetDef, outputs: Mapping[str, str]) -> dict[str, Gradient | None]:
    """The outputs and the blobs of their gradients: all, or those that have one alone. Raises GradientError."""
    seeds: dict[str, Gradient | None] = {version: name + SEED for name, version in outputs.items()}
    try:
        backward(net.op, seeds)
        return seeds
    except GradientError as error:
        last = error
    found: dict[str, Gradient | None] = {}
    for version, seed in seeds.items():
        try:
            backward(net.op, {**found, version: seed})
            found[version] = seed
        except GradientError as error:
            last = error
    if not found:
        raise last
    return found


def versions(net: NetDef) -> tuple[NetDef, dict[str, str]]:
    """The net with a name of its own for each version of a blob, and the last name of each blob: gradients need what
    was overwritten."""
    names: dict[str, str] = {}
    ops = []
    for index, op in enumerate(net.op):
        inputs = tuple(names.setdefault(name, name) for name in op.input)
        enforced = {output for output, _ in registry.get(op.type).inplace_enforced}
        for i, name in enumerate(op.output):
            if i not in enforced:
                names[name] = f"{name}__{index}" if name in names else name
        ops.append(op.replace(input=inputs, output=tuple(names[name] for name in op.output)))
    return net.replace(op=tuple(ops), external_output=(), external_input=()), names


def dense(workspace: Workspace, gradient: Gradient, blob: str) -> np.ndarray[Any, Any]:
    """A gradient in the shape of its blob."""
    like = workspace.fetch(blob)
    if not isinstance(gradient, GradientSlice):
        return np.asarray(workspace.fetch(gradient), np.float64).reshape(like.shape)
    full = np.zeros(like.shape)
    np.add.at(full, workspace.fetch(gradient.indices), workspace.fetch(gradient.values))
    return full


__all__: Sequence[str] = ("prove",)
