"""Convolution, pooling and normalisation against the real Caffe2's CPU operators, one thread.

python -m tests.benchmarks.conv [PATTERN] [--batch N]
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops import Net, Workspace

HERE = Path(__file__).parent
# fmt: off
CONV = {  # input channels, output channels, rows, kernel, stride, pad, groups
    "7x7 s2 3-64 @224": (3, 64, 224, 7, 2, 3, 1),
    "1x1 64-256 @56": (64, 256, 56, 1, 1, 0, 1),
    "1x1 512-128 @28": (512, 128, 28, 1, 1, 0, 1),
    "1x1 256-1024 @14": (256, 1024, 14, 1, 1, 0, 1),
    "1x1 2048-512 @7": (2048, 512, 7, 1, 1, 0, 1),
    "3x3 64 @56": (64, 64, 56, 3, 1, 1, 1),
    "3x3 128 @28": (128, 128, 28, 3, 1, 1, 1),
    "3x3 256 @14": (256, 256, 14, 3, 1, 1, 1),
    "3x3 512 @7": (512, 512, 7, 3, 1, 1, 1),
    "3x3 s2 128 @56": (128, 128, 56, 3, 2, 1, 1),
    "depthwise 32 @112": (32, 32, 112, 3, 1, 1, 32),
    "depthwise 144 @56": (144, 144, 56, 3, 1, 1, 144),
    "depthwise s2 96 @112": (96, 96, 112, 3, 2, 1, 96),
    "depthwise 384 @14": (384, 384, 14, 3, 1, 1, 384),
    "depthwise 960 @7": (960, 960, 7, 3, 1, 1, 960),
    "3x3 32 groups 128 @28": (128, 128, 28, 3, 1, 1, 32),
}
IMAGE = (1, 64, 112, 112)
OTHERS: dict[str, tuple[str, list[tuple[int, ...]], dict[str, Any]]] = {
    "MaxPool 3 s2": ("MaxPool", [IMAGE], {"kernel": 3, "stride": 2, "pad": 1}),
    "MaxPool 2 s2": ("MaxPool", [IMAGE], {"kernel": 2, "stride": 2}),
    "MaxPool 3 s2 NHWC": ("MaxPool", [(1, 112, 112, 64)], {"kernel": 3, "stride": 2, "pad": 1, "order": "NHWC"}),
    "AveragePool 2 s2": ("AveragePool", [IMAGE], {"kernel": 2, "stride": 2}),
    "AveragePool global": ("AveragePool", [(1, 2048, 7, 7)], {"global_pooling": 1}),
    "LRN 5": ("LRN", [(1, 64, 56, 56)], {"size": 5, "alpha": 1e-4, "beta": 0.75}),
    "SpatialBN test": ("SpatialBN", [(16, 64, 56, 56), (64,), (64,), (64,), (64,)], {"is_test": 1}),
    "SpatialBN test, one image": ("SpatialBN", [(1, 64, 56, 56), (64,), (64,), (64,), (64,)], {"is_test": 1}),
}
# fmt: on


def cases(batch: int) -> dict[str, dict[str, Any]]:
    """Name -> arguments of `operator`."""
    found = {}
    for name, (c, m, rows, kernel, stride, pad, group) in CONV.items():
        shapes = [(batch, c, rows, rows), (m, c // group, kernel, kernel), (m,)]
        args = {"kernel": kernel, "stride": stride, "pad": pad, "group": group}
        found[name] = {"op": "Conv", "shapes": shapes, "args": args}
    for name, (op, shapes, args) in OTHERS.items():
        found[name] = {"op": op, "shapes": shapes, "args": args}
    return found


def operator(op: str, shapes: list[tuple[int, ...]], args: dict[str, Any]) -> Callable[[], None]:
    """The same net as the reference's."""
    rng = np.random.RandomState(0)
    workspace = Workspace()
    net = Net("one")
    names = [f"{op}{i}" for i in range(len(shapes))]
    for name, shape in zip(names, shapes):
        workspace.feed(name, (rng.rand(*shape) + 0.1).astype(np.float32))
    getattr(net, op)(names, [f"{op}_out"], **args)
    return workspace.create(net).run


def main() -> None:
    from tests.benchmarks.rounds import Contender, compare, table

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="only cases whose name this regular expression finds")
    parser.add_argument("--batch", type=int, default=1, help="images at once in the convolutions")
    options = parser.parse_args()
    rows = {}
    for name, kwargs in cases(options.batch).items():
        if re.search(options.pattern, name):
            contenders = [
                Contender("Caffe2", HERE / "conv_reference.py", "operator", kwargs, reference=True),
                Contender("caffe2ops", HERE / "conv.py", "operator", kwargs),
            ]
            rows[name] = compare(contenders)
    print(table("Convolution, pooling, normalisation", rows, "Caffe2"))


if __name__ == "__main__":
    main()
