"""Rearranging, cutting and joining."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal, strings

EXTENSION = "Caffe2 does not take this dtype"


X = normal(2, 3, 4)


def _reshape(x: np.ndarray, shape: list[int], note: str = "", **more: Any) -> Sample:
    return Sample("Reshape", [x], {"shape": shape}, note=note, **more)


def _concat(note: str, *inputs: np.ndarray, **args: Any) -> Sample:
    return Sample("Concat", list(inputs), args, note=note)


PARTS = [normal(2, 3, 2), normal(2, 1, 2, seed=1)]
IMAGE = normal(2, 4, 3, 5)

samples = [
    _reshape(X, [6, 4]),
    _reshape(X, [0, -1], "zero and minus one"),
    _reshape(X, [-1, 0, 2], "minus one first"),
    _reshape(X, [24], "vector", inplace={0: 0}),
    _reshape(normal(1), [], "number"),
    _reshape(normal(0, 3), [3, -1], "empty"),
    _reshape(normal(0, 3), [0, 5], "empty, other dims"),
    _reshape(strings("a", "b"), [2, 1], "strings", devices=("cpu",)),
    Sample("Reshape", [X, int64s(4, 6)], note="shape as input"),
    Sample("Reshape", [X, int32s(-1, 2)], note="shape as int32 input"),
    _reshape(X, [5, -1], "not divisible", error="does not divide"),
    _reshape(X, [5, 5], "wrong size", error=r"has 25 elements, data has 24"),
    _reshape(X, [-1, -1], "two unknown", error="more than one -1"),
    _reshape(X, [-2, 4], "minus two", error="wants -1 or more"),
    _reshape(X, [2, 3, 4, 0], "zero too far", error="a 0 at 3"),
    Sample("Reshape", [X], error="argument is missing", note="no shape"),
    Sample("Reshape", [X, int64s(4, 6)], {"shape": [4, 6]}, error="both as argument", note="two shapes"),
    Sample("Reshape", [X, normal(2)], error="new_shape: dtype", note="float shape"),
    Sample("ResizeLike", [normal(2, 3), normal(3, 2)]),
    Sample("ResizeLike", [normal(2, 3), int32s(1, 2, 3, 4, 5, 6)], note="other dtype"),
    Sample("ResizeLike", [normal(2, 3), normal(2, 2)], error="wants as many elements", note="sizes"),
    Sample("Flatten", [X]),
    Sample("Flatten", [X], {"axis": 0}, note="axis 0"),
    Sample("Flatten", [X], {"axis": 3}, note="axis 3"),
    Sample("Flatten", [X], {"axis": 4}, error="axis = 4, X has only 3", note="axis 4"),
    Sample("FlattenToVec", [X]),
    Sample("FlattenToVec", [np.float32(2)], error="no dimensions", note="number"),
    Sample("Squeeze", [normal(1, 3, 1)], {"dims": [0, 2]}),
    Sample("Squeeze", [normal(1, 3, 1)], {"dims": [2, 2]}, note="repeated, in place", inplace={0: 0}),
    Sample("Squeeze", [normal(1, 3)], {"dims": [1]}, error="dim 1 of data is 3", note="not 1"),
    Sample("Squeeze", [normal(1, 3)], {"dims": [2]}, error="only 2 dimensions", note="too far"),
    Sample("Squeeze", [normal(1, 3)], {"dims": [-1]}, error="no negative", note="negative"),
    Sample("ExpandDims", [normal(3)], {"dims": [0, 2]}),
    Sample("ExpandDims", [normal(3, 2)], {"dims": [1]}, note="in place", inplace={0: 0}),
    Sample("ExpandDims", [normal(3)], {"dims": [3]}, error="dim 3 of 2", note="too far"),
    Sample("Transpose", [X]),
    Sample("Transpose", [X], {"axes": [1, 2, 0]}, note="axes"),
    Sample("Transpose", [normal(3, 2)], {"axes": [0, 1]}, note="nothing moves"),
    Sample("Transpose", [int64s(1, 2, 3, 4, 5, 6).reshape(2, 3)], note="int64"),
    Sample("Transpose", [normal(0, 3)], note="empty"),
    Sample("Transpose", [np.arange(6, dtype=np.uint8).reshape(2, 3)], note="uint8", golden=False, reason=EXTENSION),
    Sample("Transpose", [X], {"axes": [0, 1]}, error="wants a permutation", note="too few"),
    Sample("Transpose", [X], {"axes": [0, 1, 1]}, error="wants a permutation", note="twice"),
    Sample("Concat", [normal(2, 3), normal(2, 1), normal(2, 2)], outputs=2),
    _concat("axis 0", normal(2, 3), normal(1, 3), axis=0),
    _concat("last axis", normal(2, 3), normal(2, 4), axis=-1),
    _concat("new axis", normal(2, 3), normal(2, 3, seed=1), axis=1, add_axis=1),
    _concat("new last axis", normal(2, 3), normal(2, 3, seed=1), axis=-1, add_axis=1),
    _concat("new axis without axis", normal(2, 3), normal(2, 3, seed=1), add_axis=1),
    _concat("nhwc", normal(2, 3, 2, 1), normal(2, 3, 2, 3), order="NHWC"),
    _concat("one", normal(2, 3)),
    _concat("nothing of one", normal(2, 0), normal(2, 3)),
    _concat("int32", int32s(1, 2), int32s(3), axis=0),
    _concat("strings", strings("a", "b"), strings("c"), axis=0),
    Sample("Concat", [normal(2, 3), normal(3, 3)], error=r"inputs\[1\]: shape is \[3, 3\]", note="unlike shapes"),
    Sample("Concat", [normal(2, 3), int32s(1, 2).reshape(2, 1)], error=r"inputs\[1\]: dtype", note="unlike dtypes"),
    Sample(
        "Concat",
        [normal(2, 3), normal(2, 3)],
        {"axis": 1, "order": "NCHW"},
        error="only one of them",
        note="axis and order",
    ),
    Sample("Concat", [normal(2, 3), normal(2, 3)], {"axis": 2}, error="axis = 2", note="axis too far"),
    Sample("Split", [normal(2, 6)], outputs=3),
    Sample("Split", [normal(2, 6)], {"split": [1, 5]}, outputs=2, note="sizes"),
    Sample("Split", [normal(2, 6), int32s(4, 2)], outputs=2, note="sizes as input"),
    Sample("Split", [normal(4, 3)], {"axis": 0, "split": [1, 0, 3]}, outputs=3, note="axis 0, one empty"),
    Sample("Split", [normal(2, 3)], {"axis": 0, "add_axis": 1}, outputs=2, note="without the axis"),
    Sample("Split", [normal(1, 2, 1, 4)], {"order": "NHWC"}, outputs=2, note="nhwc"),
    Sample("Split", [normal(2, 6)], outputs=4, error="divided by 4 outputs", note="not divisible"),
    Sample("Split", [normal(2, 6)], {"split": [1, 4]}, outputs=2, error="together 5", note="too little"),
    Sample("Split", [normal(2, 6)], {"split": [7, -1]}, outputs=2, error="negative size", note="negative"),
    Sample("Split", [normal(2, 6)], {"split": [6]}, outputs=2, error="has 1 sizes", note="too few"),
    Sample(
        "Split", [normal(2, 6), int32s(4, 2)], {"split": [4, 2]}, outputs=2, error="wants one of them", note="twice"
    ),
    Sample("SplitByLengths", [normal(6, 2), int32s(1, 2, 2, 1)], {"axis": 0}, outputs=2),
    Sample(
        "SplitByLengths",
        [normal(12, 2), int32s(1, 2, 1, 2)],
        {"axis": 0, "use_scaling_lengths": 1},
        outputs=2,
        note="scaled",
    ),
    Sample(
        "SplitByLengths", [normal(6, 2), int32s(1, 2, 2)], {"axis": 0}, outputs=2, error="wants a multiple", note="odd"
    ),
    Sample(
        "SplitByLengths",
        [normal(7, 2), int32s(1, 2, 2, 1)],
        {"axis": 0},
        outputs=2,
        error="together 6",
        note="too little",
    ),
    Sample("Shape", [X]),
    Sample("Shape", [X], {"axes": [2, 0, 2]}, note="axes"),
    Sample("Shape", [strings("a", "b")], note="strings"),
    Sample("Shape", [X], {"axes": [3]}, error="X has only 3", note="too far"),
    Sample("Size", [X]),
    Sample("Size", [normal(0, 3)], note="empty"),
    Sample("Slice", [normal(4, 5)], {"starts": [0, 1], "ends": [-1, 3]}),
    Sample("Slice", [normal(4, 5)], {"starts": [-3], "ends": [-1]}, note="from the end"),
    Sample("Slice", [normal(4, 5)], {"starts": [0, 3], "ends": [-1, 9]}, note="beyond"),
    Sample("Slice", [normal(4, 5)], {"starts": [0, 2], "ends": [-1, 2]}, note="nothing"),
    Sample("Slice", [normal(4, 5), int32s(1, 0), int32s(-1, -1)], note="as inputs"),
    Sample("Slice", [strings("a", "b", "c")], {"starts": [1], "ends": [2]}, note="strings", devices=("cpu",)),
    Sample("Slice", [normal(0, 5)], {"starts": [0, 1], "ends": [-1, 3]}, note="empty"),
    Sample(
        "Slice",
        [X],
        {"starts": [0, 1, 2], "ends": [1, -1, 4]},
        note="in three dims",
        golden=False,
        reason="Caffe2 cuts one dim",
    ),
    Sample("Slice", [normal(4, 5)], {"starts": [0, 3], "ends": [-1, 1]}, error="is 3 to 1", note="backwards"),
    Sample("Slice", [normal(4)], {"starts": [0, 0], "ends": [1, 1]}, error="at most 1", note="too many"),
    Sample("Slice", [normal(4)], error="missing", note="no range"),
    Sample("SliceGradient", [normal(4, 5), normal(4, 2)], {"starts": [0, 1], "ends": [-1, 3]}),
    Sample("SliceGradient", [normal(4, 5), int32s(1, 0), int32s(-1, -1), normal(3, 5)], note="as inputs"),
    Sample(
        "SliceGradient",
        [normal(4, 5), normal(4, 3)],
        {"starts": [0, 1], "ends": [-1, 3]},
        error="dY: is",
        note="shape of dY",
        golden=False,
        reason="Caffe2 does not look at it",
    ),
    Sample("Tile", [normal(2, 3)], {"tiles": 2, "axis": 1}),
    Sample("Tile", [normal(2, 3)], {"tiles": 3, "axis": -2}, note="first axis"),
    Sample(
        "Tile", [normal(2, 3)], {"tiles": 0, "axis": 0}, note="none", differentiable=False, reason="nothing comes out"
    ),
    Sample("Tile", [normal(2, 3), int32s(3), int32s(1)], note="as inputs"),
    Sample("Tile", [normal(2, 3), int64s(3), int64s(1)], note="as int64 inputs"),
    Sample("Tile", [normal(2, 3), int32s(3)], {"axis": 0}, note="tiles as input"),
    Sample("Tile", [normal(2, 3), int32s(3)], {"axis": 1}, note="int32 tiles, axis as argument"),
    Sample(
        "Tile",
        [normal(2, 3), int64s(3)],
        {"axis": 1},
        note="int64 tiles, axis as argument",
        differentiable=False,
        reason="Caffe2's gradient goes along the axis of the argument, and has another shape than X",
    ),
    Sample("Tile", [int32s(1, 2)], {"tiles": 2, "axis": 0}, note="int32"),
    Sample("Tile", [strings("a", "b")], {"tiles": 3, "axis": 0}, note="strings", devices=("cpu",)),
    Sample("Tile", [normal(2)], {"tiles": 2}, error="axis: missing", note="no axis"),
    Sample("Tile", [normal(2)], {"tiles": -1, "axis": 0}, error="tiles = -1", note="negative"),
    Sample("TileGradient", [normal(4, 3)], {"tiles": 2, "axis": 0}),
    Sample("TileGradient", [normal(2, 6), int32s(3), int32s(1)], note="as inputs"),
    Sample("TileGradient", [normal(3, 3)], {"tiles": 2, "axis": 0}, error="not 2 times", note="not divisible"),
    Sample("DepthConcat", PARTS),
    Sample("DepthConcat", [normal(2, 3, 1, 2), normal(2, 3, 1, 4, seed=1)], {"order": "NHWC"}, note="NHWC"),
    Sample("DepthConcat", [PARTS[0], PARTS[0] + 1], {"axis": 1, "add_axis": 1}, note="stacked"),
    Sample("DepthConcat", [PARTS[0][:0], PARTS[1][:0]], note="empty"),
    Sample("DepthConcat", [PARTS[0], PARTS[0][:1]], error="wants that of the first", note="other shape"),
    Sample("DepthSplit", [IMAGE], outputs=2),
    Sample("DepthSplit", [IMAGE], {"order": "NHWC", "split": [1, 4]}, outputs=2, note="NHWC"),
    Sample("DepthSplit", [IMAGE, int32s(2, 2, 1)], {"axis": -1}, outputs=3, note="sizes as input"),
    Sample("DepthSplit", [IMAGE], outputs=3, error="not to be divided by 3", note="odd"),
]
