"""Operators that run nets: If, While, Do, ONNXWhile."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import NetDef, OperatorDef
from tests.kit.sample import Blob, Sample, int64s, normal

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

others = []

YES, NO = np.array([True]), np.array([False])
TURN = NetDef(name="turn", op=(OperatorDef(type="Transpose", input=("in1",), output=("out0",)),))
ASK = NetDef(name="ask", op=(OperatorDef(type="Shape", input=("in1",), output=("out0",)),))
COUNT = NetDef(name="count", op=(OperatorDef(type="Add", input=("in1", "in2"), output=("in1",)),))
BELOW = NetDef(name="below", op=(OperatorDef(type="LT", input=("in1", "in3"), output=("in0",)),))
NUMBERS = [np.array([value], np.int64) for value in (0, 3, 10)]

samples = [
    *subnets,
    *loops,
    *others,
    Sample("If", [YES, X], {"then_net": TURN, "else_net": ASK}, outputs=1, note="then"),
    Sample("If", [NO, X], {"then_net": TURN, "else_net": ASK}, outputs=1, note="else"),
    Sample(
        "If",
        [NO, X],
        {"then_net": TURN},
        outputs=0,
        note="neither",
        golden=False,
        reason="there is no output to compare",
        expected=[],
    ),
    Sample(
        "If",
        [np.array([True, False]), X],
        {"then_net": TURN},
        outputs=1,
        error="condition: has 2 elements",
        note="two",
    ),
    Sample("If", [YES, X], {}, outputs=1, error="then_net is missing", note="no net"),
    Sample(
        "While",
        [YES, *NUMBERS],
        {"loop_net": COUNT, "cond_net": BELOW},
        outputs=2,
        inplace={0: 0, 1: 1},
        note="counting",
    ),
    Sample("While", [NO, *NUMBERS], {"loop_net": COUNT}, outputs=1, inplace={0: 1}, note="not once"),
    Sample("While", [YES], {}, outputs=0, error="loop_net is missing", note="no net"),
]
