"""Operators, nets and plans run in the current workspace; observers and benchmarks."""

from __future__ import annotations

import threading
import time
from typing import Any

from caffe2ops.compat.extension.definitions import one_operator, plan_of
from caffe2ops.compat.extension.errors import runtime_errors
from caffe2ops.compat.extension.workspaces import Workspace
from caffe2ops.errors import OperatorError
from caffe2ops.net import BoundNet, Timing


def run_operator_once(op_def: bytes) -> bool:
    return Workspace.current._run_operator(op_def)


@runtime_errors
def run_operator_multiple(op_def: bytes, num_runs: int) -> bool:
    """Runs one operator several times; what it keeps between runs stays."""
    one_operator(op_def).run(Workspace.current.engine, num_runs)
    return True


def run_net_once(net_def: bytes) -> bool:
    return Workspace.current._run_net(net_def)


def create_net(net_def: bytes, overwrite: bool = False) -> bool:
    """Binds a net to the current workspace. Raises RuntimeError where one of its name exists, unless `overwrite`."""
    Workspace.current._create_net(net_def, overwrite)
    return True


def delete_net(name: str) -> bool:
    """Forgets a net; True whether or not there was one."""
    Workspace.current.engine.delete_net(name)
    return True


def run_net(name: str, num_iter: int, allow_fail: bool) -> bool:
    """Runs a net that was created. False where `allow_fail` and an operator Fail ended it; what else operators raise
    comes as RuntimeError."""
    try:
        return Workspace.current.run_bound(_net(name), num_iter)
    except OperatorError as error:
        if allow_fail and error.op.type == "Fail":
            return False
        raise


def run_plan(plan_def: bytes) -> bool:
    return Workspace.current._run_plan(plan_def)


class BackgroundPlan:
    """A plan that runs on a thread."""

    def __init__(self, workspace: Workspace, plan_def: bytes):
        self._failed = False
        self._thread = threading.Thread(target=self._run, args=(workspace, plan_def), daemon=True)
        self._thread.start()

    def _run(self, workspace: Workspace, plan_def: bytes) -> None:
        try:
            workspace.engine.run(plan_of(plan_def))
        except Exception:
            self._failed = True

    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def is_succeeded(self) -> bool:
        """Whether the plan went through; waits for its end."""
        self._thread.join()
        return not self._failed


def run_plan_in_background(plan_def: bytes) -> BackgroundPlan:
    return BackgroundPlan(Workspace.current, plan_def)


def _net(name: str) -> BoundNet:
    try:
        return Workspace.current.engine.net(name)
    except KeyError:
        raise RuntimeError(f"Can't find net {name}") from None


@runtime_errors
def benchmark_net(name: str, warmup_runs: int, main_runs: int, run_individual: bool) -> list[float]:
    """Milliseconds of one run of a net; where `run_individual` those of each operator follow."""
    net = _net(name)
    for _ in range(warmup_runs):
        net.run()
    start = time.perf_counter()
    for _ in range(main_runs):
        net.run()
    found = [1e3 * (time.perf_counter() - start) / max(1, main_runs)]
    if run_individual:
        timing = Timing()
        net.observers.append(timing)
        for _ in range(max(1, main_runs)):
            net.run()
        net.observers.remove(timing)
        found += [row[3] for row in timing.rows()]
    return found


def benchmark_net_once(name: str) -> float:
    """Milliseconds of one run of a net."""
    return benchmark_net(name, 0, 1, False)[0]


class TimeObserver:
    """Measures the runs of a net."""

    def __init__(self) -> None:
        self._timing = Timing()
        self.net_started = self._timing.net_started
        self.net_stopped = self._timing.net_stopped
        self.operator_started = self._timing.operator_started
        self.operator_stopped = self._timing.operator_stopped

    def average_time(self) -> float:
        """Milliseconds of a run."""
        return _mean(self._timing.net_seconds)

    def average_time_children(self) -> float:
        """Milliseconds of an operator."""
        return _mean([second for seconds in self._timing.seconds.values() for second in seconds])

    def debug_info(self) -> str:
        return f"{len(self._timing.net_seconds)} runs, {self.average_time():.3g} ms each"


class RunCountObserver:
    """Counts the runs of operators, those in the step nets of recurrent ones included."""

    def __init__(self) -> None:
        self._count = 0

    def net_started(self, net: BoundNet) -> None: ...
    def net_stopped(self, net: BoundNet) -> None: ...
    def operator_started(self, net: BoundNet, index: int) -> None: ...

    def operator_stopped(self, net: BoundNet, index: int) -> None:
        self._count += 1 + getattr(net.operators[index], "inner_runs", 0)

    def debug_info(self) -> str:
        return f"This operator runs {self._count} times."


_OBSERVERS: dict[str, Any] = {cls.__name__: cls for cls in (TimeObserver, RunCountObserver)}


def _mean(seconds: list[float]) -> float:
    return 1e3 * sum(seconds) / len(seconds) if seconds else 0.0


def add_observer_to_net(net_name: str, observer_type: str) -> Any:
    """Attaches an observer to a net that was created. Raises RuntimeError for an unknown type."""
    if observer_type not in _OBSERVERS:
        raise RuntimeError(f"observer type {observer_type!r}, wants one of {', '.join(_OBSERVERS)}")
    observer = _OBSERVERS[observer_type]()
    _net(net_name).observers.append(observer)
    return observer


def remove_observer_from_net(net_name: str, observer: Any) -> None:
    _net(net_name).observers.remove(observer)


def num_observers_on_net(net_name: str) -> int:
    return len(_net(net_name).observers)


def clear_global_net_observer() -> None:
    """Nothing: there are no observers on all nets."""
