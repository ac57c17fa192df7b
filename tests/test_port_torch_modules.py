"""Ports to PyTorch as modules that are kept: names, batches, outputs, devices, and nets that train."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2ops import DeviceOption, DeviceType, NetDef, Workspace
from caffe2ops.errors import OperatorError
from caffe2ops.infer import TensorSpec
from caffe2ops.port.torch.export import to_torch
from caffe2ops.port.torch.proof import differences, loaded
from caffe2ops.port.torch.running import imported, tensor
from tests.kit.call import definition
from tests.test_port_torch import SAMPLES, assert_formatted, assert_proven, net_of, op_of, ported, torch, values_of


def drawn(*dims: int) -> Any:
    return np.random.default_rng(sum(dims)).random(dims, dtype=np.float32) + 0.1


# --- names ---


@pytest.mark.parametrize("name", ["lambda", "None", "self", "torch", "math", "F", "training", "forward"])
def test_names_of_parameters(name: str, tmp_path: Path) -> None:
    """Of a submodule, a parameter and a buffer; none of them makes an import that nobody needs."""
    fill = op_of("GivenTensorFill", (), name, values=[1.0, 2.0, 3.0], shape=[3])
    parameters = {name: drawn(3, 3), "b": drawn(3)}
    for net in (
        net_of(op_of("FC", ("x", name, "b"), "y")),
        net_of(op_of("MatMul", ("x", name), "y"), op_of("ReduceBackSum", "y", "s"), op_of("ReduceBackSum", name, "z")),
        net_of(fill, op_of("Add", ("x", name), "y")),
    ):
        model = to_torch(net, parameters, {"x": (2, 3)})
        path = model.save(tmp_path / "model.py")[0]
        assert_formatted(path)
        assert_proven(model, path=path)


@pytest.mark.parametrize("name", ["none", "true", "1net", "tensor", ""])
def test_names_of_nets(name: str) -> None:
    net = NetDef(name=name, op=(op_of("Relu", "x", "y"),))
    assert_proven(to_torch(net, None, {"x": (2, 3)}))


def test_long_names(tmp_path: Path) -> None:
    """The first sample of each operator, its blobs in a deep scope: sources are what a formatter would have written."""
    found = {sample.op: sample for sample in reversed(SAMPLES) if sample.outputs != 0}
    for index, sample in enumerate(found.values()):
        scope = ("gpu_0/res2_0_branch2a_", "client/gpu_0/tower_of_3/")[index % 2]
        op, feeds = definition(sample), {f"{scope}{name}": x for name, x in values_of(sample).items()}
        names = {name: f"{scope}{name}" for name in (*op.input, *op.output)}
        op = op.replace(input=tuple(map(names.get, op.input)), output=tuple(map(names.get, op.output)))
        net = NetDef(name=sample.op, op=(op,))
        try:
            model = to_torch(net, None, feeds)
        except (OperatorError, ValueError):
            continue  # not portable; test_sample says why
        (tmp_path / f"{sample.op}.py").write_text(model.source())
    assert_formatted(tmp_path)


# --- batches, outputs, devices ---

ROW = {"x": (1, 4)}


@pytest.mark.parametrize(
    ("net", "shapes"),
    [
        (net_of(op_of("Reshape", "x", ("y", "old"), shape=[0, -1])), {"x": (1, 2, 3)}),
        (net_of(op_of("Reshape", "x", ("y", "old"), shape=[0, 0, 1, -1])), {"x": (1, 2, 3)}),
        (net_of(op_of("ReduceBackSum", "x", "s"), op_of("Mul", ("x", "s"), "y", broadcast=1, axis=0)), ROW),
        (net_of(op_of("UpsampleBilinear", "x", "y", height_scale=2.0, width_scale=3.0)), {"x": (1, 1, 1, 1)}),
    ],
    ids=["reshape", "reshape-two", "legacy-broadcast", "upsample"],
)
def test_a_net_ported_from_dims_of_one_runs_any(net: NetDef, shapes: dict[str, Any]) -> None:
    model = to_torch(net, None, shapes)
    assert_proven(model)
    feeds = {name: drawn(*(3 if dim == 1 else dim for dim in dims)) for name, dims in shapes.items()}
    assert all(d.within(1e-6) for d in differences(model, loaded(model), feeds))


def test_outputs_that_are_not_written() -> None:
    """Inputs and parameters can be given out where something reads them."""
    parameters = {"w": drawn(3, 3), "b": drawn(3)}
    net = net_of(op_of("FC", ("x", "w", "b"), "y"), op_of("Exp", "u", "z"))
    model = to_torch(net, parameters, {"x": (2, 3)}, outputs=["y", "x", "w"])
    assert "return y, x, self.w" in model.source()
    proof = assert_proven(model)
    assert any(d.blob == "gradient by x" for d in proof.differences)
    assert proof.notes == ["gradients are not compared for the outputs x, w: caffe2ops has none on the way to them"]
    with pytest.raises(ValueError, match="output 'u' is neither written nor read by the operators that are ported"):
        to_torch(net, parameters, {"x": (2, 3)}, outputs=["y", "u"])


@pytest.mark.parametrize("shape", [3, None, (-1, 3), "N,3", [[1.0, 2.0]], TensorSpec(None)], ids=str)
def test_shapes_that_are_none(shape: Any) -> None:
    with pytest.raises(ValueError, match=r"input 'x': .* is no shape; wants an array, a TensorSpec, or dims like"):
        to_torch(net_of(op_of("Relu", "x", "y")), None, {"x": shape})


def test_tensors_give_shapes() -> None:
    inputs = to_torch(net_of(op_of("Relu", "x", "y")), None, {"x": torch.ones(2, 3)}).inputs
    assert [(v.dtype, list(v.shape)) for v in inputs] == [(np.float32, [2, 3])]


def test_only_functions_that_are_called() -> None:
    net = net_of(op_of("SparseLengthsSum", ("w", "i", "n"), "y"))
    feeds = {"i": np.array([0, 2, 1]), "n": np.array([2, 1], np.int32)}
    model = to_torch(net, {"w": drawn(3, 2)}, feeds)
    assert re.findall(r"^def (\w+)", model.source(), re.M) == ["segment_starts", "load"]
    assert_proven(model, feeds)


@pytest.mark.parametrize("op", ["RecurrentNetwork", "Shape", "LengthsToShape"])
def test_devices(op: str) -> None:
    """Tensors that the source makes lie where the inputs do."""
    for sample in (s for s in SAMPLES if s.op == op):
        feeds = values_of(sample)
        model, given = ported(sample, feeds, constant=False)
        made = loaded(model).to("meta")(*(tensor(given[v.name]).to("meta") for v in model.inputs))
        assert {y.device.type for y in (made if isinstance(made, tuple) else (made,))} == {"meta"}, sample.id


# --- nets that train ---


def training_net() -> tuple[NetDef, dict[str, Any]]:
    """As brew makes it: batch normalisation and dropout in training mode, a loss, and gradients behind."""
    bn = ("conv", "bn_s", "bn_b", "bn_rm", "bn_riv"), ("bn", "bn_rm", "bn_riv", "bn_sm", "bn_siv")
    net = net_of(
        op_of("Conv", ("x", "conv_w"), "conv", kernel=3, pad=1),
        op_of("SpatialBN", *bn, is_test=0, epsilon=1e-3, momentum=0.8),
        op_of("Relu", "bn", "bn"),
        op_of("Dropout", "bn", ("drop", "mask"), ratio=0.4, is_test=0),
        op_of("FC", ("drop", "fc_w", "fc_b"), "fc"),
        op_of("SoftmaxWithLoss", ("fc", "label"), ("softmax", "loss")),
        op_of("ConstantFill", "loss", "loss_grad", value=1.0),
        op_of("SoftmaxWithLossGradient", ("fc", "label", "softmax", "loss_grad"), "fc_grad").replace(
            is_gradient_op=True
        ),
    )
    parameters = {"conv_w": drawn(4, 3, 3, 3), "fc_w": drawn(5, 64), "fc_b": drawn(5)}
    return net, {**parameters, **{f"bn_{name}": drawn(4) for name in ("s", "b", "rm", "riv")}}


FEEDS = {"x": drawn(3, 3, 4, 4), "label": np.array([1, 0, 4], np.int32)}


def test_training(tmp_path: Path) -> None:
    """What PyTorch has modules for that train: they drop, and follow the batch; what backward reads is no output."""
    net, parameters = training_net()
    model = to_torch(net, parameters, FEEDS)
    source = model.source()
    assert model.outputs == ("softmax", "loss")
    assert "nn.BatchNorm2d(4, eps=0.001, momentum=0.2)" in source
    assert "nn.Dropout(0.4)" in source
    path = model.save(tmp_path / "model.py")[0]
    proof = assert_proven(model, FEEDS, path=path)
    compared = {d.blob for d in proof.differences}
    assert compared >= {"bn_rm", "bn_riv", "gradient by conv_w", "gradient by bn_s"}
    assert_proven(model, FEEDS, stepwise=True)
    module = imported(path).load()
    assert not any(part.training for part in module.modules())
    optimizer = torch.optim.SGD(module.train().parameters(), lr=0.1)
    before = {name: x.clone() for name, x in module.state_dict().items()}
    module(*map(tensor, FEEDS.values()))[1].backward()
    optimizer.step()
    assert [name for name, x in module.state_dict().items() if torch.equal(x, before[name])] == []


def test_a_gradient_as_output() -> None:
    net, parameters = training_net()
    with pytest.raises(ValueError, match="output 'fc_grad' is neither written nor read"):
        to_torch(net, parameters, FEEDS, outputs=["fc_grad"])


def test_running_statistics_are_compared() -> None:
    net, parameters = training_net()
    model = to_torch(net, parameters, FEEDS)
    module = loaded(model)
    module.bn.momentum = 0.5
    assert {d.blob for d in differences(model, module, FEEDS) if not d.within(1e-3)} == {"bn_rm", "bn_riv"}


@pytest.mark.parametrize("dims", [(4,), (4, 5), (4, 5, 6), (5, 4), (2, 3, 4, 4)], ids=str)
@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
def test_batch_normalisation_in_training(dims: tuple[int, ...], order: str) -> None:
    """Of matrices and images, batches of any size but one, of which a channel of a matrix has no variance."""
    channels = dims[0] if order == "NCHW" else dims[-1]
    op = op_of("SpatialBN", ("x", *"sbmv"), ("x", "m", "v", "saved", "spread"), is_test=0, order=order, momentum=0.5)
    model = to_torch(net_of(op), {name: drawn(channels) for name in "sbmv"}, {"x": ("N", *dims)})
    assert "nn.BatchNorm" in model.source()
    assert [run.feeds["x"][0] for run in assert_proven(model).runs] == [3]


def test_running_statistics_as_outputs() -> None:
    """Then they are computed as a net does, and the module has them as parameters."""
    net, parameters = training_net()
    model = to_torch(net, parameters, FEEDS, outputs=["loss", "bn_rm", "bn_sm"])
    assert "def batch_norm(" in model.source()
    assert_proven(model, FEEDS)


def test_recurrent_nets_give_out_tensors() -> None:
    """The workspaces of the steps, their last output, are none."""
    sample = next(s for s in SAMPLES if s.op == "RecurrentNetwork")
    op, feeds = definition(sample), values_of(sample)
    model = to_torch(net_of(op), None, feeds)
    assert model.outputs == op.output[:-1]
    assert_proven(model, feeds)


def test_random_numbers_that_a_workspace_holds() -> None:
    """The noise of a style transfer net is the same before and after the port, and operator by operator."""
    op = op_of("PackedInt8BGRANHWCToNCHWCStylizerPreprocess", ("x", "mean"), "y", noise_size=7)
    workspace, feeds = Workspace(), {"x": np.zeros((1, 2, 3, 4), np.uint8)}
    for name, value in {**feeds, "mean": np.zeros(3, np.float32)}.items():
        workspace.feed(name, value)
    workspace.run(op)
    model = to_torch(net_of(op), workspace, feeds)
    with torch.no_grad():
        theirs = loaded(model)(tensor(feeds["x"])).numpy()
    np.testing.assert_allclose(theirs, workspace.fetch("y"), rtol=1e-6)
    assert_proven(model, feeds, gradients=False)
    assert_proven(model, feeds, gradients=False, stepwise=True)


# --- nets within nets, and on other devices ---


def test_nets_that_were_saved_on_a_gpu() -> None:
    gpu = DeviceOption(device_type=DeviceType.CUDA)
    then = net_of(op_of("Relu", "x", "y"), device_option=gpu)
    branch = op_of("If", "c", "y", then_net=then, else_net=then).replace(device_option=gpu)
    init = net_of(op_of("ConstantFill", (), "w", shape=(3,), value=2.0).replace(device_option=gpu))
    model = to_torch(
        net_of(branch, op_of("Add", ("y", "w"), "z"), device_option=gpu), init, {"c": np.array(True), "x": drawn(2, 3)}
    )
    assert_proven(model, {"c": np.array(True), "x": drawn(2, 3)}, gradients=False)


def test_what_one_branch_alone_writes() -> None:
    inner = op_of("If", "c", "x", then_net=net_of(op_of("Exp", "x", "z"), op_of("Relu", "x", "x")))
    branches = {"then_net": net_of(op_of("Tanh", "x", "z"), inner), "else_net": net_of(inner)}
    feeds = {"c": np.array(True), "x": drawn(2, 3)}
    model = to_torch(net_of(op_of("If", "c", "x", **branches)), None, feeds)
    assert_proven(model, *({**feeds, "c": np.array(c)} for c in (True, False)))
    with pytest.raises(OperatorError, match="'z' is written by one of the nets alone, and has no value before"):
        to_torch(net_of(op_of("If", "c", ("x", "z"), **branches)), None, feeds)


def test_gradients_behind_a_branch() -> None:
    """Of what it overwrote none is compared: caffe2ops has the gradient of the new value alone."""
    nets = {"then_net": net_of(op_of("Scale", "x", "x", scale=-1.5)), "else_net": net_of(op_of("Relu", "x", "x"))}
    net = net_of(op_of("If", "c", "x", **nets), op_of("Mul", ("x", "w"), "y"))
    feeds = {"c": np.array(True), "x": drawn(2, 3)}
    proof = assert_proven(to_torch(net, {"w": drawn(2, 3)}, feeds), feeds)
    assert [d.blob for d in proof.differences] == ["y", "gradient by w"]


def test_what_prints_and_counts_is_left_out() -> None:
    counts, prints = op_of("Iter", "i", "i"), op_of("Print", "y", ())
    net = net_of(counts, op_of("Relu", "x", "y"), prints, op_of("EnforceFinite", "y", ()))
    model = to_torch(net, {"i": np.array([3])}, {"x": (2, 3)})
    assert model.outputs == ("y",)
    assert model.notes == ["operators that the outputs do not need are left out: 1 Print, 1 Iter"]
    assert_proven(model, gradients=False)


def test_buffers_are_tensors_for_type_checkers() -> None:
    """Tables of whole numbers of the workspace, and constants of the net."""
    constant = op_of("GivenTensorIntFill", (), "c", values=[0, 1], shape=[2])
    net = net_of(constant, op_of("Gather", ("x", "i"), "y"), op_of("Gather", ("y", "c"), "z"))
    model = to_torch(net, {"i": np.array([1, 0, 1])}, {"x": (3, 2)})
    assert "class Net(nn.Module):\n    i: Tensor\n    c: Tensor\n\n    def __init__" in model.source()
    assert_proven(model)
