"""Plans: nets and execution steps that run them, with iterations, stop conditions and concurrent substeps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from caffe2ops.defs import ExecutionStep, NetDef, PlanDef

if TYPE_CHECKING:
    from caffe2ops.net import BoundNet
    from caffe2ops.workspace import Workspace

Call = Callable[[], None]


@dataclass
class _Run:
    """What all steps of one run of a plan share."""

    nets: Mapping[str, NetDef]
    bound: list[BoundNet] = field(default_factory=list)
    failed: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None  # the first

    def fail(self) -> None:
        """Ends all steps: at their next iteration, and what waits at once."""
        self.failed.set()
        for net in self.bound:
            net.cancel()


def run_plan(plan: PlanDef, workspace: Workspace) -> None:
    """Creates the nets of a plan and runs its steps in order, as Caffe2 does.

    A step runs its networks, or its substeps in order or concurrently, `num_iter` times, or until `should_stop_blob` (a
    bool tensor of one element) holds true after a network or substep, with `only_once` no more than once; with neither,
    once. With `create_workspace` its nets live in a child workspace, `num_concurrent_instances` of them each in their
    own. While a step runs, its `report_net` runs every `report_interval` ms and so do substeps with `run_every_ms`, and
    once more at the end. Raises what the nets raise, and ValueError for a step that is not well formed.
    """
    run = _Run({net.name: net for net in plan.network})
    for step in plan.execution_step:
        if not step.create_workspace:
            _create_nets(step, workspace, run)
        _run_step(step, workspace, run)


def _create_nets(step: ExecutionStep, workspace: Workspace, run: _Run) -> None:
    """Binds the nets of a step and its substeps to a workspace, up to substeps that have one of their own."""
    for name in (*step.network, *filter(None, [step.report_net])):
        if name in run.nets:
            run.bound.append(workspace.create(run.nets[name], overwrite=True))
    for substep in step.substep:
        if not substep.create_workspace:
            _create_nets(substep, workspace, run)


def _run_step(step: ExecutionStep, workspace: Workspace, run: _Run) -> None:
    if step.substep and step.network:
        raise ValueError(f"step {step.name!r}: has both substeps and networks, wants one kind")
    places = [workspace] * max(1, step.num_concurrent_instances)
    if step.create_workspace:
        places = [workspace.child() for _ in places]
        for place in places:
            _create_nets(step, place, run)
    _together([lambda place=place: _iterate(step, place, run) for place in places], run)  # type: ignore[misc]


def _iterate(step: ExecutionStep, workspace: Workspace, run: _Run) -> None:
    forever = bool(step.should_stop_blob) and not step.only_once and "num_iter" not in step.model_fields_set
    iterations = step.num_iter if "num_iter" in step.model_fields_set else 1
    reports: list[tuple[int, Call]] = [
        (s.run_every_ms, lambda s=s: _run_step(s, workspace, run))  # type: ignore[misc]
        for s in step.substep
        if s.run_every_ms
    ]
    if step.report_net:
        reports.append((step.report_interval, lambda: workspace.net(step.report_net).run()))
    with _reporting(reports):
        count = 0
        while (forever or count < iterations) and not run.failed.is_set():
            if _once(step, workspace, run):
                return
            count += 1


def _once(step: ExecutionStep, workspace: Workspace, run: _Run) -> bool:
    """One iteration of a step; tells whether its stop blob says that it was the last."""
    calls: list[Call] = [
        lambda s=s: _run_step(s, workspace, run)  # type: ignore[misc]
        for s in step.substep
        if not s.run_every_ms
    ]
    if step.concurrent_substeps:
        _together(calls, run)
        return _should_stop(step, workspace)
    calls += [workspace.net(name).run for name in step.network]
    for call in calls:
        call()
        if _should_stop(step, workspace):
            return True
    return False


def _together(calls: Sequence[Call], run: _Run) -> None:
    """Runs the calls on a thread each; when one fails, or Ctrl-C is pressed, the others end. Raises the first error."""
    if len(calls) <= 1:
        for call in calls:
            call()
        return

    def guarded(call: Call) -> None:
        try:
            call()
        except BaseException as error:
            if not run.failed.is_set():
                run.error = error
                run.fail()
            raise

    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(guarded, call) for call in calls]
        try:
            wait(futures)
        except BaseException:
            run.fail()
            raise
    if run.error is not None:
        raise run.error


@contextmanager
def _reporting(reports: Sequence[tuple[int, Call]]) -> Iterator[None]:
    """Calls each report every so many ms on a thread of its own while the body runs, and once when it is done."""
    over = threading.Event()

    def keep_on(interval: int, call: Call) -> None:
        while not over.wait(interval / 1e3 if interval else None):
            call()
        call()

    with ThreadPoolExecutor(max(1, len(reports))) as pool:
        futures = [pool.submit(keep_on, interval, call) for interval, call in reports]
        try:
            yield
        finally:
            over.set()
    for future in futures:
        future.result()


def _should_stop(step: ExecutionStep, workspace: Workspace) -> bool:
    if not step.should_stop_blob:
        return False
    blob = workspace.find(step.should_stop_blob)
    value = None if blob is None else blob.value
    if not isinstance(value, np.ndarray) or value.dtype != bool or value.size != 1:
        held = "nothing" if value is None else f"{getattr(value, 'dtype', type(value).__name__)}"
        raise ValueError(f"step {step.name!r}: should_stop_blob {step.should_stop_blob!r} holds {held}, wants one bool")
    return bool(value.reshape(()))
