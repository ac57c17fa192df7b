"""Predictors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe2ops import Net, NetDef, OperatorDef, Predictor, dump, formats, load

W = np.array([[1.0, 2.0]], np.float32)
X = np.array([[1.0, 1.0], [0.0, -1.0]], np.float32)


def predict() -> NetDef:
    net = Net("predict")
    net.add_input("x", "w", "b", "unused")
    net.FC(["x", "w", "b"], "y")
    net.add_output("y")
    return net.definition


def init() -> NetDef:
    fill = OperatorDef(type="GivenTensorFill", output="w", args={"shape": (1, 2), "values": (1.0, 2.0)})
    return NetDef(op=(fill, OperatorDef(type="ConstantFill", output="b", args={"shape": (1,), "value": 0.5})))


@pytest.mark.parametrize("parameters", [init(), {"w": W, "b": np.full(1, 0.5, np.float32)}], ids=["net", "arrays"])
@pytest.mark.parametrize("feeds", [{"x": X}, [X]], ids=["by name", "in order"])
def test_running(parameters: object, feeds: object) -> None:
    predictor = Predictor(parameters, predict())  # type: ignore[arg-type]
    assert predictor.inputs == ("x", "unused")
    for _ in range(3):
        np.testing.assert_allclose(predictor.run(feeds)["y"], X @ W.T + 0.5)  # type: ignore[arg-type]
    assert predictor.run({"x": X[:1]})["y"].shape == (1, 1)


def test_outputs_are_copies() -> None:
    predictor = Predictor(init(), predict())
    first = predictor.run([X])["y"]
    kept = first.copy()
    predictor.run([X * 2])
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    ("ops", "outputs"),
    [
        ([("FC", "x w b", "h"), ("Relu", "h", "h")], ("h",)),
        ([("FC", "x w b", "h"), ("Relu", "h", "r"), ("Copy", "h", "c")], ("r", "c")),
        ([("FC", "x w b", "h"), ("Copy", "h", "c"), ("Scale", "w", "w")], ("c",)),  # parameters are changed, not made
    ],
    ids=["in place", "several", "state"],
)
def test_outputs_that_a_net_does_not_name(ops: list[tuple[str, str, str]], outputs: tuple[str, ...]) -> None:
    net = NetDef(op=tuple(OperatorDef(type=kind, input=read.split(), output=made) for kind, read, made in ops))
    assert Predictor(init(), net).outputs == outputs


def test_what_nets_within_operators_read_is_an_input() -> None:
    inner = NetDef(op=(OperatorDef(type="FC", input=("x", "w", "b"), output="y"),))
    net = NetDef(op=(OperatorDef(type="If", input="c", args={"then_net": inner}),))
    predictor = Predictor(init(), net, outputs=["y"])
    assert predictor.inputs == ("c", "x")
    np.testing.assert_allclose(predictor.run({"c": np.array(True), "x": X})["y"], X @ W.T + 0.5)


def test_wrong_feeds() -> None:
    predictor = Predictor(init(), predict())
    with pytest.raises(ValueError, match="'xx' is no input, the net takes x, unused"):
        predictor.run({"xx": X})
    with pytest.raises(ValueError, match="input 'x' was not given; the net takes x, unused"):
        predictor.run({"unused": X})
    with pytest.raises(ValueError, match="3 inputs given, the net takes x, unused"):
        predictor.run([X, X, X])
    with pytest.raises(TypeError, match="one ndarray given, wants a mapping or a list; the net takes x, unused"):
        predictor.run(X)  # type: ignore[arg-type]


def test_an_init_net_may_make_placeholders_of_the_inputs() -> None:
    zeros = [OperatorDef(type="ConstantFill", output=name, args={"shape": (1, 2)}) for name in ("x", "unused")]
    predictor = Predictor(init().replace(op=(*init().op, *zeros)), predict())
    assert predictor.inputs == ()
    np.testing.assert_allclose(predictor.run([X])["y"], X @ W.T + 0.5)


def test_parameters_may_be_replaced() -> None:
    predictor = Predictor(init(), predict())
    predictor.run([X])
    assert predictor.run({"x": X, "w": W * 0})["y"].tolist() == [[0.5], [0.5]]


def test_a_predictor_file(tmp_path: Path) -> None:
    export = formats.export_predictor(predict(), {"w": W, "b": np.full(1, 0.5, np.float32)}, ["x"], ["y"])
    dump(export, tmp_path / "model.minidb")
    loaded = load(tmp_path / "model.minidb")
    predictor = Predictor.of_export(loaded)
    np.testing.assert_allclose(predictor.run({"x": X})["y"], X @ W.T + 0.5)
