"""Weights kept as codes of a book, or as bytes."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, normal, strings

BOOK = normal(7)
CODES = np.uint8([[0, 6, 3], [3, 3, 1]]), np.uint16([5, 0]), np.int32([[[6]]])
BYTES = np.uint8([0, 1, 127, 128, 254, 255])

samples = [
    Sample("QuantDecode", [BOOK, *CODES], outputs=3),
    Sample("QuantDecode", [BOOK.reshape(7, 1), np.zeros((0, 2), np.uint8)], note="none"),
    Sample("QuantDecode", [BOOK, np.int64([0])], note="dtype", error="codes_0: dtype is int64"),
    Sample(
        "QuantDecode",
        [BOOK, np.uint8([7])],
        note="no such code",
        error="codes_0: element 0 is 7, codebook has 7",
        golden=False,
        reason="Caffe2 reads out of bounds",
    ),
    Sample("QuantDecodeGradient", [BOOK, *CODES, *(normal(*codes.shape) for codes in CODES)]),
    Sample("QuantDecodeGradient", [BOOK, CODES[1], normal(3)], note="size", error="gradient 0: is float32"),
    Sample("ByteWeightDequant", [BYTES], {"shape": (2, 3)}),
    Sample("ByteWeightDequant", [BYTES], {"shape": (5,), "min": -0.5, "max": 0.7}, note="range, a byte left"),
    Sample("ByteWeightDequant", [strings(BYTES.tobytes())], {"shape": (3, 2)}, note="string"),
    Sample("ByteWeightDequant", [BYTES], note="no shape"),
    Sample(
        "ByteWeightDequant",
        [BYTES],
        {"shape": (7,)},
        note="few",
        error="weights: has 6 bytes, .* wants 7",
        golden=False,
        reason="Caffe2 reads out of bounds",
    ),
]
