"""Segments packed side by side, padded, reversed, masked."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal, strings

CRASH = "Caffe2 reads or writes out of bounds"
DTYPE = "Caffe2 takes float32 and integers only"

X, L, PACKED = normal(5, 2), int32s(2, 0, 3), normal(3, 3, 2)
FLAGS = np.array([[[True]], [[False]], [[True]]])


def _bad(op: str, note: str, inputs: list[Any], error: str, args: Any = None, why: str = "", **more: Any) -> Sample:
    return Sample(op, inputs, args or {}, note=note, error=error, golden=not why, reason=why, **more)


def _mask(note: str, mode: str, *inputs: np.ndarray, **args: Any) -> Sample:
    return Sample("SequenceMask", list(inputs), {"mode": mode, **args}, note=f"{mode} {note}")


CPU: dict[str, Any] = {"devices": ("cpu",)}
OUT_OF_BOUNDS: dict[str, Any] = {"devices": ("cpu",), "golden": False, "reason": "Caffe2 writes out of bounds"}
SAMPLES = normal(5, 3)

samples = [
    Sample("PackSegments", [L, X]),
    Sample("PackSegments", [L, X], {"return_presence_mask": 1}, note="presence", outputs=2),
    Sample("PackSegments", [L.astype("i8"), normal(5)], note="int64 lengths, vector"),
    Sample("PackSegments", [L, X], {"pad_minf": 1}, note="filled with -inf"),
    Sample("PackSegments", [L, X], {"max_length": 4}, note="max_length 4"),
    Sample(
        "PackSegments",
        [L, X],
        {"max_length": 2},
        note="cut",
        differentiable=False,
        reason="the gradient has no rows for those that were cut off",
    ),
    Sample("PackSegments", [L, np.arange(5, dtype="i4")], {"pad_minf": 1}, note="int32"),
    Sample("PackSegments", [L, np.arange(5, dtype="i8")], note="int64"),
    Sample("PackSegments", [L, strings("a", "b", "c", "d", "e")], note="strings"),
    Sample("PackSegments", [L, X.astype("f8")], note="float64", golden=False, reason=DTYPE),
    Sample("PackSegments", [int32s(0, 0), normal(0, 2)], note="empty segments"),
    Sample("PackSegments", [int32s(), normal(0, 2)], {"return_presence_mask": 1}, note="no segments", outputs=2),
    Sample(
        "PackSegments",
        [int32s(0, 0), normal(0, 2)],
        {"max_length": 3},
        note="empty segments of 3",
        golden=False,
        reason="Caffe2 leaves the output unwritten",
    ),
    _bad("PackSegments", "too few", [int32s(2, 0, 2), X], "lengths: sum is 4, tensor has 5"),
    _bad("PackSegments", "too many", [int32s(2, 0, 4), X], "lengths: sum is 6"),
    _bad("PackSegments", "negative", [int32s(6, -1), X], "lengths: element 1 is -1"),
    _bad("PackSegments", "presence without output", [L, X], "return_presence_mask = 1", {"return_presence_mask": 1}),
    Sample(
        "PackSegments",
        [int32s(1, 2), np.float32([1, 2, 3])],
        note="output without presence",
        outputs=2,
        expected=[np.float32([[1, 0], [2, 3]]), np.array([[True, False], [True, True]])],
        golden=False,
        reason="Caffe2 leaves the second output unwritten",
    ),
    _bad("PackSegments", "a number", [L, np.array(1, "f4")], "tensor: shape"),
    Sample("UnpackSegments", [L, PACKED]),
    Sample("UnpackSegments", [L.astype("i8"), PACKED], {"max_length": 3}, note="max_length, int64 lengths"),
    Sample("UnpackSegments", [L, normal(3, 3)], note="matrix"),
    Sample("UnpackSegments", [L, np.arange(9, dtype="i8").reshape(3, 3)], note="int64"),
    Sample(
        "UnpackSegments",
        [int32s(2, 0, 4), PACKED],
        {"max_length": 3},
        note="cut",
        differentiable=False,
        reason="Caffe2's gradient refuses it",
    ),
    Sample(
        "UnpackSegments",
        [int32s(2, 0, 2), PACKED],
        note="shorter",
        differentiable=False,
        reason="Caffe2's gradient is as long as the longest segment",
    ),
    Sample("UnpackSegments", [int32s(0, 0, 0), PACKED], note="nothing", differentiable=False, reason="no row is read"),
    Sample("UnpackSegments", [L, PACKED.astype("f8")], note="float64", golden=False, reason=DTYPE),
    _bad("UnpackSegments", "too long", [int32s(2, 0, 4), PACKED], "lengths: has 4, tensor has 3", why=CRASH),
    _bad("UnpackSegments", "negative", [int32s(2, -1, 2), PACKED], "lengths: element 1 is -1", why=CRASH),
    _bad("UnpackSegments", "other max_length", [L, PACKED], "max_length = 2, tensor has 3", {"max_length": 2}),
    _bad("UnpackSegments", "other lengths", [L[:2], PACKED], "tensor: shape"),
    _bad("UnpackSegments", "vector", [L, normal(3)], "tensor: shape"),
    Sample("ReversePackedSegs", [normal(3, 4, 2), int32s(2, 1, 0, 3)]),
    Sample("ReversePackedSegs", [normal(3, 4, 2), int64s(2, 1, 3, 3)], note="int64 lengths"),
    Sample("ReversePackedSegs", [np.arange(6, dtype="i4").reshape(3, 2, 1), int32s(2, 3)], note="int32"),
    Sample("ReversePackedSegs", [np.arange(6, dtype="i8").reshape(3, 2, 1), int32s(2, 3)], note="int64"),
    Sample("ReversePackedSegs", [np.arange(6, dtype="f8").reshape(3, 2, 1), int32s(2, 3)], note="float64"),
    Sample("ReversePackedSegs", [FLAGS, int32s(2)], note="bool"),
    _bad("ReversePackedSegs", "too long", [PACKED, int32s(4, 1, 2)], "wants 0 to 3", why=CRASH),
    _bad("ReversePackedSegs", "other lengths", [PACKED, int32s(2, 1)], "lengths: shape"),
    _bad("ReversePackedSegs", "matrix", [normal(3, 3), int32s(2, 1, 1)], "data: shape"),
    Sample("LengthsPad", [X, L], {"target_length": 3}),
    Sample("LengthsPad", [normal(5), L], {"target_length": 4, "padding_value": 2.5}, note="vector"),
    Sample("LengthsPad", [X.astype("f8"), L], {"target_length": 3}, note="float64"),
    Sample("LengthsPad", [np.arange(5, dtype="i4"), L], {"target_length": 3, "padding_value": 2.5}, note="int32"),
    Sample("LengthsPad", [np.arange(5, dtype="i8"), L], {"target_length": 3, "padding_value": 2.5}, note="int64"),
    Sample("LengthsPad", [normal(0, 2), int32s(0, 0)], {"target_length": 1}, note="empty segments"),
    _bad("LengthsPad", "too short", [X, L], "LENGTHS: has 3, target_length = 2", {"target_length": 2}),
    _bad("LengthsPad", "no target", [X, L], "target_length"),
    _bad("LengthsPad", "target 0", [X, L], "target_length = 0", {"target_length": 0}),
    _bad("LengthsPad", "too few", [X, int32s(2, 2)], "LENGTHS: sum is 4", {"target_length": 3}),
    _bad("LengthsPad", "negative", [X, int32s(6, -1)], "LENGTHS: element 1 is -1", {"target_length": 7}),
    Sample("LengthsSplit", [int32s(7, 1, 0, 3)], {"n_split": 3}),
    Sample("LengthsSplit", [int32s(7, 1, 0, 3), int32s(2)], {"n_split": 3}, note="input"),
    Sample("LengthsSplit", [int32s()], {"n_split": 3}, note="none"),
    _bad("LengthsSplit", "missing", [int32s(7)], "n_split: missing"),
    _bad("LengthsSplit", "zero", [int32s(7)], "n_split = 0", {"n_split": 0}),
    _bad("LengthsSplit", "zero input", [int32s(7), int32s(0)], "n_split = 0"),
    _bad("LengthsSplit", "two", [int32s(7), int32s(3, 3)], "n_split: shape"),
    _bad("LengthsSplit", "negative", [int32s(7, -4)], "element 1 is -4", {"n_split": 3}, why="Caffe2 splits it too"),
    Sample("AddPadding", [X]),
    Sample("AddPadding", [X], {"padding_width": 2}, note="one segment, both outputs", outputs=2),
    Sample("AddPadding", [X, L], {"end_padding_width": 2}, note="lengths", outputs=2),
    Sample("AddPadding", [X, L, normal(2)], note="a row of padding", outputs=2),
    Sample("AddPadding", [X, L, normal(2), normal(2, seed=5)], {"padding_width": 2}, note="two rows", outputs=2),
    Sample("AddPadding", [X, L, normal(2), normal(2, seed=5)], {"end_padding_width": 0}, note="before", outputs=2),
    Sample("AddPadding", [normal(5), L, normal(1)], note="vector", outputs=2),
    Sample("AddPadding", [X, L], {"padding_width": 0}, note="none", outputs=2),
    Sample("AddPadding", [normal(0, 2), int32s(0, 0)], note="empty segments", outputs=2),
    Sample("AddPadding", [normal(0, 2), int32s()], note="no segments", outputs=2),
    *(
        Sample("AddPadding", [np.arange(5).astype(dtype), L], note=dtype, outputs=2)
        for dtype in ("float64", "int32", "int64", "bool")
    ),
    _bad("AddPadding", "row of another size", [X, L, normal(3)], "start_padding: has 3 elements", outputs=2),
    _bad("AddPadding", "too few", [X, int32s(2, 2)], "sum is 4", outputs=2, why="Caffe2 leaves rows unwritten"),
    _bad("AddPadding", "too many", [X, int32s(2, 4)], "sum is 6", outputs=2),
    _bad("AddPadding", "negative width", [X, L], "padding_width = -1", {"padding_width": -1}),
    _bad("AddPadding", "int64 lengths", [X, int64s(2, 3)], "lengths: dtype", outputs=2),
    Sample("RemovePadding", [X]),
    Sample("RemovePadding", [X], {"padding_width": 2}, note="one segment, both outputs", outputs=2),
    Sample("RemovePadding", [X, int32s(2, 3)], note="lengths", outputs=2),
    Sample("RemovePadding", [X, int32s(2, 3)], {"padding_width": 0, "end_padding_width": 1}, note="behind", outputs=2),
    Sample("RemovePadding", [np.arange(5), int32s(2, 3)], note="int64", outputs=2),
    Sample("RemovePadding", [np.arange(5.0), int32s(2, 3)], note="float64", outputs=2),
    Sample("RemovePadding", [normal(0, 2), int32s()], note="no segments", outputs=2),
    _bad("RemovePadding", "too short", [X, int32s(1, 4)], "lengths: has 1, wants 2 or more", outputs=2, why=CRASH),
    _bad("RemovePadding", "too few", [X, int32s(2, 2)], "sum is 4", outputs=2, why="Caffe2 leaves rows unwritten"),
    _bad("RemovePadding", "all", [X], "lengths: has 5, wants 6", {"padding_width": 3}),
    Sample("GatherPadding", [X, int32s(2, 3)]),
    Sample("GatherPadding", [X, int32s(2, 3)], {"end_padding_width": 0}, note="before"),
    Sample("GatherPadding", [X, int32s(2, 3)], {"end_padding_width": 2}, note="both", outputs=2),
    Sample("GatherPadding", [X, int32s(2, 3)], {"padding_width": 0, "end_padding_width": 1}, note="behind", outputs=2),
    Sample("GatherPadding", [np.arange(10).reshape(5, 2), int32s(2, 3)], note="int64", outputs=2),
    Sample("GatherPadding", [normal(0, 2), int32s()], note="no segments", outputs=2),
    _bad("GatherPadding", "too short", [X, int32s(1, 4)], "lengths: has 1", {"padding_width": 2}, why=CRASH),
    _mask("", "sequence", normal(3, 4), int32s(2, 0, 4)),
    _mask("3-D", "sequence", normal(3, 2, 2), int32s(2, 0, 4)),
    _mask("axis 2", "sequence", normal(2, 3, 4), int32s(2, 0, 4, 1, 3, 2), axis=2, fill_val=0.0),
    _mask("batch", "sequence", normal(2, 3, 4), int32s(2, 0, 4), axis=-1, batch=0, fill_val=0.0),
    _mask("repeated", "sequence", normal(2, 3, 4), int32s(2, 0), axis=1, repeat_from_axis=2, fill_val=0.5),
    _mask("repeated, one column", "sequence", normal(2, 3), int32s(2, 0), repeat_from_axis=-1),
    _mask("gradient", "sequence", normal(3, 4), int32s(1, -2, 9), grad=1),
    _mask("more lengths", "sequence", normal(3, 4), int32s(1, 2, 3, 4)),
    _mask("vector", "sequence", normal(4), int32s(1), axis=0),
    _mask("", "window", normal(3, 4), int32s(2, 0, 3), radius=1, fill_val=0.0),
    _mask("batch", "window", normal(2, 3, 4), int32s(2, 0, 3), axis=2, batch=0, radius=0),
    _mask("negative radius", "window", normal(3, 4), int32s(2, 0, 3), radius=-1),
    _mask("default radius", "window", normal(2, 13), int32s(12, -1)),
    *(
        sample
        for mode in ("upper", "lower", "upperdiag", "lowerdiag")
        for sample in (
            _mask("", mode, normal(3, 4), fill_val=0.0),
            _mask("batch", mode, normal(2, 3, 4), axis=2, batch=0),
        )
    ),
    Sample("SequenceMask", [normal(3, 4).astype("f8"), L], {"mode": "sequence"}, "float64", golden=False, reason=DTYPE),
    _bad("SequenceMask", "few lengths", [normal(3, 4), L[:2]], "sequence_lengths: has 2", {"mode": "sequence"}),
    _bad("SequenceMask", "no lengths", [normal(3, 4)], "sequence_lengths: is missing", {"mode": "sequence"}),
    _bad("SequenceMask", "mode", [normal(3, 4)], "mode = 'foo'", {"mode": "foo"}),
    _bad("SequenceMask", "no mode", [normal(3, 4)], "mode"),
    _bad("SequenceMask", "batch", [normal(3, 4)], "batch = 1, wants less", {"mode": "upper", "batch": 1}),
    _bad("SequenceMask", "repeat", [normal(3, 4)], "wants sequence", {"mode": "upper", "repeat_from_axis": 1}),
    _bad("SequenceMask", "axis", [normal(3), L], "axis = 1", {"mode": "sequence"}),
    Sample("PackRNNSequence", [X, int32s(2, 3)]),
    Sample("PackRNNSequence", [normal(5, 2, 2), int32s(2, 0, 3)], note="3-D"),
    Sample("PackRNNSequence", [np.arange(5, dtype="i4")[:, None], int32s(2, 3)], note="int32"),
    Sample("PackRNNSequence", [np.arange(5)[:, None], int32s(2, 3)], note="int64"),
    Sample("PackRNNSequence", [X.astype("f8"), int32s(2, 3)], note="float64"),
    Sample("PackRNNSequence", [normal(0, 2), int32s(0, 0)], note="nothing"),
    _bad("PackRNNSequence", "too many", [X, int32s(2, 4)], "lengths: sum is 6", why=CRASH),
    _bad("PackRNNSequence", "too few", [X, int32s(2, 2)], "lengths: sum is 4", why="Caffe2 drops the rest"),
    _bad("PackRNNSequence", "negative", [X, int32s(6, -1)], "lengths: element 1 is -1", why=CRASH),
    _bad("PackRNNSequence", "vector", [normal(5), int32s(2, 3)], "values: shape"),
    Sample("UnpackRNNSequence", [normal(3, 2, 2), int32s(2, 3)]),
    Sample("UnpackRNNSequence", [normal(3, 2, 1, 2), int32s(3, 0)], note="4-D"),
    Sample("UnpackRNNSequence", [np.arange(6).reshape(3, 2, 1), int32s(2, 3)], note="int64"),
    Sample(
        "UnpackRNNSequence",
        [normal(3, 2, 2), int32s(2, 0)],
        note="shorter",
        differentiable=False,
        reason="Caffe2's gradient is as long as the longest sequence",
    ),
    _bad("UnpackRNNSequence", "too long", [normal(3, 2, 2), int32s(2, 4)], "lengths: has 4", why=CRASH),
    _bad("UnpackRNNSequence", "negative", [normal(3, 2, 2), int32s(-1, 3)], "element 0 is -1", why=CRASH),
    _bad("UnpackRNNSequence", "other lengths", [normal(3, 2, 2), int32s(2)], "lengths: shape", why=CRASH),
    _bad("UnpackRNNSequence", "matrix", [normal(3, 2), int32s(2, 3)], "values: shape"),
    Sample(
        "PadEmptySamples",
        [int32s(0, 2, 0, 3, 0), SAMPLES, int64s(1, 2, 3, 4, 5), strings("a", "b", "c", "d", "e")],
        outputs=4,
        **CPU,
    ),
    Sample("PadEmptySamples", [int32s(1, 2), SAMPLES[:3]], outputs=2, note="nothing to pad", **CPU),
    Sample("PadEmptySamples", [int32s(0, 0), SAMPLES[:0]], outputs=2, note="all to pad", **CPU),
    Sample("PadEmptySamples", [int32s(), SAMPLES[:0]], outputs=2, note="no samples", **CPU),
    Sample("PadEmptySamples", [int32s(0, 2)], outputs=1, note="lengths only", **CPU),
    Sample(
        "PadEmptySamples", [int32s(1, 2), SAMPLES], outputs=2, note="too many rows", error="lengths want 3 rows", **CPU
    ),
    Sample(
        "PadEmptySamples",
        [int32s(3, -1), SAMPLES[:2]],
        outputs=2,
        note="negative",
        error="element 1 is -1",
        **OUT_OF_BOUNDS,
    ),
    Sample(
        "PadEmptySamples",
        [int32s(5), SAMPLES],
        outputs=1,
        note="too few outputs",
        error="1 outputs for 2 inputs",
        **CPU,
    ),
]
