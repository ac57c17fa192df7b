"""Where values lie: between the boundaries of their column, in distributions that are given, in the data itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.index import columns
from caffe2ops.port.onnx.rules.segment import ONE, ZERO, Ragged, count_up, starts_of, summed, wide
from caffe2ops.port.values import NotPortable, Value


def counted(g: Builder, met: Value, lengths: Value) -> Value:
    """How many limits of each column are met, [N, D] int64, of bools or numbers [N, sum of lengths]."""
    segments = Ragged(g, lengths, g.dim(met, 1)).segments
    return g.transpose(summed(g, g.transpose(wide(g, met), [1, 0]), segments, g.dim(lengths, 0)), [1, 0])


@rule("BatchBucketize")
def batch_bucketize(g: Builder, op: Any, features: Value, indices: Value, limits: Value, lengths: Value) -> Value:
    """The place of the first boundary that is not less than the value."""
    ragged = Ragged(g, lengths, g.dim(limits, 0))
    values = g.Gather(features, g.Gather(indices, ragged.segments), axis=1)
    places = g.Where(g.GreaterOrEqual(limits, values), ragged.places, np.int64(np.iinfo(np.int64).max))
    empty = g.full(g.vector(g.dims(lengths), g.dims(features, [0])), np.iinfo(np.int64).max, np.int64)
    first = g.ScatterND(empty, g.unsqueeze(ragged.segments, 1), g.transpose(places, [1, 0]), reduction="min")
    return g.cast(g.transpose(g.Min(first, g.unsqueeze(ragged.lengths, 1)), [1, 0]), np.int32)


@rule("BatchBucketOneHot")
def batch_bucket_one_hot(g: Builder, op: Any, data: Value, lengths: Value, limits: Value) -> Value:
    """Of equal boundaries the bucket in the middle."""
    values, counts = columns(g, data, lengths), wide(g, lengths)
    below, above = (wide(g, x) for x in (g.Less(limits, values), g.Greater(limits, values)))
    middle = g.Div(g.Add(counted(g, g.Sub(below, above), lengths), counts), np.int64(2))
    bucket = g.Add(middle, starts_of(g, g.Add(counts, ONE)))
    width = g.Add(g.dims(limits), g.dims(lengths))
    empty = g.full(g.vector(g.dims(data, [0]), width), 0, data.dtype)
    return g.ScatterElements(empty, bucket, g.Expand(np.ones((), data.dtype), g.Shape(bucket)), axis=1)


def ends(g: Builder, x: Value, limits: Value, first: Value, last: Value, found: Value) -> Value:
    """What is found of values: 0 below the first limit of their column, 1 above the last."""
    return g.Where(g.Less(x, g.Gather(limits, first)), 0.0, g.Where(g.Greater(x, g.Gather(limits, last)), 1.0, found))


@rule("Percentile")
def percentile(g: Builder, op: Any, x: Value, points: Value, lengths: Value) -> Value:
    at, percentiles = (g.flat(g.slice(points, 1, i, i + 1)) for i in (0, 1))
    first = starts_of(g, wide(g, lengths))
    last = g.Sub(g.Add(first, wide(g, lengths)), ONE)
    high = g.Min(g.Add(counted(g, g.Less(at, columns(g, x, lengths)), lengths), first), last)
    low = g.Max(g.Sub(high, ONE), first)
    lower, upper = g.Gather(at, low), g.Gather(at, high)
    start, end = g.Gather(percentiles, low), g.Gather(percentiles, high)
    width = g.Sub(upper, lower)
    slope = g.Where(g.Greater(width, 0.0), g.Div(g.Sub(end, start), width), 0.0)
    between = g.Add(g.Mul(slope, g.Sub(x, lower)), start)
    return ends(g, x, at, first, last, g.Where(g.Equal(upper, x), end, between))


@rule("BisectPercentile")
def bisect_percentile(g: Builder, op: Any, x: Value) -> Value:
    names = ("percentile_raw", "percentile_mapping", "percentile_lower", "percentile_upper")
    raw, exact, lower, upper = (g.constant(np.asarray(getattr(op, name), x.dtype)) for name in names)
    lengths = g.value(list(op.lengths))
    stops = np.cumsum(op.lengths, dtype=np.int64)
    first, last = g.constant(stops - np.asarray(op.lengths, np.int64)), g.constant(stops - 1)
    upto = counted(g, g.LessOrEqual(raw, columns(g, x, lengths)), lengths)
    at = g.Max(g.Add(g.Sub(upto, ONE), first), first)
    following = g.Min(g.Add(at, ONE), last)
    here = g.Gather(raw, at)
    weight = g.Div(g.Sub(x, here), g.Add(g.Sub(g.Gather(raw, following), here), float(np.float32(1e-10))))
    rest = g.Mul(g.Sub(np.ones((), x.dtype), weight), g.Gather(upper, at))
    between = g.Add(rest, g.Mul(weight, g.Gather(lower, following)))
    return ends(g, x, raw, first, last, g.Where(g.Equal(here, x), g.Gather(exact, at), between))


# --- of the data itself ---


def elements(g: Builder, op: Any, *inputs: Value) -> Value:
    flat = [g.flat(x) for x in inputs]
    x = g.Concat(*flat, axis=0) if len(flat) > 1 else flat[0]
    return g.Abs(x) if op.abs else x


def extremes(g: Builder, x: Value, least: float, most: float) -> tuple[Value, Value]:
    """The least and the greatest element, `least` and `most` where there are none."""
    low = g.reduce("ReduceMin", g.Concat(x, np.asarray([least], x.dtype), axis=0), [0])
    return low, g.reduce("ReduceMax", g.Concat(x, np.asarray([most], x.dtype), axis=0), [0])


STEPS = 4096  # of a bisection; all numbers of float64 are fewer apart


@rule("Quantile")
def quantile(g: Builder, op: Any, *inputs: Value) -> Value:
    """A loop that narrows the bounds of Caffe2's bisection; a value that fits becomes both bounds."""
    x = elements(g, op, *inputs)
    limits = np.finfo(x.dtype)
    number = g.Not(g.IsNaN(x))
    low, high = extremes(g, g.Compress(x, number, axis=0), limits.max, limits.min)
    size = g.length(x)
    wanted = g.cast(g.Ceil(g.Mul(g.cast(size, np.float32), np.float32(op.quantile))), np.int64)
    tolerance = float(np.float32(op.tol))

    def upto(g: Builder, limit: Value) -> Value:
        return g.reduce("ReduceSum", g.cast(g.LessOrEqual(x, limit), np.int64), [0])

    def wide_apart(g: Builder, low: Value, high: Value) -> Value:
        return g.Greater(g.Abs(g.Sub(high, low)), g.Mul(g.Add(g.Abs(high), g.Abs(low)), tolerance))

    def step(b: Builder, _: Value, low: Value, high: Value) -> tuple[Value, list[Value], list[Value]]:
        half = b.Div(b.cast(b.Sub(high, low), np.float64), 2.0)
        middle = b.cast(b.Add(b.cast(low, np.float64), half), x.dtype)
        count = upto(b, middle)
        low = b.Where(b.LessOrEqual(count, wanted), middle, low)
        high = b.Where(b.GreaterOrEqual(count, wanted), middle, high)
        return wide_apart(b, low, high), [low, high], []

    bounds = g.Where(g.Equal(wanted, size), high, low), g.Where(g.GreaterOrEqual(upto(g, low), wanted), low, high)
    found = g.loop(bounds, step, wide_apart(g, *bounds), g.constant(np.int64(STEPS)))[1]
    return g.reshape(found, 1)


