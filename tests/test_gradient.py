"""The backward pass: rules of single operators, sums, slices, overwritten blobs, refusals; and the checker."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caffe2ops import (
    GradientError,
    GradientSlice,
    Net,
    NetDef,
    Operator,
    OperatorDef,
    Workspace,
    add_gradients,
    check_gradient,
    registry,
)
from caffe2ops.gradient import backward
from caffe2ops.gradient_rules import gradient_of, parse_line


def op(type: str, inputs: Any, outputs: Any, **args: Any) -> OperatorDef:
    return OperatorDef(type=type, input=inputs, output=outputs, args=args)


def lines(ops: list[OperatorDef]) -> list[str]:
    return [f"{', '.join(o.output)} = {o.type}({', '.join(o.input)})" for o in ops]


def test_lines_are_parsed() -> None:
    call, sparse, plain = parse_line("FGradient(X, dY, scale=2.0) -> dX, db?; dW = sparse(I, dY); dB = dY")
    assert (call.type, call.inputs, call.args, call.outputs) == (
        "FGradient",
        ("X", "dY"),
        {"scale": 2.0},
        ("dX", "db?"),
    )
    assert (sparse.target, sparse.values, plain.target, plain.values) == ("dW", ("I", "dY"), "dB", ("dY",))
    with pytest.raises(ValueError, match="neither"):
        parse_line("F(X")


def test_arguments_device_and_engine_are_inherited() -> None:
    forward = op("LeakyRelu", "x", "y", alpha=0.3).replace(engine="CUDNN", debug_info="here")
    (made,), gradients = gradient_of(forward, ["dy"])
    assert (made.type, made.input, made.output) == ("LeakyReluGradient", ("y", "dy"), ("x_grad",))
    assert (made.args, made.engine, made.debug_info, made.is_gradient_op) == ({"alpha": 0.3}, "CUDNN", "here", True)
    assert gradients == ["x_grad"]


def test_uses_of_one_blob_are_summed() -> None:
    ops = [op("Relu", "x", "a"), op("LeakyRelu", "x", "b"), op("Sum", ("a", "b"), "y")]
    made, gradients = backward(ops, {"y": "dy"})
    assert lines(made) == [
        "x_grad = LeakyReluGradient(b, dy)",
        "_x_grad_autosplit_0 = ReluGradient(a, dy)",
        "x_grad = Sum(x_grad, _x_grad_autosplit_0)",
    ]
    assert gradients["x"] == "x_grad"


def test_sparse_gradients_are_concatenated() -> None:
    ops = [op("Gather", ("w", "i"), "a"), op("Gather", ("w", "j"), "b"), op("Sum", ("a", "b"), "y")]
    made, gradients = backward(ops, ["y"])
    assert gradients["w"] == GradientSlice("w_grad_indices_concat", "w_grad_values_concat")
    assert [o.type for o in made] == ["ConstantFill", "Concat", "Concat"]


def test_in_place_writes_are_detected() -> None:
    backward([op("Relu", "x", "x")], ["x"])  # Relu's gradient reads its output
    ops = [op("Log", "x", "y"), op("Relu", "x", "x")]
    with pytest.raises(GradientError, match="needs blob 'x' at version 0, but it has been overwritten"):
        backward(ops, ["y"])


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (op("Reluu", "x", "y"), "no operator of type 'Reluu'"),
        (op("ReluGradient", ("x", "dy"), "dx"), "ReluGradient has no gradient registered"),
        (op("Softsign", "x", "x"), r"the gradient of Softsign reads input \('x'\), which the operator overwrites"),
        (op("Log", "x", "x"), r"the gradient of Log reads X \('x'\), which the operator overwrites"),
        (op("Pow", "x", "x", exponent=2.0), "the gradient of Pow reads 'x', which it overwrites"),
        (op("Softmax", "x", "x"), r"Softmax: output 0 is input 0 \('x'\), which may not be computed in place"),
        (op("FC", ("x", "w"), "y"), "FC: has 2 inputs, wants 3"),
        (op("Dropout", "x", "y"), "Dropout: the gradient needs output 1, the operator has 1"),
        (op("Adam", ("p", "m", "v", "g", "lr", "it"), ("p", "m", "v")), "Adam must not be asked for a gradient"),
    ],
)
def test_refusals(forward: OperatorDef, message: str) -> None:
    with pytest.raises(Exception, match=message):
        backward([forward], [forward.output[0]])
    with pytest.raises(TypeError, match="wants a list of blobs"):
        backward([], "y")


def test_stop_and_zero_gradient() -> None:
    stopped = [op("StopGradient", "x", "x2"), op("Relu", "x2", "y")]
    assert backward(stopped, ["y"])[1].get("x") is None
    with pytest.raises(GradientError, match="nothing reads the output 'x2' of StopGradient"):
        backward(stopped[:1], ["x"])
    ops = [op("Relu", "x", "a"), op("ZeroGradient", "x", ())]
    assert any(o.type == "ConstantFill" and "x_grad" in o.output[0] for o in backward(ops, ["a"])[0])


def test_a_gradient_that_others_need_is_not_overwritten() -> None:
    """The gradient of Sqr scales dY in place; where dY is the gradient of something else too, it works on a copy."""
    alone = backward([op("Sqr", "x", "y")], {"y": "dy"})[0]
    assert lines(alone) == ["dy = Scale(dy)", "x_grad = Mul(dy, x)"]
    shared = [op("Relu", "x", "a"), op("Sqr", "x", "b"), op("Sum", ("a", "b", "c"), "y")]
    made, gradients = backward(shared, {"y": "dy"})
    assert lines(made)[:2] == ["_dy_spared = Scale(dy)", "x_grad = Mul(_dy_spared, x)"]
    assert gradients["c"] == "dy"
    assert all(f.ok for f in check_gradient(NetDef(op=tuple(shared)), {"x": np.array([1.0, -2.0]), "c": np.ones(2)}))


def test_add_gradients_extends_a_builder_or_gives_a_new_net() -> None:
    net = Net("n")
    net.Relu("x", "y")
    definition = net.definition
    extended, gradients = add_gradients(definition, ["y"])
    assert (len(definition.op), len(extended.op), gradients["x"]) == (1, 3, "x_grad")
    assert net.add_gradients(["y"])["x"] == "x_grad"
    assert len(net.definition.op) == 3


def test_training_reduces_a_loss() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 3)).astype(np.float32)
    workspace = Workspace(seed=1)
    workspace.feed("x", x)
    workspace.feed("t", x @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 0.25)
    init = Net("init")
    init.XavierFill([], "w", shape=[1, 3])
    init.ConstantFill([], "b", shape=[1])
    init.ConstantFill([], "rate", shape=[1], value=-0.1)
    init.ConstantFill([], "one", shape=[1], value=1.0)
    workspace.run(init)
    net = Net("train")
    loss = net.AveragedLoss(net.SquaredL2Distance([net.FC(["x", "w", "b"], "p"), "t"], "d"), "loss")
    gradients = net.add_gradients([loss])
    for name in ("w", "b"):
        net.WeightedSum([name, "one", gradients[name], "rate"], name)
    train = workspace.create(net)
    for _ in range(300):
        train.run()
    assert workspace.fetch("loss") < 1e-6
    np.testing.assert_allclose(workspace.fetch("w"), [[1, -2, 0.5]], atol=1e-3)


def test_negated_gradient() -> None:
    extended, gradients = add_gradients(NetDef(op=(op("NegateGradient", "x", "y"),)), {"y": "dy"})
    workspace = Workspace()
    workspace.feed("x", np.float32([1, 2]))
    workspace.feed("dy", np.float32([3, -4]))
    workspace.run(extended)
    assert workspace.fetch(str(gradients["x"])).tolist() == [-3, 4]


def test_gradient_of_copied_rows() -> None:
    copy = op("CopyRowsToTensor", ("x", "i", "r"), "x")
    extended, gradients = add_gradients(NetDef(op=(copy,)), {"x": "dx"})
    assert [made.type for made in extended.op] == ["CopyRowsToTensor", "CopyRowsToTensorGradient"]
    assert gradients["x"] == "x_grad"
    assert gradients.get("r") is None


def test_the_checker_finds_a_wrong_gradient() -> None:
    class TestHalf(Operator):
        """Y = X / 2, with a gradient that says 1."""

        contract = "X: float -> Y: X"
        gradient = "dX = dY"

        def run_cpu(self, x: Any) -> Any:
            return x / 2

    try:
        (found,) = check_gradient(op("TestHalf", "x", "y"), {"x": np.ones(3, np.float32)})
        assert not found.ok
        assert found.analytic == pytest.approx(2 * found.numeric)
    finally:
        registry.unregister("TestHalf")
    (found,) = check_gradient(op("Relu", "x", "y"), {"x": np.zeros(3) + 1e-5})  # next to the kink
    assert found.ok
    net = NetDef(op=(op("Relu", "x", "a"), op("Sqr", "a", "b"), op("Sum", ("a", "b"), "y")))
    assert all(f.ok for f in check_gradient(net, {"x": np.array([1.0, -2.0, 3.0])}))
