"""The same elements in other places: reshaping, transposing, joining, cutting; and asking for shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.torch.rules import expressions, rule
from caffe2ops.port.torch.text import listed, literal
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Several, Writer, dtype_name
from caffe2ops.port.values import NotPortable

expressions(
    FlattenToVec="{0}.flatten()", ResizeLike="{0}.reshape({1}.shape)", NumpyTile="{0}.tile({1}.tolist())",
    Size="torch.tensor({0}.numel())", IsEmpty="torch.tensor({0}.numel() == 0)",
)  # fmt: skip


def matrix(x: Tensor, axis: int = 1) -> str:
    """Dims from the axis on joined, and those before it, as source."""
    axis = axis + x.rank if axis < 0 else axis
    if x.rank == 2 and axis == 1:
        return str(x)
    if axis == 0:
        return f"{x}.reshape(1, -1)"
    if axis == x.rank:
        return f"{x}.reshape(-1, 1)"
    if axis == 1:
        return f"{x}.flatten(1)"
    if axis == x.rank - 1:
        return f"{x}.flatten(0, -2)"
    return f"{x}.flatten({axis}).flatten(0, -2)"


def like(text: str, x: Tensor) -> str:
    """An expression in the shape of x."""
    return f"{text}.reshape({x}.shape)"


@rule("Reshape")
def reshape(t: Writer, op: Any, x: Tensor, shape: Tensor | None = None) -> tuple[str, str]:
    wanted = op.shape if shape is None else None if shape.array is None else shape.array.reshape(-1).tolist()
    old = f"torch.tensor({x}.shape{'' if shape is None else f', dtype={dtype_name(shape.dtype)}'})"
    if wanted is None:
        return f"{t.call('reshape_like_caffe2', x, f'{shape}.tolist()')}", old
    dims = [f"{x}.shape[{i}]" if d == 0 and i < x.rank else str(d) for i, d in enumerate(wanted)]
    if x.size == 0 or not wanted:
        return f"{x}.reshape({literal(tuple(wanted)) if wanted else '()'})", old
    return f"{x}.reshape({', '.join(dims)})", old


@rule("Flatten")
def flatten(t: Writer, op: Any, x: Tensor) -> str:
    return matrix(x, op.axis) if x.rank else f"{x}.reshape(1, 1)"


@rule("ExpandDims")
def expand_dims(t: Writer, op: Any, x: Tensor) -> str:
    text = str(x)
    for dim in sorted(set(op.dims)):
        text += f".unsqueeze({dim})"
    return text


@rule("Squeeze")
def squeeze(t: Writer, op: Any, x: Tensor) -> str:
    dims = sorted(set(op.dims))
    return f"{x}.squeeze({dims[0] if len(dims) == 1 else literal(tuple(dims))})" if dims else str(x)


@rule("MergeDim")
def merge_dim(t: Writer, op: Any, x: Tensor) -> str:
    return f"{x}.flatten(0, 1)" if x.rank > 1 else f"{x}.flatten()"


@rule("PrependDim")
def prepend_dim(t: Writer, op: Any, x: Tensor) -> str:
    return f"{x}.unflatten(0, ({op.dim_size}, -1))"


@rule("Transpose")
def transpose(t: Writer, op: Any, x: Tensor) -> str:
    axes = list(op.axes or range(x.rank)[::-1])
    return f"{x}.permute({', '.join(map(str, axes))})" if axes else str(x)


@rule("Concat")
def concat(t: Writer, op: Any, *inputs: Tensor) -> tuple[str, str]:
    new = op._new_axis
    axis = op._axis(inputs[0].rank + new)
    parts = listed(inputs)
    if new:
        return f"torch.stack({parts}, {axis})", f"torch.ones({len(inputs)}, dtype=torch.int32)"
    sizes = ", ".join(f"{x}.shape[{axis}]" for x in inputs)
    return f"torch.cat({parts}, {axis})", f"torch.tensor([{sizes}], dtype=torch.int32)"


@rule("DepthConcat")
def depth_concat(t: Writer, op: Any, *inputs: Tensor) -> tuple[str, str]:
    made: tuple[str, str] = concat(t, op, *inputs)
    return made


@rule("Split", "DepthSplit")
def split(t: Writer, op: Any, x: Tensor, sizes: Tensor | None = None) -> Any:
    axis = op._axis(x.rank)
    if op.add_axis:
        return Several(f"{x}.unbind({axis})") if op.n_outputs > 1 else f"{x}.squeeze({axis})"
    if op.n_outputs == 1:
        return str(x)
    if sizes is not None and sizes.array is None:
        return Several(f"{x}.split({sizes}.tolist(), {axis})")
    given = op.split if sizes is None else sizes.constant("split").tolist()
    return Several(f"{x}.split({literal(list(given))}, {axis})" if given else f"{x}.chunk({op.n_outputs}, {axis})")


@rule("Slice")
def slice_(t: Writer, op: Any, x: Tensor, starts: Tensor | None = None, ends: Tensor | None = None) -> str:
    if starts is not None and ends is not None:
        if starts.array is None or ends.array is None:
            return t.call("cut", x, f"{starts}.tolist()", f"{ends}.tolist()")
        bounds = zip(starts.array.tolist(), ends.array.tolist())
    else:
        bounds = zip(op.starts, op.ends)
    cuts = [between(a, b) for a, b in bounds]
    while cuts and cuts[-1] == ":":
        cuts.pop()
    return f"{x}[{', '.join(cuts)}]" if cuts else str(x)


def between(start: int, end: int) -> str:
    """A slice; of numbers below 0, -1 stands behind the last element, -2 before it."""
    first = str(start) if start > 0 else "" if start == 0 else str(start + 1) if start < -1 else "-1:0"
    if first == "-1:0":
        return "0:0"
    last = str(end) if end >= 0 else "" if end == -1 else str(end + 1)
    return f"{first}:{last}"


@rule("Tile")
def tile(t: Writer, op: Any, x: Tensor, tiles: Tensor | None = None, axis: Tensor | None = None) -> str:
    if axis is None and op.axis is None:
        raise NotPortable("axis is missing")
    at = (op.axis if axis is None else int(axis.constant("axis").reshape(-1)[0])) % x.rank
    if axis is None and tiles is not None and tiles.dtype == np.int64:
        at = 0  # as Caffe2 has it
    times = str(op.tiles) if tiles is None else f"int({tiles})"
    return f"{x}.repeat({', '.join(['1'] * at + [times] + ['1'] * (x.rank - at - 1))})"


@rule("Expand")
def expand(t: Writer, op: Any, x: Tensor, shape: Tensor) -> str:
    if shape.array is not None:
        dims = np.where(shape.array < 0, 1, shape.array).tolist()
        return f"{x} * {x}.new_ones({literal(tuple(dims))})"
    return f"{x} * {x}.new_ones({shape}.clamp(min=1).tolist())"


@rule("Shape")
def shape(t: Writer, op: Any, x: Tensor) -> str:
    if op.axes:
        return f"torch.tensor([{', '.join(f'{x}.shape[{axis}]' for axis in op.axes)}], device={x}.device)"
    return f"torch.tensor({x}.shape, {'' if x.rank else 'dtype=torch.int64, '}device={x}.device)"


@rule("HasElements")
def has_elements(t: Writer, op: Any, *inputs: Tensor) -> str:
    return f"torch.tensor({' or '.join(f'{x}.numel() > 0' for x in inputs)})"


@rule("SplitByLengths")
def split_by_lengths(t: Writer, op: Any, x: Tensor, lengths: Tensor) -> Any:
    axis = op._axis(x.rank)
    sizes = t.let("sizes", f"{lengths}.reshape({op.n_outputs}, -1).sum(1)")
    if op.use_scaling_lengths:
        sizes = t.let("scaled", f"{sizes} * ({x}.shape[{axis}] // {sizes}.sum().clamp(min=1))")
    return Several(f"{x}.split({sizes}.tolist(), {axis})")
