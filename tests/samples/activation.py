"""Samples of the operators in caffe2ops/ops/activation."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, normal, rng

KINKS = "kinks too near, or a gradient that Caffe2 has wrong"

INF, NAN = np.inf, np.nan
EXTREMES = np.float32([-INF, -200, -90, -20, -3, -1, -0.5, -0.0, 0, 0.5, 1, 3, 6, 20, 80, INF, NAN])
TWOS = np.full(17, 2, np.float32)


def floats(*shape, seed=0, low=-3.0, high=3.0, dtype=np.float32):
    return np.asarray(rng(seed).uniform(low, high, shape), dtype)


samples = []
ROWS = [
    ("Relu", {}),
    ("LeakyRelu", {}),
    ("LeakyRelu", {"alpha": 0.3}),
    ("LeakyRelu", {"alpha": 1.7}),
    ("LeakyRelu", {"alpha": -0.5}),
    ("ReluN", {}),
    ("ReluN", {"n": 1.5}),
    ("ThresholdedRelu", {}),
    ("ThresholdedRelu", {"alpha": 0.25}),
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("Swish", {}),
    ("HardSigmoid", {}),
    ("HardSigmoid", {"alpha": -0.4, "beta": 0.3}),
    ("Softplus", {}),
    ("Softsign", {}),
    ("Elu", {}),
    ("Elu", {"alpha": 0.4}),
    ("Elu", {"alpha": -0.5}),
    ("Selu", {}),
    ("Selu", {"alpha": 0.7, "scale": 1.2}),
    ("Gelu", {}),
    ("Gelu", {"fast_gelu": 1}),
]
for op, args in ROWS:
    twist = op in ("Elu", "LeakyRelu") and args.get("alpha", 1) < 0  # the sign of Y does not tell that of X then
    samples.append(Sample(op, [floats(2, 3, 5)], args, note="3-D", differentiable=not twist, reason=KINKS))
    samples.append(Sample(op, [floats()], args, note="a scalar", differentiable=not twist, reason=KINKS))
    samples.append(Sample(op, [EXTREMES], args, note="extremes", differentiable=False))
for op, args in [(op, args) for op, args in ROWS if op not in ("Swish", "Gelu")]:
    if not (op == "ThresholdedRelu" and args):
        y = np.abs(EXTREMES) if op == "ThresholdedRelu" else EXTREMES
        order = [y, TWOS]
        samples.append(Sample(f"{op}Gradient", order, args, note="extremes", differentiable=False))
samples += [
    Sample("SwishGradient", [EXTREMES, EXTREMES / (1 + np.exp(-np.maximum(EXTREMES, -80))), TWOS], note="extremes"),
    Sample("GeluGradient", [TWOS, EXTREMES], note="extremes"),
    Sample("GeluGradient", [TWOS, EXTREMES], {"fast_gelu": 1}, note="extremes fast"),
    Sample("ReluGradient", [EXTREMES, np.full(17, NAN, np.float32)], note="NaN in dY"),
    Sample("ReluGradient", [EXTREMES, np.full(17, INF, np.float32)], note="inf in dY"),
    Sample(
        "ThresholdedRelu", [floats(3, 4)], {"alpha": -1.0}, note="negative alpha", differentiable=False, reason=KINKS
    ),
    Sample(
        "ThresholdedReluGradient",
        [np.float32([-0.5, 0, 2]), np.float32([2, 2, 2])],
        {"alpha": -1.0},
        golden=False,
        reason="Caffe2's CPU kernel turns the sign where Y < 0",
        expected=[np.float32([2, 0, 2])],
        note="negative alpha",
    ),
    Sample(
        "Softplus",
        [np.float32([90, 200, INF])],
        golden=False,
        reason="Caffe2 overflows to inf",
        expected=[np.float32([90, 200, INF])],
        note="large",
        differentiable=False,
    ),
    Sample(
        "Relu",
        [np.float16([-1, 0, 2, NAN])],
        golden=False,
        reason="float16 is Caffe2's on CUDA only",
        expected=[np.float16([0, 0, 2, NAN])],
        note="float16",
        differentiable=False,
    ),
    Sample("Relu", [np.int32([1])], error="X: dtype is int32"),
    Sample("ReluN", [floats(3)], {"n": -1.0}, error="n = -1.0, wants > 0"),
    Sample("ReluGradient", [floats(3), floats(4)], error="dY: shape is"),
]

samples += [
    Sample("PRelu", [floats(2, 3, 4, 5), floats(3, seed=1)], note="NCHW"),
    Sample("PRelu", [floats(2, 4, 5, 3), floats(3, seed=1)], {"order": "NHWC"}, note="NHWC"),
    Sample("PRelu", [floats(2, 3, 4), floats(1, seed=1)], note="shared slope"),
    Sample("PRelu", [floats(2, 4, 3), floats(1, seed=1)], {"order": "NHWC"}, note="shared slope NHWC"),
    Sample("PRelu", [floats(4, 3), floats(3, seed=1)], note="2-D"),
    Sample("PRelu", [floats(4, 3, 2), np.float32([1.5, -0.5, 0])], note="odd slopes"),
    Sample("PRelu", [floats(4, 0, 2), floats(0)], note="no channels"),
    Sample("PRelu", [floats(4, 3, 2), floats(2)], error="Slope: has 2 elements, wants 1 or as many"),
    Sample(
        "PReluGradient",
        [floats(4, 3), floats(4, 3, seed=1), np.float32([[0, 1, -1]] * 4), floats(3, seed=2)],
        note="zero",
    ),
    Sample("Softmax", [floats(3, 5)]),
    Sample("Softmax", [floats(2, 3, 4)], note="axis 1"),
    Sample("Softmax", [floats(2, 3, 4)], {"axis": 0}, note="axis 0"),
    Sample("Softmax", [floats(2, 3, 4)], {"axis": 2}, note="axis 2"),
    Sample("Softmax", [floats(2, 3, 4)], {"axis": -1}, note="last axis"),
    Sample("Softmax", [floats(7)], {"axis": 0}, note="1-D"),
    Sample("Softmax", [np.float32([[1e30, 0, -1e30], [-88, -89, -90]])], note="large"),
    Sample(
        "Softmax",
        [np.float32([[1, 2, NAN], [INF, 1, 2], [-INF, -INF, -INF], [-INF, 0, 1]])],
        note="extremes",
        differentiable=False,
    ),
    Sample("Softmax", [floats(3)], error="axis = 1, wants one of the 1 dims"),
    Sample("Softmax", [floats(2, 3)], {"axis": -3}, error="axis = -3"),
    Sample("SoftmaxGradient", [floats(2, 3, 4), floats(2, 3, 4, seed=1)], {"axis": 2}),
    Sample("Glu", [floats(2, 6)]),
    Sample("Glu", [floats(4, 3, 2)], {"dim": 0}, note="dim 0"),
    Sample(
        "Glu", [floats(4, 6, 2)], {"dim": -2}, note="dim -2", golden=False, reason="Caffe2 knows no negative dim but -1"
    ),
    Sample("Glu", [floats(2, 3)], error="X: has 3 entries along dim 1"),
    Sample("Glu", [floats(2, 4)], {"dim": 2}, error="dim = 2", golden=False, reason="ends Caffe2's process"),
    Sample("Mish", [normal(3, 4)]),
    Sample("Mish", [np.float32([-30, 0, 12])], note="far out"),
    Sample("MishGradient", [normal(3), normal(3, seed=1), normal(3, seed=2)]),
]
