"""Operators that run nets or name tensors."""

from __future__ import annotations

import numpy as np

from caffe2ops.defs import NetDef, OperatorDef
from tests.kit.sample import Blob, Sample, normal

X = normal(2, 3)
YES, NO = np.array([True]), np.array([False])
TURN = NetDef(name="turn", op=(OperatorDef(type="Transpose", input=("in1",), output=("out0",)),))
ASK = NetDef(name="ask", op=(OperatorDef(type="Shape", input=("in1",), output=("out0",)),))
COUNT = NetDef(name="count", op=(OperatorDef(type="Add", input=("in1", "in2"), output=("in1",)),))
BELOW = NetDef(name="below", op=(OperatorDef(type="LT", input=("in1", "in3"), output=("in0",)),))
NUMBERS = [np.array([value], np.int64) for value in (0, 3, 10)]

BEFORE = [("ConstantFill", [], ["x"], {"shape": [2, 3], "value": 1.5})]

samples = [
    Sample("AliasWithName", [Blob("x")], {"name": "features"}, before=BEFORE, devices=("cpu",)),
    Sample("AliasWithName", [X], {"name": "features"}, note="in place", inplace={0: 0}),
    Sample("IsEmpty", [X]),
    Sample("IsEmpty", [X[:0]], note="empty"),
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
