"""The cost of running an operator: a net of 1,000 operators of 10 elements, against the real Caffe2's RunNet.

python -m tests.benchmarks.executor
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from caffe2ops import Net, Workspace

HERE = Path(__file__).parent


def chain(count: int = 1000, width: int = 10) -> Callable[[], None]:
    """The same net as the reference's."""
    rng = np.random.RandomState(0)
    workspace = Workspace()
    workspace.feed("x0", rng.randn(width).astype(np.float32))
    workspace.feed("c", rng.randn(width).astype(np.float32))
    net = Net("chain")
    for i in range(count):
        if i % 2:
            net.Add([f"x{i}", "c"], f"x{i + 1}")
        else:
            net.Relu(f"x{i}", f"x{i + 1}")
    return workspace.create(net).run


def main() -> None:
    from tests.benchmarks.rounds import Contender, compare, table

    rows = {}
    for count, width in ((1000, 10), (1000, 1000), (1, 10)):
        kwargs = {"count": count, "width": width}
        contenders = [
            Contender("Caffe2", HERE / "executor_reference.py", "chain", kwargs, reference=True),
            Contender("caffe2ops", HERE / "executor.py", "chain", kwargs),
        ]
        rows[f"{count} operators of {width} elements"] = compare(contenders)
    print(table("Executor", rows, "Caffe2"))


if __name__ == "__main__":
    main()
