"""How long a 128 MB init_net.pb takes to load, against Caffe2's C++ on the same bytes.

    python -m tests.benchmarks.load_init_net

The net fills 25.6 million floats with 320 GivenTensorFill operators, unpacked on the wire (5 bytes each). Timed are, of
ours, load(path) -> NetDef with arrays; of Caffe2, workspace.C.run_net_once(bytes) on bytes already read, in an empty
workspace.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops import NetDef, OperatorDef, dump, load

HERE = Path(__file__).parent


def init_net(megabytes: int = 128, tensors: int = 320) -> NetDef:
    """Parameters of very unequal sizes."""
    rng = np.random.default_rng(0)
    sizes = rng.uniform(0.1, 1.9, tensors)
    sizes = np.maximum(1, sizes / sizes.sum() * megabytes * 1e6 / 5).astype(int)
    fills = [
        OperatorDef(
            type="GivenTensorFill",
            output=(f"w{i}",),
            args={"shape": (size,), "values": rng.standard_normal(size).astype(np.float32)},
        )
        for i, size in enumerate(sizes.tolist())
    ]
    return NetDef(name="init", op=tuple(fills))


def loading(path: str) -> Callable[[], Any]:
    """Our side."""
    return lambda: load(path)


def main() -> None:
    from tests.benchmarks.rounds import Contender, compare, table

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "init_net.pb"
        dump(init_net(), path)
        kwargs = {"path": str(path)}
        contenders = [
            Contender("Caffe2", HERE / "load_init_net_reference.py", "run_net_once", kwargs, reference=True),
            Contender("caffe2ops", HERE / "load_init_net.py", "loading", kwargs),
        ]
        print(table("Loading parameters", {"128 MB": compare(contenders, rounds=7, seconds=0.5)}, "Caffe2"))


if __name__ == "__main__":
    main()
