"""What rules are given: the tensors of the net, as names in the source that is being written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from caffe2ops.infer import TensorSpec, Unknown
from caffe2ops.port.values import NotPortable


class Steps(NamedTuple):
    """What the bytes of a quantised tensor mean: real value = scale * (byte - zero point)."""

    scale: float
    zero: int


class Quantised(NamedTuple):
    """An expression whose bytes are a quantised tensor."""

    text: str
    steps: Steps


class Tensor:
    """A tensor of the net; as text, the expression that stands for it.

    `array` is set where its elements are known: for a parameter and a constant. A parameter gets its place in the
    module when it is first written somewhere. `steps` is set where the bytes are a quantised tensor.
    """

    def __init__(
        self, text: str | Callable[[], str], spec: TensorSpec, array: np.ndarray[Any, Any] | None = None,
        blob: str = "", steps: Steps | None = None,
    ):  # fmt: skip
        self._text, self.spec, self.array, self.blob, self.steps = text, spec, array, blob, steps
        self.owned = False  # whether one operator alone reads this parameter
        self.updated = False  # whether the one operator that reads this parameter may write it

    def __str__(self) -> str:
        if not isinstance(self._text, str):
            self._text = self._text()
        return self._text

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype. Raises NotPortable where it is unknown, and for strings."""
        if self.spec.dtype is None:
            raise NotPortable(f"needs the dtype of {self}; give the shapes of all inputs")
        if self.spec.dtype == object:
            raise NotPortable("works on strings; name outputs before this part of the net (--output)")
        return self.spec.dtype

    @property
    def quantised(self) -> Steps:
        """What its bytes mean. Raises NotPortable where it is no quantised tensor."""
        if self.steps is None:
            raise NotPortable(f"{self} is no quantised tensor, or its scale is not known when the net is ported")
        return self.steps

    @property
    def is_float(self) -> bool:
        return self.dtype.kind == "f"

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The dims, None for those that vary. Raises NotPortable where not even their number is known."""
        if not self.spec.has_rank:
            raise NotPortable(f"needs the number of dims of {self}; give the shapes of all inputs")
        return tuple(None if isinstance(d, Unknown) else int(d) for d in self.spec.shape)

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int | None:
        """The number of elements, None where it varies."""
        dims = self.shape
        return None if None in dims else int(np.prod([d for d in dims if d is not None]))

    def static(self, axis: int) -> int:
        """The number that a dim is. Raises NotPortable where it varies."""
        dim = self.shape[axis]
        if dim is None:
            raise NotPortable(f"needs dim {axis % self.rank} of {self} as a number; give it as one")
        return dim

    def constant(self, what: str) -> np.ndarray[Any, Any]:
        """The elements. Raises NotPortable for a tensor that is computed."""
        if self.array is None:
            raise NotPortable(f"needs {what} as a constant, but it is computed by the net or fed")
        return self.array

    def dim(self, axis: int) -> str:
        """A dim as source: a number, or asked of the tensor where it varies."""
        number = self.shape[axis]
        return f"{self}.shape[{axis}]" if number is None else str(number)
