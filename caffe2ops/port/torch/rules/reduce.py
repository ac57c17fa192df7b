"""Folding dims: sums, means, extremes, and where these stand."""

from __future__ import annotations

from typing import Any

from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.text import listed, literal
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Several, Writer, dtype_name
from caffe2ops.port.values import NotPortable

FOLDS = {"Sum": "sum", "Mean": "mean", "Max": "amax", "Min": "amin"}


def folded(x: Tensor, kind: str, axes: Any, keepdims: bool = False) -> str:
    """A fold over axes; of whole numbers in their own dtype."""
    axes = tuple(axes)
    if not axes:
        return str(x) if kind not in ("L1", "L2") else f"{x}.abs()"
    if kind in ("Mean", "Max", "Min") and 0 in (x.shape[axis] for axis in axes):
        raise NotPortable("folds axes without elements")
    given = literal(axes[0] if len(axes) == 1 else axes) + (", keepdim=True" if keepdims else "")
    if kind in ("L1", "L2"):
        return f"{x}.abs().sum({given})" if kind == "L1" else f"torch.linalg.vector_norm({x}, dim={given})"
    whole = f", dtype={dtype_name(x.dtype)}" if kind == "Sum" and not x.is_float else ""
    if kind == "Mean" and not x.is_float:
        return f"{x}.double().mean({given}).to({dtype_name(x.dtype)})"
    return f"{x}.{FOLDS[kind]}({given}{whole})"


@rule("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2")
def over_axes(t: Writer, op: Any, x: Tensor) -> str:
    return folded(x, op.type.removeprefix("Reduce"), op._axes(x.rank), op.keepdims)


@rule("ReduceFrontSum", "ReduceFrontMean", "ReduceFrontMax", "ReduceBackSum", "ReduceBackMean", "ReduceBackMax")
def front_back(t: Writer, op: Any, x: Tensor, lengths: Tensor | None = None) -> str:
    kind, count = op.type.removeprefix("ReduceFront").removeprefix("ReduceBack"), op.num_reduce_dim
    if lengths is not None:
        return t.call("fold_front_back", x, lengths, literal(kind), count, bool(op.front))
    return folded(x, kind, range(count) if op.front else range(x.rank - count, x.rank))


@rule("AveragedLoss", "SumElements", "SumSqrElements", "SumElementsInt")
def elements(t: Writer, op: Any, x: Tensor) -> str:
    if op.type == "SumElementsInt":
        return f"{x}.sum(dtype=torch.int32)"
    text = f"{x}.square()" if op.type == "SumSqrElements" else str(x)
    if op.type == "AveragedLoss" or op.average:
        return f"{text}.sum() / max({x}.numel(), 1)" if x.size in (None, 0) else f"{text}.mean()"
    return f"{text}.sum()"


@rule("RowwiseMax", "ColwiseMax")
def extremes(t: Writer, op: Any, x: Tensor) -> str:
    return f"{x}.amax({2 if op.type == 'RowwiseMax' else 1})"


@rule("ReduceTailSum")
def tail_sum(t: Writer, op: Any, x: Tensor) -> str:
    return f"{x}.flatten(1).sum(1)" if x.rank > 1 else str(x)


@rule("SumReduceLike")
def sum_like(t: Writer, op: Any, A: Tensor, B: Tensor) -> str:
    placed = op.placed(tuple(A.static(i) for i in range(A.rank)), tuple(B.static(i) for i in range(B.rank)))
    lead = A.rank - len(placed)
    axes = [i for i in range(A.rank) if i < lead or (placed[i - lead] == 1 and A.shape[i] != 1)]
    return f"{folded(A, 'Sum', axes)}.reshape({B}.shape)"


@rule("ArgMax", "ArgMin")
def arg_extreme(t: Writer, op: Any, x: Tensor) -> str:
    if x.shape[op.axis] == 0:
        raise NotPortable("looks along an axis without elements")
    return f"{x}.{op.type.lower()}({op.axis % x.rank}{', keepdim=True' if op.keepdims else ''})"


@rule("TopK")
def top_k(t: Writer, op: Any, x: Tensor, k: Tensor | None = None) -> Any:
    axis = op.axis % x.rank
    count = str(op.k) if op.k is not None or k is None else f"int({k})"
    t.use("top_k")
    call = f"top_k({x}, {count}, {axis})"
    if op.n_outputs < 3 or not t.wanted(2):
        return Several(call + ("" if op.n_outputs < 3 else " + (None,)"))
    found = t.let("found", call)
    return f"{found}[0]", f"{found}[1]", t.call("flat_indices", f"{found}[1]", x, axis)


@rule("Histogram")
def histogram(t: Writer, op: Any, *inputs: Tensor) -> str:
    joined = f"torch.cat({listed(f'{x}.flatten()' for x in inputs)})"
    return t.call("histogram", joined, [float(edge) for edge in op.bin_edges])
