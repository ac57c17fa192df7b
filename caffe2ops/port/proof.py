"""The proof of a port: its model runs in onnxruntime and is compared with caffe2ops, output by output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import NetDef
from caffe2ops.ops.detection.by_score import equal_by_index
from caffe2ops.port.nets import read_by_operator, written_by
from caffe2ops.port.packages import need
from caffe2ops.port.values import Value
from caffe2ops.qtensor import QTensor
from caffe2ops.workspace import Workspace

if TYPE_CHECKING:
    from caffe2ops.port.onnx.model import OnnxModel

TOLERANCE = 1e-3
BY_SCORE = ("GenerateProposals", "GenerateProposalsCPP", "BoxWithNMSLimit")  # that order boxes by their scores
EQUAL_SCORES = (
    "Boxes of equal scores are compared in the order of their indices, in which the model takes them; Caffe2's sort "
    "leaves them in another one, which makes other outputs of these inputs."
)
ROUNDED = (
    "Each operator of 8 bits is within one step, and more comes together in a deep net: exact_int8 (--exact-int8) ports "
    "them as whole numbers, without that."
)
SMALL = 1e-2  # elements below this part of the greatest one count as that where differences are taken relative
BATCHES = (1, 3)  # what named dims are set to where inputs are generated


@dataclass(frozen=True)
class Difference:
    """How far one output of the model is from that of caffe2ops.

    `absolute` is the greatest difference, for quantised tensors in steps; `relative` the greatest one over the element,
    or over a hundredth of the greatest element where that is more. `problem` says what cannot be compared.
    """

    blob: str
    dtype: str
    shape: tuple[int, ...]
    absolute: float = 0.0
    relative: float = 0.0
    problem: str = ""

    def within(self, tolerance: float) -> bool:
        """Whether the output agrees: floats relatively, bytes and quantised tensors within one step, all else
        exactly."""
        if self.problem:
            return False
        if self.dtype.startswith("quantised"):
            return self.absolute <= 1
        if self.dtype == "uint8":  # of pictures, cut off from floats
            return self.absolute <= 1
        return self.relative <= tolerance if self.dtype.startswith("float") else self.absolute == 0


@dataclass
class Run:
    """One comparison: the shapes that were fed, the differences, and with a trace the first blob that differs."""

    feeds: dict[str, tuple[int, ...]]
    differences: list[Difference]
    first: str = ""

    def within(self, tolerance: float) -> bool:
        return all(d.within(tolerance) for d in self.differences)


@dataclass
class Proof:
    """The report of `prove`; `holds` says whether all outputs agree. Printed, it is a table."""

    tolerance: float
    runs: list[Run] = field(default_factory=list)
    unproven: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.unproven and bool(self.runs) and all(run.within(self.tolerance) for run in self.runs)

    @property
    def differences(self) -> list[Difference]:
        return [d for run in self.runs for d in run.differences]

    @property
    def relative(self) -> float:
        """The greatest relative difference of all float outputs."""
        return max((d.relative for d in self.differences if d.dtype.startswith("float")), default=0.0)

    def rows(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Output, what it holds, greatest absolute and relative difference, verdict."""
        for d in self.differences:
            dims = ", ".join(map(str, d.shape))
            verdict = d.problem or ("empty" if 0 in d.shape else "agrees" if d.within(self.tolerance) else "differs")
            yield d.blob, f"{d.dtype}[{dims}]", f"{d.absolute:.3g}", f"{d.relative:.3g}", verdict

    def __str__(self) -> str:
        lines = [("output", "holds", "absolute", "relative", ""), *self.rows()]
        widths = [max(len(line[i]) for line in lines) for i in range(5)]
        text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
        text += [run.first for run in self.runs if run.first] + self.notes
        return "\n".join([*text, self.verdict])

    @property
    def verdict(self) -> str:
        """The whole in a line."""
        if self.unproven:
            return f"not proven: {self.unproven}"
        runs = f"{len(self.runs)} run{'s' * (len(self.runs) > 1)}, tolerance {self.tolerance:g}"
        if self.holds and all(0 in d.shape for d in self.differences):
            return f"nothing to compare: all outputs were empty ({runs}); feed other inputs, or compare stepwise"
        return f"proven ({runs})" if self.holds else f"NOT proven ({runs})"


