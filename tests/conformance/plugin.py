"""The pytest side: upstream's tests over caffe2ops. Loaded with `-p tests.conformance.plugin` (see run.py)."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from caffe2ops import compat
from tests.conformance import surroundings
from tests.conformance.fetch import FOLDER

SECONDS = 300  # for one test; the slowest takes 60 on a machine with nothing else to do
RESULTS = "CONFORMANCE_RESULTS"  # file that the outcomes are written to
MISSING = re.compile(r"no operator of type '(\w+)'|(?:Method|op) (\w+) is not a registered|non-registered layer: (\w+)")

surroundings.prepare()
compat.install(FOLDER)
surroundings.bounded_examples()
outcomes: dict[str, dict[str, str]] = {}


def pytest_collection_modifyitems(items: list[Any]) -> None:
    for item in items:
        function = getattr(getattr(item, "obj", None), "__func__", None)
        if function is None:
            continue
        surroundings.bound(function)
        # `@settings` above upstream's own wrapper of `@given`: hypothesis no longer sees that both belong together
        if not getattr(function, "is_hypothesis_test", False):
            vars(function).pop("_hypothesis_internal_settings_applied", None)


def pytest_runtest_setup(item: Any) -> None:
    """Every test starts in the default workspace: upstream leaves others current where a check fails."""
    from caffe2ops.compat import extension

    extension.switch_workspace("default", True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Any:
    def over(*_: Any) -> None:
        raise TimeoutError(f"took more than {SECONDS} s")

    signal.signal(signal.SIGALRM, over)
    signal.alarm(SECONDS)
    try:
        return (yield)
    finally:
        signal.alarm(0)


def pytest_runtest_logreport(report: Any) -> None:
    if report.when == "call" or report.outcome != "passed":
        _note(report)


def pytest_collectreport(report: Any) -> None:
    if report.outcome != "passed":
        _note(report)


def _note(report: Any) -> None:
    text = report.longreprtext if report.outcome != "skipped" else str(report.longrepr)
    found = MISSING.search(text)
    crash = getattr(getattr(report.longrepr, "reprcrash", None), "message", text[-300:])
    name = report.nodeid.rpartition("operator_test/")[2] or report.nodeid
    outcomes[name] = {
        "outcome": report.outcome,
        "operator": next(filter(None, found.groups())) if found else "",
        "message": " ".join(crash.split())[:300],
        "seconds": f"{getattr(report, 'duration', 0):.2f}",
    }


def pytest_sessionfinish(session: Any) -> None:
    if RESULTS in os.environ and not hasattr(session.config, "workerinput"):
        Path(os.environ[RESULTS]).write_text(json.dumps(outcomes, indent=0))
