"""Segments named by an id for each row: the reductions of Sorted and Unsorted segments, and their gradients.

A segmenter, `segmenter(ids, count)`, checks the ids and says how many rows each segment has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.errors import GradientError
from caffe2ops.infer import UNKNOWN, Cost, TensorSpec
from caffe2ops.operator import Arg, Operator, row
from caffe2ops.ops.index.rows import add_rows, checked_indices
from caffe2ops.ops.segment.lengths_reduce import as_matrix

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker

Segmenter = Callable[[np.ndarray, int | None], np.ndarray]


class OfSegments(Operator):
    """Base: which rows belong together, how they are folded, and whether they are picked by INDICES and weighted."""

    segmenter: ClassVar[Segmenter]
    prefix: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    sparse: ClassVar[bool] = False
    num_segments: int = -1

    @property
    def weighted(self) -> bool:
        return self.kind == "WeightedSum"


class SegmentReduce(OfSegments):
    """Base of the reductions. Inputs: DATA, SCALARS where weighted, INDICES where sparse, SEGMENT_IDS."""

    def infer(self, data: TensorSpec, *rest: TensorSpec) -> TensorSpec:
        return TensorSpec((self.num_segments if self.num_segments >= 0 else UNKNOWN, *data.shape[1:]), data.dtype)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        data, count = inputs[0], inputs[-1].size
        touched = count * (data.size // max(data.shape[0], 1))
        read = touched * data.dtype.itemsize + sum(spec.nbytes for spec in inputs[1:])
        return Cost(touched * (1 + self.weighted), read, outputs[0].nbytes)

    def run_cpu(self, data: np.ndarray, *rest: np.ndarray) -> Any:
        given = self.num_segments if self.num_segments >= 0 else None
        lengths = type(self).segmenter(rest[-1], given)
        rows = as_matrix(data)
        if self.sparse:
            rows = rows[checked_indices(rest[-2], len(data))]
        if self.weighted:
            rows = rows * rest[0][:, None]
        out = self.out(0, (len(lengths), *data.shape[1:]), data.dtype)
        out[...] = 0
        folded = add_rows(as_matrix(out), rest[-1], rows)
        if self.kind == "Mean":
            folded /= np.maximum(lengths, 1).astype(data.dtype)[:, None]
        return out

    def run_cuda(self, data: Any, *rest: Any) -> Any:
        from caffe2ops.ops.segment import segment_ids_cuda

        given = self.num_segments if self.num_segments >= 0 else None
        weights, indices = rest[0] if self.weighted else None, rest[-2] if self.sparse else None
        return segment_ids_cuda.reduce_segments(self, data, weights, indices, rest[-1], given)

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        names = list(g.def_.input)
        if g.def_.args.get("grad_on_weights", 0):
            raise GradientError(f"{cls.type}: grad_on_weights = 1, but there is no gradient of SCALARS")
        target = f"{names[0]}_grad_values"
        if cls.sparse:
            g.set_sparse(0, names[-2], target)
        else:
            target = g.GI(0)
        scalars = names[1:2] if cls.kind == "WeightedSum" else []
        return [g.op(f"{cls.prefix}{cls.kind}Gradient", (*scalars, g.GO(0), names[-1]), (target,))]


class SegmentSpread(OfSegments):
    """Base of the gradients: row s of dOUTPUT for each row of segment s, divided or weighted as it was folded."""

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        dy, ids = inputs[-2:]
        lengths = type(self).segmenter(ids, len(dy))
        dx = self.out(0, (len(ids), *dy.shape[1:]), dy.dtype)
        rows = as_matrix(dx)
        if rows.size:
            np.take(as_matrix(dy), ids, axis=0, out=rows, mode="clip")
        if self.weighted:
            rows *= inputs[0][:, None]
        if self.kind == "Mean":
            rows /= lengths[ids].astype(dy.dtype)[:, None]
        return dx

    def run_cuda(self, *inputs: Any) -> Any:
        from caffe2ops.ops.segment import segment_ids_cuda

        return segment_ids_cuda.spread_segments(self, inputs[0] if self.weighted else None, *inputs[-2:])


_DOCS = {
    "DATA": "rows, any dims after the first",
    "SCALARS": "a weight for each row that is summed",
    "INDICES": "which rows of DATA, K of them",
    "SEGMENT_IDS": "to which segment each of the K rows belongs",
    "OUTPUT": "a row for each segment",
    "dOUTPUT": "gradient of OUTPUT",
    "dDATA": "gradient of the rows that were folded, one for each",
}
_WHAT = {"Sum": "sum", "Mean": "mean", "WeightedSum": "weighted sum"}


def segment_reductions(prefix: str, segmenter: Segmenter, which: str, errors: str, *, count: bool = False) -> None:
    """Declares Sum, Mean and WeightedSum of DATA and of picked rows, with gradients; `count`: num_segments is one."""
    for kind, what in _WHAT.items():
        weighted = kind == "WeightedSum"
        arguments: dict[str, Any] = {"__annotations__": {}}
        if weighted:
            arguments["grad_on_weights"] = Arg(False, doc="must be 0 where a gradient is asked for")
            arguments["__annotations__"]["grad_on_weights"] = "bool"
        if count:
            arguments["num_segments"] = Arg(-1, doc="how many segments there are; negative: the greatest id says")
            arguments["__annotations__"]["num_segments"] = "int"
        for sparse in (False, True):
            name = f"{'Sparse' * sparse}{prefix}{kind}"
            inputs = ["DATA: float[R, ...]" if sparse else "DATA: float[K, ...]"]
            inputs += ["SCALARS: DATA[K]"] * weighted + ["INDICES: integer[K]"] * sparse + ["SEGMENT_IDS: int32[K]"]
            members = {"segmenter": staticmethod(segmenter), "prefix": prefix, "kind": kind, "sparse": sparse}
            of = "the rows of DATA that INDICES picks" if sparse else "the rows of DATA"
            wrong = f"{errors[:-1]}, IndexError for an index that is no row." if sparse else errors
            _declare(
                name,
                f"The {what} of {of} in each segment; {which} {wrong} Caffe2: operators/segment_reduction_op.",
                SegmentReduce,
                f"{', '.join(inputs)} -> OUTPUT: DATA[?]",
                {**members, **arguments},
            )
            gradient = "SCALARS: float[K], dOUTPUT: SCALARS" if weighted else "dOUTPUT: float"
            _declare(
                f"{name}Gradient",
                f"The gradient of {name} by the rows that it folds.",
                SegmentSpread,
                f"{gradient}[S, ...], SEGMENT_IDS: int32[K] -> dDATA: dOUTPUT[K, ...]",
                members,
            )


def _declare(name: str, doc: str, base: type[Operator], contract: str, members: dict[str, Any]) -> None:
    docs = {port: text for port, text in _DOCS.items() if f"{port}:" in contract.replace(" ", "")}
    row(name, doc, base, 3, contract=contract, docs=docs, **members)
