"""Suppression of boxes, in a loop over their ranks; Caffe2's BoxWithNMSLimit wants other inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.rules.control import loop
from caffe2ops.port.from_onnx.rules.index import greatest, places_of
from caffe2ops.port.values import Value


@rule("NonMaxSuppression")
def suppression(
    g: Builder, node: Node, boxes: Value, scores: Value, most: Value | None = None, overlap: Value | None = None,
    least: Value | None = None,
) -> Value:  # fmt: skip
    """All classes of all pictures at once: a row for each pair of them, in it the boxes by falling score."""
    if most is None:
        return g.constant(np.zeros((0, 3), np.int64))
    count, classes = g.dims(scores, 2), g.dims(scores, 1)  # vectors of one
    flat = g.reshape(scores, g.join([np.asarray([-1]), count], 0) if count.array is None else [-1, int(count.array[0])])
    flat.shape = [None, scores.shape[2]]
    ranked, order = greatest(g, flat, count, 1)
    ranked.shape = order.shape = flat.shape
    pairs = g.Range(g.reshape(g.dims(flat, 0), []))
    picture = g.Div(pairs, classes)
    rows = g.Add(order, g.unsqueeze(g.Mul(picture, count), 1))
    corners, area = _corners(g, node, g.op("Gather", g.reshape(boxes, [-1, 4]), rows, axis=0))
    limit = g.constant(np.float32(0)) if overlap is None else g.reshape(overlap, [])
    ranks = g.Range(g.reshape(count, []))

    def step(inner: Builder, given: list[Value]) -> Any:
        """The box of this rank drops those behind it that overlap, where it is still there itself."""
        at, _, alive = given

        def of_it(v: Value) -> Value:
            return inner.unsqueeze(inner.op("Gather", v, at, axis=1), 1)

        low = [_two(inner, "maximum", v, of_it(v)) for v in corners[:2]]
        high = [_two(inner, "minimum", v, of_it(v)) for v in corners[2:]]
        sides = [inner.Relu(inner.Sub(h, lo)) for h, lo in zip(high, low)]
        shared = inner.Mul(*sides)
        share = inner.Div(shared, inner.Sub(inner.Add(area, of_it(area)), shared))
        dropped = inner.And(inner.And(inner.GT(share, limit), inner.GT(ranks, at)), of_it(alive))
        return None, [inner.And(alive, inner.Not(dropped))], []

    alive = g.EQ(order, order) if least is None else g.GT(ranked, g.reshape(least, []))
    (kept,), _ = loop(g, g.reshape(count, []), None, [alive], step)
    kept.shape = flat.shape
    number = g.aten("cumsum", g.cast(kept, np.int64), dim=1)
    number.shape = flat.shape
    places = places_of(g, g.And(kept, g.LE(number, g.reshape(g.cast(most, np.int64), []))))
    pair, rank = (g.op("Slice", places, starts=[0, i], ends=[-1, i + 1]) for i in (0, 1))
    which = g.one("Gather", g.reshape(order, [-1]), g.Add(g.Mul(pair, count), rank), axis=0)
    picture = g.Div(pair, classes)
    return g.join([picture, g.Sub(pair, g.Mul(picture, classes)), which], 1)


def _two(g: Builder, name: str, a: Value, b: Value) -> Value:
    found = g.aten(name, a, b)
    found.shape = a.shape
    return found


def _corners(g: Builder, node: Node, boxes: Value) -> tuple[list[Value], Value]:
    """The least and greatest coordinates [pairs, boxes] of boxes [pairs, boxes, 4], and the areas."""
    parts = [g.squeeze(v, 2) for v in g.split(boxes, [1] * 4, 2)]
    if node["center_point_box"]:
        x, y, width, height = parts
        halves = [g.Mul(v, g.like(v, 0.5)) for v in (height, width)]
        corners = [g.Sub(y, halves[0]), g.Sub(x, halves[1]), g.Add(y, halves[0]), g.Add(x, halves[1])]
    else:
        corners = [_two(g, name, *parts[i::2]) for name in ("minimum", "maximum") for i in (0, 1)]
    return corners, g.Mul(*(g.Sub(h, lo) for lo, h in zip(corners[:2], corners[2:])))
