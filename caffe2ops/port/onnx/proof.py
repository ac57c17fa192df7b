"""The proof of an ONNX model: it runs in onnxruntime and is compared with caffe2ops, output by output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from caffe2ops.errors import OperatorError
from caffe2ops.ops.detection.by_score import equal_by_index
from caffe2ops.port.onnx.export import to_onnx
from caffe2ops.port.onnx.model import EXTERNAL, OnnxModel
from caffe2ops.port.packages import need
from caffe2ops.port.proof import (
    ROUNDED,
    TOLERANCE,
    Difference,
    Proof,
    Run,
    alone,
    compare,
    feeds_for,
    in_one_order,
    plain,
)
from caffe2ops.port.values import Value
from caffe2ops.workspace import Workspace


class NotRun(ValueError):  # noqa: N818
    """onnxruntime refuses a model, or stops in it."""


def prove(
    model: OnnxModel,
    *feeds: Mapping[str, Any],
    tolerance: float = TOLERANCE,
    trace: bool = False,
    stepwise: bool = False,
    path: str | None = None,
) -> Proof:
    """Runs the model in onnxruntime and the net in caffe2ops on the same inputs, and compares all outputs.

    `feeds`: inputs by name (other blobs are left alone), as often as wanted; without any, inputs are drawn, with named
    dims of several sizes. `path`: the file that the model was saved to, which is then the one that runs. `trace` looks
    for the first blob that differs. `stepwise` compares operator by operator, each ported alone and fed what caffe2ops
    has: for nets of 8 bits, where a difference of one step early on becomes a greater one. The model is checked first,
    with full shape inference. Where onnxruntime can't run it the report says why. Raises ValueError where inputs are
    fed that the model does not take, where those that hold whole numbers are not given, and where the net runs on none
    that are drawn; and what the checker raises for a model that is wrong.
    """
    proof = Proof(tolerance)
    if model.custom:
        proof.unproven = f"no runtime knows {', '.join(model.custom)} of the domain caffe2ops"
        return proof
    try:
        with written(model) if path is None else nullcontext(path) as proto:
            check(proto)
            runner = session(proto)
        inputs = [value.name for value in model.graph.inputs]
        for each in feeds_for(model, feeds):
            given = {name: each[name] for name in inputs if name in each}  # no other blob is fed to the model
            proven = Run({name: np.shape(plain(v)) for name, v in given.items()}, [])
            try:
                if stepwise:
                    proven.differences = list(differences_of_steps(model, given))
                else:
                    differences = partial(differences_of, model, given, cache(partial(run, runner, model, given)))
                    proven.differences = differences()
                    in_one_order(proof, model.net, proven, differences)
            except OperatorError as error:
                if len(proof.runs) < len(feeds):
                    raise
                refused = error  # the sizes are none that the user has given
                proof.notes.append(f"not compared with {proven.feeds}: {str(error).splitlines()[0]}")
                continue
            if trace and not stepwise and not proven.within(tolerance):
                proven.first = first_difference(model, given, tolerance)
            proof.runs.append(proven)
    except NotRun as error:
        proof.unproven = str(error)
    if not (proof.runs or proof.unproven):
        raise ValueError(f"on inputs that are drawn, as none are given (--feeds): {refused}") from refused
    eight_bits = any(op.type.startswith("Int8") for op in model.net.op)
    if eight_bits and not (model.exact_int8 or stepwise or proof.holds):
        proof.notes.append(ROUNDED)
    return proof


def differences_of(
    model: OnnxModel, feeds: Mapping[str, Any], run_model: Callable[[], Mapping[str, Any]]
) -> list[Difference]:
    """The difference of every output from what the model gives; caffe2ops, whose errors name operators, runs first."""
    mine = of_caffe2ops(model, feeds)
    theirs = run_model()
    return [compare(blob, mine[blob], theirs[value.name]) for blob, value in model.outputs.items()]


@contextmanager
def written(model: OnnxModel, outputs: Sequence[Value] = ()) -> Iterator[Any]:
    """What a session can be made of: the ModelProto, or a file where that would be too large."""
    if model.size < EXTERNAL:
        yield model.proto(outputs)
    else:
        with TemporaryDirectory() as folder:
            yield str(model.save(Path(folder) / "model.onnx", EXTERNAL, outputs)[0])


def check(proto: Any) -> None:
    """ONNX's checker with full shape inference. Raises what it raises."""
    onnx = need("onnx")
    onnx.checker.check_model(proto, full_check=True)


def session(proto: Any) -> Any:
    """An onnxruntime session on the CPU, of a ModelProto or a file. Raises NotRun."""
    runtime = need("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    options.intra_op_num_threads = 1
    source = proto if isinstance(proto, str) else proto.SerializeToString()
    with _refusals():
        return runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run(session: Any, model: OnnxModel, feeds: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """What the session gives, by the names of the model's outputs. Raises NotRun."""
    return run_on(session, {i.name: np.asarray(plain(feeds[i.name])) for i in model.graph.inputs if i.name in feeds})


def run_on(session: Any, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    """What a session gives for these inputs, by name. Raises NotRun."""
    names = [output.name for output in session.get_outputs()]
    with _refusals():
        return dict(zip(names, session.run(names, feeds)))


@contextmanager
def _refusals() -> Iterator[None]:
    """Errors of onnxruntime, which have no base of their own, as NotRun."""
    try:
        yield
    except Exception as error:
        raise NotRun(f"onnxruntime does not run the model: {error}") from error


def of_caffe2ops(model: OnnxModel, feeds: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of the net, run by caffe2ops."""
    workspace = Workspace()
    for name, value in {**model.parameters, **feeds}.items():
        workspace.feed(name, value)
    workspace.run(model.net)
    return {name: workspace.fetch(name) for name in model.outputs}


def differences_of_steps(model: OnnxModel, feeds: Mapping[str, Any]) -> Iterator[Difference]:
    """The difference of every blob when its operator is ported alone."""
    for step in alone(model.net, model.parameters, feeds, model.outputs):
        one = to_onnx(
            step.net, step.parameters, step.feeds, outputs=list(step.results), opset=model.opset,
            exact_int8=model.exact_int8,
        )  # fmt: skip
        with written(one) as proto:
            theirs = run(session(proto), one, step.feeds)
        for blob, value in one.outputs.items():
            found = compare(blob, step.results[blob], theirs[value.name])
            yield replace(found, blob=f"{step.title}: {blob}")


def first_difference(model: OnnxModel, feeds: Mapping[str, Any], tolerance: float) -> str:
    """The first operator of the net whose output differs, in a sentence; every blob is given out for that."""
    blobs = [v for step in model.steps if len(step.position) == 1 for _, v in step.outputs]
    inner = [v for v in blobs if v.array is None and v.dtype is not None and v not in model.graph.inputs]
    with written(model, inner) as proto:
        theirs = run(session(proto), model, feeds)
    workspace = Workspace()
    for name, value in {**model.parameters, **feeds}.items():
        workspace.feed(name, value)
    for step in model.steps:
        if len(step.position) > 1:
            continue
        index = step.position[0]
        with equal_by_index():
            workspace.run(model.net.op[index])
        for blob, value in step.outputs:
            if value.name not in theirs:
                continue
            found = compare(blob, workspace.fetch(blob), theirs[value.name])
            if not found.within(tolerance):
                how = found.problem or f"absolute {found.absolute:.3g}, relative {found.relative:.3g}"
                return f"first difference: operator {index} ({step.type}), blob {blob!r}: {how}"
    return "no operator's output differs more than that"
