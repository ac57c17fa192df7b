"""What a graph is made of while it is being built: values, nodes, subgraphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec

Dim = int | str | None  # a number, the name of a dim that varies, or unknown
Shape = tuple[Dim, ...]


class NotPortable(ValueError):  # noqa: N818
    """The other framework cannot say what an operator does; the message says why, and the nearest way out."""


class Value:
    """A tensor of the graph: its name in the model, dtype, and shape as far as it is known.

    `array` is set where the value is a constant; `quantised` is (scale, zero point) where the elements are those of a
    Caffe2 Int8 tensor. A value without dtype holds something that ONNX has no type for.
    """

    __slots__ = ("_shape", "array", "default", "dims", "dtype", "name", "quantised", "settled")

    def __init__(self, name: str, dtype: Any = None, shape: Sequence[Dim] | None = None, array: Any = None):
        self.name = name
        self.dtype: Any = None if dtype is None else np.dtype(dtype)
        self._shape: Shape | None = None if shape is None else tuple(shape)
        self.array: np.ndarray[Any, Any] | None = array
        self.default: np.ndarray[Any, Any] | None = None  # of an input that need not be fed
        self.dims: Shape | None = None  # of a vector that is a shape: what is known of its elements
        self.quantised: tuple[float, int] | None = None
        self.settled = ""  # the blob that it is named after

    @property
    def shape(self) -> Shape:
        """The dims, some maybe names or None. Raises NotPortable where not even their number is known."""
        if self._shape is None and self.dtype is None:
            raise NotPortable(f"{self.name!r} holds strings, or what ONNX has no type for")
        if self._shape is None:
            raise NotPortable(f"needs the number of dims of {self.name!r}; give the shapes of all inputs")
        return self._shape

    @shape.setter
    def shape(self, shape: Sequence[Dim] | None) -> None:
        self._shape = None if shape is None else tuple(shape)

    @property
    def has_rank(self) -> bool:
        return self._shape is not None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def known(self) -> bool:
        """Whether all dims are numbers."""
        return self._shape is not None and all(isinstance(d, int) for d in self._shape)

    @property
    def size(self) -> int | None:
        """The number of elements, None where it is unknown."""
        return int(np.prod([d for d in self.shape if isinstance(d, int)])) if self.known else None

    def static(self, axis: int, what: str = "") -> int:
        """The number that a dim is. Raises NotPortable where it varies or is unknown."""
        dim = self.shape[axis]
        if not isinstance(dim, int):
            raise NotPortable(f"needs dim {axis % self.rank} of {what or repr(self.name)} as a number; give it as one")
        return dim

    def constant(self, what: str) -> np.ndarray[Any, Any]:
        """The array of a constant. Raises NotPortable for a value that is computed."""
        if self.array is None:
            raise NotPortable(f"needs {what} ({self.name!r}) as a constant, but it is computed by the net or fed")
        return self.array

    def quantisation(self) -> tuple[Any, int]:
        """Scale, float32, and zero point. Raises NotPortable for anything but a quantised tensor."""
        if self.quantised is None:
            raise NotPortable(f"{self.name!r} holds no quantised tensor")
        return np.float32(self.quantised[0]), self.quantised[1]

    @property
    def spec(self) -> TensorSpec:
        """What inference of caffe2ops takes it for."""
        if self._shape is None or self.quantised:
            return TensorSpec(None, None if self.quantised else self.dtype)
        return TensorSpec([d if isinstance(d, int) else UNKNOWN for d in self._shape], self.dtype)

    def __repr__(self) -> str:
        dims = "?" if self._shape is None else ", ".join("?" if d is None else str(d) for d in self._shape)
        return f"{self.name} {self.dtype}[{dims}]"


@dataclass
class Node:
    """One node of the graph; None stands for an input or output left out."""

    type: str
    inputs: list[Value | None]
    outputs: list[Value | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    domain: str = ""
    name: str = ""


@dataclass
class Graph:
    """A body of If or Loop, or the whole: nodes in order, what comes in and goes out."""

    name: str
    nodes: list[Node] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
