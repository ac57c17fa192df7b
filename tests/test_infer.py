"""Inference over whole nets."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2ops import UNKNOWN, Net, NetDef, OperatorDef, TensorSpec, infer_shapes
from caffe2ops.errors import UnknownShape
from caffe2ops.infer import human, peak_memory

F4 = np.float32


def net() -> NetDef:
    made = Net("n")
    hidden = made.Relu(made.FC(["x", "w1", "b1"], "h"), "h")
    made.Softmax(made.FC([hidden, "w2", "b2"], "s"), "y")
    return made.definition


SHAPES = {"w1": (8, 4), "b1": (8,), "w2": (3, 8), "b2": (3,)}


def test_shapes_flops_and_memory() -> None:
    found = infer_shapes(net(), {**SHAPES, "x": (5, 4)})
    assert found.errors == []
    assert found.specs["h"] == TensorSpec((5, 8), F4)
    assert found.specs["y"] == TensorSpec((5, 3), F4)
    assert found.flops >= 2 * 5 * 4 * 8 + 2 * 5 * 8 * 3
    parameters = 4 * (8 * 4 + 8 + 3 * 8 + 3 + 5 * 4)
    assert peak_memory(net(), found) == parameters + 4 * (5 * 8 + 5 * 3)


def test_what_is_unknown_stays_unknown() -> None:
    found = infer_shapes(net(), {**SHAPES, "x": (None, 4)})
    assert found.errors == []
    assert str(found.specs["y"]) == "float32[?, 3]"
    nothing = infer_shapes(net())
    assert nothing.errors == []
    assert not nothing.specs["y"].has_rank


@pytest.mark.parametrize(
    ("shapes", "index", "message"),
    [({"w1": (8, 5)}, 0, "FC"), ({"w2": (3, 9)}, 2, "FC"), ({"b2": (4,)}, 2, "FC")],
)
def test_wrong_nets_are_found(shapes: dict[str, tuple[int, ...]], index: int, message: str) -> None:
    found = infer_shapes(net(), {**SHAPES, "x": (5, 4), **shapes})
    assert [error.index for error in found.errors] == [index]
    assert message in str(found.errors[0])


@pytest.mark.parametrize("shape", [(-1, 4), (2.5, 4), 4, "5,4"])
def test_what_is_no_shape(shape: object) -> None:
    with pytest.raises(ValueError, match="wants a list of dims, each from 0 on or None for an unknown one"):
        infer_shapes(net(), {"x": shape})


def test_a_net_within_an_operator_may_write_blobs_that_it_does_not_name() -> None:
    inner = NetDef(op=(OperatorDef(type="Copy", input="x", output="y"),))
    ops = (
        OperatorDef(type="ConstantFill", output="y", args={"shape": (1,)}),
        OperatorDef(type="If", input="c", args={"then_net": inner}),
    )
    specs = infer_shapes(NetDef(op=ops), {"x": (2, 3), "c": TensorSpec((), bool)}).specs
    assert str(specs["y"]) == str(TensorSpec())


def test_unknown_operator_is_an_error_and_its_outputs_unknown() -> None:
    ops = (OperatorDef(type="Nope", input="x", output="y"), OperatorDef(type="Relu", input="y", output="z"))
    found = infer_shapes(NetDef(op=ops), {"x": (2,)})
    assert len(found.errors) == 1
    assert not found.specs["z"].has_rank


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1 k"),
        (999_400, "999 k"),
        (999_600, "1 M"),
        (999_999_999, "1 G"),
        (2.5e12, "2.5 T"),
    ],
)
def test_amounts_have_three_digits(number: float, text: str) -> None:
    assert human(number) == text


def test_unknown_dims() -> None:
    assert all(value is UNKNOWN for value in (UNKNOWN + 1, 2 * UNKNOWN // 3, -UNKNOWN, 1 - UNKNOWN))
    for ask in (lambda: UNKNOWN > 1, lambda: UNKNOWN == 1, lambda: bool(UNKNOWN), lambda: range(UNKNOWN)):
        with pytest.raises(UnknownShape):
            ask()
    with pytest.raises(UnknownShape):
        _ = TensorSpec().shape
    assert TensorSpec((2, UNKNOWN), F4).nbytes is UNKNOWN
    assert TensorSpec((2, 3), F4).nbytes == 24
