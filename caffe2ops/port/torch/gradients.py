"""Gradients of a port to PyTorch, compared with those that caffe2ops computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np

from caffe2ops import registry
from caffe2ops.dataflow import read_by_operator, written_by
from caffe2ops.defs import NetDef
from caffe2ops.errors import GradientError, OperatorError
from caffe2ops.gradient import Gradient, GradientSlice, backward
from caffe2ops.net import BoundNet
from caffe2ops.port.packages import need
from caffe2ops.port.proof import Difference, compare
from caffe2ops.port.torch.model import TorchModel
from caffe2ops.port.torch.running import fed, tensor
from caffe2ops.workspace import Workspace

Note = Callable[[str], None]  # tells the reader of the proof what it leaves out
SEED = "_proof_seed"  # behind the name of an output: its gradient
SKIPPED = 2  # operators at the beginning that may lack a gradient: they make floats of what comes in
ROUNDING = 1e-6  # relative differences above this are looked at
NOTHING = {True: 1e-12, False: 1e-6}  # of the greatest gradient: what rounding leaves of one that is 0


def of_gradients(
    model: TorchModel, module: Any, feeds: Mapping[str, Any], tolerance: float, note: Note
) -> list[Difference]:
    """How far the gradients are apart: in float64, so that no rounding decides what is greater, else in float32.

    Where elements of a pooling window are equally great, Caffe2 gives each of them the gradient, PyTorch the first one;
    gradients that differ are compared once more with Caffe2's rule in PyTorch. Other nets are compared once more at
    inputs a little aside, off a kink.
    """
    try:
        wide = True
        found = list(differences_of_gradients(model, module.double(), feeds, wide, note))
    except OperatorError:  # an operator that makes float32 stands in the net
        wide = False
        try:
            found = list(differences_of_gradients(model, module.float(), feeds, wide, note))
        except OperatorError as error:
            raise GradientError(f"{error.op.type}: {error.reason}") from error
    if all(d.within(tolerance) for d in found):
        return found
    if "F.max_pool" in model.source():
        with to_all_greatest(module):
            again = list(differences_of_gradients(model, module, feeds, wide, note))
        why = (
            "where elements of a max pooling window are equally great, Caffe2 gives each of them the gradient and "
            "PyTorch the first; gradients agree by Caffe2's rule"
        )
    else:
        again = list(differences_of_gradients(model, module, aside(feeds), wide, note))
        why = "inputs lie on a kink, where derivatives are a choice; gradients agree at inputs a little aside"
    if not again or not all(d.within(tolerance) for d in again):
        return found
    note(why)
    return again


def aside(feeds: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs whose floats are a thousandth of their greatest one off."""
    generator, found = np.random.default_rng(0), dict(feeds)
    for name, value in found.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size:
            step = 1e-3 * np.abs(value).max() * generator.standard_normal(value.shape)
            found[name] = (value + step).astype(value.dtype)
    return found