@rule("SelfBinningHistogram")
def self_binning(g: Builder, op: Any, *inputs: Value) -> tuple[Value, Value]:
    x, bins = elements(g, op, *inputs), op.num_bins
    low, high = extremes(g, x, np.inf, -np.inf)
    ratios = np.arange(bins + 1, dtype=x.dtype) / x.dtype.type(bins)
    if op.bin_spacing == "logarithmic":
        low, high = (g.Max(v, float(np.float32(op.logspace_start))) for v in (low, high))
    top = g.Add(low, g.Mul(g.Sub(high, low), 1.0001))
    if op.bin_spacing == "linear":
        edges = g.Add(low, g.Mul(g.Sub(top, low), ratios))
    else:
        edges = g.Mul(low, g.Exp(g.Mul(g.Sub(g.Log(top), g.Log(low)), ratios)))
    last, size = g.slice(edges, 0, bins, bins + 1), g.reshape(g.length(x), 1)
    upto = g.GreaterOrEqual(g.unsqueeze(x, 1), g.slice(edges, 0, 1, bins + 1))
    above = g.reduce("ReduceSum", wide(g, upto), [0])
    counts = g.Sub(g.Concat(size, g.slice(above, 0, 0, bins - 1), axis=0), above)
    alike = g.LessOrEqual(last, high)
    all_in_first = g.Mul(size, (np.arange(bins) == 0).astype(np.int64))
    counts = g.Where(alike, all_in_first, g.Where(g.Greater(last, high), counts, ZERO))
    edges = g.Concat(g.slice(edges, 0, 0, bins), g.Where(alike, g.reshape(top, 1), last), axis=0)
    return g.Where(g.Greater(size, 0), edges, 0.0), g.Concat(counts, np.zeros(1, np.int64), axis=0)


@rule("AccumulateHistogram")
def accumulate_histogram(g: Builder, op: Any, x: Value) -> tuple[Value, None]:
    if g.is_wanted(op, 1):
        raise NotPortable("AccHist counts in all runs, and a model keeps nothing from run to run; name CurHist only")
    x, buckets = g.flat(x), op.num_buckets
    low, high = np.float32(op.lower_bound), np.float32(op.upper_bound)
    width = float((high - low) / np.float32(buckets))
    place = g.Add(wide(g, g.Div(g.Sub(x, float(low)), width)), ONE)
    place = g.Where(g.Less(x, float(low)), ZERO, g.Where(g.Less(x, float(high)), place, np.int64(buckets + 1)))
    hits = g.Equal(g.unsqueeze(place, 1), count_up(g, g.constant(np.int64(buckets + 2))))
    return g.reduce("ReduceSum", wide(g, hits), [0]), None
