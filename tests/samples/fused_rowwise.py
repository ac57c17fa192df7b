"""Row-wise quantised matrices: made, read, and summed by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.quantized.codec import EIGHT, FOUR, TWO, Codec
from tests.kit.sample import Blob, Sample, int32s, int64s, normal

CONSTANT = np.float32([[0.1, 0.2, 0.9, 0.1], [-1, 1, -1, -1], [3, 3, 3, 3], [1, 2, 1.5, 1]])
INDICES, LENGTHS = int32s(0, 3, 1, 0), int32s(2, 0, 2)
CODECS = {8: EIGHT, 4: FOUR, 2: TWO}


def coded(codec: Codec, rows: np.ndarray) -> np.ndarray:
    out = np.empty((len(rows), codec.coded_width(rows.shape[1])), np.uint8)
    codec.encode(rows, out)
    return out


def to_and_from() -> list[Sample]:
    found = []
    names = [
        f"{kind}ToFused8BitRowwiseQuantized{half}" for kind in ("Float", "HalfFloat") for half in ("", "HalfScaleBias")
    ]
    for bits in (4, 2):
        names += [
            f"{kind}ToFused{bits}Bit{fake}RowwiseQuantized" for kind in ("Float", "Half") for fake in ("", "Fake")
        ]
    for name in names:
        dtype = "f2" if name.startswith("Half") else "f4"
        for note, rows in {"": CONSTANT, "wide": normal(3, 8) * 5, "no rows": normal(0, 4)}.items():
            found.append(Sample(name, [rows.astype(dtype)], note=note))
            if "8Bit" not in name:
                found.append(Sample(name, [rows.astype(dtype)], engine="GREEDY", note=f"greedy {note}"))
        if "Fake" in name:
            found.append(Sample(name, [normal(3, 5).astype(dtype)], note="odd"))
            found.append(Sample(name, [normal(5).astype(dtype)], note="vector", error="input: shape is"))
    found += [
        Sample(
            "FloatToFused4BitRowwiseQuantized",
            [np.float32([[1, 1, 1, 1]]) + np.float32([0, 4, 2, 0]) * np.spacing(np.float32(1))],
            engine="GREEDY",
            note="greedy, steps that move nothing",
            golden=False,
            reason="Caffe2's search does not end",
        ),
        Sample("FloatToFused8BitRowwiseQuantized", [normal(2, 3, 5)], note="3-D"),
        Sample("FloatToFused8BitRowwiseQuantized", [normal(5)], note="vector"),
        Sample(
            "FloatToFused8BitRowwiseQuantized", [normal(2, 5).astype("f8")], note="float64", error="dtype is float64"
        ),
        Sample(
            "FloatToFused4BitRowwiseQuantized", [normal(3, 5)], note="odd", error="has 5 columns, wants a multiple of 2"
        ),
        Sample(
            "FloatToFused2BitRowwiseQuantized", [normal(3, 6)], note="odd", error="has 6 columns, wants a multiple of 4"
        ),
    ]
    for kind in ("Float", "HalfFloat"):
        found += [
            Sample(f"Fused8BitRowwiseQuantizedTo{kind}", [coded(EIGHT, CONSTANT)]),
            Sample(f"Fused8BitRowwiseQuantizedHalfScaleBiasTo{kind}", [coded(Codec(8, "float16"), CONSTANT)]),
        ]
    for bits in (4, 2):
        found += [
            Sample(f"Fused{bits}BitRowwiseQuantizedTo{kind}", [coded(CODECS[bits], normal(3, 8))])
            for kind in ("Float", "Half")
        ]
    found.append(
        Sample(
            "Fused8BitRowwiseQuantizedToFloat",
            [np.zeros((2, 8), "u1")],
            note="scale and bias only",
            error="rows have 8 bytes",
            golden=False,
            reason="Caffe2 answers with no columns",
        )
    )
    return found


def lookups() -> list[Sample]:
    found = []
    for bits, codec in CODECS.items():
        data = coded(codec, normal(5, 8))
        for kind in ("Sum", "WeightedSum", "Mean"):
            weights = [np.float32([1, -0.5, 2, 0.25])] * (kind == "WeightedSum")
            name, sparse = f"SparseLengths{kind}Fused{bits}BitRowwise", f"SparseLengths{kind}{bits}BitRowwiseSparse"
            more: dict[str, Any] = {"tolerance": (1e-4, 1e-5), "reason": "Caffe2 adds up with fused products"}
            found += [
                Sample(name, [data, *weights, INDICES, LENGTHS], **more),
                Sample(name, [data, *weights, INDICES.astype("i8"), LENGTHS], note="int64", **more),
                Sample(sparse, [data, *weights, int32s(0, 6, 2, 0), LENGTHS, int32s(4, -1, 0, 1, 2, -1, -1)], **more),
                Sample(sparse, [data, *weights, INDICES, LENGTHS, int32s(0)], note="no mapping", **more),
            ]
    data = coded(EIGHT, normal(5, 3))
    found += [
        Sample("SparseLengthsSumFused8BitRowwise", [data, int32s(), int32s(0, 0)], note="no indices"),
        Sample(
            "SparseLengthsSumFused8BitRowwise", [data, INDICES, int32s(2, 1)], note="sum", error="LENGTHS: sum is 3"
        ),
        Sample("SparseLengthsSumFused8BitRowwise", [data, int32s(0, 5), int32s(2)], note="row", error="element 1 is 5"),
        Sample("GatherFused8BitRowwise", [data, INDICES]),
        Sample("GatherFused8BitRowwise", [data, int64s(4, 0)], note="int64"),
        Sample("GatherFused8BitRowwise", [data, int32s(5)], note="no such row", error="INDICES: element 0 is 5"),
    ]
    return found


def by_chance() -> list[Sample]:
    """FloatToFusedRandRowwiseQuantized and back; what chance decides is in tests/test_stochastic_rounding.py."""
    found, source, back = [], "FloatToFusedRandRowwiseQuantized", "FusedRandRowwiseQuantizedToFloat"
    for bits in (1, 2, 4, 8):
        step = (source, ["x"], ["y"], {"bitwidth": bits, "random": 0})
        feed = ("GivenTensorFill", [], ["x"], {"shape": [3, 7], "values": normal(3, 7).ravel().tolist()})
        found += [
            Sample(source, [normal(3, 7)], {"bitwidth": bits, "random": 0}),
            Sample(back, [Blob("y")], before=[feed, step], note=f"{bits} bits"),
        ]
    rows = np.zeros((2, 12), np.uint8)
    rows[:, 0] = 4
    other = rows.copy()
    other[1, 0] = 8
    found += [
        Sample(source, [normal(3, 8)], random=True),
        Sample(source, [normal(0, 5)], {"random": 0}, note="no rows"),
        Sample(source, [normal(2, 0)], {"random": 0}, note="no columns"),
        Sample(source, [normal(5)], note="vector", error="input: shape is"),
        Sample(source, [normal(2, 5)], {"bitwidth": 3}, note="3 bits", error="bitwidth = 3"),
        Sample(back, [rows], note="zeros"),
        Sample(back, [rows[:0]], note="no rows", error="wants rows of at least 10 bytes"),
        Sample(back, [np.zeros((2, 12), np.uint8)], note="bitwidth", error="bitwidth is 0"),
        Sample(
            back, [other], note="rows differ", error="not all rows begin with 4, 0", golden=False,
            reason="Caffe2 writes beyond the end",
        ),
        Sample(
            back, [np.tile(np.uint8([8, 9]), (2, 6))], note="unused", error="9 elements are unused", golden=False,
            reason="Caffe2 asks for a tensor of negative size",
        ),
    ]  # fmt: skip
    return found


def half_weights() -> list[Sample]:
    """FbGemmPack and the FbFCPacked that reads what it makes."""
    x, b = normal(3, 5), normal(4)
    w = normal(4, 5).ravel()
    w[:3] = 7e4, 1e-7, 1 + 2**-11
    feed = ("GivenTensorFill", [], ["w"], {"shape": [4, 5], "values": w.tolist()})
    turned = ("GivenTensorFill", [], ["w"], {"shape": [5, 2, 2], "values": w.tolist()})
    pack = ("FbGemmPack", ["w"], ["p"], {})
    return [
        Sample("FbGemmPack", [Blob("w")], before=[feed]),
        Sample("FbGemmPackTranspose", [Blob("w")], {"no_packing": 1}, before=[turned]),
        Sample("FbFCPacked", [x, Blob("p"), b], before=[feed, pack]),
        Sample("FbFCPacked", [x, Blob("p"), b], before=[turned, ("FbGemmPackTranspose", ["w"], ["p"], {})]),
        Sample("FbFCPacked", [normal(2, 3, 5), Blob("p"), b], {"axis": 2}, note="axis", before=[feed, pack]),
        Sample("FbFCPacked", [normal(0, 5), Blob("p"), b], note="empty", before=[feed, pack]),
        Sample("FbFCPacked", [x, Blob("p"), normal(3)], note="bias", before=[feed, pack], error="b 3 elements"),
        Sample("FbFCPacked", [normal(3, 4), Blob("p"), b], note="width", before=[feed, pack], error="X has 4 columns"),
        Sample("FbFCPacked", [x, Blob("w"), b], note="not packed", before=[feed], error="W: holds ndarray"),
    ]


QUANTIZED, SCALE_BIAS = (
    np.uint8([[0, 32, 255], [0, 255, 7], [9, 0, 128]]),
    np.float32([[0.003, 0.1], [0.01, -1], [1, 3]]),
)

samples = [
    *to_and_from(),
    *lookups(),
    *by_chance(),
    *half_weights(),
    Sample("FloatToRowwiseQuantized8Bits", [CONSTANT]),
    Sample("FloatToRowwiseQuantized8Bits", [normal(3, 2, 4)], note="3-D"),
    Sample("Rowwise8BitQuantizedToFloat", [QUANTIZED, SCALE_BIAS]),
    *(
        Sample(
            f"SparseLengths{kind}8BitsRowwise",
            [
                QUANTIZED,
                *[np.float32([1, -0.5, 2, 0.25])] * kind.startswith("W"),
                int32s(0, 2, 1, 0),
                LENGTHS,
                SCALE_BIAS,
            ],
        )
        for kind in ("Sum", "Mean", "WeightedSum", "WeightedMean")
    ),
    Sample(
        "SparseLengthsSum8BitsRowwise",
        [QUANTIZED, int32s(0, 3), int32s(2), SCALE_BIAS],
        note="no such row",
        error="INDICES: element 1 is 3",
    ),
]