def prove(
    model: OnnxModel,
    *feeds: Mapping[str, Any],
    tolerance: float = TOLERANCE,
    trace: bool = False,
    stepwise: bool = False,
    path: str | None = None,
) -> Proof:
    """Runs the model in onnxruntime and the net in caffe2ops on the same inputs, and compares all outputs.

    `feeds`: inputs by name, as often as wanted; without any, inputs are drawn, with named dims of several sizes.
    `path`: the file that the model was saved to, which is then the one that runs. `trace` looks for the first blob
    that differs. `stepwise` compares operator by operator, each ported alone and fed what caffe2ops has: for nets of 8
    bits, where a difference of one step early on becomes a greater one. The model is checked first, with full
    shape inference. Raises ValueError where inputs that hold whole numbers are not given, and what the checker raises
    for a model that is wrong.
    """
    from caffe2ops.port.onnx.model import EXTERNAL

    proof = Proof(tolerance)
    if path is None and model.size >= EXTERNAL:
        with TemporaryDirectory() as folder:
            files = model.save(Path(folder) / "model.onnx")
            return prove(model, *feeds, tolerance=tolerance, trace=trace, stepwise=stepwise, path=str(files[0]))
    proto = path if path is not None else model.proto()
    if model.custom:
        proof.unproven = f"no runtime knows {', '.join(model.custom)} of the domain caffe2ops"
        return proof
    check(proto)
    runner = session(proto)
    for given in feeds_for(model, feeds):
        shapes = {name: np.shape(_plain(v)) for name, v in given.items()}
        if stepwise:
            proof.runs.append(Run(shapes, list(differences_of_steps(model, given))))
            continue
        theirs = run(runner, model, given)
        proven = Run(shapes, differences_of(model, given, theirs))
        if not proven.within(tolerance) and any(op.type in BY_SCORE for op in model.net.op):
            with equal_by_index():
                by_index = Run(shapes, differences_of(model, given, theirs))
            if by_index.differences != proven.differences:
                proven, proof.notes = by_index, [EQUAL_SCORES]
        if trace and not proven.within(tolerance):
            proven.first = first_difference(model, given, tolerance)
        proof.runs.append(proven)
    eight_bits = any(op.type.startswith("Int8") for op in model.net.op)
    if eight_bits and not (model.exact_int8 or stepwise or proof.holds):
        proof.notes.append(ROUNDED)
    return proof


def differences_of(model: OnnxModel, feeds: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Difference]:
    """The difference of every output from what the model gives."""
    mine = of_caffe2ops(model, feeds)
    return [compare(blob, value, mine[blob], theirs[value.name]) for blob, value in model.outputs.items()]


def check(proto: Any) -> None:
    """ONNX's checker with full shape inference. Raises what it raises."""
    onnx = need("onnx")
    onnx.checker.check_model(proto, full_check=True)


