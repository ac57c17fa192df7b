"""The proof of an import: the nets run in caffe2ops and are compared with onnxruntime, output by output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from caffe2ops.errors import OperatorError
from caffe2ops.port.from_onnx.imported import Imported
from caffe2ops.port.onnx.proof import NotRun, run_on, session
from caffe2ops.port.packages import need
from caffe2ops.port.proof import TOLERANCE, Difference, Proof, Run, compare, feeds_for, in_one_order
from caffe2ops.qtensor import QTensor
from caffe2ops.workspace import Workspace


def prove(
    imported: Imported, *feeds: Mapping[str, Any], tolerance: float = TOLERANCE, path: str | None = None
) -> Proof:
    """Runs the model in onnxruntime and the nets in caffe2ops on the same inputs, and compares all outputs.

    `feeds`: inputs by their names in the model, as often as wanted; without any, inputs are drawn, with named dims of
    several sizes. `path`: the file of the model, where parameters lie in files beside it. Raises ValueError where
    inputs that hold whole numbers are not given. Where onnxruntime can't run the model the report says why; sizes that
    nobody asked for and that the model doesn't take are left out, with a note. Int8 tensors are compared, too, each
    computed from what onnxruntime has: a difference of one step early on would else become a greater one.
    """
    proof, notes = Proof(tolerance), []
    asked = [{imported.given[n].name if n in imported.given else n: v for n, v in given.items()} for given in feeds]
    workspace = imported.workspace()
    try:
        if imported.int8:
            runner = session(_giving_out(imported.model, imported.int8))
        else:
            runner = session(path if path is not None else imported.model)
        for index, given in enumerate(feeds_for(imported, asked)):  # type: ignore[arg-type]
            named = {name: given[value.name] for name, value in imported.given.items()}
            shapes = {name: np.shape(np.asarray(value)) for name, value in named.items()}
            try:
                theirs = _run(runner, {**imported.constants, **named})
            except NotRun as error:
                if index < len(feeds):
                    raise
                notes.append(f"not compared with {_sizes(shapes)}: {error}")
                continue
            try:
                proof.runs.append(_compared(proof, imported, named, shapes, theirs, workspace))
            except OperatorError as error:
                if index < len(feeds):
                    raise
                stopped = f"with {_sizes(shapes)} the net stops: {str(error).splitlines()[0]}"
                output = next(iter(imported.outputs))
                proof.runs.append(Run(shapes, [Difference(output, "", (), np.inf, np.inf, stopped)]))
    except NotRun as error:
        proof.unproven = str(error)
    if notes and not proof.runs:
        proof.unproven = f"on inputs that are drawn, as none are given (--feeds): {notes.pop(0)}"
    proof.notes += notes
    return proof


def _run(runner: Any, feeds: Mapping[str, Any]) -> dict[str, Any]:
    """What a session gives, by name. Raises NotRun."""
    return run_on(runner, {i.name: np.asarray(feeds[i.name]) for i in runner.get_inputs() if i.name in feeds})


def _sizes(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name}[{', '.join(map(str, dims))}]" for name, dims in shapes.items())


def _compared(
    proof: Proof, imported: Imported, named: Mapping[str, Any], shapes: dict[str, tuple[int, ...]],
    theirs: Mapping[str, Any], workspace: Workspace,
) -> Run:  # fmt: skip
    """One run of the nets against what the model gave."""
    differences = _differences_of_steps(imported, named, theirs, workspace) if imported.int8 else []
    whole = partial(_differences, imported, None if imported.int8 else named, theirs, workspace)
    proven = Run(shapes, [*differences, *whole()])
    in_one_order(proof, imported.net, proven, whole)
    return proven


def _differences(
    imported: Imported, feeds: Mapping[str, Any] | None, theirs: Mapping[str, Any], workspace: Workspace
) -> list[Difference]:
    """Those of the outputs, of a run with these inputs or of the last one."""
    if feeds is not None:
        imported.run(feeds, workspace)
    outputs = imported.outputs.items()
    return [_difference(name, workspace.fetch(value.name), _plain(theirs[name])) for name, value in outputs]


def _difference(name: str, mine: Any, theirs: np.ndarray[Any, Any]) -> Difference:
    """Of text the number of elements that differ."""
    if theirs.dtype != object or np.shape(mine) != theirs.shape:
        return compare(name, mine, theirs)
    return Difference(name, "text", theirs.shape, float(np.sum(np.asarray(mine, object) != theirs)))


def _giving_out(model: Any, names: Iterable[str]) -> Any:
    """The model with more outputs."""
    onnx = need("onnx")
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    known = {output.name for output in model.graph.output}
    wide.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in known)
    return wide


def _differences_of_steps(
    imported: Imported, feeds: Mapping[str, Any], theirs: Mapping[str, Any], workspace: Workspace
) -> list[Difference]:
    """Those of the Int8 tensors, which become onnxruntime's as soon as they are compared."""
    tensors = {tensor.name: (name, tensor) for name, tensor in imported.int8.items()}
    found = []
    for name, value in imported.given.items():
        workspace.feed(value.name, feeds[name])
    for op in imported.net.op:
        workspace.run(op)
        for blob in set(op.output) & set(tensors):
            name, tensor = tensors[blob]
            data = theirs[name] if theirs[name].dtype == np.uint8 else (theirs[name] ^ np.int8(-128)).view(np.uint8)
            data = np.ascontiguousarray(data.transpose(0, 2, 3, 1)) if data.ndim == 4 else data
            found.append(compare(name, workspace.fetch(blob), data))
            workspace.feed(blob, QTensor(data, *tensor.quantisation()))
    return found


def _plain(value: Any) -> Any:
    """Text as bytes, as Caffe2 has it."""
    array = np.asarray(value)
    if array.dtype.kind not in "OUS":
        return array
    flat = np.empty(array.size, object)
    flat[:] = [v.encode() if isinstance(v, str) else v for v in array.reshape(-1)]
    return flat.reshape(array.shape)
