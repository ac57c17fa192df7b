"""Copies of tensors that change what becomes of their gradients, or their names."""

from __future__ import annotations

from tests.kit.sample import Blob, Sample, int32s, normal

X = normal(2, 3)
BEFORE = [("ConstantFill", [], ["x"], {"shape": [2, 3], "value": 1.5})]
K = int32s(0, 1, 2, 3, -1, 7, -5)
ROWS = normal(7, 2)
TEXTS = {"shape": [2], "values": ["a", "b"]}

samples = [
    *[
        Sample(
            "NegateGradient",
            [x],
            note=note,
            differentiable=False,
            reason="the gradient changes its sign on purpose; see tests/test_gradient.py",
        )
        for note, x in (("", X), ("empty", X[:0]), ("integers", int32s(3, -1)))
    ],
    Sample("AliasWithName", [Blob("x")], {"name": "features"}, before=BEFORE, devices=("cpu",)),
    Sample("AliasWithName", [X], {"name": "features"}, note="in place", inplace={0: 0}),
    Sample("EnsureDense", [ROWS]),
    Sample("EnsureDense", [ROWS], inplace={0: 0}, note="in place"),
    Sample(
        "EnsureDense",
        [Blob("s")],
        note="strings",
        before=[("GivenTensorStringFill", [], ["s"], TEXTS)],
        devices=("cpu",),
    ),
    Sample("EnsureDense", [K[:0]], note="empty"),
]
