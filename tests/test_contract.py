"""The contract line: parsing, checking inputs, inferring outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caffe2ops.contract import parse
from caffe2ops.infer import UNKNOWN, TensorSpec

F4, F8, I4 = np.float32, np.float64, np.int32


def infer(line: str, inputs: list[TensorSpec | None], outputs: int = 1, **args: Any) -> tuple[TensorSpec, ...]:
    contract = parse(line)
    return contract.infer(contract.check(inputs, args.get), outputs, args.get)


@pytest.mark.parametrize(
    ("line", "inputs", "args", "expected"),
    [
        ("X: float -> Y: X", [TensorSpec((2, 3), F8)], {}, [TensorSpec((2, 3), F8)]),
        ("X: float[N, ...] -> Y: X[N]", [TensorSpec((4, 5, 6), F4)], {}, [TensorSpec((4,), F4)]),
        ("X: float[N, ...] -> Y: int32[..., k]", [TensorSpec((4, 5, 6), F4)], {"k": 2}, [TensorSpec((5, 6, 2), I4)]),
        (
            "X: float[N], L: int32[M] -> Y: X[M, 3]",
            [TensorSpec((4,), F4), TensorSpec((2,), I4)],
            {},
            [TensorSpec((2, 3), F4)],
        ),
        ("X: float[N, D] -> Y: X[D]", [TensorSpec((4, UNKNOWN), F4)], {}, [TensorSpec((UNKNOWN,), F4)]),
        ("X: float[N] -> Y: X[N]", [TensorSpec()], {}, [TensorSpec((UNKNOWN,))]),
        ("X: float -> Y: X", [TensorSpec()], {}, [TensorSpec()]),
        ("A: float, B: A|int32 -> Y: B[3]", [TensorSpec((1,), F8), TensorSpec((1,), I4)], {}, [TensorSpec((3,), I4)]),
        ("X: float -> Y: X[?]", [TensorSpec((3,), F4)], {}, [TensorSpec(None, F4)]),
        ("*X: float[...] -> Y: X[...]", [TensorSpec((3,), F8), TensorSpec((3,), F8)], {}, [TensorSpec((3,), F8)]),
        (" -> Y: $dtype[n]", [], {"dtype": 10, "n": 7}, [TensorSpec((7,), np.int64)]),
        ("M: blob, X: any -> Y: X", [None, TensorSpec((1,), np.bool_)], {}, [TensorSpec((1,), np.bool_)]),
        ("X: float, b?: float[C] -> Y: X", [TensorSpec((1,), F4)], {}, [TensorSpec((1,), F4)]),
    ],
)
def test_inference(line: str, inputs: list[Any], args: dict[str, Any], expected: list[TensorSpec]) -> None:
    assert list(infer(line, inputs, len(expected), **args)) == expected


@pytest.mark.parametrize(
    ("line", "inputs", "error", "message"),
    [
        ("X: float -> Y: X", [TensorSpec((1,), I4)], TypeError, "X: dtype is int32, wants float32 or float64"),
        ("X: float[N] -> Y: X", [TensorSpec((1, 2), F4)], ValueError, r"X: shape is \[1, 2\], wants \[N\]"),
        ("A: float[N], B: A[N] -> Y: A", [TensorSpec((2,), F4), TensorSpec((3,), F4)], ValueError, r"B: .* with N = 2"),
        (
            "A: float, B: A -> Y: A",
            [TensorSpec((2,), F4), TensorSpec((2,), F8)],
            TypeError,
            "B: dtype is float64, wants float32",
        ),
        ("X: float[..., 2] -> Y: X", [TensorSpec((), F4)], ValueError, r"X: shape is \[\], wants \[..., 2\]"),
        ("*X: float -> Y: X", [TensorSpec((2,), F4), TensorSpec((2,), F8)], TypeError, "X: dtype is float64"),
        ("X: float -> Y: X", [None], TypeError, "X: holds no tensor"),
    ],
)
def test_refusals(line: str, inputs: list[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        infer(line, inputs)


@pytest.mark.parametrize("line", ["X: float", "X float -> Y: X", "X: floaty -> Y: X", "X: float[N -> Y: X", "-> Y: Q"])
def test_malformed_lines(line: str) -> None:
    with pytest.raises(ValueError, match="contract"):
        parse(line)


def test_counts() -> None:
    contract = parse("A: float, *B: float, C?: float -> Y: A, *Z?: A")
    assert contract.counts(contract.inputs) == (2, None)
    assert contract.counts(contract.outputs) == (1, None)
