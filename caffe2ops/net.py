"""Bound nets: a NetDef whose operators hold their blobs, arguments and buffers, and run in order.

The first two runs go operator by operator with all checks. From then on, operators that have a short cut
(`Operator.bind`) and whose arrays only such operators write run as bare calls on those arrays, for as long as nobody
replaces one of the arrays: a blob tells the nets that watch it, and the net starts over.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from caffe2ops import registry
from caffe2ops.defs import DeviceOption, NetDef, OperatorDef
from caffe2ops.errors import OperatorError, did_you_mean
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

    def __init__(
        self, definition: NetDef, workspace: Workspace, device: DeviceOption | None = None
    ):
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
        self._steps: list[Callable[[], Any]] = [_step(op) for op in self.operators]
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
            raise _located(error, op_def, inputs, self.name, index) from error

    def _blobs(self, index: int, op_def: OperatorDef) -> tuple[list[Blob], list[Blob]]:
        return _blobs(op_def, self.workspace, self.name, index, self.definition.external_input)

    def twin(self, workspace: Workspace) -> BoundNet:
        """The same net bound to another workspace, with copies of its operators: nothing is read or checked again.

        For a net that has not run: a copy shares what an operator keeps from a run.
        """
        twin = copy(self)
        twin.workspace, twin.observers = workspace, []
        twin.operators = [
            op.again(workspace, *twin._blobs(index, op.op_def)) for index, op in enumerate(self.operators)
        ]
        twin._steps = [_step(op) for op in twin.operators]
        return twin

    def run(self) -> None:
        """Runs all operators in order. Raises OperatorError; what ran before the failing operator stays written."""
        with np.errstate(all="ignore"):
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
        return _located(error, op.op_def, op.inputs, self.name, index)

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


class OneOperator:
    """An operator outside nets, to be run in any workspace, each time as if it had just been created.

    Its definition is read and checked in the first run, for the engines and the device of that workspace; the
    contract is compared with the inputs where their dtypes and shapes change.
    """

    def __init__(self, op_def: OperatorDef):
        self.op_def = op_def
        self._model: Operator | None = None  # one that never runs
        self._signature: Any = None

    def run(self, workspace: Workspace, times: int = 1) -> None:
        """Creates the operator and runs it `times` times. Raises OperatorError."""
        op_def = self.op_def
        inputs, outputs = _blobs(op_def, workspace)
        with np.errstate(all="ignore"):
            try:
                op = self._fresh(workspace, inputs, outputs)
                step = _step(op)
                for _ in range(times):
                    step()
            except Exception as error:
                raise _located(error, op_def, inputs) from error
        self._signature = op.signature

    def _fresh(self, workspace: Workspace, inputs: Sequence[Blob], outputs: Sequence[Blob]) -> Operator:
        if self._model is not None:
            op = self._model.again(workspace, inputs, outputs)
        else:
            op = registry.create(self.op_def, workspace, inputs, outputs, preferences=workspace.engines)
            if type(op).__init__ is Operator.__init__:  # another one may make what a run changes
                self._model = op.again(None, (), ())
        op.signature = self._signature
        return op


def _blobs(
    op_def: OperatorDef, workspace: Workspace, net: str | None = None, index: int = 0, expected: Sequence[str] = ()
) -> tuple[list[Blob], list[Blob]]:
    """The blobs that an operator reads and writes. Raises OperatorError where one that it reads is not there."""
    inputs: list[Blob] = []
    for name in op_def.input:
        blob = workspace.find(name)
        if blob is None:
            expects = [n for n in expected if not workspace.has(n)]
            needs = f"; the net expects {', '.join(map(repr, expects))} to be there" if expects else ""
            near = did_you_mean(name, workspace.blobs())
            text = f"input blob {name!r} does not exist in the workspace{needs}{near}"
            raise OperatorError(text, op_def, net=net, index=index)
        inputs.append(blob)
    return inputs, [workspace.blob(name) for name in op_def.output]


def _located(
    error: Exception, op_def: OperatorDef, inputs: Sequence[Blob], net: str | None = None, index: int = 0
) -> Exception:
    """The error of an operator, with its place."""
    if isinstance(error, OperatorError) and error.net is not None:
        return error
    known = isinstance(error, (ValueError, TypeError, LookupError, OSError, OperatorError))
    reason = str(error) if known and str(error) else f"{type(error).__name__}: {error}"
    return OperatorError(reason.removeprefix(f"{op_def.type}: "), op_def, tuple(map(str, inputs)), net, index)


def _step(op: Operator) -> Callable[[], None]:
    return partial(_run_alone if op.mutex else _run, op)


def _run_alone(op: Operator) -> None:
    """`_run` while the operator's mutex is held, so that no other thread writes between its reading and writing."""
    for port, blob in op.parsed.pair(op.parsed.inputs, op.inputs):
        if port.name == op.mutex and blob.value is not None:
            if not hasattr(blob.value, "acquire"):
                raise TypeError(f"{op.mutex}: holds {type(blob.value).__name__}, wants what CreateMutex makes")
            with blob.value:
                _run(op)
            return
    _run(op)


def _run(op: Operator) -> None:
    """One operator with all checks: values of its input blobs in, results into its output blobs."""
    values = [blob.value for blob in op.inputs]
    for blob, value in zip(op.inputs, values):
        if value is None and not op.takes_empty(blob):
            raise ValueError(f"input blob {blob.name!r} is empty: feed it, or run what writes it")
    op.check(values)
    results = op.run_cpu(*values) if op.device == "cpu" else op.run_cuda(*values)
    if op.n_outputs == 0:
        return
    if not isinstance(results, (tuple, list)):
        results = (results,)
    if op.has_short_cut:
        op.results = results
    if len(results) < op.n_outputs:
        raise RuntimeError(f"the kernel gave {len(results)} outputs, the definition names {op.n_outputs}")
    for blob, value in zip(op.outputs, results):
        if value is not blob.value:
            if isinstance(value, np.generic):
                value = np.asarray(value)
            if isinstance(value, np.ndarray) and not value.flags.c_contiguous:
                value = value.copy(order="C")
            blob.set(value)


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
