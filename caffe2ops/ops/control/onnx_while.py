"""ONNXWhile: ONNX's Loop, a body with loop-carried values and outputs that are collected."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import NetDef
from caffe2ops.net import BoundNet
from caffe2ops.operator import Arg, Operator
from caffe2ops.workspace import Workspace


class ONNXWhile(Operator):
    """Runs `body` while the condition holds and the trip count isn't reached, as `has_cond` and `has_trip_count` say.

    The body's inputs are the number of the round, the condition and the loop-carried values, its outputs the new
    condition, the new values and any number of scan outputs, whose rows are joined over the rounds. Raises ValueError
    for a body with too few inputs or outputs and for a scan output whose shape changes. Caffe2:
    operators/onnx_while_op.
    """

    contract = "max_trip_count: int64, first_iter_condition: bool|int32|int64, *values?: any -> *outputs?: blob"
    docs = {
        "max_trip_count": "the most rounds, looked at with has_trip_count",
        "first_iter_condition": "whether to run the first round, looked at with has_cond",
        "values": "the loop-carried values before the first round, then others that the body reads",
        "outputs": "the loop-carried values after the last round, then the scan outputs (int32[0] after no round)",
    }
    inplace = "any"
    body: NetDef = Arg(doc="the net of one round")
    has_trip_count: bool = Arg(False, doc="whether the trip count ends the loop")
    has_cond: bool = Arg(False, doc="whether the condition ends the loop")
    save_scopes: bool = Arg(False, doc="whether each round gets a workspace of its own; not with disable_scopes")
    disable_scopes: bool = Arg(False, doc="whether the body runs in the operator's own workspace")
    num_loop_carried_deps: int = Arg(-1, ge=-1, doc="how many values are loop-carried; -1: all")

    _scope: Workspace | None = None
    _net: BoundNet

    def run_cpu(self, max_trip_count: np.ndarray, first: np.ndarray, *values: np.ndarray) -> Any:
        if self.disable_scopes and self.save_scopes:
            raise ValueError("save_scopes: 1, wants 0 with disable_scopes")
        for name, value in (("max_trip_count", max_trip_count), ("first_iter_condition", first)):
            if value.size != 1:
                raise ValueError(f"{name}: has {value.size} elements, wants 1")
        count = self._count(len(values))
        carried: list[Any] = [np.array(value) for value in values[:count]]
        scans: list[list[np.ndarray]] = [[] for _ in self.body.external_output[1 + count :]]
        most, holds = int(max_trip_count.reshape(-1)[0]), bool(first.reshape(-1)[0])
        turn = 0
        while (holds or not self.has_cond) and (turn < most or not self.has_trip_count):
            holds, carried, scanned = self._round(turn, np.array([holds], first.dtype), carried)
            for i, (found, value) in enumerate(zip(scans, scanned)):
                if found and value.shape != found[0].shape:
                    raise ValueError(
                        f"scan output {i}: shape is {list(value.shape)} in round {turn}, wants {list(found[0].shape)}: "
                        "the size of a scan output changed across iterations"
                    )
                found.append(np.array(value))
            turn += 1
        return (*carried, *(_joined(found) for found in scans))

    def _count(self, values: int) -> int:
        """How many values are loop-carried."""
        count = values if self.num_loop_carried_deps < 0 else self.num_loop_carried_deps
        if count > values:
            raise ValueError(f"num_loop_carried_deps: {count}, there are {values} values")
        if len(self.body.external_input) < 2 + count:
            names = ", ".join(self.body.external_input)
            raise ValueError(f"body: has inputs {names}, wants round, condition and {count} values")
        if len(self.body.external_output) < 1 + count:
            names = ", ".join(self.body.external_output)
            raise ValueError(f"body: has outputs {names}, wants a condition, {count} values and scan outputs")
        if (wanted := len(self.body.external_output) - 1) < self.n_outputs:
            raise ValueError(f"outputs: there are {self.n_outputs}, the body gives {wanted}")
        return count

    def _round(self, turn: int, condition: np.ndarray, carried: list[Any]) -> tuple[bool, list[Any], list[np.ndarray]]:
        if self._scope is None or (self.save_scopes and turn):
            self._scope = self.workspace if self.disable_scopes else self.workspace.child()
            for name in (*self.body.external_input[: 2 + len(carried)], *self.body.external_output[:1]):
                if not self.disable_scopes:
                    self._scope.local_blob(name)
                self._scope.blob(name)
            self._net = BoundNet(self.body.replace(external_input=(), external_output=()), self._scope)
        scope, names = self._scope, self.body.external_input
        for name, value in zip(names, (np.array(turn, np.int64), condition, *carried)):
            scope.feed(name, value)
        self._net.run()
        found = [scope.find(name) for name in self.body.external_output]
        after: list[Any] = [None if blob is None else blob.value for blob in found]
        for name, value in zip(self.body.external_output, after):
            if not isinstance(value, np.ndarray):
                raise ValueError(f"body: {name!r} holds no tensor after round {turn}")
        if after[0].size != 1:
            raise ValueError(f"body: the condition has {after[0].size} elements, wants 1")
        kept = [np.array(value) for value in after[1 : 1 + len(carried)]]
        return bool(after[0].reshape(-1)[0]), kept, after[1 + len(carried) :]


def _joined(found: list[np.ndarray]) -> np.ndarray:
    """A scan output of all rounds."""
    if not found:
        return np.empty(0, np.int32)
    if len(found) > 1 and not found[0].ndim:
        raise ValueError(f"scan output: is a scalar in {len(found)} rounds, wants [1, ...], whose rows are joined")
    return np.concatenate(found) if len(found) > 1 else found[0]
