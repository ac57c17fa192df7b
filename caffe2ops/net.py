"""Bound nets: a NetDef whose operators hold their blobs, arguments and buffers, and run in order.

The first two runs go operator by operator with all checks. From then on, operators that have a short cut
(`Operator.bind`) and whose arrays only such operators write run as bare calls on those arrays, for as long as nobody
replaces one of the arrays: a blob tells the nets that watch it, and the net starts over.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from caffe2ops import registry
from caffe2ops.defs import DeviceOption, NetDef, OperatorDef
from caffe2ops.errors import OperatorError, did_you_mean
from caffe2ops.one_operator import FLOATING_POINT, blobs_of, located, step_of
from caffe2ops.operator import Operator

if TYPE_CHECKING:
    from caffe2ops.workspace import Blob, Workspace

# Net types of Caffe2. All run in order here: independent chains on threads were measured not to help a Python engine.
# fmt: off
NET_TYPES = frozenset((
    "simple", "simple_refcount", "dag", "prof_dag", "async_dag", "async_polling", "async_scheduling", "async_simple",
    "singlethread_async", "parallel", "rnn",
))
# fmt: on


class Observer(Protocol):
    """Is told when a net and each of its operators starts and stops; a net with observers takes no short cuts."""

    def net_started(self, net: BoundNet) -> None: ...
    def operator_started(self, net: BoundNet, index: int) -> None: ...
    def operator_stopped(self, net: BoundNet, index: int) -> None: ...
    def net_stopped(self, net: BoundNet) -> None: ...


class BoundNet:
    """A net bound to a workspace; made by `Workspace.create`. `run()` runs it, as often as you like."""

    def __init__(self, definition: NetDef, workspace: Workspace, device: DeviceOption | None = None):
        self.definition, self.workspace, self.name = definition, workspace, definition.name
        self.observers: list[Observer] = []
        if definition.type and definition.type not in NET_TYPES:
            raise ValueError(
                f"net {definition.name!r}: unknown type {definition.type!r}{did_you_mean(definition.type, NET_TYPES)}"
            )
        if definition.external_input:
            self._check_sources()
        self.operators: list[Operator] = []
        for index, op_def in enumerate(definition.op):
            self.operators.append(self._create(index, op_def, device))
        self._steps: list[Callable[[], Any]] = [step_of(op) for op in self.operators]
        self._bare: list[Callable[[], Any]] | None = None
        self._runs_subnets = any(isinstance(v, NetDef) for op in definition.op for v in op.args.values())
        self._checked_runs = 0

    def _check_sources(self) -> None:
        definition = self.definition
        known = set(definition.external_input)
        for index, op in enumerate(definition.op):
            for name in op.input:
                if name not in known:
                    raise OperatorError(
                        f"input {name!r} is neither an external input of the net nor written by an earlier operator"
                        f"{did_you_mean(name, known)}",
                        op,
                        net=self.name,
                        index=index,
                    )
            known.update(op.output)
        missing = [name for name in definition.external_output if name not in known]
        if missing:
            names = ", ".join(map(repr, missing))
            raise ValueError(
                f"net {definition.name!r}: external output {names} is never written{did_you_mean(missing[0], known)}"
            )

    def _create(self, index: int, op_def: OperatorDef, device: DeviceOption | None) -> Operator:
        workspace = self.workspace
        inputs, outputs = self._blobs(index, op_def)
        if device is not None:
            op_def = op_def.replace(device_option=device)
        try:
            return registry.create(
                op_def,
                workspace,
                inputs,
                outputs,
                device_option=self.definition.device_option,
                preferences=workspace.engines,
            )
        except Exception as error:
            raise located(error, op_def, inputs, self.name, index) from error

    def _blobs(self, index: int, op_def: OperatorDef) -> tuple[list[Blob], list[Blob]]:
        return blobs_of(op_def, self.workspace, self.name, index, self.definition.external_input)

    def twin(self, workspace: Workspace) -> BoundNet:
        """The same net bound to another workspace, with copies of its operators: nothing is read or checked again.

        For a net that has not run: a copy shares what an operator keeps from a run.
        """
        twin = copy(self)
        twin.workspace, twin.observers = workspace, []
        twin.operators = [
            op.again(workspace, *twin._blobs(index, op.op_def)) for index, op in enumerate(self.operators)
        ]
        twin._steps = [step_of(op) for op in twin.operators]
        return twin

    def run(self) -> None:
        """Runs all operators in order. Raises OperatorError; what ran before the failing operator stays written."""
        with np.errstate(**FLOATING_POINT):
            if self.observers:
                self._run_observed()
                return
            steps = iter(self._steps if self._bare is None else self._bare)
            try:
                for step in steps:
                    step()
            except Exception as error:
                index = len(self.operators) - steps.__length_hint__() - 1  # type: ignore[attr-defined]
                raise self._failed(error, index) from error
            if self._bare is None:
                self._checked_runs += 1
                if self._checked_runs == 2:  # a net that runs once does not pay for this
                    self._settle()

    def cancel(self) -> None:
        """For another thread: ends a run that waits, for a queue say, with an OperatorError."""
        for op in self.operators:
            op.cancel()

    def _run_observed(self) -> None:
        for observer in self.observers:
            observer.net_started(self)
        for index, step in enumerate(self._steps):
            for observer in self.observers:
                observer.operator_started(self, index)
            try:
                step()
            except Exception as error:
                raise self._failed(error, index) from error
            for observer in self.observers:
                observer.operator_stopped(self, index)
        for observer in self.observers:
            observer.net_stopped(self)

    def _failed(self, error: Exception, index: int) -> Exception:
        op = self.operators[index]
        return located(error, op.op_def, op.inputs, self.name, index)

    # --- the bare form ---

    def unsettle(self) -> None:
        """Forgets the arrays; called by a blob that has been given another one."""
        self._bare = None
        self._checked_runs = 0

    def _settle(self) -> None:
        """Replaces operators by bare calls where no array that they use can change under them."""
        if self._runs_subnets:
            return
        calls = [self._short_cut(op) for op in self.operators]
        moving: set[Blob] = set()  # blobs that get their array from an operator without a short cut
        demoted = True
        while demoted:
            demoted = False
            for index, op in enumerate(self.operators):
                if calls[index] is not None and not moving.isdisjoint((*op.inputs, *op.outputs)):
                    calls[index], demoted = None, True
                if calls[index] is None:
                    moving.update(op.outputs)
        if any(calls):
            self._bare = [call or step for call, step in zip(calls, self._steps)]
            watcher = weakref.ref(self)
            for blob in {b for op, call in zip(self.operators, calls) if call for b in (*op.inputs, *op.outputs)}:
                blob.watchers.append(watcher)

    @staticmethod
    def _short_cut(op: Operator) -> Callable[[], Any] | None:
        inputs, outputs = [b.value for b in op.inputs], [b.value for b in op.outputs]
        if not all(isinstance(v, np.ndarray) for v in (*inputs, *outputs)):
            return None
        if not op.checked(inputs) or not all(value is result for value, result in zip(outputs, op.results)):
            return None  # the blob has been written again since, by something else
        return op.bind(inputs, outputs)


class Timing:
    """An observer that measures each operator; `rows()` is the table that Caffe2's benchmark_net prints."""

    def __init__(self) -> None:
        self.seconds: dict[int, list[float]] = {}
        self.net_seconds: list[float] = []
        self._net: BoundNet | None = None
        self._start = self._net_start = 0.0

    def net_started(self, net: BoundNet) -> None:
        self._net = net
        self._net_start = time.perf_counter()

    def operator_started(self, net: BoundNet, index: int) -> None:
        self._start = time.perf_counter()

    def operator_stopped(self, net: BoundNet, index: int) -> None:
        self.seconds.setdefault(index, []).append(time.perf_counter() - self._start)

    def net_stopped(self, net: BoundNet) -> None:
        self.net_seconds.append(time.perf_counter() - self._net_start)

    def rows(self) -> list[tuple[int, str, str, float, float, float]]:
        """(index, type, first output, mean ms, min ms, share of all time) of each operator, in net order."""
        if self._net is None:
            return []
        total = sum(map(sum, self.seconds.values())) or 1.0
        return [
            (
                i,
                op.type,
                op.op_def.output[0] if op.op_def.output else "",
                1e3 * sum(s) / len(s),
                1e3 * min(s),
                sum(s) / total,
            )
            for i, op in enumerate(self._net.operators)
            if (s := self.seconds.get(i))
        ]
