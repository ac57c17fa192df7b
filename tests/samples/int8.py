"""Quantised tensors: every operator runs before an Int8Dequantize, whose answer the real Caffe2 gives too."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Blob, Sample, normal, rng

R = rng(8)
Step = tuple[str, list[str], list[str], dict[str, Any]]
SCALE, ZERO = 0.05, 100
UNCHECKED = "Caffe2 does not compare the sizes"


def tensor(name: str, *shape: int, scale: float = SCALE, zero: int = ZERO) -> Step:
    """Makes a blob of random bytes."""
    args = {"shape": list(shape), "values": R.integers(0, 256, shape).astype(np.uint8).tobytes()}
    return "Int8GivenTensorFill", [], [name], {**args, "Y_scale": scale, "Y_zero_point": zero}


def numbers(name: str, *shape: int) -> Step:
    """Makes a bias."""
    args = {"shape": list(shape), "values": R.integers(-900, 900, shape).ravel().tolist()}
    return "Int8GivenIntTensorFill", [], [name], {**args, "Y_scale": 0.001, "Y_zero_point": 0}


def to(scale: float = SCALE, zero: int = ZERO, **args: Any) -> dict[str, Any]:
    return {"Y_scale": scale, "Y_zero_point": zero, **args}


def checked(op: str, made: list[Step], args: dict[str, Any], note: str = "", outputs: int = 1) -> list[Sample]:
    """The operator itself, and the real values of its first output."""
    names = [step[2][0] for step in made]
    outs = [f"y{i}" for i in range(outputs)]
    steps = [*made, (op, names, outs, args)]
    return [
        Sample(op, [Blob(name) for name in names], args, note=note, before=made, outputs=outputs),
        Sample("Int8Dequantize", [Blob("y0")], note=f"{op} {note}", before=steps),
    ]


def refused(op: str, made: list[Step], args: dict[str, Any], error: str, note: str) -> Sample:
    names = [step[2][0] for step in made]
    return Sample(
        op, [Blob(name) for name in names], args, note=note, before=made, error=error, golden=False,
        reason="Caffe2 ends the process there",
    )  # fmt: skip


def byte_values(name: str, scale: float) -> Step:
    values = np.arange(256).astype(np.uint8).reshape(16, 16)
    return "Int8GivenTensorFill", [], [name], {"shape": [16, 16], "values": values.tobytes(), **to(scale)}


IMAGES, SMALL = tensor("x", 2, 5, 6, 4), tensor("x", 1, 3, 3, 8)
CONV = [IMAGES, tensor("w", 3, 2, 3, 4, scale=0.02, zero=120), numbers("b", 3)]
GROUPED = [SMALL, tensor("w", 8, 3, 3, 1, scale=0.02, zero=130), numbers("b", 8)]
UPSIDE = [SMALL, tensor("w", 8, 2, 2, 3, scale=0.02, zero=120), numbers("b", 3)]
FC = [tensor("x", 3, 2, 5), tensor("w", 4, 10, scale=0.02, zero=120), numbers("b", 4)]
LARGE = [tensor("x", 2, 400), tensor("w", 3, 400, scale=0.003, zero=7), numbers("b", 3)]
RAMP: Step = ("Int8GivenTensorFill", [], ["x"], {"shape": [1, 1, 2, 1], "values": bytes([0, 1])})
PAIR = [tensor("a", 3, 40), tensor("b", 3, 40, scale=0.08, zero=90)]
NHWC = {"order": "NHWC"}


def rois() -> list[Sample]:
    """Int8RoIAlign: its first input is quantised, the second is not."""
    boxes = np.float32([[0, 1, 0.5, 5, 4], [1, -3, 2, 2.5, 9], [1, 3, 3, 2, 2], [0, 9, 9, 12, 12]])
    fill = ("GivenTensorFill", [], ["r"], {"shape": [4, 5], "values": boxes.ravel().tolist()})
    found = []
    for note, args in {
        "": {},
        "ratio": {"sampling_ratio": 2, "pooled_h": 3, "pooled_w": 2, "spatial_scale": 0.5},
        "automatic": {"pooled_h": 2, "pooled_w": 4, **NHWC},
    }.items():
        given = to(0.07, 90, **args)
        steps = [IMAGES, fill, ("Int8RoIAlign", ["x", "r"], ["y0"], given)]
        found += [
            Sample("Int8RoIAlign", [Blob("x"), boxes], given, note=note, before=[IMAGES]),
            Sample("Int8Dequantize", [Blob("y0")], note=f"Int8RoIAlign {note}", before=steps),
        ]
    unsafe: dict[str, Any] = {"golden": False, "reason": "Caffe2 reads out of bounds or ends the process there"}
    return [
        *found,
        Sample("Int8RoIAlign", [Blob("x"), boxes[:, 1:]], to(), note="4 columns", before=[IMAGES]),
        Sample("Int8RoIAlign", [Blob("x"), boxes[:0]], to(), note="none", before=[IMAGES]),
        Sample("Int8RoIAlign", [Blob("x"), boxes[:, :3]], to(), note="columns", before=[IMAGES], error="3 numbers"),
        Sample("Int8RoIAlign", [Blob("x"), boxes + 1], to(), note="index", before=[IMAGES], error="index 2", **unsafe),
        Sample(
            "Int8RoIAlign",
            [Blob("x"), np.where(boxes > 8, np.float32(np.inf), boxes)],
            to(),
            note="inf",
            before=[IMAGES],
            error="finite",
            **unsafe,
        ),
        Sample("Int8RoIAlign", [Blob("x"), boxes], to(1e-4), note="scale", before=[IMAGES], error="than 1", **unsafe),
        Sample("Int8RoIAlign", [Blob("x"), boxes], {"order": "NCHW"}, note="NCHW", before=[IMAGES], error="order"),
    ]


samples = [
    Sample("Int8Quantize", [np.float32([0.5, 1.5, 2.5, -0.5, -3, 300, np.inf, -np.inf])], to(1.0, 3)),
    Sample("Int8Quantize", [normal(2, 3)], note="no arguments"),
    Sample("Int8Quantize", [normal(2).astype("f8")], note="float64", error="X: dtype is float64"),
    Sample(
        "Int8Quantize",
        [normal(2), normal(2)],
        note="qparam",
        error="Qparam: is given",
        golden=False,
        reason="Caffe2 does not look at it",
    ),
    Sample("Int8Dequantize", [Blob("y")], before=[byte_values("y", 0.1)]),
    Sample("Int8Dequantize", [normal(2)], note="no quantised tensor", error="qX: holds ndarray"),
    Sample("Int8Dequantize", [Blob("b")], before=[numbers("b", 2)], note="int32", error="qX: holds int32"),
    Sample("Int8GivenTensorFill", args={"shape": [2, 3], "values": b"abcdef", **to()}),
    Sample(
        "Int8GivenTensorFill",
        args={"shape": [2, 2], "values": b"abcdef"},
        note="size",
        error="values: has 6",
        golden=False,
        reason=UNCHECKED,
    ),
    Sample("Int8GivenIntTensorFill", args={"shape": [2, 3], "values": [1, 2, 3, -4, 5, 6], **to()}),
    Sample(
        "Int8GivenIntTensorFill",
        args={"shape": [7], "values": [1]},
        note="size",
        error="values: has 1",
        golden=False,
        reason=UNCHECKED,
    ),
    *checked("Int8Conv", CONV, to(0.5, kernel_h=2, kernel_w=3, **NHWC)),
    *checked("Int8Conv", CONV, to(0.5, 3, kernels=[2, 3], pads=[1, 2, 0, 1], strides=[2, 1], **NHWC), "padding"),
    *checked("Int8Conv", GROUPED, to(0.2, kernel=3, pad=1, group=8, **NHWC), "depthwise"),
    *checked("Int8ConvRelu", CONV, to(0.3, 20, kernels=[2, 3], **NHWC)),
    *checked("Int8ConvTranspose", UPSIDE, to(0.3, kernel=2, stride=2, **NHWC)),
    *checked("Int8ConvTranspose", UPSIDE, to(0.3, kernel=2, stride=1, pad=1, **NHWC), "overlap"),
    *checked("Int8FC", FC, to(0.3)),
    *checked("Int8FC", LARGE, to(0.4, 128), "many products"),
    *checked("Int8FC", [tensor("x", 0, 10), *FC[1:]], to(0.4, 128), "no rows"),
    *checked("Int8Add", PAIR, to(0.1, 80)),
    *checked("Int8AddRelu", PAIR, to(0.06, 80)),
    *checked("Int8Sum", PAIR, to(0.07, 0)),
    *checked("Int8SumRelu", PAIR, to(0.2, 128)),
    *checked("Int8Relu", [tensor("x", 3, 4)], to()),
    *checked("Int8LeakyRelu", [byte_values("x", 0.5)], to(0.7, 80, alpha=0.3)),
    *checked("Int8Sigmoid", [byte_values("x", 0.05)], to(1 / 256, 0)),
    *checked("Int8Softmax", [byte_values("x", 0.05)], to(1 / 256, 0)),
    *checked("Int8Softmax", [tensor("x", 2, 3, 4)], to(1 / 256, 0), "3-D"),
    *checked("Int8MaxPool", [IMAGES], to(kernel=2, stride=1, **NHWC)),
    *checked("Int8MaxPool", [IMAGES], to(kernel=3, stride=2, pad=1, **NHWC), "padding"),
    *checked("Int8AveragePool", [IMAGES], to(kernel=2, stride=1, **NHWC)),
    *checked("Int8AveragePool", [IMAGES], to(0.03, 90, kernel=3, stride=2, pad=1, **NHWC), "padding"),
    *checked("Int8AveragePool", [IMAGES], to(0.01, 90, global_pooling=1, **NHWC), "global"),
    *checked("Int8AveragePoolRelu", [IMAGES], to(0.03, 90, kernel=2, **NHWC)),
    *checked("Int8Flatten", [IMAGES], to()),
    *checked("Int8Flatten", [IMAGES], to(axis=2), "axis 2"),
    *checked("Int8Transpose", [IMAGES], to(axes=[0, 3, 1, 2])),
    *checked("Int8Transpose", [IMAGES], to(), "reversed"),
    *checked("Int8ChannelShuffle", [IMAGES], to(group=2, kernel=1, **NHWC)),
    *checked("Int8ResizeNearest", [IMAGES], to(width_scale=2.0, height_scale=1.5)),
    Sample(
        "Int8Dequantize",
        [Blob("y")],
        note="Int8ResizeNearest size",
        before=[RAMP, ("Int8ResizeNearest", ["x"], ["y"], {"output_size": [1, 4]})],
        expected=[np.float32([[[[0], [0], [1], [1]]]])],
        golden=False,
        reason="Caffe2 leaves the factors unset",
    ),
    *checked("Int8Concat", [tensor("a", 1, 2, 2, 3), tensor("b", 1, 2, 2, 5)], to(order="NHWC")),
    *checked("Int8Concat", [tensor("a", 3, 4), tensor("b", 2, 4)], to(axis=0), "rows"),
    Sample(
        "Int8Concat",
        [Blob("x"), Blob("x")],
        to(axis=0),
        note="split_info",
        before=[tensor("x", 3, 4)],
        outputs=2,
        golden=False,
        reason="Caffe2 leaves split_info unwritten",
    ),
    *checked("Int8Slice", [tensor("x", 4, 5)], to(starts=[1, 0], ends=[3, -1])),
    *checked("Int8Slice", [tensor("x", 4, 5)], to(dim=1, start_idx=1, end_idx=3), "one dim"),
    *checked("Int8Reshape", [tensor("x", 4, 6)], to(shape=[3, -1]), outputs=2),
    refused("Int8Reshape", [tensor("x", 4, 6)], to(shape=[5, -1]), "shape", "size"),
    refused("Int8Slice", [tensor("x", 4, 6)], to(starts=[3], ends=[1]), "is 3 to 1", "range"),
    *rois(),
    Sample("ConvRelu", [normal(1, 2, 5, 4), normal(3, 2, 3, 2), normal(3)], {"kernel_h": 3, "kernel_w": 2}),
    Sample("ConvRelu", [normal(1, 5, 4, 2), normal(3, 2, 2, 2)], {"kernel": 2, "pad": 1, **NHWC}, note="NHWC"),
    Sample("ConvRelu", [normal(1, 2, 6), normal(3, 2, 3), normal(3)], {"kernels": [3]}, note="1-D"),
    Sample("ConvRelu", [normal(1, 3, 5, 5), normal(3, 2, 3, 3)], {"kernel": 3}, note="channels", error="3 channels"),
    Sample("SumRelu", [normal(2, 3), normal(2, 3, seed=1), normal(2, 3, seed=2)]),
    Sample("SumRelu", [normal(2, 3), normal(2, 3, seed=1)], inplace={0: 0}, note="in place"),
    Sample("SumRelu", [normal(2, 3).astype("f8")], note="one"),
    Sample("SumRelu", [np.int32([-3, 4]), np.int32([1, 2])], note="int32"),
    Sample("SumRelu", [np.int64([-3, 4]), np.int64([1, 2])], note="int64", error="dtype is int64"),
    Sample("SumRelu", [normal(2, 3), normal(3, 2)], note="shapes", error="data_0: shape is"),
    Sample("Int8MaxPoolRelu", [Blob("x")], to(kernel=2, **NHWC), before=[IMAGES]),
    refused("Int8Relu", [tensor("x", 2)], to(0.1), "Y_scale = 0.1, Y_zero_point = 100: wants 0.05", "another scale"),
    refused("Int8Conv", CONV, to(0.0005, kernels=[2, 3], **NHWC), "less than 1", "scale"),
    refused("Int8Conv", CONV, to(0.5, kernels=[2, 3]), "order = 'NCHW'", "order"),
    refused("Int8FC", [FC[0], tensor("w", 4, 9), FC[2]], to(0.3), "X: has 10 columns, W 9", "width"),
    refused("Int8Add", [PAIR[0], tensor("b", 4)], to(0.1), "input 1: shape", "shapes"),
    refused("Int8Sum", [PAIR[0]], to(0.1), "there are 1, wants 2", "one"),
    refused("Int8Sigmoid", [PAIR[0]], to(0.1), "wants 0.00390625 and 0", "scale"),
]
