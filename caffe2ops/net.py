"""Bound nets: a NetDef whose operators hold their blobs, arguments and buffers, and run in order.

The first three runs go operator by operator with all checks. From then on, operators that have a short cut
(`Operator.bind`) run as bare calls on the arrays that they had in the last of these (see bare_form), for as long as
nobody replaces one: a blob tells the nets that watch it, and the net starts over. Other operators go on as before;
where one of them replaces such an array, those after it go on with all checks.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from caffe2ops import registry
from caffe2ops.bare_form import BareForm, ReplacedError, Values
from caffe2ops.defs import NetDef, OperatorDef
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
RECORDED = (2, 3)  # the runs whose arrays are compared; a net that runs once does not pay for this


class Observer(Protocol):
    """Is told when a net and each of its operators starts and stops; a net with observers takes no short cuts."""

    def net_started(self, net: BoundNet) -> None: ...
    def operator_started(self, net: BoundNet, index: int) -> None: ...
    def operator_stopped(self, net: BoundNet, index: int) -> None: ...
    def net_stopped(self, net: BoundNet) -> None: ...


class BoundNet:
    """A net bound to a workspace; made by `Workspace.create`. `run()` runs it, as often as you like."""

    def __init__(self, definition: NetDef, workspace: Workspace):
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
            self.operators.append(self._create(index, op_def))
        self._steps: list[Callable[[], Any]] = [step_of(op) for op in self.operators]
        self._bare: BareForm | None = None
        self._restless: set[int] = set()  # operators that gave an output another array in the midst of a bare run
        self._made: list[list[int]] = []  # the identities of the outputs of each operator in the last run
        self._runs_subnets = any(isinstance(v, NetDef) for op in definition.op for v in op.args.values())
        self._checked_runs = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, or what is pickled, is bound anew: its bare form would run on the arrays of this one."""
        return type(self), (self.definition, self.workspace)

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

    def _create(self, index: int, op_def: OperatorDef) -> Operator:
        workspace = self.workspace
        inputs, outputs = self._blobs(index, op_def)
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
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        twin.workspace, twin.observers, twin._restless = workspace, [], set()
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
            if self._bare is not None:
                self._run_bare(self._bare)
                return
            self._checked_runs += 1
            if self._checked_runs in RECORDED:
                self._run_recorded()
            else:
                self._run_checked()

    def _run_checked(self, first: int = 0) -> None:
        """Runs the operators from one on with all checks."""
        steps = iter(self._steps[first:])
        try:
            for step in steps:
                step()
        except Exception as error:
            raise self._failed(error, self._at(steps)) from error

    def _run_recorded(self) -> None:
        """Runs all operators with all checks; with the arrays of the second time they get their bare form."""
        values: list[Values] = []
        for index, (op, step) in enumerate(zip(self.operators, self._steps)):
            inputs = [blob.value for blob in op.inputs]
            try:
                step()
            except Exception as error:
                self.unsettle()
                raise self._failed(error, index) from error
            values.append((inputs, [blob.value for blob in op.outputs]))
        made, before = [[id(value) for value in outputs] for _, outputs in values], self._made
        if before and not self._runs_subnets:
            self._settle(values, {index for index, ids in enumerate(made) if ids != before[index]})
        self._made = made

    def _run_bare(self, bare: BareForm) -> None:
        steps = iter(bare.steps)
        try:
            for step in steps:
                step()
        except ReplacedError:
            index = self._at(steps)
            self._restless.add(index)
            self._run_checked(index + 1)
        except Exception as error:
            for blob in {blob for op in self.operators for blob in op.outputs}:
                blob.set(blob.value)  # it may have been left with another of its arrays than the last
            raise self._failed(error, self._at(steps)) from error

    def _at(self, steps: Any) -> int:
        """The operator whose step was the last that came out of an iterator."""
        return len(self.operators) - int(steps.__length_hint__()) - 1

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
        if self._bare is not None:
            self._bare.fits = False
        self._bare, self._made, self._checked_runs = None, [], 0

    def _settle(self, values: list[Values], changed: set[int]) -> None:
        bare = BareForm(self.operators, self._steps, values, self._restless, changed)
        if bare.blobs:
            self._bare = bare
            watcher = weakref.ref(self)
            for blob in bare.blobs:
                blob.watchers.append(watcher)


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
