"""Names of blobs as values: BlobReference, which may know its net, and the scope that is put before plain names."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from caffe2ops import registry
from caffe2ops.compat.python import scope
from caffe2ops.errors import UnknownOperator


class GradientSlice(NamedTuple):
    """A sparse gradient: the blob of row numbers and the blob of the rows' gradients."""

    indices: Any
    values: Any


class BlobReference:
    """The name of a blob. One that comes from a net makes operators there: `b.Relu([], "Y")` is `net.Relu([b], "Y")`.

    It equals the name as a string, and adding a string gives the reference with the longer name. The scope's prefix is
    not put before it. `meta` is free for the user.
    """

    def __init__(self, name: Any, net: Any = None):
        self._name = name.decode() if isinstance(name, bytes) else str(name)
        self._from_net = net
        self.meta: dict[Any, Any] = {}

    def Net(self) -> Any:
        return self._from_net

    def GetNameScope(self) -> str:
        """The scope in the name, with its closing slash."""
        return self._name[: len(self._name) - len(self.GetUnscopedName())]

    def GetUnscopedName(self) -> str:
        return self._name.rpartition(scope._NAMESCOPE_SEPARATOR)[2]

    def __hash__(self) -> int:
        return hash(self._name)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, bytes):
            return self._name.encode() == other
        return isinstance(other, (str, BlobReference)) and self._name == str(other)

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f'BlobReference("{self._name}")'

    def __add__(self, other: str) -> BlobReference:
        return self._joined(self._name, other)

    def __radd__(self, other: str) -> BlobReference:
        return self._joined(other, self._name)

    def _joined(self, first: Any, second: Any) -> BlobReference:
        if not (isinstance(first, str) and isinstance(second, str)):
            raise RuntimeError(f"blob {self._name!r}: only a string can be added to a BlobReference")
        return BlobReference(first + second, self._from_net)

    def __getattr__(self, op_type: str) -> Any:
        if op_type.startswith("_"):
            raise AttributeError(f"BlobReference has no attribute {op_type!r}")
        if self._from_net is None:
            raise AttributeError(f"blob {self._name!r} belongs to no net: make the {op_type} with a net's method")
        check_operator(op_type)
        return partial(self._create, op_type)

    def _create(self, op_type: str, inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
        rest = () if inputs is None else [inputs] if isinstance(inputs, (str, BlobReference)) else inputs
        return getattr(self._from_net, op_type)([self, *rest], *args, **kwargs)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *registry.types()]


def check_operator(op_type: str) -> None:
    """Raises AttributeError, naming near ones, where no such operator type is registered."""
    try:
        registry.get(op_type)
    except UnknownOperator as error:
        raise AttributeError(str(error)) from None


def ScopedName(name: str | bytes) -> str:
    return scope.CurrentNameScope() + (name.decode() if isinstance(name, bytes) else name)


def ScopedBlobReference(name: str | bytes, *args: Any, **kwargs: Any) -> BlobReference:
    """The BlobReference of a name with the current scope before it."""
    return BlobReference(ScopedName(name), *args, **kwargs)


def references(blobs: Any, net: Any = None) -> list[BlobReference]:
    """A blob or a list of them as references; plain names get the current scope. Raises TypeError."""
    if isinstance(blobs, (str, bytes, BlobReference)):
        blobs = [blobs]
    if not isinstance(blobs, (list, tuple)):
        raise TypeError(f"inputs and outputs: a name, a BlobReference or a list is wanted, got {type(blobs).__name__}")
    for index, blob in enumerate(blobs):
        if not isinstance(blob, (str, bytes, BlobReference)):
            raise TypeError(f"blob {index}: wants a name or a BlobReference, got {blob!r} ({type(blob).__name__})")
    return [blob if isinstance(blob, BlobReference) else ScopedBlobReference(blob, net=net) for blob in blobs]


def unused(name: str, used: set[str]) -> str:
    """`name`, with the first of _1, _2, ... that makes it new where it is used already; it is used from now on."""
    found, index = name, 0
    while found in used:
        index += 1
        found = f"{name}_{index}"
    used.add(found)
    return found
