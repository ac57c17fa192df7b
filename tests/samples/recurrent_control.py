"""Do and ONNXWhile, which run nets; Concat and Split under their old names; dot products between features."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import NetDef, OperatorDef
from tests.kit.sample import Blob, Sample, int32s, int64s, normal

X, Y = normal(2, 3), normal(2, 3, seed=1)
SCOPE = Blob("scope")
MADE = [("CreateScope", [], ["scope"], {})]


def op(type: str, inputs: str, outputs: str, **args: Any) -> OperatorDef:
    return OperatorDef(type=type, input=tuple(inputs.split()), output=tuple(outputs.split()), args=args)


# in0 is a inside, out0 is c; b is a blob of the inner workspace alone.
INNER = NetDef(name="inner", op=(op("Transpose", "a", "b"), op("Softsign", "b", "c")))
BOUND = {"net": INNER, "inner_blobs": ["a", "c"], "outer_blobs_idx": [0, 1]}
RAN = [
    *MADE,
    ("ConstantFill", [], ["x"], {"shape": [2, 3], "value": 0.5}),
    ("Do", ["x", "scope"], ["y", "scope"], BOUND),
]
ADD = {
    "net": NetDef(name="add", op=(op("Add", "a b", "c"),)),
    "inner_blobs": ["a", "b", "c"],
    "outer_blobs_idx": [0, 1, 2],
}


def do(args: dict[str, Any], inputs: list[Any] = [X, SCOPE], **more: Any) -> Sample:  # noqa: B006
    return Sample("Do", inputs, args, **{"outputs": 2, "inplace": {1: 1}, "before": MADE, "devices": ("cpu",), **more})


subnets = [
    do(BOUND),
    do(
        {**BOUND, "reuse_workspace": 1},
        before=RAN,
        golden=False,
        reason="Caffe2 binds a name of a workspace once and for all",
        expected=[X.T / (1 + abs(X.T))],
        note="reused workspace",
    ),
    do({**BOUND, "copy_external_blobs": 1}, note="copied"),
    do(BOUND, [X[:0], SCOPE], note="empty"),
    do(ADD, [X, Y, SCOPE], inplace={1: 2}, note="two inputs"),
    do({"net": INNER}, error="'in0'|in0, out0 are not bound", note="nothing bound"),
    do({**BOUND, "outer_blobs_idx": [0]}, error="different inner/outer blobs lengths", note="lengths"),
    do({**BOUND, "outer_blobs_idx": [0, 2]}, error="2 is out of bounds", note="index"),
    do({**BOUND, "outer_blobs_idx": [0, 0]}, error="'in0' has two names inside", note="bound twice"),
    do({**BOUND, "inner_blobs": ["a", "a"]}, error="redefinition of 'a'", note="redefinition"),
    do(
        {**BOUND, "outer_blobs_idx": [0, 2]},
        [X, X, SCOPE],
        inplace={1: 2},
        error="'in1'|not bound",
        note="an input too many",
    ),
    do({"inner_blobs": ["a", "c"], "outer_blobs_idx": [0, 1]}, error="net is missing", note="no net"),
    do(
        BOUND,
        [X, Y],
        before=[],
        error="scope: holds ndarray",
        golden=False,
        reason="Caffe2 puts a scope in the tensor's place",
        note="no scope",
    ),
    Sample("Do", [X, SCOPE], BOUND, outputs=2, before=MADE, error="wants the same blob", note="another scope behind"),
]

# The sum of the numbers so far, and their squares as scan output, until the sum is 10.
BODY = NetDef(
    name="body",
    op=(
        op("Add", "total one", "sum"),
        op("Mul", "sum sum", "square"),
        op("ConstantFill", "", "limit", shape=[1], value=10.0),
        op("LT", "sum limit", "go"),
    ),
    external_input=("i", "cond", "total", "one"),
    external_output=("go", "sum", "one", "square"),
)
ONE = np.ones(1, np.float32)
LOOP = {"body": BODY, "has_cond": 1, "has_trip_count": 1}
COUNTING = NetDef(
    name="counting",
    op=(op("Cast", "i", "f", to=1), op("Add", "t f", "u"), op("Copy", "cond", "go")),
    external_input=("i", "cond", "t"),
    external_output=("go", "u"),
)
CAST = NetDef(
    name="cast",
    op=(op("Copy", "cond", "go"), op("Cast", "i", "f", to=1), op("Copy", "t", "u")),
    external_input=("i", "cond", "t"),
    external_output=("go", "u", "f"),
)


def loop(args: dict[str, Any], trips: int = 4, first: Any = True, **more: Any) -> Sample:
    inputs = [int64s(trips), np.array([first]), ONE, ONE * 2]
    return Sample("ONNXWhile", inputs, args, **{"outputs": 3, **more})


loops = [
    loop(LOOP),
    loop(LOOP, 9, note="condition"),
    loop({**LOOP, "save_scopes": 1}, 9, note="scopes saved"),
    loop({**LOOP, "disable_scopes": 1}, 9, note="without scopes"),
    loop({**LOOP, "has_trip_count": 0}, 0, note="without trip count"),
    loop({**LOOP, "has_cond": 0}, 6, False, note="without condition"),
    loop(LOOP, 0, note="no trip"),
    loop(LOOP, 4, False, note="not once"),
    loop({**LOOP, "num_loop_carried_deps": 2}, note="dependencies counted"),
    Sample(
        "ONNXWhile",
        [int64s(3), np.array([1], np.int32), ONE],
        {"body": COUNTING, "has_trip_count": 1},
        outputs=1,
        note="condition of int32",
        inplace={0: 2},
    ),
    Sample(
        "ONNXWhile",
        [int64s(1), np.array([True]), ONE],
        {"body": CAST, "has_trip_count": 1},
        outputs=2,
        note="scalar scanned once",
    ),
    Sample(
        "ONNXWhile",
        [int64s(2), np.array([True]), ONE],
        {"body": CAST, "has_trip_count": 1},
        outputs=2,
        error="is a scalar in 2 rounds",
        note="scalar scanned twice",
    ),
    loop({**LOOP, "save_scopes": 1, "disable_scopes": 1}, error="save_scopes", note="scopes saved and disabled"),
    loop({}, error="body is missing", note="no body"),
    loop(
        {**LOOP, "num_loop_carried_deps": 3},
        error="3, there are 2 values",
        golden=False,
        reason="Caffe2 reads out of bounds",
        note="too many dependencies",
    ),
    loop(
        {**LOOP, "body": COUNTING},
        error="body: has inputs i, cond, t, wants",
        golden=False,
        reason="Caffe2 reads out of bounds",
        note="few inputs",
    ),
    loop(
        LOOP,
        outputs=4,
        error="outputs: there are 4, the body gives 3",
        golden=False,
        reason="Caffe2 leaves the fourth unwritten",
        note="too many outputs",
    ),
]

PARTS = [normal(2, 3, 2), normal(2, 1, 2, seed=1)]
IMAGE = normal(2, 4, 3, 5)
FEATURES = [normal(3, 2, 2, seed=seed) for seed in range(3)]

others = [
    Sample("DepthConcat", PARTS),
    Sample("DepthConcat", [normal(2, 3, 1, 2), normal(2, 3, 1, 4, seed=1)], {"order": "NHWC"}, note="NHWC"),
    Sample("DepthConcat", [PARTS[0], PARTS[0] + 1], {"axis": 1, "add_axis": 1}, note="stacked"),
    Sample("DepthConcat", [PARTS[0][:0], PARTS[1][:0]], note="empty"),
    Sample("DepthConcat", [PARTS[0], PARTS[0][:1]], error="wants that of the first", note="other shape"),
    Sample("DepthSplit", [IMAGE], outputs=2),
    Sample("DepthSplit", [IMAGE], {"order": "NHWC", "split": [1, 4]}, outputs=2, note="NHWC"),
    Sample("DepthSplit", [IMAGE, int32s(2, 2, 1)], {"axis": -1}, outputs=3, note="sizes as input"),
    Sample("DepthSplit", [IMAGE], outputs=3, error="not to be divided by 3", note="odd"),
    Sample("ConcatBatchMatMulBatchGatherOp", [int32s(0, 5, 1, 1), *FEATURES]),
    Sample("ConcatBatchMatMulBatchGatherOp", [int32s(1, 2), normal(3), normal(3, seed=1)], note="scalars"),
    Sample("ConcatBatchMatMulBatchGatherOp", [int32s(), *FEATURES], note="none taken"),
    Sample("ConcatBatchMatMulBatchGatherOp", [int32s(3), *(x[:0] for x in FEATURES)], note="no example"),
    Sample(
        "ConcatBatchMatMulBatchGatherOp",
        [int32s(0, 9), *FEATURES],
        error="0 to 9, wants 0 to 8",
        golden=False,
        reason="Caffe2 reads out of bounds",
        note="index out of bounds",
    ),
    Sample(
        "ConcatBatchMatMulBatchGatherOp",
        [int32s(0), FEATURES[0], FEATURES[1][:2]],
        error="wants \\[B, ...\\]",
        note="other shape",
    ),
    Sample("ConcatBatchMatMulBatchGatherOp", [int32s(0)], error="inputs: there are none", note="no inputs"),
    Sample(
        "ConcatBatchMatMulBatchGatherOp",
        [np.array([[0], [1]], np.int32), *FEATURES],
        error="wants \\[K\\]",
        golden=False,
        reason="Caffe2 leaves most of the output unwritten",
        note="indices of two dims",
    ),
]

samples = [*subnets, *loops, *others]
