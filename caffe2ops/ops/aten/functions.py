"""The table of functions that ATen calls, and what they share: promotion of dtypes, and axes.

A line names a function, how many tensors it takes (`*`: any number), then its attributes, `=` behind those that may be
left out: `max 1 dim keepdim=`. A function may have several lines; tensors and attributes say which is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from caffe2ops.ops.shape.axes import canonical_axis

Call = Callable[..., Any]
KINDS = {"b": 0, "i": 1, "u": 1, "f": 2}


@dataclass(frozen=True)
class Function:
    """One configuration: `line` describes it, `call` takes the tensors, and the attributes by name."""

    line: str
    call: Call

    def takes(self, tensors: int, attributes: set[str]) -> bool:
        """Whether it is meant by so many tensors and these attributes; as in Caffe2, those left out are the last."""
        _, count, *known = self.line.split()
        required = sum(not name.endswith("=") for name in known)
        first = {name.rstrip("=") for name in known[: len(attributes)]}
        return count in ("*", str(tensors)) and len(attributes) >= required and first == attributes


FUNCTIONS: dict[str, list[Function]] = {}


def declare(table: Mapping[str, Call]) -> None:
    """Adds lines and what they call."""
    for line, call in table.items():
        FUNCTIONS.setdefault(line.split()[0], []).append(Function(line, call))


def promoted(*values: Any) -> list[np.ndarray]:
    """Tensors and numbers as tensors of the dtype that PyTorch gives their combination.

    The highest kind (bool, whole, floating) decides; among those of it tensors with dims come before those without, and
    all before numbers.
    """
    arrays = [np.asarray(value) for value in values]
    kind = max(KINDS[array.dtype.kind] for array in arrays)
    of_kind = [(a, v) for a, v in zip(arrays, values) if KINDS[a.dtype.kind] == kind]
    tensors = [a for a, v in of_kind if isinstance(v, np.ndarray)]
    found = [a.dtype for a in tensors if a.ndim] or [a.dtype for a in tensors]
    dtype = np.result_type(*found) if found else (np.bool_, np.int64, np.float32)[kind]
    return [a.astype(dtype, copy=False) for a in arrays]


def floats(x: np.ndarray) -> np.ndarray:
    """x, as float32 where it is whole or bool."""
    return x if x.dtype.kind == "f" else x.astype(np.float32)


def axis(dim: int, x: np.ndarray) -> int:
    """A dim of x; a tensor without dims counts as one of 1. Raises ValueError where x has no such dim."""
    return canonical_axis(dim, max(x.ndim, 1), "dim")


def axes(dims: Any, x: np.ndarray) -> tuple[int, ...]:
    """Dims of x from a list, all for an empty one. Raises ValueError for a number, which Caffe2 takes for no dims."""
    if not isinstance(dims, (tuple, list)):
        raise ValueError(f"dim = {dims}, wants a list of dims, as [{dims}]")
    return tuple(canonical_axis(dim, x.ndim, "dim") for dim in dims) or tuple(range(x.ndim))
