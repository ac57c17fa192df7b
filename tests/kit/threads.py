"""Calls on threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

SOON = 5.0  # seconds in which a thread must end


def started(call: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """The call on a thread of its own, and what it ends with."""
    ends: list[Any] = []

    def run() -> None:
        try:
            ends.append(call())
        except Exception as error:
            ends.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, ends


def together(count: int, call: Callable[[], object]) -> None:
    """Calls it on so many threads at once, and waits for all."""
    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