def session(proto: Any) -> Any:
    """An onnxruntime session on the CPU, of a ModelProto or a file."""
    runtime = need("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    source = proto if isinstance(proto, str) else proto.SerializeToString()
    return runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run(session: Any, model: OnnxModel, feeds: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """What the session gives, by the names of the model's outputs."""
    names = [output.name for output in session.get_outputs()]
    given = {i.name: np.asarray(_plain(feeds[i.name])) for i in session.get_inputs() if i.name in feeds}
    return dict(zip(names, session.run(names, given)))


def of_caffe2ops(model: OnnxModel, feeds: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of the net, run by caffe2ops."""
    workspace = Workspace()
    for name, value in {**model.parameters, **feeds}.items():
        workspace.feed(name, value)
    workspace.run(model.net)
    return {name: workspace.fetch(name) for name in model.outputs}


@dataclass(frozen=True)
class Alone:
    """One operator of a net as a net of its own, with what caffe2ops has before and behind it."""

    title: str
    net: NetDef
    parameters: dict[str, Any]
    feeds: dict[str, Any]
    results: dict[str, Any]


def alone(
    net: NetDef, parameters: Mapping[str, Any], feeds: Mapping[str, Any], is_read: Callable[[str], bool]
) -> Iterator[Alone]:
    """Each operator alone; of what it writes, the blobs that are read."""
    workspace, written = Workspace(), set()
    for name, value in {**parameters, **feeds}.items():
        workspace.feed(name, value)
    for index, op in enumerate(net.op):
        names = [*read_by_operator(op), *(written_by(op) if op.type == "If" else ())]  # a branch may leave a blob alone
        read = {name: workspace.fetch(name) for name in names if workspace.has(name)}
        fixed = {name: value for name, value in read.items() if name in parameters and name not in written}
        fed = {name: value for name, value in read.items() if name not in fixed}
        outputs = [name for name in written_by(op) if is_read(name)]
        with equal_by_index():
            workspace.run(op)
        written.update(outputs)
        one = NetDef(name=op.type, op=(op,), external_input=tuple(read))
        yield Alone(f"{index} {op.type}", one, fixed, fed, {name: workspace.fetch(name) for name in outputs})


def differences_of_steps(model: OnnxModel, feeds: Mapping[str, Any]) -> Iterator[Difference]:
    """The difference of every blob when its operator is ported alone."""
    from caffe2ops.port.onnx.export import to_onnx

    for step in alone(model.net, model.parameters, feeds, model.is_read):
        one = to_onnx(
            step.net, step.parameters, step.feeds, outputs=list(step.results), opset=model.opset,
            exact_int8=model.exact_int8,
        )  # fmt: skip
        theirs = run(session(one.proto()), one, step.feeds)
        for blob, value in one.outputs.items():
            found = compare(blob, value, step.results[blob], theirs[value.name])
            yield replace(found, blob=f"{step.title}: {blob}")


def _plain(value: Any) -> Any:
    return value.data if isinstance(value, QTensor) else value


def compare(blob: str, value: Value, mine: Any, theirs: Any) -> Difference:
    """What caffe2ops has in a blob against what the model gives for it."""
    quantised = isinstance(mine, QTensor)
    mine, theirs = np.asarray(_plain(mine)), np.asarray(theirs)
    kind = f"quantised {mine.dtype}" if quantised else mine.dtype.name
    if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
        problem = f"is {mine.dtype}{list(mine.shape)} in caffe2ops, {theirs.dtype}{list(theirs.shape)} in the model"
        return Difference(blob, kind, mine.shape, np.inf, np.inf, problem)
    if not mine.size:
        return Difference(blob, kind, mine.shape)
    a, b = mine.astype(np.float64), theirs.astype(np.float64)
    odd = ~np.isfinite(a)
    if (odd != ~np.isfinite(b)).any() or not np.array_equal(a[odd], b[odd], equal_nan=True):
        return Difference(blob, kind, mine.shape, np.inf, np.inf, "NaN or infinities differ")
    a, b = a[~odd], b[~odd]
    if not a.size:
        return Difference(blob, kind, mine.shape)
    apart = np.abs(a - b)
    size = np.maximum(np.abs(a), SMALL * np.abs(a).max())
    relative = np.divide(apart, size, out=np.where(apart > 0, np.inf, 0.0), where=size > 0)
    return Difference(blob, kind, mine.shape, float(apart.max()), float(relative.max()))


def feeds_for(model: OnnxModel, given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the model is run with: what is given, and that with named dims of other sizes; or else what is drawn."""
    feeds = [dict(g) for g in given]
    if not feeds:
        return generated(model)
    names = {d for value in model.inputs for d in value.shape if isinstance(d, str)}
    whole = any(value.dtype.kind in "iu" and value.dtype != np.uint8 for value in model.inputs)
    if names and not whole:  # whole numbers may be lengths and indices of the other inputs
        feeds += [{**feeds[0], **{v.name: resized(v, feeds[0][v.name], n) for v in model.inputs}} for n in BATCHES]
    return feeds


def resized(value: Value, array: Any, size: int) -> Any:
    """An input with its named dims of this size: cut, or repeated."""
    for axis, dim in enumerate(value.shape):
        if isinstance(dim, str):
            array = np.take(array, np.arange(size) % np.shape(array)[axis], axis=axis)
    return array


def generated(model: OnnxModel) -> list[dict[str, Any]]:
    """Inputs drawn for the model: floats of a normal distribution, bytes; named dims of several sizes."""
    varies = any(not isinstance(d, int) for value in model.inputs for d in value.shape)
    found = []
    for batch in BATCHES if varies else BATCHES[:1]:
        generator = np.random.default_rng(batch)
        feeds: dict[str, Any] = {}
        for value in model.inputs:
            shape = [d if isinstance(d, int) else batch for d in value.shape]
            feeds[value.name] = _drawn(value, shape, generator)
        found.append(feeds)
    return found


def _drawn(value: Value, shape: Sequence[int], generator: np.random.Generator) -> Any:
    if value.dtype.kind == "f":
        return generator.standard_normal(shape).astype(value.dtype)
    if value.dtype == np.uint8:
        data = generator.integers(0, 256, shape).astype(np.uint8)
        return data if value.quantised is None else QTensor(data, *value.quantised)
    if value.dtype == bool:
        return generator.integers(0, 2, shape).astype(bool)
    raise ValueError(f"input {value.name!r} holds whole numbers, which only mean something together: feed them")


def first_difference(model: OnnxModel, feeds: Mapping[str, Any], tolerance: float) -> str:
    """The first operator of the net whose output differs, in a sentence; every blob is given out for that."""
    blobs = [v for step in model.steps if len(step.position) == 1 for _, v in step.outputs]
    inner = [v for v in blobs if v.array is None and v.dtype is not None and v not in model.graph.inputs]
    theirs = run(session(model.proto(inner)), model, feeds)
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
            found = compare(blob, value, workspace.fetch(blob), theirs[value.name])
            if not found.within(tolerance):
                how = found.problem or f"absolute {found.absolute:.3g}, relative {found.relative:.3g}"
                return f"first difference: operator {index} ({step.type}), blob {blob!r}: {how}"
    return "no operator's output differs more than that"
