"""The cost of a call through caffe2ops.compat: feeding, creating and running one operator as a script does, against
the real Caffe2; with upstream's Python files on both sides, and with the modules of caffe2ops.

python -m tests.benchmarks.face
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WORK = ("feed", "create", "run", "all", "gradient", "net")


def call(work: str, upstream: str = "") -> Callable[[], Any]:
    """The same calls as the reference's, over caffe2ops."""
    from caffe2ops import compat

    compat.install(upstream or None)
    from tests.benchmarks.face_reference import call as same

    return same(work)


def main() -> None:
    from tests.benchmarks.rounds import Contender, compare, table
    from tests.conformance.fetch import fetch

    folder = str(fetch())
    rows = {}
    for work in WORK:
        contenders = [
            Contender("Caffe2", HERE / "face_reference.py", "call", {"work": work}, reference=True),
            Contender("caffe2ops, Caffe2's files", HERE / "face.py", "call", {"work": work, "upstream": folder}),
            Contender("caffe2ops", HERE / "face.py", "call", {"work": work}),
        ]
        rows[f"{work}, 100 calls"] = compare(contenders, rounds=3, seconds=0.3)
    print(table("The face", rows, "Caffe2"))


if __name__ == "__main__":
    main()
