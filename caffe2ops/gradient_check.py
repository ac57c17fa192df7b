"""A gradient checker: the generated gradient of operators against finite differences, in float64, along random
directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from caffe2ops.defs import NetDef, OperatorDef
from caffe2ops.errors import GradientError
from caffe2ops.gradient import GradientSlice, backward
from caffe2ops.net import BoundNet
from caffe2ops.workspace import Workspace, definition_of

SEED_SUFFIX = "_check_seed"


@dataclass(frozen=True)
class GradientCheck:
    """The outcome for one blob: derivative along a random direction, as generated and by finite differences."""

    blob: str
    analytic: float
    numeric: float
    error: float
    ok: bool


def check_gradient(
    net: Any,
    inputs: Mapping[str, Any],
    *,
    wrt: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    directions: int = 3,
    step: float = 1e-3,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> list[GradientCheck]:
    """Compares the gradient that `backward` generates with finite differences.

    net: OperatorDef, NetDef or builder; inputs: blob -> array (float32 ones are checked in float64). `wrt`: the blobs
    to check (default: every float input that gets a gradient); `outputs`: the blobs whose random weighted sum is
    differentiated (default: all float outputs that nothing in the net reads and that take part in the gradient). Finite
    differences are five-point; where they disagree with the gradient, a kink may be near, and another direction is
    tried with a smaller step, eight times. One result a blob, its worst direction; `ok` means a relative error of at
    most `tolerance`.
    """
    definition = NetDef(name="check", op=(net,)) if isinstance(net, OperatorDef) else definition_of(net)
    rng = np.random.default_rng(seed)
    start = {name: _widened(value) for name, value in inputs.items()}
    workspace = _fed(start)
    forward = BoundNet(definition, workspace)
    forward.run()
    wanted = list(outputs) if outputs is not None else _differentiable_outputs(definition, workspace)
    weights = {name: rng.standard_normal(workspace.fetch(name).shape) for name in wanted}
    ops, gradients = backward(definition.op, {name: name + SEED_SUFFIX for name in wanted})
    for name, weight in weights.items():
        workspace.feed(name + SEED_SUFFIX, weight)
    BoundNet(NetDef(name="check_gradient", op=tuple(ops)), workspace).run()
    blobs = list(wrt) if wrt is not None else [n for n, v in start.items() if _is_float(v) and n in gradients]
    found = []
    for blob in blobs:
        if blob not in gradients:
            raise GradientError(f"no gradient reaches {blob!r}")
        exact = _dense(workspace, gradients[blob], start[blob])

        def loss(value: np.ndarray, blob: str = blob) -> float:
            other = _fed({**start, blob: value})
            BoundNet(definition, other).run()
            return float(sum(np.sum(w * other.fetch(n)) for n, w in weights.items()))

        found.append(_compare(blob, start[blob], exact, loss, rng, directions, step, tolerance))
    return found


def _compare(
    blob: str,
    at: np.ndarray,
    exact: np.ndarray,
    loss: Any,
    rng: np.random.Generator,
    directions: int,
    step: float,
    tolerance: float,
) -> GradientCheck:
    worst = GradientCheck(blob, 0.0, 0.0, 0.0, True)
    for _ in range(directions):
        for attempt in range(8):
            direction = rng.standard_normal(at.shape)
            numeric = _derivative(loss, at, direction, step / 4**attempt)
            analytic = float(np.sum(exact * direction))
            error = abs(analytic - numeric) / max(abs(analytic), abs(numeric), 1e-3)
            if error <= tolerance:
                break
        if not error <= worst.error:
            worst = GradientCheck(blob, analytic, numeric, error, bool(error <= tolerance))
    return worst


def _derivative(loss: Any, at: np.ndarray, direction: np.ndarray, h: float) -> float:
    far, near = (
        (loss(at + 2 * h * direction) - loss(at - 2 * h * direction)),
        (loss(at + h * direction) - loss(at - h * direction)),
    )
    return float((8 * near - far) / (12 * h))


def _widened(value: Any) -> Any:
    value = np.asarray(value) if not isinstance(value, (str, bytes)) else value
    return value.astype(np.float64) if _is_float(value) else value


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _fed(values: Mapping[str, Any]) -> Workspace:
    workspace = Workspace(seed=0)
    for name, value in values.items():
        workspace.feed(name, value)
    return workspace


def _differentiable_outputs(definition: NetDef, workspace: Workspace) -> list[str]:
    read = {name for op in definition.op for name in op.input}
    ends = [name for op in definition.op for name in op.output if name not in read and _is_float(workspace.fetch(name))]
    for names in (ends, *([name] for name in ends)):
        try:
            backward(definition.op, {name: name + SEED_SUFFIX for name in names})
            return list(dict.fromkeys(names))
        except GradientError as error:
            last = error
    raise last if ends else GradientError("the net has no float output to differentiate")


def _dense(workspace: Workspace, gradient: Any, like: np.ndarray) -> np.ndarray:
    if not isinstance(gradient, GradientSlice):
        return np.asarray(workspace.fetch(gradient), np.float64).reshape(like.shape)
    dense = np.zeros_like(like)
    np.add.at(dense, workspace.fetch(gradient.indices), workspace.fetch(gradient.values))
    return dense
