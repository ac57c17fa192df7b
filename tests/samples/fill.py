"""Fillers: constants, given values, ranges, random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, strings

FLOAT, INT32, STRING, BOOL, UINT8, INT8, UINT16, INT16, INT64, FLOAT16, DOUBLE = 1, 2, 4, 5, 6, 7, 8, 9, 10, 12, 13
X = np.zeros((2, 3), np.float32)
LONGER = "an extension: Caffe2 refuses it"


def i32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def i64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def seeded(op: str, inputs: Any = (), args: Any = None, note: str = "", **more: Any) -> Sample:
    return Sample(op, inputs, args or {}, note=note, seed=7, **more)


def constants(op: str) -> list[Sample]:
    dtypes = {INT32: -3, INT64: 2**40, BOOL: True, UINT8: 200, UINT16: 60000, INT8: -3, INT16: -300, DOUBLE: 3.5}
    return [
        Sample(op, args={"shape": [3, 2], "value": 2.5}),
        Sample(op, args={"shape": [3, 2]}, note="zeros"),
        Sample(op, args={"shape": [2, 3], "value": 3}, note="a whole number is int64"),
        *(Sample(op, args={"shape": [2, 3], "value": v, "dtype": d}, note=f"dtype {d}") for d, v in dtypes.items()),
        Sample(op, [X], {"value": 1.5}, note="shape of the input"),
        Sample(op, [X], {"value": 1.5}, note="in place", inplace={0: 0}),
        Sample(op, [f32(1, 2, 3)], {"value": 1.5, "extra_shape": [3]}, note="extra shape"),
        Sample(op, [i64(5, 4)], {"value": 1.5, "input_as_shape": 1}, note="input as shape"),
        Sample(op, args={"shape": [0, 3]}, note="empty"),
        Sample(op, args={"shape": [2, 3], "value": 300, "dtype": UINT8}, note="too large", error="300 does not fit"),
        Sample(op, args={"shape": [2, 3], "value": "ab"}, note="text without dtype", error="value: 'ab'"),
        Sample(op, args={"shape": [2], "dtype": 0}, note="undefined dtype", error="0 is not a tensor data type"),
        Sample(op, [X], {"shape": [4]}, note="shape twice", error=r"shape: \[4\] is given together with an input"),
        Sample(op, args={"shape": [-1, 2]}, note="negative", error="shape"),
        Sample(
            op, args={"shape": [2], "extra_shape": [3]}, note="extra shape alone", error="extra_shape: wants an input"
        ),
        Sample(op, [i32(5, 4)], {"input_as_shape": 1}, note="int32 shape", error="input 0: is int32"),
        Sample(op, [i64(5, -4)], {"input_as_shape": 1}, note="negative shape", error="input 0: holds"),
    ]


given: dict[str, tuple[list[Any], int]] = {
    "GivenTensorFill": ([1.5, -2.0, 3e38, 0.1, 5.0, 6.0], FLOAT),
    "GivenTensorDoubleFill": ([1.1, -2.0, 3.0, 0.1, 5.0, 6.0], DOUBLE),
    "GivenTensorBoolFill": ([1, 0, 2, 0, 1, 1], BOOL),
    "GivenTensorInt16Fill": ([1, -2, 3, 4, 5, 32767], INT16),
    "GivenTensorIntFill": ([1, -2, 3, 4, 5, 2**31 - 1], INT32),
    "GivenTensorInt64Fill": ([1, -2, 3, 4, 5, 2**60], INT64),
    "GivenTensorStringFill": (["a", b"\xff\x00", "", "d", "e", "f"], STRING),
}


def given_values(op: str) -> list[Sample]:
    values, dtype = given[op]
    where: dict[str, Any] = {"devices": ("cpu",)} if dtype == STRING else {}
    return [
        Sample(op, args={"shape": [3, 2], "values": values}, **where),
        Sample(op, [X], {"values": values}, note="shape of the input", **where),
        Sample(op, [i64(3, 2)], {"values": values, "input_as_shape": 1}, note="input as shape", **where),
        Sample(op, [f32(1, 2)], {"values": values, "extra_shape": [3]}, note="extra shape", **where),
        Sample(op, args={"shape": [0, 2], "values": []}, note="empty", **where),
        Sample(op, args={"shape": [7], "values": values}, note="too few", error="has 6 elements", **where),
        Sample(op, args={"shape": [7]}, note="no values", error="values is missing", **where),
        *(
            [
                Sample(
                    "GivenTensorFill",
                    args={"shape": [6], "values": values, "dtype": dtype},
                    note=f"dtype {dtype}",
                    **where,
                )
            ]
            if op != "GivenTensorFill"
            else []
        ),
    ]


BYTES = "GivenTensorByteStringToUInt8Fill"
OUT_OF_BOUNDS: dict[str, Any] = {"golden": False, "reason": "Caffe2 reads or writes out of bounds"}


def f(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


samples = [
    *constants("ConstantFill"),
    Sample("ConstantFill", note="scalar"),
    Sample("ConstantFill", args={"shape": [2], "value": "ab", "dtype": STRING}, note="strings", devices=("cpu",)),
    Sample("ConstantFill", args={"shape": [2], "dtype": STRING}, note="empty strings", devices=("cpu",)),
    Sample("ConstantFill", [X, f32(7)], note="value from an input"),
    Sample("ConstantFill", [i64(2), i64(7)], {"input_as_shape": 1, "dtype": INT64}, note="int64 from an input"),
    Sample("ConstantFill", [X, f32(7, 8)], note="two values", error="V: is float32"),
    Sample("ConstantFill", [X, i64(7)], note="value of another dtype", error="V: is int64"),
    Sample(
        "ConstantFill",
        args={"shape": [2], "value": 1.5, "dtype": FLOAT16},
        note="float16",
        expected=[np.full(2, 1.5, np.float16)],
        golden=False,
        reason=LONGER,
    ),
    *constants("DiagonalFill"),
    Sample("DiagonalFill", args={"shape": [3, 3, 3], "value": 5.0}, note="cube"),
    Sample("DiagonalFill", args={"shape": [7, 5], "value": 5.0}, note="tall"),
    Sample("DiagonalFill", args={"shape": [5, 7], "value": 5.0}, note="wide"),
    Sample("DiagonalFill", args={"shape": [3]}, note="a vector", error="wants at least 2 dims"),
    Sample("DiagonalFill", args={"shape": [2, 3, 2]}, note="unequal dims", error="wants all dims equal"),
    *(sample for op in given for sample in given_values(op)),
    Sample("GivenTensorFill", args={"shape": [130], "values": [i / 7 for i in range(130)]}, note="bulk"),
    Sample(
        "GivenTensorIntFill", args={"shape": [1], "values": [2**31]}, note="too large", error="does not fit into int32"
    ),
    Sample(
        "GivenTensorIntFill", args={"shape": [1], "values": [1.5]}, note="a broken number", error="wants whole numbers"
    ),
    Sample(BYTES, args={"shape": [3], "values": [b"ab\xff"]}),
    Sample(BYTES, args={"shape": [2], "values": [b"ab\xff", "c"]}, note="more bytes than elements"),
    Sample(BYTES, [X], {"values": ["abcdef"]}, note="shape of the input"),
    Sample(
        BYTES,
        args={"shape": [4], "values": ["abc"]},
        note="too few bytes",
        error="the string has 3 bytes",
        golden=False,
        reason="Caffe2 reads past the string",
    ),
    Sample("RangeFill", args={"shape": [5]}),
    Sample("RangeFill", [X], note="shape of the input"),
    Sample("RangeFill", [i64(2, 3)], {"input_as_shape": 1}, note="input as shape"),
    Sample("LengthsRangeFill", [i32(3, 0, 2)]),
    Sample("LengthsRangeFill", [i32()], note="no lengths"),
    Sample("LengthsRangeFill", [i32(0, 0)], note="empty runs"),
    Sample("LengthsRangeFill", [i32(-1, 3)], note="negative", error="lengths: element 0 is -1, wants 0 or more"),
    Sample("LengthsRangeFill", [i64(3)], note="int64", error="lengths: dtype is int64"),
    Sample("Float16ConstantFill", args={"shape": [3], "value": 1.1}),
    Sample("Float16ConstantFill", args={"shape": [3], "value": 70000.0}, note="beyond float16"),
    Sample("Float16ConstantFill", note="scalar"),
    seeded("Float16UniformFill", args={"shape": [3, 4], "min": -2.0, "max": 1.0}),
    seeded("UniformFill", args={"shape": [3, 5]}),
    seeded("UniformFill", args={"shape": [3001], "min": -0.3, "max": 0.8}, note="bounds"),
    seeded("UniformFill", [X, f32(1), f32(2)], note="bounds from inputs"),
    seeded("UniformFill", [X], note="in place", inplace={0: 0}),
    seeded("UniformFill", [i64(2)], {"input_as_shape": 1, "extra_shape": [3]}, note="input as shape"),
    seeded("UniformFill", args={"shape": [0, 2]}, note="empty"),
    Sample("UniformFill", args={"shape": [3, 5]}, note="no seed", random=True),
    seeded("UniformFill", args={"shape": [2], "min": 2.0, "max": 2.0}, note="no room", error="is not less than max"),
    seeded("UniformFill", args={"shape": [2], "min": -3e38, "max": 3e38}, note="too wide", error="exceeds float32"),
    seeded("UniformFill", [X, f32(1), f32(2)], {"min": 1.0}, note="bound twice", error="min: is given as an argument"),
    seeded("UniformFill", [X, f32(1)], note="one bound", error="2 inputs"),
    seeded("UniformIntFill", args={"shape": [3, 5], "min": -3, "max": 99}),
    seeded("UniformIntFill", args={"shape": [9]}, note="bits"),
    seeded("UniformIntFill", args={"shape": [9], "min": -(2**31), "max": 2**31 - 1}, note="whole range"),
    seeded("UniformIntFill", [X, i32(1), i32(20)], note="bounds from inputs"),
    seeded("UniformIntFill", args={"shape": [9], "min": 3, "max": 2}, note="no room", error="is not less than max"),
    seeded("UniqueUniformFill", args={"shape": [3, 5], "min": 0, "max": 20}),
    seeded("UniqueUniformFill", args={"shape": [300], "min": 0, "max": 299}, note="a permutation"),
    seeded("UniqueUniformFill", args={"shape": [9], "min": -(2**40), "max": 2**40, "dtype": INT64}, note="int64"),
    seeded("UniqueUniformFill", [i64(5), i32(1, 2)], {"input_as_shape": 1, "min": 0, "max": 9}, note="avoid"),
    seeded(
        "UniqueUniformFill", args={"shape": [3], "min": 0, "max": 1}, note="too many", error="3 distinct values wanted"
    ),
    seeded(
        "UniqueUniformFill",
        [X, i32(1, 1)],
        {"min": 0, "max": 9},
        note="avoid twice",
        error="avoid: holds a number twice",
    ),
    seeded("UniqueUniformFill", [X, i64(1)], {"min": 0, "max": 9}, note="avoid int64", error="avoid: dtype is int64"),
    seeded("GaussianFill", args={"shape": [3, 5]}),
    seeded("GaussianFill", args={"shape": [3002], "mean": 1.5, "std": 0.3}, note="even size"),
    seeded("GaussianFill", args={"shape": [4], "mean": 2.0, "std": 0.0}, note="no deviation"),
    seeded("GaussianFill", [X], note="shape of the input"),
    Sample("GaussianFill", args={"shape": [3]}, note="no seed", random=True),
    seeded("GaussianFill", args={"shape": [3], "std": -1.0}, note="negative deviation", error="std = -1.0"),
    seeded("XavierFill", args={"shape": [7, 3, 2, 5]}),
    seeded("XavierFill", args={"shape": [7]}, note="a vector"),
    seeded("XavierFill", [X], note="shape of the input"),
    seeded("XavierFill", note="a scalar", error="is a scalar"),
    seeded("MSRAFill", args={"shape": [7, 3, 2, 5]}),
    seeded("MSRAFill", [X], note="shape of the input"),
    seeded("MSRAFill", args={"shape": [7]}, note="a vector", error="wants 2 dims"),
    Sample(
        "GivenTensorStringFill", [strings("x", "y")], {"values": ["a", "b"]}, note="shape of strings", devices=("cpu",)
    ),
    *(
        Sample("Range", list(inputs), note=note)
        for note, inputs in (
            ("", [f(5)]),
            ("fraction", [f(1.5)]),
            ("start", [int32s(2), int32s(7)]),
            ("halves", [f(2.5), f(7)]),
            ("step", [int32s(1), int32s(8), int32s(3)]),
            ("down", [int64s(7), int64s(2), int64s(-2)]),
            ("tenths", [f(0), f(1), f(0.1)]),
            ("thirds", [f(0), f(1), f(0.3)]),
            ("tenths down", [f(0), f(-1), f(-0.1)]),
            ("float64", [np.array([x], np.float64) for x in (0, 1, 0.1)]),
            ("rounded", [f(16777216), f(16777220), f(1)]),
            ("scalar", [np.array(3, np.int32)]),
            ("nothing", [int32s(3), int32s(3)]),
            ("wrong way", [int32s(3), int32s(1)]),
            ("down from below", [int32s(1), int32s(4), int32s(-2)]),
            ("down by much", [int32s(1), int32s(2), int32s(-2)]),
            ("up by much", [int32s(2), int32s(1), int32s(2)]),
            ("down to the end", [int32s(5), int32s(1), int32s(-2)]),
            ("negative", [int32s(-3)]),
        )
    ),
    Sample("Range", [int32s(0), int32s(5), int32s(0)], note="step 0", error="Step size cannot be 0"),
    Sample("Range", [int32s(0, 1)], note="two", error="start: has 2 elements"),
    Sample("Range", [int32s(0), int64s(3)], note="dtypes", error="stop: dtype is int64"),
    Sample(
        "Range", [f(np.nan)], note="not a number", error="no finite number", golden=False, reason="Caffe2 gives none"
    ),
    Sample("Range", [f(np.inf)], note="infinite", error="no finite number", **OUT_OF_BOUNDS),
    Sample("SinusoidPositionEncoding", [int32s(1, 2, 3, 4).reshape(2, 2)], {"embedding_size": 3}),
    Sample(
        "SinusoidPositionEncoding",
        [int64s(5, 9, 1, 1).reshape(4, 1)],
        {"embedding_size": 6, "alpha": 10.0, "amplitude": 2.0},
        note="arguments",
    ),
    Sample(
        "SinusoidPositionEncoding", [int32s(0, -2, 7).reshape(3, 1)], {"embedding_size": 4}, note="zero and negative"
    ),
    Sample("SinusoidPositionEncoding", [int32s(5).reshape(1, 1)], {"embedding_size": 1}, note="one wave"),
    Sample("SinusoidPositionEncoding", [int32s(0).reshape(1, 1)], {"embedding_size": 1}, note="one wave of 0"),
    Sample("SinusoidPositionEncoding", [int32s(5).reshape(1, 1)], {"embedding_size": 0}, note="no wave"),
    Sample("SinusoidPositionEncoding", [int32s().reshape(0, 2)], {"embedding_size": 2}, note="empty"),
    Sample(
        "SinusoidPositionEncoding",
        [int32s(100, 3000).reshape(2, 1)],
        note="default",
        tolerance=(1e-3, 5e-4),
        reason="an angle of 3000 has 12 bits behind the point in float32",
    ),
    Sample("SinusoidPositionEncoding", [int32s(5)], note="vector", error="positions: shape is"),
    Sample("SinusoidPositionEncoding", [f(5).reshape(1, 1)], note="floats", error="dtype is float32"),
]
