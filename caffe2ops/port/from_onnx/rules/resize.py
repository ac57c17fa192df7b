"""Images made larger or smaller."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.rules.linalg import product
from caffe2ops.port.from_onnx.rules.resize_open import resized
from caffe2ops.port.from_onnx.values import FLOAT, fixed
from caffe2ops.port.values import NotPortable, Value


@rule("Resize", "Upsample")
def resize(
    g: Builder, node: Node, x: Value, roi: Value | None = None, scales: Value | None = None, sizes: Value | None = None
) -> Value:  # fmt: skip
    if node.type == "Upsample" or node.opset < 11:  # Resize had the scales second before 11, without a region
        roi, scales, sizes = None, roi, None
    try:
        return _by_numbers(g, node, x, roi, scales, sizes)
    except NotPortable as error:
        try:
            return resized(g, node, x, scales, sizes)
        except NotPortable as other:
            raise error from other


def _by_numbers(
    g: Builder, node: Node, x: Value, roi: Value | None, scales: Value | None, sizes: Value | None
) -> Value:  # fmt: skip
    """With sizes that are known when the model is ported."""
    along = [a % x.rank for a in node["axes"]] if node["axes"] else list(range(x.rank))
    factor = [1.0] * x.rank
    out: list[int | None] = [None] * x.rank
    if sizes is not None and (sizes.array is None or sizes.array.size):
        for i, axis in enumerate(along):
            known: Any = sizes.dims if sizes.array is None else sizes.array.tolist()
            if known and known[i] == x.shape[axis] is not None:
                continue  # as it was, whatever that is
            length = out[axis] = known[i] if known and isinstance(known[i], int) else int(fixed(sizes, "sizes")[i])
            factor[axis] = length / x.static(axis)
        if node["keep_aspect_ratio_policy"] not in (None, "stretch"):
            factors = [factor[axis] for axis in along]
            one = min(factors) if node["keep_aspect_ratio_policy"] == "not_larger" else max(factors)
            for axis in along:
                factor[axis], out[axis] = one, int(np.floor(one * x.static(axis) + 0.5))
    elif node.has("scales") or scales is not None:
        given = node["scales"] if scales is None else fixed(scales, "scales").tolist()
        for i, axis in enumerate(along):
            factor[axis] = float(given[i])
    coordinates = node["coordinate_transformation_mode"] or "asymmetric"
    regions: dict[int, tuple[float, float]] = {}
    if coordinates == "tf_crop_and_resize":
        ends = fixed(roi, "roi").tolist() if roi is not None else []
        regions = {axis: (ends[i], ends[i + len(along)]) for i, axis in enumerate(along)}
    moved = [
        i for i, f in enumerate(factor)
        if f != 1 or out[i] not in (None, x.shape[i]) or regions.get(i, (0, 1)) != (0, 1)
    ]  # fmt: skip
    if not moved:
        return x
    whole = all(f == int(f) for f in factor)
    if node["mode"] == "nearest" and x.rank == 4 and min(moved) >= 2 and whole and x.dtype.kind == "f":
        floors = coordinates == "asymmetric" and (node["nearest_mode"] or "floor") == "floor"
        if floors or (
            coordinates == "half_pixel" and node["nearest_mode"] != "ceil" and node["nearest_mode"] != "floor"
        ):
            return g.over(FLOAT, "ResizeNearest", x, height_scale=factor[2], width_scale=factor[3])
    for axis in moved:
        x = _interpolated(g, node, x, axis, factor[axis], out[axis], coordinates, regions.get(axis, (0, 1)))
    return x


def _interpolated(
    g: Builder, node: Node, x: Value, axis: int, scale: float, out: int | None, coordinates: str,
    region: tuple[float, float],
) -> Value:  # fmt: skip
    """One axis made longer or shorter: a product with a matrix of weights, or a choice of elements.

    `region`: the part of it that is cut out, between 0 and 1.
    """
    size = x.static(axis)
    length = int(np.floor(size * (region[1] - region[0]) * scale)) if out is None else out
    places = places_of(size, length, scale, coordinates, out is not None, region)
    weights = weights_of(node, size, scale, places)
    beyond = (places < 0) | (places > size - 1) if coordinates == "tf_crop_and_resize" else np.zeros(length, bool)
    weights[beyond] = 0
    if node["mode"] == "nearest" and not beyond.any():
        return g.one("Gather", x, weights.argmax(1).astype(np.int64), axis=axis)
    (a,) = g.accepted(FLOAT, x)
    found = product(g, g.moved(a, axis, -1), g.constant(weights.T.astype(a.dtype)))
    if beyond.any() and node["extrapolation_value"]:
        found = g.Add(found, g.constant((beyond * node["extrapolation_value"]).astype(a.dtype)))
    return g.cast(g.moved(found, -1, axis), x.dtype)


def places_of(
    size: int, length: int, scale: float, coordinates: str, exact: bool, region: tuple[float, float]
) -> np.ndarray[Any, Any]:
    """Where among `size` elements each of `length` lies."""
    at = np.arange(length)
    places: np.ndarray[Any, Any]
    if coordinates == "tf_crop_and_resize":
        start, end = (r * (size - 1) for r in region)
        places = start + at * (end - start) / (length - 1) if length > 1 else np.full(1, (start + end) / 2)
    elif coordinates == "align_corners":
        last = (length if exact else size * scale) - 1
        places = at * (size - 1) / last if length > 1 else np.zeros(1)
    elif coordinates == "asymmetric":
        places = at / scale
    elif coordinates == "half_pixel_symmetric":
        adjustment = length / (size * scale)
        places = size / 2 * (1 - adjustment) + (at + 0.5) / scale - 0.5
    elif coordinates == "pytorch_half_pixel" and length == 1:
        places = np.full(1, -0.5)
    else:
        places = (at + 0.5) / scale - 0.5
    return places


def weights_of(node: Node, size: int, scale: float, places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """How much each of `size` elements counts in each place."""
    at = np.arange(len(places))
    found = np.zeros((len(places), size))
    if node["mode"] == "nearest":
        turn = {"round_prefer_floor": (np.ceil, -0.5), "round_prefer_ceil": (np.floor, 0.5), "floor": (np.floor, 0),
                "ceil": (np.ceil, 0)}  # fmt: skip
        to_whole, shift = turn[node["nearest_mode"] or "floor"]
        found[at, np.clip(to_whole(places + shift), 0, size - 1).astype(int)] = 1
        return found
    widen = max(1.0, 1 / scale) if node["antialias"] else 1.0
    reach = (1 if node["mode"] in ("linear", "bilinear") else 2) * widen
    for i, place in enumerate(places):
        taps = np.arange(int(np.floor(place - reach)) + 1, int(np.ceil(place + reach)) + 1)
        share = _kernel(node, np.abs(taps - place) / widen)
        if node["exclude_outside"]:
            share = np.where((taps < 0) | (taps >= size), 0, share)
        if node["exclude_outside"] or node["antialias"]:
            share = share / share.sum()
        np.add.at(found[i], np.clip(taps, 0, size - 1), share)
    return found


def _kernel(node: Node, d: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The weight at a distance: a tent, or a cubic."""
    found: np.ndarray[Any, Any] = np.maximum(1 - d, 0)
    if node["mode"] == "cubic":
        a = node["cubic_coeff_a"]
        near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        found = np.where(d <= 1, near, np.where(d < 2, far, 0))
    return found
