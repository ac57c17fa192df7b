"""Segments of rows, told by lengths or by ids."""

from __future__ import annotations

from typing import Any

from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.text import literal
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Several, Writer
from caffe2ops.port.values import NotPortable

KINDS = ("sum", "mean", "max")


@rule("LengthsSum", "LengthsMean", "LengthsMax", "LengthsWeightedSum")
@rule("SparseLengthsSum", "SparseLengthsMean", "SparseLengthsWeightedSum", "SparseLengthsPositionalWeightedSum")
def lengths_reduce(t: Writer, op: Any, data: Tensor, *rest: Tensor) -> str:
    *between, lengths = rest
    sparse = op.type.startswith("Sparse")
    indices = between.pop() if sparse else None
    kind = next((k for k in KINDS if k in op.type.lower()), "sum")
    weights = between[0] if between else None
    t.use("segment_ids")
    if indices is not None and data.owned and data.rank == 2 and "Positional" not in op.type:
        bag = t.module(
            f'nn.EmbeddingBag({data.static(0)}, {data.static(1)}, mode="{kind}")', {"weight": (data, lambda a: a)}
        )
        given = "" if weights is None else f", {weights}"
        t.use("segment_starts")
        return f"{bag}({indices}.long(), segment_starts({lengths}){given})"
    ids = t.let("ids", f"segment_ids({lengths})")
    rows = str(data) if indices is None else f"{data}[{indices}.long()]"
    rows += ".float()" if data.dtype == "float16" else ""
    if weights is not None:
        taken = f"{weights}[{t.call('segment_places', lengths)}]" if "Positional" in op.type else str(weights)
        rows = str(t.let("rows", rows)) if rows != str(data) else rows
        rows = f"{rows} * {t.call('per_row', taken, rows)}"
    return t.call(f"segment_{kind}", rows, ids, f"{lengths}.numel()")


def _count(t: Writer, ids: Tensor, given: int = -1) -> str:
    """How many segments ids name."""
    if given >= 0:
        return str(given)
    return f"int({ids}.max()) + 1" if ids.size != 0 else "0"


@rule("SortedSegmentSum", "SortedSegmentMean", "SortedSegmentWeightedSum")
@rule("SparseSortedSegmentSum", "SparseSortedSegmentMean", "SparseSortedSegmentWeightedSum")
@rule("UnsortedSegmentSum", "UnsortedSegmentMean", "UnsortedSegmentWeightedSum")
@rule("SparseUnsortedSegmentSum", "SparseUnsortedSegmentMean", "SparseUnsortedSegmentWeightedSum")
@rule("SortedSegmentRangeSum", "SortedSegmentRangeMean", "SortedSegmentRangeMax")
@rule("SortedSegmentRangeLogSumExp", "SortedSegmentRangeLogMeanExp")
def by_ids(t: Writer, op: Any, data: Tensor, *rest: Tensor) -> str:
    *between, ids = rest
    rows = f"{data}[{between.pop()}.long()]" if op.type.startswith("Sparse") else str(data)
    if between:
        rows = str(t.let("rows", rows)) if rows != str(data) else rows
        rows = f"{rows} * {t.call('per_row', between[0], rows)}"
    kind = {"LogSumExp": "log_sum_exp", "LogMeanExp": "log_mean_exp"}.get(op.type[-9:].removeprefix("e"))
    kind = next((v for k, v in (("LogSumExp", "log_sum_exp"), ("LogMeanExp", "log_mean_exp"), ("Mean", "mean"),
                                ("Max", "max"), ("Sum", "sum")) if op.type.endswith(k)))  # fmt: skip
    return t.call(f"segment_{kind}", rows, ids, _count(t, ids, getattr(op, "num_segments", -1)))


# --- lengths in other forms ---


@rule("LengthsToSegmentIds")
def segment_ids(t: Writer, op: Any, lengths: Tensor) -> str:
    return f"{t.call('segment_ids', lengths)}.int()"


@rule("LengthsRangeFill")
def places(t: Writer, op: Any, lengths: Tensor) -> str:
    return f"{t.call('segment_places', lengths)}.int()"


