"""The proof of a port: what every framework's shares. Differences, the report, inputs that are drawn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.dataflow import read_by_operator, written_by
from caffe2ops.defs import NetDef
from caffe2ops.errors import did_you_mean
from caffe2ops.ops.detection.by_score import equal_by_index
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
    "Each operator of 8 bits is within one step, and more comes together in a deep net: exact_int8 (--exact-int8) "
    "ports them as whole numbers, without that."
)
SMALL = 1e-2  # elements below this part of the greatest one count as that where differences are taken relative
TENSORS = (np.ndarray, QTensor)
BATCHES = (1, 3)  # what named dims are set to where inputs are generated
IMAGE = 61  # by how much more those of images are


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


def in_one_order(proof: Proof, net: NetDef, run: Run, again: Callable[[], list[Difference]]) -> None:
    """Where a run does not agree, compares `again` with boxes of equal scores in the order of their indices."""
    if run.within(proof.tolerance) or not any(op.type in BY_SCORE for op in net.op):
        return
    with equal_by_index():
        found = again()
    if found != run.differences:
        run.differences = found
        proof.notes += [EQUAL_SCORES] * (EQUAL_SCORES not in proof.notes)


@dataclass(frozen=True)
class Alone:
    """One operator of a net as a net of its own, with what caffe2ops has before and behind it."""

    title: str
    net: NetDef
    parameters: dict[str, Any]
    feeds: dict[str, Any]
    results: dict[str, Any]


def alone(
    net: NetDef, parameters: Mapping[str, Any], feeds: Mapping[str, Any], given_out: Iterable[str]
) -> Iterator[Alone]:
    """Each operator alone that writes tensors; of these, those that are read or given out. What follows from parameters
    alone is a parameter of it."""
    workspace, constant = Workspace(), set(parameters)
    wanted = {*given_out, *(name for op in net.op for name in read_by_operator(op))}
    blobs = wanted.union(*map(written_by, net.op))
    aside = {name: value for name, value in parameters.items() if name not in blobs}  # which no input names
    for name, value in {**parameters, **feeds}.items():
        workspace.feed(name, value)
    for index, op in enumerate(net.op):
        names = [*read_by_operator(op), *(written_by(op) if op.type == "If" else ())]  # a branch may leave a blob alone
        read = {name: workspace.fetch(name) for name in names if workspace.has(name)}
        fixed = {name: value for name, value in read.items() if name in constant or not isinstance(value, TENSORS)}
        fed = {name: value for name, value in read.items() if name not in fixed}
        outputs = [name for name in written_by(op) if name in wanted]
        with equal_by_index():
            workspace.run(op)
        (constant.difference_update if fed else constant.update)(written_by(op))
        results = {name: value for name in outputs if isinstance(value := workspace.fetch(name), TENSORS)}
        if results:
            one = NetDef(name=op.type, op=(op,), external_input=tuple(read))
            yield Alone(f"{index} {op.type}", one, {**aside, **fixed}, fed, results)


def plain(value: Any) -> Any:
    """The elements of a tensor that may be quantised."""
    return value.data if isinstance(value, QTensor) else value


def compare(blob: str, mine: Any, theirs: Any) -> Difference:
    """What caffe2ops has in a blob against what the model gives for it."""
    quantised = isinstance(mine, QTensor)
    mine, theirs = np.asarray(plain(mine)), np.asarray(theirs)
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
    if mine.dtype.kind in "iu":  # float64 does not hold all of them
        apart = np.maximum(apart, (mine != theirs)[~odd])
    size = np.maximum(np.abs(a), SMALL * np.abs(a).max())
    relative = np.divide(apart, size, out=np.where(apart > 0, np.inf, 0.0), where=size > 0)
    return Difference(blob, kind, mine.shape, float(apart.max()), float(relative.max()))


def feeds_for(model: OnnxModel, given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the model is run with: what is given, and that with named dims of other sizes; or else what is drawn."""
    feeds = [dict(g) for g in given]
    if not feeds:
        return generated(model)
    for each in feeds:
        for value in model.inputs:
            _check(value, each)
    varies = any(isinstance(d, str) for value in model.inputs if value.has_rank for d in value.shape)
    images = _of_images(model)
    whole = any(value.dtype.kind in "iu" and value.dtype != np.uint8 for value in model.inputs)
    empty = any(not np.size(plain(value)) for value in (feeds[0].get(v.name, 0) for v in model.inputs))
    if varies and not whole and not empty:  # whole numbers may be lengths and indices of the other inputs
        for size in BATCHES:
            feeds.append({**feeds[0], **{v.name: resized(v, feeds[0][v.name], size, images) for v in model.inputs}})
    return feeds


def _check(value: Value, feeds: Mapping[str, Any]) -> None:
    """Raises ValueError where an input is not fed, or not as it was when the net was ported."""
    if value.name not in feeds:
        raise ValueError(f"input {value.name!r} is not fed{did_you_mean(value.name, feeds)}")
    array = np.asarray(plain(feeds[value.name]))
    fits = not value.has_rank or (
        array.ndim == value.rank and all(n == d for n, d in zip(array.shape, value.shape) if isinstance(d, int))
    )
    if array.dtype != value.dtype or not fits:
        raise ValueError(f"input {value.name!r} is fed {array.dtype}{list(array.shape)}, but was ported as {value!r}")


def _of_images(model: OnnxModel) -> set[str]:
    """The names of the dims of images behind the batch: a window does not fit on an image of one point."""
    images = [value for value in model.inputs if value.has_rank and value.rank > 3]
    return {d for value in images for d in value.shape[1:] if isinstance(d, str)}


def resized(value: Value, array: Any, size: int, images: Collection[str]) -> Any:
    """An input with its named dims of this size, cut or repeated; those of images are doubled in a batch of 1."""
    for axis, dim in enumerate(value.shape if value.has_rank else ()):
        if isinstance(dim, str):
            now = np.shape(array)[axis]
            wanted = size if dim not in images else 2 * now if size == 1 else now
            array = np.take(array, np.arange(wanted) % now, axis=axis)
    return array


def generated(model: OnnxModel) -> list[dict[str, Any]]:
    """Inputs drawn for the model: floats of a normal distribution, bytes; named dims of several sizes."""
    varies = any(not isinstance(d, int) for value in model.inputs for d in value.shape)
    found, images = [], _of_images(model)
    for batch in BATCHES if varies else BATCHES[:1]:
        generator = np.random.default_rng(batch)
        feeds: dict[str, Any] = {}
        for value in model.inputs:
            shape = [d if isinstance(d, int) else batch + IMAGE * (d in images) for d in value.shape]
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
