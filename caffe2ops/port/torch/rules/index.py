"""Looking up and putting down by index: gathers, scatters, one-hot rows, masks, uniques."""

from __future__ import annotations

from typing import Any

from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.rules.shape import matrix
from caffe2ops.port.torch.text import listed, literal
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Several, Writer
from caffe2ops.port.values import NotPortable


@rule("Gather", "BatchGather")
def gather(t: Writer, op: Any, data: Tensor, indices: Tensor) -> str:
    axis = op.axis % data.rank
    if op.match_outer:
        return t.call("gather_within", data, indices, axis)
    if data.owned and data.rank == 2 and axis == 0 and data.is_float:
        made = t.module(f"nn.Embedding({data.static(0)}, {data.static(1)})", {"weight": (data, lambda a: a)})
        return f"{made}({indices})"
    return f"{data}[{', '.join([*[':'] * axis, f'{indices}.long()'])}]"


@rule("BatchPermutation")
def batch_permutation(t: Writer, op: Any, x: Tensor, indices: Tensor) -> str:
    return f"{x}[{indices}.long()]"


@rule("OneHot")
def one_hot(t: Writer, op: Any, indices: Tensor, count: Tensor) -> str:
    return f"F.one_hot({indices}, int({count})).float()"


@rule("SegmentOneHot")
def segment_one_hot(t: Writer, op: Any, lengths: Tensor, indices: Tensor, count: Tensor) -> str:
    empty = t.let("empty", f"torch.zeros({lengths}.numel(), int({count}), device={indices}.device)")
    one = f"{empty}.new_ones(())"
    return f"{empty}.index_put(({t.call('segment_ids', lengths)}, {indices}), {one})"


@rule("BatchOneHot")
def batch_one_hot(t: Writer, op: Any, data: Tensor, lengths: Tensor, values: Tensor) -> str:
    columns = f"{matrix(data)}[:, {t.call('segment_ids', lengths)}]"
    return f"({columns} == {values}.flatten()).to({data}.dtype)"


@rule("BooleanMask")
def boolean_mask(t: Writer, op: Any, data: Tensor, mask: Tensor) -> tuple[str, str]:
    return f"{data}[{mask}]", f"{mask}.nonzero().flatten()"


@rule("BooleanMaskLengths")
def boolean_mask_lengths(t: Writer, op: Any, lengths: Tensor, mask: Tensor) -> str:
    t.use("segment_sum")
    ids = t.call("segment_ids", lengths)
    return f"segment_sum({mask}.to({lengths}.dtype), {ids}, {lengths}.numel())"


@rule("Unique")
def unique(t: Writer, op: Any, indices: Tensor) -> Any:
    if op.n_outputs == 1:
        return f"{indices}.unique()"
    found = t.let("found", f"{indices}.unique(return_inverse=True)")
    return f"{found}[0]", f"{found}[1].int()"


@rule("FlexibleTopK")
def flexible_top_k(t: Writer, op: Any, x: Tensor, k: Tensor) -> Several:
    return Several(t.call("flexible_top_k", x, k))


@rule("SparseToDense")
def sparse_to_dense(t: Writer, op: Any, indices: Tensor, values: Tensor, shaped: Tensor | None = None) -> str:
    n = f"{shaped}.shape[0]" if shaped is not None else f"int({indices}.max()) + 1" if indices.size != 0 else "0"
    return t.call("segment_sum", values, indices, n)


@rule("BatchSparseToDense")
def batch_sparse_to_dense(
    t: Writer, op: Any, lengths: Tensor, indices: Tensor, values: Tensor, shaped: Tensor | None = None
) -> str:
    width = str(op.dense_last_dim) if shaped is None else f"{shaped}.shape[1]"
    filled = t.let("filled", f"{values}.new_full(({lengths}.numel(), {width}), {literal(op.default_value)})")
    return f"{filled}.index_put(({t.call('segment_ids', lengths)}, {indices}.long()), {values})"


@rule("BatchDenseToSparse")
def batch_dense_to_sparse(t: Writer, op: Any, lengths: Tensor, indices: Tensor, dense: Tensor) -> str:
    return f"{dense}[{t.call('segment_ids', lengths)}, {indices}.long()]"


