"""Named counters: registries of them, and what every operator of one workspace counts in.

Caffe2 keeps one registry for the whole process; here each workspace has its own, which workspaces below it share.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from caffe2ops.workspace import Workspace

LEAST, GREATEST = -(2**63), 2**63 - 1


class StatRegistry:
    """Counters by name, int64 each; sums beyond that wrap round, as in Caffe2. Threads may share it."""

    def __init__(self) -> None:
        self._values: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, key: str, value: int = 0) -> None:
        """Adds to a counter; one that is new starts at 0."""
        with self._lock:
            self._values[key] = (self._values.get(key, 0) + value - LEAST) % 2**64 + LEAST

    def export(self, reset: bool = False) -> list[tuple[str, int, int]]:
        """Key, value and time (nanoseconds since 1970) of all counters, the oldest first; `reset` sets them to 0."""
        with self._lock:
            found = [(key, value, time.time_ns()) for key, value in self._values.items()]
            if reset:
                self._values = dict.fromkeys(self._values, 0)
        return found


class Average:
    """The sum and the number of values, in two counters below a key."""

    def __init__(self, registry: StatRegistry, key: str):
        self.registry, self.key = registry, key
        for part in ("sum", "count"):
            registry.add(f"{key}/{part}")

    def add(self, value: int) -> None:
        self.registry.add(f"{self.key}/count", 1)
        self.registry.add(f"{self.key}/sum", value)


_OF_WORKSPACE: WeakKeyDictionary[Workspace, StatRegistry] = WeakKeyDictionary()


def registry_of(workspace: Workspace | None) -> StatRegistry:
    """The registry of a workspace and all below it; it stays when the workspace is reset."""
    if workspace is None:
        return StatRegistry()
    while workspace.parent is not None:
        workspace = workspace.parent
    return _OF_WORKSPACE.setdefault(workspace, StatRegistry())
