"""RoIAlign of quantised images, computed in whole numbers as Caffe2 does: a loop over the regions."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.int8.arithmetic import MOST, F
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.detection import regions
from caffe2ops.port.onnx.rules.int8_exact import D, rounded, scale_of, zero_of
from caffe2ops.port.onnx.rules.segment import count_up
from caffe2ops.port.values import Value

SAMPLES = 4096  # of a bin at most; a region with more ends the run with an error
HIGH = 1 << 31


@rule("Int8RoIAlign")
def roi_align(g: Builder, op: Any, X: Value, rois: Value) -> Value:
    """Samples between four elements each, with weights of 8 bits, then the mean of each bin's."""
    index, boxes = regions(g, rois)
    boxes = g.Mul(boxes, F(op.spatial_scale))
    height, width, channels = (g.dims(X, [axis]) for axis in (1, 2, 3))
    scales = float(scale_of(X)) / (float(F(op.Y_scale)) * MOST * np.arange(1, SAMPLES + 1))
    if not scales[0] < 1:
        raise ValueError(f"Y_scale: makes scale of X / (255 * Y_scale) = {scales[0]:.9g}, wants less than 1")
    mantissas, exponents = np.frexp(scales)

    def step(b: Builder, iteration: Value) -> Any:
        one = b.unsqueeze(iteration, 0)
        image = b.Squeeze(b.Gather(X, b.Gather(index, one), axis=0), [0])
        x1, y1, x2, y2 = b.split(b.flat(b.Gather(boxes, one, axis=0)), [1, 1, 1, 1], 0)
        rows, down = _samples(b, op, y1, y2, height, op.pooled_h)
        columns, across = _samples(b, op, x1, x2, width, op.pooled_w)
        terms = [
            b.Mul(
                b.cast(b.Gather(b.Gather(image, row, axis=0), column, axis=1), F),
                b.unsqueeze(b.Round(b.Mul(b.Mul(b.unsqueeze(high, 1), broad), F(MOST))), 2),
            )
            for row, high in rows
            for column, broad in columns
        ]
        sums = b.Sub(b.Add(b.Add(terms[0], terms[1]), b.Add(terms[2], terms[3])), F(zero_of(X) * MOST))
        parts = b.reshape(b.cast(sums, np.int64), op.pooled_h, down, op.pooled_w, across, channels)
        kind = b.Sub(b.Mul(down, across), np.int64(1))
        product = b.Mul(
            b.reduce("ReduceSum", parts, [1, 3]), b.Gather(np.rint(mantissas * HIGH).astype(np.int64), kind)
        )
        # to the nearest, by a division that cuts off: of numbers made positive
        nearest = b.Sub(b.Div(b.Add(product, np.int64(HIGH // 2 + HIGH * HIGH)), np.int64(HIGH)), np.int64(HIGH))
        return None, (), (b.Mul(b.cast(nearest, D), b.Gather(2.0 ** exponents.astype(D), kind)),)

    (found,) = g.loop((), step, count=g.dim(rois, 0))
    return rounded(g, op, g.reshape(found, -1, op.pooled_h, op.pooled_w, channels))


def _samples(
    g: Builder, op: Any, start: Value, end: Value, size: Value, bins: int
) -> tuple[tuple[tuple[Value, Value], ...], Value]:
    """Along a side of a region, for each sample the elements before and behind it with their weights; how many a bin
    has."""
    step = g.Div(g.Max(g.Sub(end, start), F(1)), F(bins))
    count = g.cast(g.Ceil(step), np.int64) if op.sampling_ratio <= 0 else g.value([op.sampling_ratio])
    number = g.reshape(count, [])
    within = g.Div(g.Mul(g.Add(g.cast(count_up(g, number), F), F(0.5)), step), g.cast(count, F))
    first = g.Add(start, g.Mul(np.arange(bins, dtype=F), step))
    at = g.flat(g.Add(g.unsqueeze(first, 1), g.unsqueeze(within, 0)))
    extent = g.cast(size, F)
    counts = g.cast(g.And(g.GreaterOrEqual(at, F(-1)), g.LessOrEqual(at, extent)), F)
    last = g.Sub(extent, F(1))
    at = g.Min(g.Max(at, F(0)), last)
    low = g.Floor(at)
    part = g.Sub(at, low)
    high = g.Min(g.Add(low, F(1)), last)
    before, behind = (g.cast(v, np.int64) for v in (low, high))
    return ((before, g.Mul(g.Sub(F(1), part), counts)), (behind, g.Mul(part, counts))), count
