"""Running a sample: its definition, a workspace with its inputs, its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops import registry
from caffe2ops.defs import DeviceOption, DeviceType, NetDef, OperatorDef
from caffe2ops.workspace import Workspace

from .sample import Blob, Sample

DEVICE_TYPES = {"cpu": DeviceType.CPU, "cuda": DeviceType.CUDA}


def output_count(sample: Sample) -> int:
    """How many outputs a sample asks for: its own number, or the fewest that the contract allows."""
    return registry.get(sample.op).schema_of().min_output if sample.outputs is None else sample.outputs


def definition(
    sample: Sample,
    device: str = "cpu",
    *,
    inplace: Mapping[int, int] | None = None,
    args: Mapping[str, Any] | None = None,
) -> OperatorDef:
    """The OperatorDef of a sample. `inplace` and `args` replace the sample's own."""
    names = sample.input_names
    shared = sample.inplace if inplace is None else inplace
    outputs = [names[shared[i]] if i in shared else f"out{i}" for i in range(output_count(sample))]
    seed = {} if sample.seed is None else {"random_seed": sample.seed}
    return OperatorDef(
        type=sample.op,
        input=names,
        output=outputs,
        args=dict(sample.args if args is None else args),
        device_option=DeviceOption(device_type=DEVICE_TYPES[device], **seed),
        engine=sample.engine,
    )


def feeds_of(sample: Sample) -> dict[str, Any]:
    """{blob: value} to feed before a sample runs."""
    return {name: v for name, v in zip(sample.input_names, sample.inputs, strict=True) if not isinstance(v, Blob)}


def prepared(sample: Sample, root: Path, device: str = "cpu", feeds: Mapping[str, Any] | None = None) -> Workspace:
    """A workspace in which a sample can run: operators of `before` have run, inputs are fed on the device."""
    workspace = Workspace(root=root, seed=1)
    for type_, inputs, outputs, args, *engine in sample.before:
        workspace.run(
            OperatorDef(type=type_, input=tuple(inputs), output=tuple(outputs), args=dict(args), engine="".join(engine))
        )
    feed(workspace, feeds_of(sample) if feeds is None else feeds, device)
    return workspace


def feed(workspace: Workspace, feeds: Mapping[str, Any], device: str = "cpu") -> None:
    """Puts arrays of numbers on the device, everything else as it is."""
    for name, value in feeds.items():
        numeric = isinstance(value, (np.ndarray, np.generic)) and value.dtype != object
        workspace.feed(name, value, DeviceOption(device_type=DEVICE_TYPES[device]) if numeric else None)


def outputs_of(workspace: Workspace, op: OperatorDef) -> list[Any]:
    """What the operator wrote, in order; values that are no tensors as they are."""
    return [fetch(workspace, name) for name in op.output]


def fetch(workspace: Workspace, name: str) -> Any:
    """What a blob holds, arrays as NumPy's own (the emulator's are of a class derived from it)."""
    value = workspace.fetch(name)
    return value.get() if hasattr(value, "get") else value


def run(sample: Sample, root: Path, device: str = "cpu", op: OperatorDef | None = None) -> list[Any]:
    """The outputs of a sample, run in a fresh workspace."""
    op = op or definition(sample, device)
    workspace = prepared(sample, root, device)
    workspace.run(op)
    return outputs_of(workspace, op)


def net_of(op: OperatorDef) -> NetDef:
    """A net of that one operator."""
    return NetDef(name="one", op=(op,))


def is_tensor(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def has_gradient(sample: Sample) -> bool:
    """Whether the operator of a sample defines a gradient."""
    cls = registry.get(sample.op)
    return hasattr(cls, "make_gradient") or isinstance(cls.gradient, str)


def is_differentiated(sample: Sample) -> bool:
    """Whether the gradient of a sample is compared with anything."""
    return has_gradient(sample) and sample.differentiable and not (sample.error or sample.random or sample.inplace)


def floating_outputs(outputs: Sequence[Any]) -> list[int]:
    """Which outputs are tensors of floats."""
    return [i for i, value in enumerate(outputs) if is_tensor(value) and value.dtype.kind == "f"]
