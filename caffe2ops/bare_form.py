"""The bare form of a net: kernels called on the arrays that they had in an earlier run, without any checks.

An operator that has a short cut (`Operator.bind`) is called so where its inputs are arrays that stay: of blobs that the
net only reads, or written by operators that give their outputs the same arrays in every run. Of a blob that has several
arrays in the course of a run, each operator keeps its own, and the blob holds that while it is written and after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.operator import Operator

if TYPE_CHECKING:
    from caffe2ops.workspace import Blob

Values = tuple[list[Any], list[Any]]  # what the inputs and outputs of an operator held in a run


class ReplacedError(Exception):
    """An operator without a short cut has replaced an array that others run on."""


class BareForm:
    """`steps` in place of the operators' own; `blobs` are those whose arrays they stand on.

    `fits` is to become False where one of these is given another array; a run ends with ReplacedError then. `restless`
    are operators known to give their outputs other arrays from run to run, `changed` those that did so in the last one.
    """

    def __init__(
        self, operators: Sequence[Operator], steps: Sequence[Callable[[], Any]], values: Sequence[Values],
        restless: set[int], changed: set[int],
    ):  # fmt: skip
        self.fits = True
        self.operators, self.values = operators, values
        self.calls = [_short_cut(op, *held) for op, held in zip(operators, values)]
        self.sources = _sources(operators)
        self.several = self._several()
        # with arrays of their own those that share a blob may well keep them
        changed = {index for index in changed if self.several.isdisjoint(operators[index].outputs)}
        self.restless = restless | {index for index in changed if self.calls[index] is None} | self._bereft()
        while self._drop(changed):
            pass
        loose = self._loose()
        self.steps: list[Callable[[], Any]] = []
        bare = [op for op, call in zip(operators, self.calls) if call is not None]
        self.blobs: set[Blob] = {blob for op in bare for blob in (*op.inputs, *op.outputs)} - loose
        for index, (op, call, step, (_, outputs)) in enumerate(zip(operators, self.calls, steps, values)):
            own = [(blob, value) for blob, value in zip(op.outputs, outputs) if blob in loose or blob in self.several]
            if call is None:
                own = [(blob, value) for blob, value in own if index not in self.restless and blob not in op.inputs]
            # who else runs on a blob that this does not watch has not seen its arrays come and go
            handed = [
                (partial(setattr, blob, "value") if blob in self.blobs else partial(_set, blob), value)
                for blob, value in own
            ]
            if call is None:
                self.steps.append(partial(self._guarded, step, handed))
            else:
                self.steps.append(partial(_handing, call, handed) if handed else call)
        del self.values  # among them arrays that nothing runs on

    def _drop(self, changed: set[int]) -> bool:
        """Takes short cuts away whose inputs do not stay; whether that makes others' inputs doubtful."""
        loose, before = self._loose(), len(self.restless)
        for index, op in enumerate(self.operators):
            for blob, source in zip(op.inputs, self.sources[index]):
                if source in self.restless if source is not None else blob in loose or blob in self.several:
                    self.calls[index] = None
                    if blob in op.outputs:  # in place it leaves the array that comes
                        self.restless.add(index)
            if index in self.restless:
                self.calls[index] = None
            if self.calls[index] is None and (index in changed or not loose.isdisjoint(op.outputs)):
                self.restless.add(index)
        return len(self.restless) > before

    def _bereft(self) -> set[int]:
        """Operators that take the array of a blob away, as a queue does, and leave it another; and who wrote that."""
        found: set[int] = set()
        for index, (op, (inputs, outputs)) in enumerate(zip(self.operators, self.values)):
            if self.calls[index] is not None:
                continue
            left = dict(zip(op.outputs, outputs))
            for blob, value, source in zip(op.inputs, inputs, self.sources[index]):
                if left.get(blob, value) is not value:
                    found.update((index,) if source is None else (index, source))
        return found

    def _loose(self) -> set[Blob]:
        """Blobs that are given new arrays in every run."""
        return {blob for index in self.restless for blob in self.operators[index].outputs}

    def _several(self) -> set[Blob]:
        """Blobs that have several arrays in the course of a run."""
        arrays: dict[Blob, set[int]] = {}
        for op, (inputs, outputs) in zip(self.operators, self.values):
            for blob, value in (*zip(op.inputs, inputs), *zip(op.outputs, outputs)):
                arrays.setdefault(blob, set()).add(id(value))
        return {blob for blob, found in arrays.items() if len(found) > 1}

    def _guarded(self, step: Callable[[], Any], outputs: Sequence[tuple[Callable[[Any], None], Any]]) -> None:
        _handing(step, outputs)
        if not self.fits:
            raise ReplacedError


def _short_cut(op: Operator, inputs: list[Any], outputs: list[Any]) -> Callable[[], Any] | None:
    if not all(isinstance(v, np.ndarray) for v in (*inputs, *outputs)):
        return None
    if not op.checked(inputs) or not all(value is result for value, result in zip(outputs, op.results)):
        return None  # the output is a copy of the result
    return op.bind(inputs, outputs)


def _sources(operators: Sequence[Operator]) -> list[list[int | None]]:
    """For each input of each operator the operator that has written it, None where it comes from outside."""
    writers: dict[Blob, int] = {}
    found: list[list[int | None]] = []
    for index, op in enumerate(operators):
        found.append([writers.get(blob) for blob in op.inputs])
        writers.update(dict.fromkeys(op.outputs, index))
    return found


def _set(blob: Blob, value: Any) -> None:
    if blob.value is not value:
        blob.set(value)


def _handing(call: Callable[[], Any], outputs: Sequence[tuple[Callable[[Any], None], Any]]) -> None:
    for hand, value in outputs:
        hand(value)  # first: a call may ask `Operator.out` for its buffer
    call()