@rule("ScatterAssign")
def scatter_assign(t: Writer, op: Any, data: Tensor, indices: Tensor, slices: Tensor) -> str:
    flat = f"{indices}.flatten().long()"
    return f"{data}.index_put(({flat},), {slices}.reshape(-1, *{data}.shape[1:]))"


@rule("SparseToDenseMask")
def sparse_to_dense_mask(
    t: Writer, op: Any, indices: Tensor, values: Tensor, default: Tensor, lengths: Tensor | None = None
) -> Any:
    call = t.call("dense_by_mask", indices, values, default, list(op.mask), "None" if lengths is None else lengths)
    return Several(call) if op.n_outputs > 1 else f"{call}[0]"


@rule("BooleanUnmask")
def boolean_unmask(t: Writer, op: Any, *inputs: Tensor) -> str:
    masks, pieces = map(listed, (inputs[::2], inputs[1::2]))
    return t.call("boolean_unmask", masks, pieces)


@rule("Find")
def find(t: Writer, op: Any, index: Tensor, query: Tensor) -> str:
    return t.call("find", index, query, op.missing_value)


@rule("FindDuplicateElements")
def duplicates(t: Writer, op: Any, data: Tensor) -> str:
    if data.dtype.kind != "i":
        raise NotPortable(f"of {data.dtype}; whole numbers can be")
    return t.call("duplicates", data)


@rule("DenseVectorToIdList")
def dense_to_ids(t: Writer, op: Any, x: Tensor) -> tuple[str, str]:
    there = t.let("there", f"~(({x} + 0.5).abs() < 1.0)")
    return f"{there}.sum(1, dtype=torch.int32)", f"{there}.nonzero()[:, 1].int()"


@rule("MergeIdLists")
def merge_id_lists(t: Writer, op: Any, *inputs: Tensor) -> Several:
    lengths, values = map(listed, (inputs[::2], inputs[1::2]))
    return Several(t.call("merge_id_lists", lengths, values))


@rule("Conditional")
def conditional(t: Writer, op: Any, condition: Tensor, yes: Tensor, no: Tensor) -> str:
    fit = ", ".join(["-1", *["1"] * (yes.rank - 1)])
    return f"torch.where({condition}.reshape({fit}), {yes}, {no})"


@rule("BatchBucketize")
def batch_bucketize(t: Writer, op: Any, features: Tensor, indices: Tensor, limits: Tensor, lengths: Tensor) -> str:
    return t.call("batch_bucketize", features, indices, limits, lengths)


@rule("PiecewiseLinearTransform")
def piecewise_linear(t: Writer, op: Any, x: Tensor, *given: Tensor) -> str:
    if given:
        pieces = [str(piece) for piece in given]
    else:
        pieces = [f"{x}.new_tensor({literal(values.tolist())})" for values in (op.bounds, op.slopes, op.intercepts)]
    columns = str(x) if not op.binary else f"{x}[:, None]" if x.rank == 1 else f"{x}[:, -1:]"
    made = t.call("piecewise_linear", columns, *pieces)
    if not op.binary:
        return made
    if x.rank == 1:
        return f"{made}[:, 0]"
    if x.static(1) == 1:
        return made
    second = t.let("second", made)
    return f"torch.cat((1 - {second}, {second}), 1)"


@rule("BatchBucketOneHot")
def bucket_one_hot(t: Writer, op: Any, data: Tensor, lengths: Tensor, boundaries: Tensor) -> str:
    return t.call("bucket_one_hot", matrix(data), lengths, boundaries)


@rule("Percentile")
def percentiles(t: Writer, op: Any, values: Tensor, points: Tensor, lengths: Tensor) -> str:
    return t.call("percentiles", values, points, lengths)


@rule("Scatter")
def scatter(t: Writer, op: Any, data: Tensor, indices: Tensor, updates: Tensor) -> str:
    return t.call("scatter_along", data, indices, updates, op.axis % data.rank)


@rule("Partition")
def partition(t: Writer, op: Any, keys: Tensor, *more: Tensor) -> Several:
    rows = f"[{', '.join(map(str, more))}]"
    return Several(t.call("partition", keys, rows, op.partitions, bool(op.pack_first_input)))
