"""The gradient of a sample, reached through the gradient definition and the executor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops.defs import NetDef, OperatorDef
from caffe2ops.gradient import GradientSlice, add_gradients
from caffe2ops.gradient_check import check_gradient

from .call import definition, feed, feeds_of, fetch, floating_outputs, net_of, outputs_of, prepared
from .golden import seed_gradient
from .sample import Sample


@dataclass(frozen=True)
class Backward:
    """The net of one operator and its gradient operators."""

    op: OperatorDef
    net: NetDef
    seeds: dict[str, str]  # output -> blob with its gradient
    gradients: dict[str, Any]  # input -> gradient blob or GradientSlice

    @property
    def used(self) -> list[str]:
        """Outputs whose gradient the backward pass looks at."""
        read = {name for op in self.net.op[1:] for name in op.input}
        read |= {name for g in self.gradients.values() for name in (g if isinstance(g, GradientSlice) else (g,))}
        return [output for output, seed in self.seeds.items() if seed in read]


def backward_of(sample: Sample, outputs: Sequence[Any], device: str = "cpu") -> Backward:
    """The backward pass from given gradients of all floating outputs. Raises GradientError."""
    op = definition(sample, device)
    seeds = {op.output[i]: f"{op.output[i]}_seed" for i in floating_outputs(outputs)}
    net, gradients = add_gradients(net_of(op), dict(seeds))
    return Backward(op, net, seeds, {name: g for name, g in gradients.items() if name in op.input})


def run_backward(
    backward: Backward,
    sample: Sample,
    root: Path,
    seeds: Mapping[str, np.ndarray],
    feeds: Mapping[str, Any],
    device: str = "cpu",
) -> dict[str, Any]:
    """{input: dense gradient or (indices, values)} of a sample at `feeds` for the output gradients `seeds`."""
    workspace = prepared(sample, root, device, feeds)
    feed(workspace, {backward.seeds[name]: seed for name, seed in seeds.items()}, device)
    workspace.run(backward.net)
    return {
        name: tuple(fetch(workspace, part) for part in g) if isinstance(g, GradientSlice) else fetch(workspace, g)
        for name, g in backward.gradients.items()
    }


def recorded_seeds(op: OperatorDef, outputs: Sequence[Any]) -> dict[str, np.ndarray]:
    """The output gradients that the reference was given."""
    return {op.output[i]: seed_gradient(outputs[i].shape, outputs[i].dtype, i) for i in floating_outputs(outputs)}


def check_sample(sample: Sample, root: Path) -> None:
    """Compares the gradients of a sample with finite differences, in float64; a bit aside where it sits on a kink."""
    op = definition(sample)
    feeds = widened(feeds_of(sample))
    workspace = prepared(sample, root, feeds=feeds)
    workspace.run(op)
    backward = backward_of(sample, outputs_of(workspace, op))
    used, wrt = backward.used, [name for name in backward.gradients if feeds[name].size]
    if not used or not wrt or not all(np.isfinite(workspace.fetch(name)).all() for name in (*used, *wrt)):
        return
    rng = np.random.default_rng(3)
    for _ in range(3):
        checks = check_gradient(op, feeds, wrt=wrt, outputs=used)
        if all(check.ok for check in checks):
            return
        for name in wrt:
            value = feeds[name]
            feeds[name] = value + 1e-3 * np.abs(value).max() * rng.standard_normal(value.shape)
    raise AssertionError(
        "; ".join(f"{c.blob}: generated {c.analytic}, by differences {c.numeric}" for c in checks if not c.ok)
    )


def widened(feeds: Mapping[str, Any]) -> dict[str, Any]:
    """Feeds with every float array in float64."""
    return {
        name: value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        for name, value in feeds.items()
    }
