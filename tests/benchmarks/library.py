"""About sixty operators of all families against the real Caffe2's CPU operators, one thread: how the library fares.

python -m tests.benchmarks.library [PATTERN]
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from caffe2ops import NetDef, OperatorDef, Workspace

HERE = Path(__file__).parent
SLOW = 2.0  # ratios above it are named


def normal(*shape: int) -> list[Any]:
    return ["normal", shape]


def positive(*shape: int) -> list[Any]:
    return ["positive", shape]


def indices(count: int, below: int, kind: str = "indices") -> list[Any]:
    return [kind, [count], below]


def lengths(count: int, total: int) -> list[Any]:
    return ["lengths", [count], total]


MATRIX, IMAGE, TABLE = normal(512, 512), normal(4, 64, 56, 56), normal(10000, 64)
# (operator, inputs, arguments, outputs)
# fmt: off
CASES: list[tuple[str, list[list[Any]], dict[str, Any], int]] = [
    ("Relu", [IMAGE], {}, 1),
    ("ReluGradient", [MATRIX, MATRIX], {}, 1),
    ("Sigmoid", [MATRIX], {}, 1),
    ("Tanh", [MATRIX], {}, 1),
    ("Exp", [MATRIX], {}, 1),
    ("LeakyRelu", [MATRIX], {"alpha": 0.1}, 1),
    ("PRelu", [IMAGE, positive(64)], {}, 1),
    ("Elu", [MATRIX], {}, 1),
    ("Clip", [MATRIX], {"min": -1.0, "max": 1.0}, 1),
    ("Add", [MATRIX, MATRIX], {}, 1),
    ("Mul", [IMAGE, normal(64)], {"broadcast": 1, "axis": 1}, 1),
    ("Div", [MATRIX, positive(512)], {"broadcast": 1}, 1),
    ("GT", [MATRIX, MATRIX], {}, 1),
    ("Sum", [MATRIX, MATRIX, MATRIX], {}, 1),
    ("Cast", [MATRIX], {"to": 2}, 1),
    ("Softmax", [normal(256, 1000)], {}, 1),
    ("Concat", [IMAGE, IMAGE], {"axis": 1}, 2),
    ("Split", [IMAGE], {"axis": 1}, 4),
    ("Transpose", [IMAGE], {"axes": [0, 2, 3, 1]}, 1),
    ("Transpose", [MATRIX], {}, 1),
    ("NCHW2NHWC", [IMAGE], {}, 1),
    ("Tile", [MATRIX], {"tiles": 4, "axis": 1}, 1),
    ("Slice", [MATRIX], {"starts": [0, 20], "ends": [-1, 400]}, 1),
    ("Gather", [TABLE, indices(4096, 10000)], {}, 1),
    ("BatchGather", [normal(64, 100, 16), indices(30, 100)], {}, 1),
    ("OneHot", [indices(4096, 64), ["value", [1], 64]], {}, 1),
    ("TopK", [normal(64, 1000)], {"k": 5}, 2),
    ("ArgMax", [normal(256, 1000)], {"axis": 1}, 1),
    ("Unique", [indices(20000, 5000)], {}, 2),
    ("BooleanMask", [TABLE, ["bools", [10000]]], {}, 1),
    ("PackSegments", [lengths(200, 10000), TABLE], {}, 1),
    ("UnpackSegments", [["lengths", [200], 200 * 30], normal(200, 60, 16)], {}, 1),
    ("SparseToDense", [indices(5000, 9000, "indices32"), normal(5000, 16), normal(10000, 16)], {}, 1),
    ("LengthsSum", [TABLE, lengths(500, 10000)], {}, 1),
    ("LengthsMean", [TABLE, lengths(500, 10000)], {}, 1),
    ("LengthsMax", [TABLE, lengths(500, 10000)], {}, 1),
    ("SparseLengthsSum", [TABLE, indices(20000, 10000), lengths(1000, 20000)], {}, 1),
    ("SparseLengthsSum", [normal(10000, 16), indices(20000, 10000), lengths(1000, 20000)], {}, 1),
    ("SparseLengthsWeightedSum", [TABLE, positive(20000), indices(20000, 10000), lengths(1000, 20000)], {}, 1),
    ("SortedSegmentSum", [TABLE, ["sorted", [10000], 500]], {}, 1),
    ("UnsortedSegmentSum", [TABLE, indices(10000, 500, "indices32")], {}, 1),
    ("LengthsTopK", [normal(20000), lengths(1000, 20000)], {"k": 5}, 2),
    ("FC", [normal(128, 1024), normal(512, 1024), normal(512)], {}, 1),
    ("FCGradient", [normal(128, 1024), normal(512, 1024), normal(128, 512)], {}, 3),
    ("MatMul", [MATRIX, MATRIX], {"trans_b": 1}, 1),
    ("BatchMatMul", [normal(32, 64, 128), normal(32, 128, 64)], {}, 1),
    ("ReduceSum", [IMAGE], {"axes": [2, 3]}, 1),
    ("ReduceMax", [MATRIX], {"axes": [0]}, 1),
    ("ReduceFrontMean", [MATRIX], {"num_reduce_dim": 1}, 1),
    ("Moments", [IMAGE], {"axes": [0, 2, 3]}, 2),
    ("Conv", [IMAGE, normal(64, 64, 3, 3), normal(64)], {"kernel": 3, "pad": 1}, 1),
    ("Conv", [IMAGE, normal(64, 1, 3, 3), normal(64)], {"kernel": 3, "pad": 1, "group": 64}, 1),
    ("ConvGradient", [normal(4, 32, 28, 28), normal(32, 32, 3, 3), normal(4, 32, 28, 28)], {"kernel": 3, "pad": 1}, 3),
    ("ConvTranspose", [normal(1, 32, 28, 28), normal(32, 16, 4, 4), normal(16)], {"kernel": 4, "stride": 2}, 1),
    ("MaxPool", [IMAGE], {"kernel": 3, "stride": 2, "pad": 1}, 1),
    ("AveragePool", [IMAGE], {"kernel": 2, "stride": 2}, 1),
    ("ResizeNearest", [normal(1, 64, 56, 56)], {"width_scale": 2.0, "height_scale": 2.0}, 1),
    ("ChannelShuffle", [IMAGE], {"group": 4}, 1),
    ("SpatialBN", [IMAGE, normal(64), normal(64), normal(64), positive(64)], {"is_test": 1}, 1),
    ("LayerNorm", [normal(256, 1000)], {}, 3),
    ("InstanceNorm", [IMAGE, normal(64), normal(64)], {}, 1),
    ("LRN", [normal(1, 64, 56, 56)], {"size": 5, "alpha": 1e-4, "beta": 0.75}, 2),
    ("SoftmaxWithLoss", [normal(256, 1000), indices(256, 1000, "indices32")], {}, 2),
    ("SigmoidCrossEntropyWithLogits", [MATRIX, positive(512, 512)], {}, 1),
    ("Accuracy", [normal(256, 1000), indices(256, 1000, "indices32")], {}, 1),
    ("Adagrad", [MATRIX, positive(512, 512), MATRIX, normal(1)], {}, 2),
    ("Adam", [MATRIX, MATRIX, positive(512, 512), MATRIX, normal(1), ["value", [1], 10]], {}, 3),
    ("SparseAdagrad", [TABLE, positive(10000, 64), indices(2000, 10000), normal(2000, 64), normal(1)], {}, 2),
    ("RoIAlign", [normal(1, 64, 50, 50), ["boxes", [500], 50]], {"pooled_h": 7, "pooled_w": 7, "sampling_ratio": 2}, 1),
    ("FloatToFused8BitRowwiseQuantized", [TABLE], {}, 1),
    ("XavierFill", [], {"shape": [256, 1024]}, 1),
]
# fmt: on
IN_PLACE = {"Adagrad": 2, "Adam": 3, "SparseAdagrad": 2, "SparseToDense": 0}  # outputs that are the first inputs


def definition(op: str, inputs: list[Any], args: dict[str, Any], count: int) -> dict[str, Any]:
    """The arguments of `operator` on both sides."""
    outputs = [f"in{i}" if i < IN_PLACE.get(op, 0) else f"out{i}" for i in range(count)]
    return {"op": op, "inputs": inputs, "args": args, "outputs": outputs}


def operator(op: str, inputs: list[list[Any]], args: dict[str, Any], outputs: list[str]) -> Callable[[], None]:
    """A net of this operator alone."""
    from tests.benchmarks.library_reference import made

    workspace = Workspace(seed=0)
    names = [f"in{i}" for i in range(len(inputs))]
    for i, (name, spec) in enumerate(zip(names, inputs)):
        workspace.feed(name, made(*spec, seed=i))
    return workspace.create(NetDef(name="one", op=[OperatorDef(type=op, input=names, output=outputs, args=args)])).run


def main() -> None:
    from tests.benchmarks.rounds import Contender, compare, table

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="only operators whose name this expression finds")
    options = parser.parse_args()
    rows = {}
    for case in CASES:
        shapes = " ".join("x".join(map(str, spec[1])) for spec in case[1])
        if re.search(options.pattern, case[0]):
            kwargs = definition(*case)
            contenders = [
                Contender("Caffe2", HERE / "library_reference.py", "operator", kwargs, reference=True),
                Contender("caffe2ops", HERE / "library.py", "operator", kwargs),
            ]
            rows[f"{case[0]} {shapes}"] = compare(contenders, rounds=3, seconds=0.1)
    print(table("The library", rows, "Caffe2"))
    ratios = {name: found["caffe2ops"].minimum / found["Caffe2"].minimum for name, found in rows.items()}
    print(f"\ngeometric mean: {math.exp(sum(map(math.log, ratios.values())) / len(ratios)):.2f}")
    for name, ratio in sorted(ratios.items(), key=lambda item: -item[1]):
        if ratio > SLOW:
            print(f"above {SLOW:g}: {name}: {ratio:.1f}")


if __name__ == "__main__":
    main()
