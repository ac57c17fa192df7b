"""Interleaved timing of contenders, each in a process of its own, one thread, within one run.

    compare([
        Contender("ours", HERE / "executor.py", "chain"),
        Contender("Caffe2", HERE / "executor_reference.py", "chain", reference=True),
    ])

A contender is a function in a file that gets keyword arguments and returns the call to be timed. Files of the
reference's side are run
by the interpreter that CAFFE2OPS_REFERENCE names and must not import caffe2ops. Each round times every contender, in
turn in either
order; what counts is the minimum over all rounds, and the median of the rounds' minima beside it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
REFERENCE = Path(os.environ.get("CAFFE2OPS_REFERENCE", Path.home() / ".cache/caffe2-reference/bin/python"))
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Contender:
    """A function to be timed: `file`:`function`(**`kwargs`) gives the call. `reference`: by the real Caffe2's
    interpreter."""

    name: str
    file: Path
    function: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    reference: bool = False
    threads: int = 1


@dataclass(frozen=True)
class Result:
    """Seconds of a contender: the least of all calls, and the median of the rounds' least."""

    minimum: float
    typical: float


def compare(contenders: Sequence[Contender], rounds: int = 5, seconds: float = 0.2) -> dict[str, Result]:
    """Times all contenders in interleaved rounds of about `seconds` each."""
    workers = [_start(contender) for contender in contenders]
    found: dict[str, list[float]] = {c.name: [] for c in contenders}
    try:
        for number in range(rounds):
            for i in range(len(workers))[:: 1 if number % 2 == 0 else -1]:
                found[contenders[i].name].append(_ask(workers[i], {"seconds": seconds}))
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return {name: Result(min(times), median(times)) for name, times in found.items()}


def _start(contender: Contender) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    env |= dict.fromkeys(THREADS, str(contender.threads))
    env["PYTHONPATH"] = str(HERE.parent.parent) if not contender.reference else ""
    python = str(REFERENCE) if contender.reference else sys.executable
    if contender.reference and not REFERENCE.exists():
        raise FileNotFoundError(f"{REFERENCE}: set CAFFE2OPS_REFERENCE to an interpreter that has the real Caffe2")
    worker = subprocess.Popen(
        [python, str(HERE / "rounds.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env=env,
    )  # fmt: skip
    _ask(worker, {"file": str(contender.file), "function": contender.function, "kwargs": contender.kwargs})
    return worker


def _ask(worker: subprocess.Popen[str], request: dict[str, Any]) -> Any:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps(request) + "\n")
    worker.stdin.flush()
    for line in worker.stdout:
        if line.startswith("{"):
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(answer["error"])
            return answer["value"]
    raise RuntimeError(f"a worker ended without an answer (status {worker.poll()})")


def _serve() -> None:
    """The worker: loads a function once, then times its call on request."""
    call: Callable[[], Any] = lambda: None  # noqa: E731
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "file" in request:
                spec = importlib.util.spec_from_file_location("contender", request["file"])
                assert spec is not None
                assert spec.loader is not None
                module = importlib.util.module_from_spec(spec)
                sys.modules["contender"] = module
                spec.loader.exec_module(module)
                call = getattr(module, request["function"])(**request["kwargs"])
                call()
                value = 0.0
            else:
                value = _least(call, request["seconds"])
            print(json.dumps({"value": value}), flush=True)
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


def _least(call: Callable[[], Any], seconds: float) -> float:
    least, end, count = float("inf"), time.perf_counter() + seconds, 0
    while count < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - start)
        count += 1
    return least


def table(title: str, rows: dict[str, dict[str, Result]], base: str) -> str:
    """A Markdown table: milliseconds of `base`, and every other contender's ratio to it (by minima / by medians)."""
    names = [name for name in next(iter(rows.values())) if name != base]
    lines = [
        f"## {title}",
        "",
        f"| case | {base} ms | {' | '.join(names)} |",
        f"| --- | ---: |{' ---: |' * len(names)}",
    ]
    for case, results in rows.items():
        ratios = [
            f"{r.minimum / results[base].minimum:.2f} / {r.typical / results[base].typical:.2f}"
            for n in names
            if (r := results[n])
        ]
        lines.append(f"| {case} | {1e3 * results[base].minimum:.4g} | {' | '.join(ratios)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    _serve()
