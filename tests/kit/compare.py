"""Comparing arrays: one table of tolerances."""

from __future__ import annotations

from typing import Any

import numpy as np

# dtype -> (rtol, atol); integers, bools and strings are compared exactly
TOLERANCES = {"float16": (2e-3, 1e-3), "float32": (2e-5, 2e-6), "float64": (1e-10, 1e-12)}
CUDA_TOLERANCES = {"float16": (4e-3, 2e-3), "float32": (1e-4, 1e-5), "float64": (1e-9, 1e-11)}


def assert_same(
    actual: Any, expected: Any, what: str, tolerance: tuple[float, float] | None = None, table: Any = TOLERANCES
) -> None:
    """Same dtype and shape, same values within the tolerance; NaN equals NaN."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype, f"{what}: dtype is {actual.dtype}, wants {expected.dtype}"
    assert actual.shape == expected.shape, f"{what}: shape is {actual.shape}, wants {expected.shape}"
    if actual.dtype.kind == "f":
        rtol, atol = tolerance or table[actual.dtype.name]
        np.testing.assert_allclose(actual, expected, rtol, atol, equal_nan=True, err_msg=what)
    else:
        np.testing.assert_array_equal(actual, expected, err_msg=what)
