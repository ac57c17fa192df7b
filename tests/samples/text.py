"""Strings. Reading text files stands in tests/test_text.py: the reference has no files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops.ops.text.reader import TextFileReader
from tests.kit.sample import Sample, int32s, int64s, normal, strings

S = strings("abcdef", "ab", "", b"a\xe9\0b")
M = S.reshape(2, 2)
F = np.array([1, 2.5, 1e10, 1e-7, np.nan, np.inf, -np.inf, 1 / 3, 123456789, 1e5, 1e6, -0.0], np.float32).reshape(4, 3)
FILES: dict[str, Any] = {"golden": False, "reason": "needs a file; see tests/test_text.py"}


def table(text: bytes, *field_types: int) -> TextFileReader:
    """A reader of a file of this text, read for ever."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        return TextFileReader(Path(file.name), 1 << 30, list(field_types))


samples = [
    *(
        Sample(op, [x], args, note=note)
        for op in ("StringPrefix", "StringSuffix")
        for note, x, args in (
            ("", S, {}),
            ("one byte", S, {"length": 1}),
            ("nothing", M, {"length": 0}),
            ("matrix", M, {"length": 4}),
            ("empty", S[:0], {}),
        )
    ),
    Sample("StringPrefix", [S], {"length": -1}, note="length", error="length = -1"),
    Sample("StringSuffix", [S], {"length": -1}, note="length", error="length = -1"),
    Sample("StringPrefix", [F], note="floats", error="dtype is float32"),
    *(
        Sample(op, [x], args, note=note)
        for op, name, value in (
            ("StringStartsWith", "prefix", b"ab"),
            ("StringEndsWith", "suffix", b"ef"),
            ("StringEquals", "text", b"ab"),
        )
        for note, x, args in (
            ("", S, {name: value}),
            ("matrix", M, {name: b"a\xe9\0b"}),
            ("with nothing", S, {}),
            ("empty", S[:0], {name: value}),
        )
    ),
    Sample("StringJoin", [S]),
    Sample("StringJoin", [M], note="rows"),
    Sample("StringJoin", [M], {"axis": 1, "delimiter": "--"}, note="columns"),
    Sample("StringJoin", [F], {"delimiter": ""}, note="floats"),
    Sample("StringJoin", [F.astype(np.float64)], {"axis": 1}, note="float64"),
    *(
        Sample("StringJoin", [np.array([[65, 0, 90]]).astype(dtype)], {"delimiter": "; "}, note=dtype)
        for dtype in ("int32", "int64", "bool", "uint8", "int8", "uint16", "int16")
    ),
    Sample("StringJoin", [int64s(1, -(2**40))], note="negative"),
    Sample("StringJoin", [np.array([-66, 3], np.int8)], note="negative bytes"),
    Sample("StringJoin", [S], {"axis": 1}, note="no columns", error="wants 2 dims"),
    Sample("StringJoin", [S], {"axis": 2}, note="axis", error="axis = 2"),
    Sample("StringJoin", [S[:0]], note="empty", error="wants elements"),
    Sample("StringJoin", [normal(1, 2, 3)], note="three dims", error="input: shape is"),
    Sample("StringJoin", [np.array(5, np.int32)], note="scalar", error="input: shape is"),
    Sample("StringJoin", [np.ones(2, np.float16)], note="float16", error="dtype is float16"),
    Sample(
        "CreateTextFileReader",
        [],
        {"filename": "t.txt", "field_types": []},
        note="no fields",
        error="field_types: is empty",
    ),
    Sample(
        "CreateTextFileReader", [], {"filename": "absent.txt", "field_types": [1]}, note="no file", error="No such file"
    ),
    Sample(
        "CreateTextFileReader",
        [],
        {"filename": "t.txt", "field_types": [2]},
        note="whole numbers",
        error="field_types",
        **FILES,
    ),
    Sample(
        "TextFileReaderRead",
        [table(b"ab\t1.5\n\t-2e1x\n", 4, 1)],
        {"batch_size": 2},
        outputs=2,
        expected=[strings("ab", ""), np.array([1.5, -20], np.float32)],
        **FILES,
    ),
    Sample(
        "CreateTextFileReader",
        [],
        {"filename": "t.txt", "field_types": [1, 4]},
        before=[
            ("ConstantFill", [], ["x"], {"shape": [1]}),
            ("Save", ["x"], [], {"db": "t.txt", "db_type": "minidb"}),
        ],
        expected=[],
        **FILES,
    ),
    Sample("TextFileReaderRead", [int32s(1)], note="no reader", error="handler: holds ndarray"),
]
