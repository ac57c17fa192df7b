"""What operators on sparse features get: groups of tensors, each a feature or a set of features of the same examples.

A feature is a scalar, a list or a map (keys and values) for each example. A single one comes with `presence`, whether
an example has it; a set comes with `lengths`, how many of them an example has, and `keys`, the ids of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

VALUES = "bool|int32|int64|float32|float64|object"


@dataclass(frozen=True)
class Kind:
    """The tensors of a group by name, in order.

    `columns` hold what the features hold, the last of them the values that have a gradient: one element of each feature
    or, for lists and maps, as many as the tensor `sizes` says.
    """

    tensors: tuple[str, ...]
    columns: tuple[str, ...]
    sizes: str = ""

    @property
    def single(self) -> bool:
        return "presence" in self.tensors

    @property
    def layout(self) -> tuple[str, ...]:
        """The tensors that say where values go."""
        return tuple(name for name in self.tensors if name and name in ("presence", "lengths", self.sizes))

    def dtype(self, name: str) -> str:
        """The dtypes of a tensor, as a contract has them."""
        if name in self.columns:
            return VALUES
        return {"presence": "bool", "keys": "int64"}.get(name, "int32")


class Group:
    """One group, checked: its tensors, flat; which example each feature and each element belongs to.

    Raises ValueError for a tensor that is too short or too long, and for negative lengths.
    """

    def __init__(self, kind: Kind, number: int, tensors: dict[str, np.ndarray], examples: int):
        self.number, self.tensors = number, {name: x.reshape(-1) for name, x in tensors.items()}
        own = np.arange(examples)
        if kind.single:
            self._wants("presence", examples)
            self.chosen: np.ndarray | slice = self.tensors["presence"]
            self.features = own[self.chosen]
        else:
            self._wants("lengths", examples)
            self.chosen = slice(None)
            lengths = self._not_negative("lengths")
            self._wants("keys", int(lengths.sum(dtype=np.int64)))
            self.features = np.repeat(own, lengths)
        if kind.sizes:
            self._wants(kind.sizes, examples if kind.single else len(self.features))
            self.sizes = self._not_negative(kind.sizes)
            self.elements = np.repeat(self.features, self.sizes)
            self.chosen = slice(None)
        else:
            self.elements = self.features
        scalars = kind.single and not kind.sizes
        for name in kind.columns:
            self._wants(name, examples if scalars else len(self.elements))

    def _wants(self, name: str, count: int) -> None:
        if name in self.tensors and len(self.tensors[name]) != count:
            shown = port(self.number, name)
            raise ValueError(f"{shown}: has {len(self.tensors[name])} elements, wants {count}")

    def _not_negative(self, name: str) -> np.ndarray:
        lengths = self.tensors[name][self.chosen]
        if lengths.size and lengths.min() < 0:
            raise ValueError(f"{port(self.number, name)}: has {lengths.min()}, wants 0 or more")
        return lengths

    def column(self, name: str) -> np.ndarray:
        """The elements of the features that are there."""
        return self.tensors[name][self.chosen]


def port(number: int, name: str) -> str:
    """The name of an input: in1_lengths, or in1 for the only tensor of a feature beside its presence."""
    return f"in{number}_{name}".rstrip("_")


def groups_of(kind: Kind, names: tuple[str, ...], inputs: Sequence[np.ndarray]) -> list[Group]:
    """The groups that inputs make up, each of the tensors of these names.

    Raises TypeError for a tensor of another dtype than that of the first group, ValueError as Group does.
    """
    groups = []
    for number, at in enumerate(range(0, len(inputs), len(names)), 1):
        tensors = dict(zip(names, inputs[at:]))
        for name, first in zip(names, inputs):
            if tensors[name].dtype != first.dtype:
                raise TypeError(f"{port(number, name)}: dtype is {tensors[name].dtype}, wants {first.dtype}")
        groups.append(Group(kind, number, tensors, inputs[0].size))
    return groups


def by_example(examples: Sequence[np.ndarray]) -> np.ndarray:
    """The order that sorts what groups have, one after the other, by example; groups stay in order within one."""
    return np.argsort(np.concatenate(examples), kind="stable")
