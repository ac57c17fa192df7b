"""The builder."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caffe2ops import DeviceOption, Net, SchemaError, Workspace


def test_names_and_references() -> None:
    net = Net("n")
    first = net.Relu("x")
    second = net.Relu(first)
    values, indices = net.LengthsTopK([second, "lengths"], 2, k=3)
    net.Relu(values, "y", name="last", device_option=DeviceOption(), engine="CUDNN")
    assert (first, second, values, indices) == ("n/Relu", "n/Relu_1", "n/LengthsTopK_0", "n/LengthsTopK_1")
    assert [op.output for op in net.definition.op][-1] == ("y",)
    assert net.definition.op[-1].engine == "CUDNN"
    assert net.definition.external_input == ("x", "lengths")
    assert "y = Relu(n/LengthsTopK_0)" in str(net)
    assert "LengthsTopK" in dir(net)


def test_declared_inputs_keep_their_order() -> None:
    net = Net("n")
    net.add_input("b", "a")
    net.Sum(["a", "b", "c"], "y")
    net.add_output("y")
    assert net.definition.external_input == ("b", "a", "c")
    assert net.definition.external_output == ("y",)


def test_what_an_operator_does_not_accept_is_refused_when_building() -> None:
    net = Net("n")
    with pytest.raises(SchemaError, match="LengthsTopK has no argument 'kk'; did you mean k"):
        net.LengthsTopK(["x", "l"], 2, kk=1)
    with pytest.raises(SchemaError, match="k = 0, wants >= 1"):
        net.LengthsTopK(["x", "l"], 2, k=0)
    with pytest.raises(SchemaError, match="Relu: has 2 inputs"):
        net.Relu(["x", "l"])
    with pytest.raises(AttributeError, match=r"no operator of type 'Reluu'.*did you mean"):
        net.Reluu("x")
    assert net.definition.op == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": 3}, "3, wants the name of a blob or a list of names"),
        ({"axis": None}, "argument 'axis': None: arguments hold float, int, str"),
        ({"axis": [[1]]}, "argument 'axis': wants a flat list"),
        ({"axis": np.ones((2, 2))}, "argument 'axis': an array of shape"),
        ({"axis": np.array([2**63], np.uint64)}, "argument 'axis': .*9223372036854775808.* beyond int64"),
    ],
)
def test_values_that_no_definition_holds(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Net("n").Softmax(**{"inputs": "x", **options})
    assert str(caught.value).startswith("1 validation error for OperatorDef")


def test_names_do_not_depend_on_how_they_came() -> None:
    net = Net("n")
    net.Relu("x", "n/Relu_1")
    assert [net.Relu("x") for _ in range(3)] == ["n/Relu", "n/Relu_2", "n/Relu_3"]


def test_a_builder_runs() -> None:
    net = Net("n")
    net.Relu("x", "y")
    workspace = Workspace()
    workspace.feed("x", np.array([-1.0, 1.0], np.float32))
    workspace.run(net)
    assert workspace.fetch("y").tolist() == [0.0, 1.0]
    again = Net(definition=net.definition)
    again.Relu("y", "z")
    assert len(again.definition.op) == 2
