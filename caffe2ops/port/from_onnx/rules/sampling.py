"""Images read between their elements: GridSample, AffineGrid, DeformConv."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.rules.image import window
from caffe2ops.port.from_onnx.rules.linalg import product
from caffe2ops.port.from_onnx.values import FLOAT, fixed, shaped
from caffe2ops.port.values import Value

CUBIC = -0.75  # the coefficient of GridSample's cubic


def sampled(
    g: Builder, x: Value, places: Sequence[Value], mode: str = "linear", padding: str = "zeros", corners: bool = False
) -> Value:
    """x [N, C, *spatial] at places [N, *out], one tensor for each spatial axis, as [N, *out, C].

    A sum over the elements around a place, each times its share; these stand along one more axis for each spatial one.
    """
    sizes, axes = [x.static(2 + i) for i in range(len(places))], range(len(places))
    size, rank = int(np.prod(sizes)), places[0].rank
    rows = g.reshape(g.moved(x, 1, -1), [-1, x.static(1)])
    strides = np.cumprod([1, *sizes[:0:-1]])[::-1]
    behind = [-1, *[1] * (rank - 1 + len(axes))]
    if isinstance(x.shape[0], int):
        at = g.constant((np.arange(x.shape[0]) * size).astype(np.int64).reshape(behind))
    else:
        at = g.reshape(g.Mul(g.Range(g.reshape(g.dims(x, 0), [])), g.constant(np.int64(size))), behind)
    shares: Value | None = None
    for i, stride in enumerate(strides):
        place, share = _taps(g, places[i], sizes[i], mode, padding, corners)
        others = [rank + j for j in axes if j != i]
        at = g.Add(at, g.unsqueeze(g.cast(g.Mul(place, g.like(place, stride)), np.int64), *others))
        if share is not None:
            part = g.unsqueeze(share, *others)
            shares = part if shares is None else g.Mul(shares, part)
    found = g.one("Gather", rows, at, axis=0)
    if shares is not None:
        found = g.Mul(found, g.unsqueeze(shares, rank + len(axes)))
    return g.ReduceSum(found, axes=[rank + i for i in axes], keepdims=0)


def _taps(g: Builder, place: Value, size: int, mode: str, padding: str, corners: bool) -> tuple[Value, Value | None]:
    """The elements of an axis that count at a place, along a new last axis, with their shares."""
    ends = (0.0, size - 1.0) if corners else (-0.5, size - 0.5)
    if mode == "nearest":
        place = shaped(g.aten("round", place), place)
    if mode != "cubic":
        place = _inside(g, place, *ends, size, padding)
    place = g.unsqueeze(place, place.rank)
    at, share = place, None
    if mode != "nearest":
        at = g.Add(g.Floor(place), g.constant(np.arange(*((2,) if mode == "linear" else (-1, 3)), dtype=np.float32)))
        apart = g.Abs(g.Sub(place, at))
        share = g.Sub(g.like(place, 1), apart) if mode == "linear" else _cubic(g, apart)
    if padding == "zeros":  # which are shares of 0
        there = g.cast(g.And(g.GE(at, g.like(at, 0)), g.LE(at, g.like(at, size - 1))), at.dtype)
        share = there if share is None else g.Mul(share, there)
    return g.Clip(_inside(g, at, *ends, size, padding), min=0.0, max=float(size - 1)), share


def _inside(g: Builder, place: Value, low: float, high: float, size: int, padding: str) -> Value:
    if padding == "border":
        return g.Clip(place, min=0.0, max=float(size - 1))
    if padding != "reflection":
        return place
    if high == low:
        return g.Mul(place, g.like(place, 0))
    turns = g.aten("remainder", _further(g, place, -low), g.like(place, 2 * (high - low)))
    back = g.Abs(_further(g, shaped(turns, place), low - high))
    return g.Sub(g.like(place, high), back)


def _further(g: Builder, place: Value, by: float) -> Value:
    return g.Add(place, g.like(place, by)) if by else place


def _cubic(g: Builder, d: Value) -> Value:
    """The share of an element at a distance below 2."""
    near = _polynomial(g, d, [CUBIC + 2, -(CUBIC + 3), 0, 1])
    far = _polynomial(g, d, [CUBIC, -5 * CUBIC, 8 * CUBIC, -4 * CUBIC])
    return g.where(g.LE(d, g.like(d, 1)), near, far)


def _polynomial(g: Builder, d: Value, coefficients: Sequence[float]) -> Value:
    found = g.Mul(d, g.like(d, coefficients[0]))
    for c in coefficients[1:-1]:
        found = g.Mul(_further(g, found, c), d)
    return _further(g, found, coefficients[-1])


@rule("GridSample")
def grid_sample(g: Builder, node: Node, x: Value, grid: Value) -> Value:
    """Places lie between -1 and 1, the last axis first."""
    rank, corners = x.rank - 2, bool(node["align_corners"])
    (where,) = g.accepted(("float32",), grid) if grid.dtype != np.float64 else (g.cast(grid, np.float32),)
    places = []
    for i in range(rank):
        part = g.squeeze(g.cut(where, rank + 1, rank - 1 - i, rank - i), rank + 1)
        size = x.static(2 + i)
        by, more = ((size - 1) / 2, (size - 1) / 2) if corners else (size / 2, (size - 1) / 2)
        places.append(_further(g, g.Mul(part, g.like(part, by)), more))
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(node["mode"], node["mode"])
    (values,) = g.accepted(("float32",), x) if x.dtype != np.float64 else (g.cast(x, np.float32),)
    return g.cast(g.moved(sampled(g, values, places, mode, node["padding_mode"], corners), -1, 1), x.dtype)


@rule("AffineGrid")
def affine_grid(g: Builder, node: Node, theta: Value, size: Value) -> Value:
    """A product of theta with the places that it leaves alone."""
    dims = [int(d) for d in fixed(size, "size")[2:]]
    (matrix,) = g.accepted(FLOAT, theta)
    lines = [np.linspace(-1, 1, n) if node["align_corners"] else (2 * np.arange(n) + 1) / n - 1 for n in dims]
    if node["align_corners"]:
        lines = [line if n > 1 else np.full(1, -1.0) for line, n in zip(lines, dims)]
    points = np.stack([*np.meshgrid(*lines, indexing="ij")[::-1], np.ones(dims)], -1).reshape(1, -1, len(dims) + 1)
    found = product(g, g.constant(points.astype(matrix.dtype)), g.transpose(matrix, [0, 2, 1]))
    return g.cast(g.reshape(found, [-1, *dims, len(dims)]), theta.dtype)


@rule("DeformConv")
def deformed(
    g: Builder, node: Node, x: Value, w: Value, offset: Value, b: Value | None = None, mask: Value | None = None
) -> Value:
    """Caffe2's DeformConv, or where that lacks something a product of the filters with what is read at the places."""
    kernel = list(node["kernel_shape"] or (w.static(i) for i in range(2, w.rank)))
    args, groups, parts = window(node, x, kernel), node["group"], node["offset_group"]
    if mask is None and w.static(0) % parts == 0:
        inputs = [v for v in (x, offset, w, b) if v is not None]
        return g.DeformConv(*inputs, **args, group=groups, deformable_group=parts)
    rank, taps, channels, filters = len(kernel), int(np.prod(kernel)), x.static(1), w.static(0)
    out = [offset.static(2 + i) for i in range(rank)]
    (a, moves) = g.accepted(("float32",), x, offset)
    split = g.reshape(moves, [-1, taps, rank, *out])
    places = []
    for i in range(rank):
        tap = np.indices(kernel)[i].reshape(-1) * args["dilations"][i] - args["pads"][i]
        along = [-1 if j == i else 1 for j in range(rank)]
        at = tap.reshape(taps, *[1] * rank) + (np.arange(out[i]) * args["strides"][i]).reshape(along)
        part = g.squeeze(g.cut(split, 2, i, i + 1), 2)
        places.append(g.Add(part, g.constant(np.broadcast_to(at, (taps, *out)).astype(np.float32))))
    found = sampled(g, g.reshape(a, [-1, channels // parts, *x.shape[2:]]), places)
    if mask is not None:
        found = g.Mul(found, g.reshape(g.cast(mask, np.float32), [-1, taps, *out, 1]))
    size, deep = int(np.prod(out)), channels // groups * taps
    columns: Any = g.reshape(g.moved(found, -1, 1), [-1, groups, deep, size])
    total = product(g, g.reshape(g.cast(w, np.float32), [1, groups, filters // groups, deep]), columns)
    total = g.reshape(total, [-1, filters, *out])
    if b is not None:
        total = g.Add(total, g.reshape(g.cast(b, np.float32), [1, filters, *[1] * rank]))
    return g.cast(total, x.dtype)