@rule("LengthsToRanges")
def ranges(t: Writer, op: Any, lengths: Tensor) -> str:
    return f"torch.stack(({t.call('segment_starts', lengths)}.int(), {lengths}), 1)"


@rule("LengthsToOffsets")
def offsets(t: Writer, op: Any, lengths: Tensor) -> str:
    if op.include_last_offset:
        return f"F.pad({lengths}.cumsum(0, dtype={lengths}.dtype), (1, 0))"
    return f"{t.call('segment_starts', lengths)}.to({lengths}.dtype)"


@rule("LengthsToWeights")
def weights(t: Writer, op: Any, lengths: Tensor) -> str:
    each = t.let("each", f"{lengths}.clamp(min=1).double() ** {literal(-op.power)}")
    return f"{each}[{t.call('segment_ids', lengths)}].float()"


@rule("LengthsToShape")
def equal_lengths(t: Writer, op: Any, lengths: Tensor) -> str:
    return f"torch.stack(({lengths}.new_tensor({lengths}.numel()), {lengths}[0]))"


@rule("SegmentIdsToLengths")
def ids_to_lengths(t: Writer, op: Any, ids: Tensor, data: Tensor | None = None) -> str:
    return t.call("ids_to_lengths", ids) if data is None else t.call("ids_to_lengths", ids, f"{data}.shape[0]")


@rule("LengthsSplit")
def lengths_split(t: Writer, op: Any, lengths: Tensor, n: Tensor | None = None) -> str:
    return t.call("split_lengths", lengths, op.n_split if n is None else f"int({n})")


# --- rows in other places ---


@rule("LengthsTile")
def lengths_tile(t: Writer, op: Any, data: Tensor, lengths: Tensor) -> str:
    return f"{data}.repeat_interleave({lengths}, 0)"


@rule("LengthsGather")
def lengths_gather(t: Writer, op: Any, items: Tensor, lengths: Tensor, indices: Tensor) -> str:
    return t.call("lengths_gather", items, lengths, indices)


@rule("GatherRanges")
def gather_ranges(t: Writer, op: Any, data: Tensor, ranges: Tensor) -> Several:
    return Several(t.call("gather_ranges", data, ranges))


@rule("PackSegments")
def pack_segments(t: Writer, op: Any, lengths: Tensor, tensor: Tensor) -> tuple[str, ...]:
    width = literal(op.max_length) if op.max_length >= 0 else ""
    filling = 'filling=float("-inf")' if op.pad_minf and tensor.is_float else ""
    t.use("pack_segments")
    packed = f"pack_segments({', '.join(filter(None, (str(tensor), str(lengths), width, filling)))})"
    if not op.return_presence_mask:
        return (packed,)
    packed_ = t.let("packed", packed)
    return str(packed_), f"torch.arange({packed_}.shape[1], device={tensor}.device) < {lengths}[:, None]"


@rule("UnpackSegments")
def unpack_segments(t: Writer, op: Any, lengths: Tensor, tensor: Tensor) -> str:
    kept = f"{lengths}.clamp(max={tensor}.shape[1])" if op.max_length >= 0 else str(lengths)
    kept = str(t.let("kept", kept)) if op.max_length >= 0 else kept
    return f"{tensor}[{t.call('segment_ids', kept)}, {t.call('segment_places', kept)}]"


@rule("LengthsPad")
def lengths_pad(t: Writer, op: Any, data: Tensor, lengths: Tensor) -> str:
    return f"{t.call('pack_segments', data, lengths, op.target_length, op.padding_value)}.flatten(0, 1)"


@rule("PackRNNSequence")
def pack_sequence(t: Writer, op: Any, values: Tensor, lengths: Tensor) -> str:
    return f"{t.call('pack_segments', values, lengths)}.transpose(0, 1)"


@rule("UnpackRNNSequence")
def unpack_sequence(t: Writer, op: Any, values: Tensor, lengths: Tensor) -> str:
    return f"{values}[{t.call('segment_places', lengths)}, {t.call('segment_ids', lengths)}]"


@rule("ReversePackedSegs")
def reverse_packed(t: Writer, op: Any, data: Tensor, lengths: Tensor) -> str:
    return t.call("reverse_packed", data, lengths)