def differences_of_gradients(
    model: TorchModel, module: Any, feeds: Mapping[str, Any], wide: bool, note: Note
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
    skip, ends = differentiable(net, {name: last.get(name, name) for name in values})
    ops, gradients = backward(net.op[skip:], ends)
    behind = {name for op in net.op[:skip] for name in (*read_by_operator(op), *written_by(op))}
    if skip:
        note(f"gradients are compared from operator {skip} on; those before have none in caffe2ops")
    used = {name for op in ops for name in op.input}
    used |= {name for blob, gradient in gradients.items() if blob not in ends for name in parts(gradient)}
    if left := [name for name in values if name + SEED not in used]:
        note(f"gradients are not compared for the outputs {', '.join(left)}: caffe2ops has none on the way to them")
    values = {name: value for name, value in values.items() if name not in left}
    gradients = {blob: gradient for blob, gradient in gradients.items() if gradient not in {n + SEED for n in left}}
    generator = np.random.default_rng(0)
    seeds = {name: generator.standard_normal(v.shape).astype(v.dtype) for name, v in values.items()}
    for name, seed in seeds.items():
        mine.feed(name + SEED, seed)
    BoundNet(NetDef(name="gradient", op=tuple(ops)), mine).run()

    inputs = {value.name: tensor(feeds[value.name]) for value in model.inputs}
    inputs = {n: x.double() if wide and x.is_floating_point() else x for n, x in inputs.items()}
    inputs = {n: x.requires_grad_(x.is_floating_point() and n in gradients) for n, x in inputs.items()}
    made = module(*inputs.values())
    pairs = zip(model.outputs, made if isinstance(made, tuple) else (made,))
    total = sum((x * tensor(seeds[name])).sum() for name, x in pairs if name in seeds)
    states = {state.blob: (key, state) for key, state in model.written.states.items()}
    places = dict(module.named_parameters())
    found: dict[str, Any] = {n: x for n, x in inputs.items() if x.requires_grad}
    found |= {blob: places[key] for blob, (key, _) in states.items() if key in places}
    found = {blob: x for blob, x in found.items() if blob in gradients and blob not in behind}
    if not found or not getattr(total, "requires_grad", False):
        return
    theirs = torch.autograd.grad(total, list(found.values()), allow_unused=True, materialize_grads=True)
    wants = {blob: dense(mine, gradients[blob], blob) for blob in found}
    floor = NOTHING[wide] * max((float(np.abs(want).max(initial=0)) for want in wants.values()), default=0.0)
    for (blob, want), gradient in zip(wants.items(), theirs):
        if blob in states and blob not in inputs:
            want = states[blob][1].change(want)
        got = gradient.numpy()
        apart = compare(f"gradient by {blob}", want.astype(got.dtype), got)
        yield replace(apart, relative=0.0) if apart.absolute <= floor and apart.relative > ROUNDING else apart


@contextmanager
def to_all_greatest(module: Any) -> Iterator[None]:
    """Within, max pooling of the module's source gives gradients to all equally great elements of a window."""
    from caffe2ops.port.torch.pooling import Pooling

    names = type(module).forward.__globals__
    plain = names["F"]
    names["F"] = Pooling()
    try:
        yield
    finally:
        names["F"] = plain


def differentiable(net: NetDef, outputs: Mapping[str, str]) -> tuple[int, dict[str, Gradient | None]]:
    """How many operators to leave out at the beginning, and outputs with the blobs of their gradients: all, or those
    that have one alone. Raises GradientError."""
    seeds: dict[str, Gradient | None] = {version: name + SEED for name, version in outputs.items()}
    errors = []
    for skip in range(min(len(net.op), SKIPPED + 1)):
        try:
            backward(net.op[skip:], seeds)
            return skip, seeds
        except GradientError as error:
            errors.append(error)
    found: dict[str, Gradient | None] = {}
    for version, seed in seeds.items():
        with suppress(GradientError):
            backward(net.op, {**found, version: seed})
            found[version] = seed
    if not found:
        raise errors[0]
    return 0, found


def versions(net: NetDef) -> tuple[NetDef, dict[str, str]]:
    """The net with a name of its own for each version of a blob, and the last name of each blob: gradients need what
    was overwritten."""
    names: dict[str, str] = {}
    if any(isinstance(value, NetDef) for op in net.op for value in op.args.values()):
        return net, names  # the nets within know blobs by their own names
    ops = []
    for index, op in enumerate(net.op):
        inputs = tuple(names.setdefault(name, name) for name in op.input)
        enforced = {output for _, output in registry.get(op.type).inplace_enforced}
        for i, name in enumerate(op.output):
            if i not in enforced or name not in names:
                names[name] = f"{name}__{index}" if name in names else name
        ops.append(op.replace(input=inputs, output=tuple(names[name] for name in op.output)))
    return net.replace(op=tuple(ops), external_output=(), external_input=()), names


def parts(gradient: Gradient) -> tuple[str, ...]:
    """The blobs of a gradient."""
    return tuple(gradient) if isinstance(gradient, GradientSlice) else (gradient,)


def dense(workspace: Workspace, gradient: Gradient, blob: str) -> np.ndarray[Any, Any]:
    """A gradient in the shape of its blob."""
    shape: tuple[int, ...] = np.shape(workspace.fetch(blob))
    if not isinstance(gradient, GradientSlice):
        found = np.asarray(workspace.fetch(gradient), np.float64)
        if found.size != np.prod(shape):
            raise GradientError(f"the gradient of {blob!r} in caffe2ops has another shape than the blob")
        return found.reshape(shape)
    full = np.zeros(shape)
    np.add.at(full, workspace.fetch(gradient.indices), workspace.fetch(gradient.values))
    return full
