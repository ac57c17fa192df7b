"""Operators of engine DNNLOWP. Quantised answers are read by an Int8Dequantize behind them, in a sample of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Blob, Sample, normal

Step = tuple[Any, ...]
ENGINE = "DNNLOWP"
TO: dict[str, Any] = {"Y_scale": 0.05, "Y_zero_point": 100}
FLOAT = {"dequantize_output": 1}
NHWC = {"order": "NHWC"}
ON_CPU = {"devices": ("cpu",)}
UNCHECKED: dict[str, Any] = {"golden": False, "reason": "Caffe2 reads out of bounds or ends the process there"}
WINDOW = {"kernel_h": 2, "kernel_w": 3, "pad": 1, "stride": 2}
LAX: dict[str, Any] = {"tolerance": (2e-5, 2e-5), "reason": "the range of a float answer is summed in another order"}


def fill(name: str, values: np.ndarray) -> Step:
    return "GivenTensorFill", [], [name], {"shape": list(values.shape), "values": values.ravel().tolist()}


def made(**values: np.ndarray) -> list[Step]:
    """Makes float blobs, and a quantised one of each whose name ends in q."""
    steps = []
    for name, value in values.items():
        plain = name.rstrip("q")
        steps.append(fill(plain, value))
        if name != plain:
            steps.append(("Quantize", [plain], [name], {}, ENGINE))
    return steps


def asked(
    op: str, names: str, before: list[Step], args: dict[str, Any], note: str = "", engine: str = ENGINE, **more: Any
) -> list[Sample]:
    """The operator itself, and what its first output stands for where that is quantised."""
    inputs, outputs = names.split(), [f"y{i}" for i in range(more.get("outputs", 1))]
    how: dict[str, Any] = {"before": before, "engine": engine, "note": note, **ON_CPU, **more}
    first = Sample(op, [Blob(name) for name in inputs], args, differentiable=False, **how)
    if "dequantize_output" in args:
        return [first]
    steps = [*before, (op, inputs, outputs, args, engine)]
    return [first, Sample("Int8Dequantize", [Blob("y0")], before=steps, note=f"{op} {engine} {note}", **LAX)]


def refused(
    op: str, names: str, before: list[Step], args: dict[str, Any], error: str, note: str, **more: Any
) -> Sample:
    how: dict[str, Any] = {"before": before, "engine": ENGINE, "error": error, "note": note, **ON_CPU, **more}
    return Sample(op, [Blob(name) for name in names.split()], args, **how)


def converted() -> list[Sample]:
    found = []
    values = np.float32([-1, 0, 0.5, 2.3, 7, -0.25])
    rows = {
        "": (values, {}), "static": (values, TO), "positive": (values + 2, {}), "negative": (values - 9, {}),
        "zeros": (values * 0, {}), "tiny": (values * np.float32(1e-7), {}), "empty": (values[:0], {}),
        "symmetric": (values, {"preserve_activation_sparsity": 1}),
        "power of two": (values, {"force_scale_power_of_two": 1}),
        "power above": (values * 500, {"force_scale_power_of_two": 1}),
        "relu": (values, {"followed_by": "Relu", **TO}), "sigmoid": (values, {"followed_by": "Sigmoid"}),
        "tanh": (values, {"followed_by": "Tanh", **TO}),
        "halves": (values.round() + np.float32(0.5), {"Y_scale": 1.0, "Y_zero_point": 1}),
    }  # fmt: skip
    for note, (x, args) in rows.items():
        found += asked("Quantize", "x", made(x=x), args, note)
    found += asked("Int8Quantize", "x", made(x=values), {}, engine="DNNLOWP_ROWWISE")
    for op in ("Dequantize", "Int8Dequantize", "Int8DequantizeRowWise"):
        found.append(Sample(op, [Blob("xq")], before=made(xq=normal(2, 3)), engine=ENGINE))
    found += [
        Sample("Dequantize", [normal(2)], engine=ENGINE, note="float", error="X: holds ndarray"),
        Sample("Quantize", [normal(2).astype("f8")], engine=ENGINE, note="float64", error="X: dtype is float64"),
        Sample("Quantize", [normal(2), normal(2)], engine=ENGINE, note="qparam", error="Qparam: is given"),
    ]
    for names, note in (("xq i", ""), ("x i", "float")):
        before = [*made(xq=normal(5, 3)), ("GivenTensorIntFill", [], ["i"], {"shape": [3], "values": [4, 0, 0]})]
        found += asked("Int8Gather", names, before, {}, note)
    far = ("GivenTensorIntFill", [], ["i"], {"shape": [1], "values": [5]})
    return [
        *found,
        refused("Int8Gather", "xq i", [*made(xq=normal(5, 3)), far], {}, "element 0 is 5", "no such row"),
    ]


def connected() -> list[Sample]:
    found = []
    before = made(xq=normal(3, 2, 5), wq=normal(4, 10), b=normal(4))
    bias = ("Int8GivenIntTensorFill", [], ["bq"], {"shape": [4], "values": [9, -800, 0, 77], "Y_scale": 4e-4})
    pack = ("Int8FCPackWeight", ["w"], ["wp"], {}, ENGINE)
    for op in ("FC", "Int8FC", "Int8FCRelu"):
        for names in ("xq w b", "x wq b"):
            found += asked(op, names, before, TO, f"static {names}")
            found += asked(op, names, before, {}, f"dynamic {names}")
            found += asked(op, names, before, FLOAT, f"float {names}", **LAX)
        found += asked(op, "xq wp b", [*before, pack], TO, "packed")
        found += asked(op, "xq w b", before, TO, "by row", engine="DNNLOWP_ROWWISE")
    found += asked("FC", "x w b", before, {"quantize_channelwise": 1, **FLOAT}, "channelwise", **LAX)
    found += asked("Int8FC", "xq w b", before, {"followed_by": "Relu"}, "before a Relu")
    found += asked("Int8FC", "xq wq bq", [*before, bias], TO, "quantised bias")
    other = (*bias[:3], {**bias[3], "Y_scale": 0.01})
    found.append(refused("Int8FC", "xq wq bq", [*before, other], TO, "b: scale is 0.01", "scale of the bias"))
    found += asked("Int8FC", "xq wp b", [*before, pack], {"axis": 1, **FLOAT}, "packed to float", **LAX)
    found += asked(
        "Int8FC", "x w b", made(x=normal(2, 3, 5), w=normal(2, 2, 5), b=normal(4)), {"axis": 2, "axis_w": 2, **TO}
    )
    both = {"in_scale": 0.02}
    found += [
        Sample("Int8FCPackWeight", [Blob("w")], {"save_unpacked_weights": 1}, before=before, engine=ENGINE),
        Sample("Int8FCPackWeight", [Blob("w"), Blob("b")], both, before=before, engine="DNNLOWP_ROWWISE", note="rows"),
        Sample("Int8FCPackWeight", [Blob("w"), Blob("b")], both, before=before, engine=ENGINE, outputs=2, note="both"),
        refused("Int8FCPackWeight", "w b", before, {}, "in_scale: is missing", "no scale"),
        refused("Int8FC", "xq wp b", [*before, pack], {}, "Y_scale: is missing", "packed, dynamic"),
        refused("Int8FC", "xq v b", [*before, *made(v=normal(4, 9))], TO, "X: has 10 columns", "width", **UNCHECKED),
    ]  # fmt: skip
    steps = [*before, ("Int8FCPackWeight", ["w", "b"], ["wp", "bp"], both, ENGINE)]
    return found + asked("Int8FC", "xq wp b", steps, TO, "packed with bias")


def images() -> list[Sample]:
    found = []
    for order, x, w in (
        (NHWC, normal(2, 5, 6, 4), normal(6, 2, 3, 2)),
        ({}, normal(2, 4, 5, 6), normal(6, 2, 2, 3)),
    ):
        before, kind = made(xq=x, wq=w, b=normal(6)), "NHWC" if order else "NCHW"
        for op in ("Conv", "ConvRelu", "Int8Conv", "Int8ConvRelu"):
            args = {"group": 2, **WINDOW, **order}
            found += asked(op, "xq w b", before, {**args, **TO}, f"static {kind}")
            found += asked(op, "xq wq", before, args, f"dynamic {kind}")
        found += asked("Int8Conv", "xq w b", before, {**args, **TO, "quantize_groupwise": 1}, f"by group {kind}")
        for op, more in (
            ("Int8MaxPool", WINDOW),
            ("MaxPool", {"kernel": 2}),
            ("Int8AveragePool", WINDOW),
            ("Int8AveragePool", {**WINDOW, **TO}),
            ("AveragePool", {"global_pooling": 1}),
            ("Int8ChannelShuffle", {"group": 2, "kernel": 1}),
            ("ChannelShuffle", {"group": 2, "kernel": 1}),
        ):
            found += asked(op, "xq", before, {**more, **order}, kind)
        channels = 4
        for op in ("SpatialBN", "Int8SpatialBN", "Int8SpatialBNRelu"):
            steps = [*before, *made(s=normal(channels), v=normal(channels) ** 2, m=normal(channels))]
            found += asked(op, "xq s m m v", steps, {"is_test": 1, "epsilon": 1e-3, **order, **TO}, f"static {kind}")
            found += asked(op, "xq s m m v", steps, {"is_test": 1, **order}, f"dynamic {kind}")
            found += asked(op, "xq s m m v", steps, {"is_test": 1, **order, **TO, **FLOAT}, f"float {kind}")
        for op in ("GroupNorm", "Int8GroupNorm"):
            for more in (TO, {}, FLOAT):
                found += asked(op, "xq s m", steps, {"group": 2, **order, **more}, kind, **LAX)
    pack = ("Int8ConvPackWeight", ["w"], ["wp"], {"group": 2, **WINDOW, **NHWC}, ENGINE)
    before = made(xq=normal(2, 5, 6, 4), w=normal(6, 2, 3, 2), b=normal(6))
    found += asked("Int8Conv", "xq wp b", [*before, pack], {"group": 2, **WINDOW, **NHWC, **TO}, "packed")
    return [
        *found,
        Sample("Int8ConvPackWeight", [Blob("w")], pack[3], before=before, engine=ENGINE),
        refused("Int8ConvPackWeight", "w b", before, pack[3], "in_scale: is missing", "no scale"),
        refused("Int8SpatialBN", "xq b b b b", before, {}, "is_test: is missing", "training"),
        refused("Int8Conv", "xq w b", before, {**pack[3], **FLOAT}, "dequantize_output = 1", "float"),
        refused("Int8GroupNorm", "xq b b", before, {"group": 3}, "5 channels, group = 3", "channels"),
        refused(
            "Int8Conv", "xq w b", before, {**WINDOW, **NHWC, **TO}, "X: has 4 channels", "channels", golden=False,
            reason="Caffe2 ends the process there",
        ),
    ]  # fmt: skip


def elementwise() -> list[Sample]:
    found = []
    before = made(xq=normal(3, 11), yq=normal(3, 11, seed=5) * 2 + 1, zq=normal(3, 11, seed=7))
    for op in ("Add", "Int8Add", "Sum", "Int8Sum", "SumRelu", "Int8SumRelu", "Mul", "Int8Mul"):
        for args in ({}, TO, {**TO, **FLOAT}):
            found += asked(op, "xq yq", before, args, **LAX if "dequantize_output" in args else {})
    for op in ("Sum", "Int8Sum", "SumRelu", "Int8SumRelu"):
        found += asked(op, "xq yq zq", before, TO, "three")
        found += asked(op, "xq", before, TO, "one")
    for op in ("Add", "Int8Add", "Mul", "Int8Mul"):
        found += asked(op, "x yq", before, TO, "mixed")
        found.append(refused(op, "xq w", [*before, *made(w=normal(3, 4))], TO, "[AB1]: shape is", "shapes"))
    found += [
        Sample(
            "Int8Sum", [np.float32([4, -1]), np.float32([5, 2])], FLOAT | TO, engine=ENGINE, note="floats",
            expected=[np.float32([7.75, 1])], golden=False, reason="Caffe2 cuts floats in the middle of their range",
        ),
        Sample(
            "Int8Relu", [Blob("x")], before=made(x=normal(3)), engine=ENGINE, note="floats", golden=False,
            reason="Caffe2 ends the process there",
        ),
    ]  # fmt: skip
    for op in ("Relu", "Int8Relu", "Tanh", "Int8Tanh", "Sigmoid", "Int8Sigmoid"):
        found += asked(op, "xq", made(xq=np.linspace(-7, 7, 64).astype(np.float32)), {})
    found += asked("Int8Relu", "xq", before, TO, "scale given")
    for op in ("ElementwiseLinear", "Int8ElementwiseLinear"):
        for names in ("xq a b", "x a b"):
            for args in (TO, {}, FLOAT):
                found += asked(op, names, [*before, *made(a=normal(11), b=normal(11, seed=2))], args, names, **LAX)
    for op in ("Concat", "Int8Concat"):
        found += asked(op, "xq zq", before, {"axis": 0, **TO}, "static", outputs=2)
        found += asked(op, "xq yq", before, {"axis": 1}, "dynamic", outputs=2)
        found += asked(op, "x y", before, {"axis": 1, "add_axis": 1}, "new axis", outputs=2)
        found += asked(op, "xq zq", before, {"axis": 1, **FLOAT}, "float", outputs=2, **LAX)
    found.append(
        refused("Int8Concat", "xq w", [*before, *made(wq=normal(2, 4))], {"axis": 0}, "input 1: shape", "shapes")
    )
    return found


def products() -> list[Sample]:
    found = []
    for flips, x, y in (
        ({}, normal(2, 3, 4), normal(2, 4, 5)),
        ({"trans_a": 1, "trans_b": 1}, normal(2, 4, 3), normal(2, 5, 4)),
    ):
        before = made(xq=x, yq=y)
        for op in ("BatchMatMul", "Int8BatchMatMul"):
            for names in ("xq yq", "x y"):
                for args in (TO, {}, FLOAT, {"constant_B": 1, **TO}, {"constant_B": 1, **FLOAT}):
                    found += asked(op, names, before, {**flips, **args}, names, **LAX)
    steps = [
        *made(hq=normal(1, 3, 4), cq=normal(1, 3, 4, seed=4), gq=normal(1, 3, 16) * 2),
        ("GivenTensorIntFill", [], ["l"], {"shape": [3], "values": [2, 5, 3]}),
        ("GivenTensorIntFill", [], ["t"], {"shape": [1], "values": [3]}),
    ]
    for op in ("LSTMUnit", "Int8LSTMUnit"):
        for names in ("hq cq gq l t", "h c g l t"):
            for args in (
                {},
                {"Y2_scale": 0.02, "Y2_zero_point": 90, **TO},
                {"drop_states": 1, "forget_bias": 0.5, **FLOAT},
            ):
                found += asked(op, names, steps, args, names, outputs=2, **LAX)
    cell = [*steps, ("Int8LSTMUnit", ["hq", "cq", "gq", "l", "t"], ["h1", "c1"], {}, ENGINE)]
    return [
        *found,
        Sample("Int8Dequantize", [Blob("c1")], before=cell, note="cell of Int8LSTMUnit", **LAX),
        refused("Int8BatchMatMul", "x x", made(x=normal(2, 3, 4)), TO, "B: shape", "sizes"),
    ]


def options() -> list[Sample]:
    """How scales are chosen: those of activations, of weights, and those in between."""
    found = []
    powers, sparse = {"force_scale_power_of_two": 1}, {"preserve_weight_sparsity": 1}
    before = made(xq=normal(3, 11), w=normal(4, 11), b=normal(4), a=normal(11), c=normal(11, seed=2))
    image = made(iq=normal(2, 4, 5, 6), g=normal(4), h=normal(4, seed=1))
    unit = [
        *made(hq=normal(1, 3, 4), cq=normal(1, 3, 4, seed=4), gq=normal(1, 3, 16) * 2),
        ("GivenTensorIntFill", [], ["l"], {"shape": [3], "values": [2, 5, 3]}),
        ("GivenTensorIntFill", [], ["t"], {"shape": [1], "values": [3]}),
    ]
    for more, note in ((powers, "power of two"), (sparse, "zero in the middle")):
        found += asked("FC", "xq w b", before, more, note)
        found += asked("ElementwiseLinear", "xq a c", before, more, note, **LAX)
        found += asked("GroupNorm", "iq g h", image, {"group": 2, **more}, note, **LAX)
    found += asked("SumRelu", "xq", before, {**TO, **powers}, "power of two", **LAX)
    return found + asked("LSTMUnit", "hq cq gq l t", unit, powers, "power of two", outputs=2, **LAX)


samples = [*converted(), *connected(), *images(), *elementwise(), *products(), *options()]
