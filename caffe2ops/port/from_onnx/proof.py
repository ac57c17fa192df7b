"""The proof of an import: the nets run in caffe2ops and are compared with onnxruntime, output by output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.imported import Imported
from caffe2ops.port.proof import TOLERANCE, Proof, Run, compare, feeds_for, session


def prove(
    imported: Imported, *feeds: Mapping[str, Any], tolerance: float = TOLERANCE, path: str | None = None
) -> Proof:
    """Runs the model in onnxruntime and the nets in caffe2ops on the same inputs, and compares all outputs.

    `feeds`: inputs by their names in the model, as often as wanted; without any, inputs are drawn, with named dims of
    several sizes. `path`: the file of the model, where parameters lie in files beside it. Raises ValueError where
    inputs that hold whole numbers are not given.
    """
    proof = Proof(tolerance)
    runner = session(path if path is not None else imported.model)
    asked = {i.name for i in runner.get_inputs()}
    workspace = imported.workspace()
    for given in feeds_for(imported, feeds):  # type: ignore[arg-type]
        named = {name: given.get(name, given.get(value.name)) for name, value in imported.given.items()}
        theirs = runner.run(
            list(imported.outputs), {**imported.constants, **{n: v for n, v in named.items() if n in asked}}
        )
        mine = imported.run(named, workspace)
        found = zip(imported.outputs.items(), theirs)
        differences = [compare(name, value, mine[name], _plain(other)) for (name, value), other in found]
        proof.runs.append(Run({name: np.shape(np.asarray(value)) for name, value in named.items()}, differences))
    return proof


def _plain(value: Any) -> Any:
    """Text as bytes, as Caffe2 has it."""
    array = np.asarray(value)
    if array.dtype.kind not in "OUS":
        return array
    flat = np.empty(array.size, object)
    flat[:] = [v.encode() if isinstance(v, str) else v for v in array.reshape(-1)]
    return flat.reshape(array.shape)
