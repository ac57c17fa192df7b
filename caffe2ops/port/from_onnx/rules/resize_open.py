"""Images made larger or smaller where their sizes, or those wanted, are only known when the net runs."""

from __future__ import annotations

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.values import FLOAT
from caffe2ops.port.values import NotPortable, Value

MODES = ("nearest", "linear", "bilinear")
COORDINATES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "asymmetric", "align_corners")


def resized(g: Builder, node: Node, x: Value, scales: Value | None, sizes: Value | None) -> Value:
    """Axis by axis: places are computed, and the elements around them read."""
    coordinates, policy = node["coordinate_transformation_mode"] or "asymmetric", node["keep_aspect_ratio_policy"]
    if node["mode"] not in MODES or coordinates not in COORDINATES or node["antialias"] or node["exclude_outside"]:
        raise NotPortable("has sizes that are only known when it runs, and isn't plainly linear or nearest")
    if policy not in (None, "stretch"):
        raise NotPortable("keeps the aspect ratio of sizes that are only known when it runs")
    given = scales if sizes is None or sizes.size == 0 else sizes
    if given is None:
        given = g.constant(np.asarray(node["scales"], np.float32))
    known = given.dims if given.array is None else given.array.tolist()
    (y,) = g.accepted(FLOAT, x)
    for i, axis in enumerate([a % x.rank for a in node["axes"]] if node["axes"] else range(x.rank)):
        same = x.shape[axis] if given is sizes else 1
        if known and same is not None and known[i] == same:
            continue
        size = g.cast(g.dims(y, axis), np.float32)
        part = g.constant(given.array[i : i + 1]) if given.array is not None else g.cut(given, 0, i, i + 1)
        number = g.cast(part, np.float32)
        exact = number if given is sizes else g.Mul(size, number)
        length, scale = (exact, g.Div(number, size)) if given is sizes else (g.Floor(exact), number)
        y = _along(g, node, y, axis, size, _places(g, length, exact, size, scale, coordinates))
    return g.cast(y, x.dtype)


def _places(g: Builder, length: Value, exact: Value, size: Value, scale: Value, coordinates: str) -> Value:
    """Where the elements of the result lie; `exact` is their number before it is rounded down."""
    turns = g.cast(g.Range(g.reshape(g.cast(length, np.int64), [])), np.float32)
    turns.shape = [None]
    one, half = g.like(size, 1), g.like(size, 0.5)
    if coordinates == "asymmetric":
        return g.Div(turns, scale)
    if coordinates == "align_corners":
        last = g.Sub(exact, one)
        apart = g.Div(g.Sub(size, one), g.Add(last, g.cast(g.EQ(last, g.like(last, 0)), np.float32)))
        return g.Mul(turns, apart)
    places = g.Sub(g.Div(g.Add(turns, half), scale), half)
    if coordinates == "pytorch_half_pixel":  # a single element is the first one
        return g.Sub(g.Mul(g.Add(places, half), g.cast(g.GT(length, one), np.float32)), half)
    if coordinates == "half_pixel_symmetric" and exact is not length:
        rest = g.Sub(one, g.Div(length, exact))
        return g.Add(places, g.Mul(g.Mul(size, half), rest))
    return places


def _along(g: Builder, node: Node, x: Value, axis: int, size: Value, places: Value) -> Value:
    """The elements of an axis at these places, or between them."""
    last = g.cast(g.Sub(size, g.like(size, 1)), np.int64)
    shape = [None if i == axis else d for i, d in enumerate(x.shape)]

    def at(whole: Value) -> Value:
        place = g.cast(whole, np.int64)
        low = g.where(g.LT(place, g.like(place, 0)), g.like(place, 0), place)
        found = g.one("Gather", x, g.where(g.GT(low, last), last, low), axis=axis)
        found.shape = shape
        return found

    if node["mode"] == "nearest":
        turn, shift = {"round_prefer_floor": ("Ceil", -0.5), "round_prefer_ceil": ("Floor", 0.5),
                       "floor": ("Floor", 0.0), "ceil": ("Ceil", 0.0)}[node["nearest_mode"] or "floor"]  # fmt: skip
        return at(g.one(turn, g.Add(places, g.like(places, shift)) if shift else places))
    floor = g.Floor(places)
    share = g.reshape(g.cast(g.Sub(places, floor), x.dtype), [-1, *[1] * (x.rank - axis - 1)])
    first, second = at(floor), at(g.Add(floor, g.like(floor, 1)))
    return g.Add(first, g.Mul(g.Sub(second, first), share))
