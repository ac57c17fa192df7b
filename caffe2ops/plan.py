"""Plans: nets and execution steps that run them, with iterations, stop conditions and concurrent substeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from caffe2ops.defs import ExecutionStep, PlanDef

if TYPE_CHECKING:
    from caffe2ops.workspace import Workspace

Stop = Callable[[], bool]


def run_plan(plan: PlanDef, workspace: Workspace) -> None:
    """Creates the nets of a plan and runs its steps in order.

    A step runs its networks, or its substeps, `num_iter` times, or until `should_stop_blob` (a bool tensor of one
    element) holds true after a
    network or substep; with neither, once. Raises what the nets raise, and ValueError for a step that is not well
    formed.
    """
    for net in plan.network:
        workspace.create(net, overwrite=True)
    done: set[int] = set()
    for step in plan.execution_step:
        _run_step(step, workspace, done, lambda: False)


def _run_step(step: ExecutionStep, workspace: Workspace, done: set[int], stopped: Stop) -> None:
    if step.only_once:
        if id(step) in done:
            return
        done.add(id(step))
    if step.substep and step.network:
        raise ValueError(f"step {step.name!r}: has both substeps and networks, wants one kind")
    if step.create_workspace:
        from caffe2ops.workspace import Workspace

        workspace = Workspace(workspace)
    instances = max(1, step.num_concurrent_instances)
    if instances > 1:
        _together([lambda: _iterate(step, workspace, done, stopped) for _ in range(instances)])
    else:
        _iterate(step, workspace, done, stopped)


def _iterate(step: ExecutionStep, workspace: Workspace, done: set[int], stopped: Stop) -> None:
    forever = bool(step.should_stop_blob) and "num_iter" not in step.model_fields_set
    iterations = step.num_iter if "num_iter" in step.model_fields_set else 1
    count = 0
    while (forever or count < iterations) and not stopped():
        started = time.monotonic()
        if step.concurrent_substeps:
            failed: list[bool] = []
            substeps = [_guarded(s, workspace, done, lambda: stopped() or bool(failed), failed) for s in step.substep]
            _together(substeps)
            if _should_stop(step, workspace):
                return
        else:
            for substep in step.substep:
                _run_step(substep, workspace, done, stopped)
                if _should_stop(step, workspace):
                    return
            for name in step.network:
                workspace.net(name).run()
                if _should_stop(step, workspace):
                    return
        if step.report_net and step.report_interval and count % step.report_interval == 0:
            workspace.net(step.report_net).run()
        count += 1
        if step.run_every_ms:
            time.sleep(max(0.0, step.run_every_ms / 1e3 - (time.monotonic() - started)))


def _guarded(
    step: ExecutionStep, workspace: Workspace, done: set[int], stopped: Stop, failed: list[bool]
) -> Callable[[], None]:
    def run() -> None:
        try:
            _run_step(step, workspace, done, stopped)
        except BaseException:
            failed.append(True)  # the other substeps stop at their next iteration
            raise

    return run


def _together(calls: list[Callable[[], None]]) -> None:
    if not calls:
        return
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(call) for call in calls]
    for future in futures:
        future.result()


def _should_stop(step: ExecutionStep, workspace: Workspace) -> bool:
    if not step.should_stop_blob:
        return False
    blob = workspace.find(step.should_stop_blob)
    value = None if blob is None else blob.value
    if not isinstance(value, np.ndarray) or value.dtype != bool or value.size != 1:
        held = (
            "nothing"
            if value is None
            else f"{getattr(value, 'dtype', type(value).__name__)}{getattr(value, 'shape', '')}"
        )
        raise ValueError(f"step {step.name!r}: should_stop_blob {step.should_stop_blob!r} holds {held}, wants one bool")
    return bool(value.reshape(()))
