"""Vision beyond convolutions: channels, sums over images, places between elements, regions and keypoints."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.detection.heatmap_max_keypoint import FARTHEST, FLAT
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.segment import count_up
from caffe2ops.port.onnx.rules.shape import to_first, to_last
from caffe2ops.port.values import Value

# What the 3 x 3 elements around a place, row by row, say of the surface: its height, its slopes along x and y, its
# curvatures along x, along y, and across.
SURFACE = np.stack(
    [
        np.array([0, 0, 0, 0, 1, 0, 0, 0, 0]), np.array([0, 0, 0, -1, 0, 1, 0, 0, 0]) / 2,
        np.array([0, -1, 0, 0, 0, 0, 0, 1, 0]) / 2, np.array([0, 0, 0, 1, -2, 1, 0, 0, 0]),
        np.array([0, 1, 0, 0, -2, 0, 0, 1, 0]), np.array([1, 0, -1, 0, 0, 0, -1, 0, 1]) / 4,
    ],
    axis=1,
)  # fmt: skip


@rule("AffineChannel")
def affine_channel(g: Builder, op: Any, X: Value, scale: Value, bias: Value) -> Value:
    behind = () if op.channels_last else range(1, X.rank - 1)
    scale, bias = (g.unsqueeze(g.flat(v), *behind) for v in (scale, bias))
    return g.Add(g.Mul(X, scale), bias)


@rule("NormalizePlanarYUV")
def normalize_planar(g: Builder, op: Any, X: Value, mean: Value, deviation: Value) -> Value:
    mean, deviation = (g.unsqueeze(g.slice(v, 0, 0, 1), 2, 3) for v in (mean, deviation))
    return g.Div(g.Sub(X, mean), deviation)


@rule("IntegralImage")
def integral_image(g: Builder, op: Any, X: Value) -> Value:
    sums = g.CumSum(g.CumSum(g.cast(X, np.float64), np.int64(2)), np.int64(3))
    return g.Pad(g.cast(sums, X.dtype), [0, 0, 1, 1, 0, 0, 0, 0])


@rule("RMACRegions")
def rmac_regions(g: Builder, op: Any, X: Value) -> Value:
    """The regions of one image are numbers; every image has the same."""
    shape = (1, *(X.static(i, "X") for i in range(1, X.rank)))
    regions = op.run_cpu(np.broadcast_to(np.float32(0), shape))
    index = g.cast(count_up(g, g.dim(X, 0)), np.float32)
    ahead = g.Mul(g.unsqueeze(index, 1, 2), np.asarray([1, 0, 0, 0, 0], np.float32))
    return g.reshape(g.Add(ahead, regions), [-1, 5])


@rule("HeatmapMaxKeypoint")
def heatmap_max_keypoint(g: Builder, op: Any, heatmaps: Value, boxes: Value) -> Value:
    """The greatest element of each map, and from there to the summit of the quadratic surface around it."""
    size = g.dim(heatmaps, 3)
    maps = g.reshape(heatmaps, g.dims(heatmaps, [0, 1]), g.reshape(g.Mul(size, size), [1]))
    best = g.ArgMax(maps, axis=2, keepdims=1)
    at = [g.Mod(best, size), g.Div(best, size)]  # x and y, [N, K, 1]
    near = []
    for place, steps in zip(at, (np.tile([-1, 0, 1], 3), np.repeat([-1, 0, 1], 3))):
        beside = g.Add(place, steps)
        outside = g.Or(g.Less(beside, 0), g.GreaterOrEqual(beside, size))
        near.append(g.Where(outside, g.Sub(place, steps), beside))  # mirrored
    around = g.GatherElements(maps, g.Add(g.Mul(near[1], size), near[0]), axis=2)
    height, sx, sy, xx, yy, xy = g.split(g.MatMul(g.cast(around, np.float64), SURFACE), [1] * 6, 2)
    determinant = g.Sub(g.Mul(xx, yy), g.Mul(xy, xy))
    flat = g.Less(g.Abs(determinant), FLAT)
    solved = g.Concat(
        g.Sub(g.Mul(xy, sy), g.Mul(yy, sx)), g.Sub(g.Mul(xy, sx), g.Mul(xx, sy)), axis=2
    )  # fmt: skip
    delta = g.Where(flat, 0.0, g.Div(solved, g.Where(flat, 1.0, determinant)))
    far = g.Max(g.reduce("ReduceMax", g.Abs(delta), [2], keepdims=True), FARTHEST)
    delta = g.Div(g.Mul(delta, FARTHEST), far)
    x, y = g.split(delta, [1, 1], 2)
    rise = g.Add(g.Mul(sx, x), g.Mul(sy, y))
    bend = g.Add(g.Add(g.Mul(xx, g.Mul(x, x)), g.Mul(g.Mul(xy, 2.0), g.Mul(x, y))), g.Mul(yy, g.Mul(y, y)))
    summit = g.Add(g.Add(height, rise), g.Mul(bend, 0.5))
    corner, opposite = (g.cast(g.slice(boxes, 1, i, i + 2), np.float64) for i in (0, 2))
    cell = g.Div(g.Max(g.Sub(opposite, corner), 1.0), g.cast(size, np.float64))
    place = g.Add(g.Add(g.cast(g.Concat(*at, axis=2), np.float64), delta), 0.5)
    places = g.Add(g.unsqueeze(corner, 1), g.Mul(place, g.unsqueeze(cell, 1)))
    made = g.cast(g.Concat(places, summit, axis=2), heatmaps.dtype)
    if op.should_output_softmax:
        powers = g.Exp(maps)
        most, total = (g.reduce(kind, powers, [2], keepdims=True) for kind in ("ReduceMax", "ReduceSum"))
        made = g.Concat(made, g.Div(most, total), axis=2)
    else:
        made = g.Pad(made, [0, 0, 0, 0, 0, 1])
    return g.transpose(made, [0, 2, 1])


# --- between elements ---


def interpolated(g: Builder, images: Value, places: Value, size: Value, inside: Value) -> Value:
    """Images [N, C, H, W] at places [N, h, w, 2] (y, x), whole numbers being the centres of elements; 0 for places that
    are not `inside`. Beyond the outermost centres the image goes on as it is there."""
    scaled = g.Div(g.Sub(g.Mul(places, 2.0), g.Sub(size, 1.0)), size)  # -1 to 1 from border to border
    y, x = g.split(scaled, [1, 1], 3)
    mode = "linear" if g.opset >= 20 else "bilinear"
    found = g.GridSample(images, g.Concat(x, y, axis=3), mode=mode, padding_mode="border")
    every = g.reduce("ReduceMin", g.cast(inside, np.int32), [3])
    return g.Where(g.cast(g.unsqueeze(every, 1), bool), found, 0.0)


def sides_of(g: Builder, images: Value) -> Value:
    """Height and width of images [N, C, H, W] as numbers of their dtype."""
    return g.cast(g.dims(images, [2, 3]), images.dtype)


@rule("DeformConv")
def deform_conv(g: Builder, op: Any, X: Value, offset: Value, filter: Value, bias: Value | None = None) -> Value:
    """The taps of each place, moved and interpolated, as a block of an image; a convolution takes block after block.

    ONNX's DeformConv fades taps out beyond the border, where Caffe2 cuts them off.
    """
    kernel, strides, dilations = (op.spelled(*a) for a in (("kernels", 2, 0), ("strides", 2, 1), ("dilations", 2, 1)))
    groups, pads = op.deformable_group, op.explicit_pads(2)
    grid = []
    for axis in (0, 1):  # where taps lie without offsets, [kernel, places]
        taps = np.arange(kernel[axis])[:, None] * dilations[axis] - pads[axis]
        grid.append(g.Add(g.Mul(count_up(g, g.dim(offset, axis + 2)), np.int64(strides[axis])), taps))
    down, right = g.unsqueeze(grid[0], 1, 3), g.unsqueeze(grid[1], 0, 2)  # [kh, kw, oh, ow]
    moves = g.split(g.reshape(offset, -1, *kernel, 2, g.dims(offset, [2, 3])), [1, 1], 3)
    places = [g.Add(g.Squeeze(v, [3]), g.cast(w, X.dtype)) for v, w in zip(moves, (down, right))]
    both = g.Concat(
        *(g.unsqueeze(g.transpose(v, [0, 3, 1, 4, 2]), 5) for v in places), axis=5
    )  # [., oh, kh, ow, kw, 2]
    blocks = g.Mul(g.dims(offset, [2, 3]), np.asarray(kernel, np.int64))
    both = g.reshape(both, -1, blocks, 2)
    images = X
    if groups > 1:
        channels = filter.static(1, "the filter") // groups
        images = g.reshape(X, -1, channels, g.dims(X, [2, 3]))
    size = sides_of(g, X)
    inside = g.And(g.GreaterOrEqual(both, 0.0), g.Less(both, size))
    found = interpolated(g, images, both, size, inside)
    if groups > 1:
        found = g.reshape(found, -1, channels * groups, blocks)
    return g.Conv(found, filter, bias, kernel_shape=kernel, strides=kernel)


@rule("RoIAlignRotated")
def roi_align_rotated(g: Builder, op: Any, X: Value, rois: Value) -> Value:
    """A loop over the regions, as each may have its own number of samples."""
    x = to_first(g, X) if op.channels_last else X
    first = rois.static(1, "RoIs") - 5
    size, bins = sides_of(g, x), np.asarray([op.pooled_h, op.pooled_w], np.int64)
    image = g.cast(g.slice(rois, 1, 0, 1), np.int64) if first else g.full(g.vector(g.dims(rois, [0]), 1), 0, np.int64)
    centres, sides = (g.Mul(g.Gather(rois, [first + i + 1, first + i], axis=1), op.spatial_scale) for i in (0, 2))
    centres = g.Sub(centres, 0.5) if op.aligned else centres
    sides = sides if op.aligned else g.Max(sides, 1.0)
    steps = g.Div(sides, bins.astype(X.dtype))
    if op.sampling_ratio > 0:
        counts = g.Expand(np.asarray([op.sampling_ratio] * 2, np.int64), g.dims(steps))
    else:
        counts = g.cast(g.Ceil(steps), np.int64)
    between = g.Div(steps, g.cast(counts, X.dtype))
    angles = g.Mul(g.slice(rois, 1, first + 4, first + 5), np.pi / 180)
    turns = g.Concat(g.Cos(angles), g.Sin(angles), axis=1)

    def step(b: Builder, iteration: Value) -> Any:
        centre, *rest = (b.Gather(v, iteration, axis=0) for v in (centres, sides, between, turns, counts))
        lengths, apart, (cos, sin), many = (b.split(v, [1, 1], 0) for v in rest)
        along = []  # the samples of all bins along each side, seen from the centre
        for length, distance, count, n in zip(lengths, apart, many, bins):
            samples = b.cast(count_up(b, b.reshape(b.Mul(count, n), [])), X.dtype)
            along.append(b.Sub(b.Mul(b.Add(samples, 0.5), distance), b.Mul(length, 0.5)))
        down, right = b.unsqueeze(along[0], 1), along[1]
        turned = b.Sub(b.Mul(down, cos), b.Mul(right, sin)), b.Add(b.Mul(right, cos), b.Mul(down, sin))
        places = b.Add(b.Concat(*(b.unsqueeze(v, 0, 3) for v in turned), axis=3), centre)
        inside = b.And(b.GreaterOrEqual(places, -1.0), b.LessOrEqual(places, size))
        found = interpolated(b, b.Gather(x, b.Gather(image, iteration, axis=0), axis=0), places, size, inside)
        cells = b.reshape(found, b.dims(x, [1]), op.pooled_h, many[0], op.pooled_w, many[1])
        total = b.cast(b.Mul(*many), X.dtype)
        features = b.Div(b.reduce("ReduceSum", cells, [2, 4]), total)
        features.shape = [x.shape[1], op.pooled_h, op.pooled_w]
        return None, (), (features,)

    (made,) = g.loop((), step, count=g.dim(rois, 0))
    return to_last(g, made) if op.channels_last else made