@rule("LengthsTopK")
def lengths_top_k(t: Writer, op: Any, data: Tensor, lengths: Tensor) -> Several:
    if not data.is_float:
        raise NotPortable(f"of {data.dtype}")
    return Several(t.call("lengths_top_k", data, lengths, op.k))


@rule("TopKPool")
def top_k_pool(t: Writer, op: Any, data: Tensor, lengths: Tensor, each: Tensor | None = None) -> Several:
    most = str(op.checked_k()) if each is None else f"int({each}.max()) if {each}.numel() else 0"
    given: dict[str, Any] = {"each": each} if each is not None else {}
    given |= {"by_place": True} if op.order == "position" else {}
    given |= {"spread": True} if op.mode == "mask" else {}
    if each is not None:
        most = str(t.let("most", most))
    return Several(t.call("top_k_pool", data, lengths, most, op.ranked_axis(data.rank), **given))


# --- padding of segments ---


def _lengths(t: Writer, data: Tensor, lengths: Tensor | None) -> str:
    return f"torch.tensor([{data}.shape[0]], device={data}.device)" if lengths is None else str(lengths)


@rule("AddPadding")
def add_padding(
    t: Writer,
    op: Any,
    data: Tensor,
    lengths: Tensor | None = None,
    start: Tensor | None = None,
    end: Tensor | None = None,
) -> Any:
    rows = [str(row) for row in (start, end) if row is not None]
    call = t.call("add_padding", data, _lengths(t, data, lengths), *op.widths, *rows)
    return Several(call) if op.n_outputs > 1 else f"{call}[0]"


@rule("RemovePadding")
def remove_padding(t: Writer, op: Any, data: Tensor, lengths: Tensor | None = None) -> Any:
    call = t.call("remove_padding", data, _lengths(t, data, lengths), *op.widths)
    return Several(call) if op.n_outputs > 1 else f"{call}[0]"


@rule("GatherPadding")
def gather_padding(t: Writer, op: Any, data: Tensor, lengths: Tensor) -> Any:
    call = t.call("gather_padding", data, lengths, *op.widths)
    return Several(call) if op.n_outputs > 1 else f"torch.stack({call}).sum(0)"


@rule("SegmentIdsToRanges")
def ids_to_ranges(t: Writer, op: Any, ids: Tensor, data: Tensor | None = None) -> str:
    return t.call("ids_to_ranges", ids) if data is None else t.call("ids_to_ranges", ids, f"{data}.shape[0]")


@rule("GatherRangesToDense")
def ranges_to_dense(t: Writer, op: Any, data: Tensor, ranges: Tensor, key: Tensor | None = None) -> Any:
    given = () if key is None else (key,)
    call = t.call("ranges_to_dense", data, ranges, list(op.lengths), *given)
    return Several(call) if op.n_outputs > 1 else f"{call}[0]"


@rule("SequenceMask")
def sequence_mask(t: Writer, op: Any, x: Tensor, lengths: Tensor | None = None) -> str:
    axis = op.axis % x.rank
    first = 0 if op.batch is None else op.batch % x.rank + 1
    repeat = x.rank if op.repeat_from_axis is None else op.repeat_from_axis % x.rank
    signs = {"upper": ">", "lower": "<", "upperdiag": ">=", "lowerdiag": "<=", "sequence": ">=", "window": "window"}
    if lengths is None and op.mode in ("sequence", "window"):
        raise NotPortable("wants sequence_lengths")
    shape = [f"math.prod({x}.shape[{a}:{b}])" for a, b in ((0, first), (first, axis), (axis, repeat), (repeat, x.rank))]
    rows = t.let("rows", f"{x}.reshape({', '.join(shape)})")
    number = f"torch.arange({rows}.shape[%d], device={x}.device)"
    column = t.let("column", number % 2)
    row = t.let("row", number % 1 if lengths is None else f"{lengths}[: {rows}.shape[1]]")
    if op.mode == "window":
        masked = f"({column} - {row}[:, None]).abs() > {op.radius}"
    else:
        masked = f"{column} {signs[op.mode]} {row}[:, None]"
    mask = t.let("masked", f"({masked})[:, :, None]")
    return f"torch.where({mask}, {literal(0.0 if op.grad else op.fill_val)}, {rows}).reshape({x}.shape)"
