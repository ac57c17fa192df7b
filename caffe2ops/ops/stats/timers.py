"""Timers, which count in the workspace's registry, and the time of day."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.data.opaque import held
from caffe2ops.ops.stats.counters import Average, registry_of


class Timer:
    """A stop watch that belongs to the TimerBegin that made it."""

    def __init__(self, counters: Average):
        self.counters = counters
        self.since: int | None = None  # nanoseconds, of a running timer

    def begin(self) -> None:
        if self.since is not None:
            raise ValueError("timer: Called TimerBegin on an already running timer.")
        self.since = time.perf_counter_ns()

    def read(self, by: str) -> int:
        """Nanoseconds since it began. Raises ValueError where it has not."""
        if self.since is None:
            raise ValueError(f"timer: Called {by} on a stopped timer.")
        return time.perf_counter_ns() - self.since

    def end(self) -> None:
        self.counters.add(self.read("TimerEnd"))
        self.since = None


class TimerBegin(Operator):
    """Starts its timer. Raises ValueError where it is running.

    The times that it takes are counted in NAME/time_ns/sum and NAME/time_ns/count. Caffe2: operators/stats_ops.
    """

    contract = "-> timer: blob"
    docs = {"timer": "the timer"}
    counter_name: str = Arg("", doc="the counters' names begin with it; by default with the output's name")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        name = self.counter_name if self.has_arg("counter_name") else self.op_def.output[0]
        self.timer = Timer(Average(registry_of(self.workspace), f"{name}/time_ns"))

    def run_cpu(self) -> Timer:
        self.timer.begin()
        return self.timer


def timer_of(value: Any) -> Timer:
    """The timer that an input holds."""
    return held("timer", value, Timer, "TimerBegin")


RUNNING = {"timer": "from TimerBegin, running"}


class TimerEnd(Operator):
    """Stops a timer and counts its time. Caffe2: operators/stats_ops."""

    contract = "timer: blob ->"
    docs = RUNNING

    def run_cpu(self, timer: Any) -> None:
        timer_of(timer).end()


class TimerGet(Operator):
    """The time since a timer began. Caffe2: operators/stats_ops."""

    contract = "timer: blob -> nanos: int64[]"
    docs = {**RUNNING, "nanos": "nanoseconds since the timer began"}

    def run_cpu(self, timer: Any) -> Any:
        nanos = self.out(0, (), np.int64)
        nanos[...] = timer_of(timer).read(self.type)
        return nanos


class TimerGetAndEnd(Operator):
    """The time since a timer began, which it stops and counts. Caffe2: operators/stats_ops."""

    contract = "timer: blob -> nanos: int64[1]"
    docs = TimerGet.docs

    def run_cpu(self, timer: Any) -> Any:
        nanos = self.out(0, (1,), np.int64)
        nanos[...] = timer_of(timer).read("TimerGet")
        timer_of(timer).end()
        return nanos


class WallClockTime(Operator):
    """The time of day, nanoseconds since 1970. Caffe2: operators/utility_ops."""

    contract = "-> time: int64[]"
    docs = {"time": "nanoseconds since 1970"}
    gradient = FORBIDDEN

    def run_cpu(self) -> Any:
        now = self.out(0, (), np.int64)
        now[...] = time.time_ns()
        return now
