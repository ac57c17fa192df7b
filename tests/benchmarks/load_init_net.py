"""How long a 128 MB init_net.pb takes to load, against Caffe2's C++ on the same bytes.

    CAFFE2OPS_REFERENCE=/path/to/python python tests/benchmarks/load_init_net.py [--megabytes 128] [--rounds 7]

The net fills 25.6 million floats with 320 GivenTensorFill operators, unpacked on the wire (5 bytes each). Rounds are
interleaved, the reference runs in a process of its own, and minima are compared. Timed are, of ours, formats.load(path)
-> NetDef with arrays; of Caffe2, workspace.C.run_net_once(bytes) on bytes already read, in an empty workspace. The bar
is 0.6.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from caffe2ops import formats
from caffe2ops.defs import NetDef, OperatorDef

_REFERENCE = """
import sys, time
from caffe2.python import workspace
data = open(sys.argv[1], "rb").read()
print("ready", flush=True)
for _ in sys.stdin:
    workspace.ResetWorkspace()
    start = time.perf_counter()
    workspace.C.run_net_once(data)
    print(time.perf_counter() - start, flush=True)
"""


def init_net(megabytes: int, tensors: int = 320) -> NetDef:
    rng = np.random.default_rng(0)
    sizes = rng.uniform(0.1, 1.9, tensors)
    sizes = np.maximum(1, sizes / sizes.sum() * megabytes * 1e6 / 5).astype(int)
    ops = []
    for index, size in enumerate(sizes.tolist()):
        values = rng.standard_normal(size).astype(np.float32)
        ops.append(
            OperatorDef(type="GivenTensorFill", output=(f"w{index}",), args={"shape": (size,), "values": values})
        )
    return NetDef(name="init", op=tuple(ops))


class Reference:
    def __init__(self, python: str, path: Path) -> None:
        command = [python, "-c", _REFERENCE, str(path)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def __call__(self) -> float:
        assert self._process.stdin is not None
        print("go", file=self._process.stdin, flush=True)
        return float(self._line())


def ours(path: Path) -> float:
    start = time.perf_counter()
    formats.load(path)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    python = os.environ.get("CAFFE2OPS_REFERENCE")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "init_net.pb"
        formats.dump(init_net(options.megabytes), path)
        reference = Reference(python, path) if python else None
        ours(path)
        times = [(ours(path), reference() if reference else float("nan")) for _ in range(options.rounds)]
    own, other = (np.array(column) for column in zip(*times))
    print(f"caffe2ops   min {own.min() * 1e3:7.1f} ms   median {np.median(own) * 1e3:7.1f} ms")
    if reference is None:
        print("CAFFE2OPS_REFERENCE names no interpreter with Caffe2: nothing to compare with", file=sys.stderr)
        return
    print(f"Caffe2 C++  min {other.min() * 1e3:7.1f} ms   median {np.median(other) * 1e3:7.1f} ms")
    least, middle = own.min() / other.min(), np.median(own) / np.median(other)
    print(f"ratio       min {least:7.2f}      median {middle:7.2f}      (bar 0.6)")


if __name__ == "__main__":
    main()
