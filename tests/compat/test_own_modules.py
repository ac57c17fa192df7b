"""The modules behind `caffe2.python` one by one: names, errors, and what the scripts leave out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError

from caffe2ops.compat import SPARE
from caffe2ops.compat.python import (
    MODULES,
    brew,
    caffe2_pb2,
    cnn,
    core,
    dyndep,
    messages,
    mobile_exporter,
    model_helper,
    net_drawer,
    optimizer,
    predictor_exporter,
    scope,
    workspace,
)
from caffe2ops.compat.python.parameters import Initializer

pytestmark = pytest.mark.filterwarnings(rf"ignore:\w+ has no argument '({SPARE})'")
X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(autouse=True)
def fresh_workspace() -> Iterator[None]:
    with workspace.WorkspaceGuard("test of own modules"):
        workspace.ResetWorkspace()
        yield
        workspace.ResetWorkspace()


def in_a_script(code: str) -> subprocess.CompletedProcess[str]:
    code = f"import caffe2ops.compat as compat\ncompat.install()\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


# --- installation ---


def test_install_serves_every_module_and_names_what_is_absent() -> None:
    imports = "".join(f"import {name}\n" for name in MODULES)
    done = in_a_script(f"{imports}from caffe2.python import core\ncompat.install()\nimport caffe2.python.rnn_cell")
    assert done.returncode == 1
    assert "ModuleNotFoundError: caffe2.python.rnn_cell is not among the modules" in done.stderr


def test_install_refuses_when_another_caffe2_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from caffe2ops.compat import install

    monkeypatch.setitem(sys.modules, "caffe2", type(sys)("caffe2"))
    sys.modules["caffe2"].__file__ = "elsewhere"
    with pytest.raises(RuntimeError, match="another caffe2 has been imported"):
        install()


def test_the_command_gives_the_script_its_arguments_and_folder(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("name = 'found'")
    (tmp_path / "script.py").write_text(
        "import sys, beside\nfrom caffe2.python import workspace\nprint(__name__, sys.argv[1:], beside.name)"
    )
    line = [sys.executable, "-m", "caffe2ops.compat", str(tmp_path / "script.py"), "--flag", "value"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "__main__ ['--flag', 'value'] found\n"


# --- messages ---


def test_messages_and_enum_values() -> None:
    assert (caffe2_pb2.CPU, caffe2_pb2.CUDA, caffe2_pb2.PROTO_CUDA) == (0, 1, 1)
    assert caffe2_pb2.DeviceTypeProto.Value("PROTO_CUDA") == 1
    assert caffe2_pb2.TensorProto.FLOAT == core.DataType.FLOAT == 1
    assert dict(caffe2_pb2.TensorProto.DataType.items())["INT64"] == core.DataType.INT64
    assert caffe2_pb2.PredictorConsts().META_NET_DEF == "!!META_NET_DEF"
    with pytest.raises(AttributeError, match="no message and no enum value 'NetDeff'"):
        _ = caffe2_pb2.NetDeff


@pytest.mark.parametrize("value", [1j, None, [1, "a"], [1.0, 2], object()])
def test_values_that_fit_no_argument(value: Any) -> None:
    with pytest.raises(ValueError, match=r"argument 'a': .* fits no field"):
        messages.MakeArgument("a", value)


def test_arguments_read_back() -> None:
    net = caffe2_pb2.NetDef(name="inner")
    given = {"i": 3, "f": 0.5, "s": b"text", "ints": [1, 2], "strings": [b"a"], "net": net, "nets": [net, net]}
    read = messages.ArgsToDict([messages.MakeArgument(name, value) for name, value in given.items()])
    assert {k: list(v) if isinstance(given[k], list) else v for k, v in read.items()} == given
    assert messages.ArgsToDict([messages.MakeArgument("none", [])]) == {"none": None}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "int16", "uint16", "int8", "uint8", "bool"])
def test_tensors_read_back(dtype: str) -> None:
    array = X.astype(dtype)
    back = messages.Caffe2TensorToNumpyArray(messages.NumpyArrayToCaffe2Tensor(array, "x"))
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype


def test_definitions_as_text_and_binary() -> None:
    net = caffe2_pb2.NetDef(name="n", op=[core.CreateOperator("Relu", "X", "Y")])
    readers = {caffe2_pb2.PlanDef: lambda plan: plan.network[0].name, caffe2_pb2.NetDef: lambda net: net.op[0].type}
    assert messages.GetContentFromProtoString(str(net), readers) == "Relu"
    assert messages.TryReadProtoWithClass(caffe2_pb2.NetDef, net.SerializeToString()) == net
    assert messages.GetContentFromProto(net, readers) == "Relu"
    with pytest.raises(DecodeError, match="is none of PlanDef, NetDef"):
        messages.GetContentFromProtoString("no definition", readers)


def test_orders_of_images() -> None:
    image = np.zeros((2, 3, 4, 5))
    assert messages.NCHW2NHWC(image).shape == (2, 4, 5, 3)
    assert messages.NHWC2NCHW(messages.NCHW2NHWC(image)).shape == image.shape


# --- blobs, operators, nets ---


def test_references_to_blobs() -> None:
    blob = core.BlobReference(b"a/b/c", "net")
    assert (blob.GetNameScope(), blob.GetUnscopedName()) == ("a/b/", "c")
    assert blob == "a/b/c" == blob == b"a/b/c"
    assert blob != core.BlobReference("c")
    assert blob != 3
    assert {"a/b/c": 1}[blob] == 1
    assert (str(blob + "_x"), str("x_" + blob)) == ("a/b/c_x", "x_a/b/c")
    with pytest.raises(RuntimeError, match="only a string can be added"):
        blob + 1
    with pytest.raises(AttributeError, match="belongs to no net"):
        core.BlobReference("X").Relu([], "Y")


def test_inputs_that_are_no_blobs() -> None:
    with pytest.raises(TypeError, match="blob 1: wants a name or a BlobReference, got 3"):
        core.CreateOperator("Add", ["X", 3], "Y")
    with pytest.raises(TypeError, match="inputs and outputs"):
        core.CreateOperator("Add", {"X"}, "Y")


def test_operators_that_are_not_registered() -> None:
    assert core.IsOperator("Relu")
    assert not core.IsOperator("Rellu")
    assert core.IsOperatorWithEngine("Relu", "DEFAULT")
    assert not core.IsOperatorWithEngine("Relu", "NONE")
    for source in (core.Net("unregistered"), model_helper.ModelHelper("unregistered")):
        with pytest.raises(AttributeError, match=r"'Rellu'.*did you mean.*Relu"):
            source.Rellu("X")
    assert not hasattr(core.Net("unregistered"), "_private")
    assert {"Relu", "Proto"} <= set(dir(core.Net("unregistered")))


def test_generated_names() -> None:
    net = core.Net("names")
    first, second = net.Relu("X"), net.Relu("X")
    assert (str(first), str(second)) == ("names/Relu", "names/Relu_2")
    assert [str(blob) for blob in net.Split("X", 2)] == ["names/Split:0", "names/Split:1"]
    assert [str(blob) for blob in net.Split("X", 2)] == ["names/Split_2:0", "names/Split_2:1"]
    assert [str(net.NextScopedBlob("b")) for _ in range(3)] == ["b", "b_auto_0", "b_auto_1"]
    assert net.Print("X", []) is None
    with pytest.raises(KeyError, match="defines no blob 'nothing'"):
        net.GetBlobRef("nothing")
    assert net.GetBlobRef("names/Relu").Net() is net


def test_external_inputs_and_outputs() -> None:
    net = core.Net("external")
    assert net.AddExternalInput("A") == "A"
    assert net.AddExternalInput("B", "C") == ["B", "C"]
    with pytest.raises(AssertionError, match="external input 'B' already"):
        net.AddExternalInput("B")
    with pytest.raises(AssertionError, match="wants at least one"):
        net.AddExternalInput()
    with core.NameScope("s"):
        assert net.AddScopedExternalInputs("D") == ["s/D"]
    with pytest.raises(AssertionError, match="external output 'Y'"):
        net.AddExternalOutput(core.BlobReference("Y"))
    net.AddExternalOutput(net.Relu("A", "Y"))
    assert net.external_inputs == ["A", "B", "C", "s/D"]
    assert net.external_outputs == ["Y"]
    assert net.UsesBlob("A")
    assert net.UsedBlobNames() == {"A", "B", "C", "s/D", "Y"}
    other = core.Net(net.Proto())
    assert other.Name() == "external_1"
    with pytest.raises(AssertionError, match="does not write it"):
        net.Relu(core.BlobReference("never", net))


def test_nets_joined_and_cloned() -> None:
    first, second = core.Net("joined"), core.Net("second")
    first.Relu("X", "Y")
    second.Add(["Y", "Z"], "W")
    second.AddExternalOutput(core.BlobReference("W"))
    first.AppendNet(second, core.DeviceOption(caffe2_pb2.CUDA, 1))
    assert [op.device_option.device_id for op in first.Proto().op] == [0, 1]
    assert first.external_inputs == ["X", "Z"]
    part = first.Clone("part", {"Z": "V"}, op_id_mask=[1], update_external_list=True)
    assert (part.external_inputs, part.external_outputs) == (["Y", "V"], ["W"])
    first.set_rand_seed(5)
    assert [op.device_option.random_seed for op in first.Proto().op] == [5, 6]
    first.RunAllOnGPU(2, use_cudnn=True)
    assert (first.Proto().device_option.device_id, first.Proto().op[0].engine) == (2, "CUDNN")
    first.AddArgument("debug", 1)
    assert messages.ArgsToDict(first.Proto().arg) == {"debug": 1}
    first.add_attribute("note", "text")
    assert first.get_attributes("note") == ["text"]


def test_constants() -> None:
    net = core.Net("constants")
    values: list[Any] = [True, 2, [1.5, 2.5], np.array([1], np.int32), ["a", "b"], np.array([True])]
    for i, value in enumerate(values):
        net.Const(value, f"c{i}")
    workspace.RunNetOnce(net)
    for i, value in enumerate(values):
        found = workspace.FetchBlob(f"c{i}")
        if i == 4:
            assert found.tolist() == [b"a", b"b"]
        else:
            np.testing.assert_array_equal(found.reshape(np.shape(value)), value)


def test_gradients_given_and_sparse() -> None:
    net = core.Net("gradients")
    net.Gather(["table", "rows"], "found")
    gradients = net.AddGradientOperators({"found": "found_gradient"})
    assert gradients["table"] == core.GradientSlice("rows", "found_gradient")
    ops, found = core.GradientRegistry.GetBackwardPass(net.Proto().op[:1], {"found": core.BlobReference("g")})
    assert (ops, found["table"].values) == ([], "g")
    made, inputs = core.GradientRegistry.GetGradientForOp(core.CreateOperator("Relu", "X", "Y"), ["Y_grad"])
    assert ([op.type for op in made], inputs) == (["ReluGradient"], ["X_grad"])
    _, inputs = core.GradientRegistry.GetGradientForOp(net.Proto().op[0], ["g"])
    assert inputs == [core.GradientSlice("rows", "g"), None]
    with pytest.raises(ValueError, match="wants sum or mean"):
        net.DeduplicateGradientSlices(gradients["table"], "max")


def test_python_operators() -> None:
    def double(inputs: Any, outputs: Any) -> None:
        outputs[0].feed(2 * inputs[0].data)

    def gradient(inputs: Any, outputs: Any) -> None:
        outputs[0].feed(2 * inputs[-1].data)

    workspace.FeedBlob("X", X)
    net = core.Net("python")
    net.Python(double, gradient)(["X"], ["Y"])
    net.AddGradientOperators({"Y": "X"})
    workspace.RunNetOnce(net)
    np.testing.assert_array_equal(workspace.FetchBlob("Y"), 2 * X)
    np.testing.assert_array_equal(workspace.FetchBlob("X_grad"), 2 * X)
    workspace.RunOperatorOnce(core.CreatePythonOperator((lambda: double, (), {}), ["Y"], ["Z"]))
    np.testing.assert_array_equal(workspace.FetchBlob("Z"), 4 * X)


# --- scopes ---


def test_scopes_are_restored_after_errors() -> None:
    with pytest.raises(ZeroDivisionError), core.NameScope("a"), core.DeviceScope(core.DeviceOption(1)):
        _ = 1 / 0
    assert (scope.CurrentNameScope(), scope.CurrentDeviceScope()) == ("", None)


def test_nested_device_scopes() -> None:
    outer = core.DeviceOption(caffe2_pb2.CPU, node_name="node", extra_info=["b"])
    with core.DeviceScope(outer), core.DeviceScope(core.DeviceOption(caffe2_pb2.CUDA, 2, extra_info=["a"])):
        op = core.CreateOperator("Relu", "X", "Y")
        with scope.EmptyDeviceScope(), scope.EmptyNameScope():
            assert not core.CreateOperator("Relu", "X", "Y").HasField("device_option")
    assert (op.device_option.node_name, list(op.device_option.extra_info)) == ("node", ["a", "b"])
    with pytest.raises(AssertionError, match="wants a DeviceOption"):
        core.DeviceScope(None)
    with pytest.raises(AssertionError, match="wants a string"):
        core.NameScope(3)
    with pytest.raises(AssertionError, match="only CPU devices"):
        core.DeviceOption(caffe2_pb2.CUDA, numa_node_id=1)


def test_devices_of_blobs() -> None:
    op = core.CreateOperator("CopyGPUToCPU", "X", "Y", device_option=core.DeviceOption(caffe2_pb2.CUDA, 1))
    inputs, outputs = core.InferOpBlobDevicesAsDict(op)
    assert (inputs["X"].device_type, inputs["X"].device_id) == (caffe2_pb2.CUDA, 1)
    assert core.device_equal(outputs["Y"], core.DeviceOption(caffe2_pb2.CPU))


# --- plans ---


def test_steps_and_plans_refuse_what_does_not_fit() -> None:
    net, other = core.Net("step"), core.Net("other")
    net.Relu("X", "Y")
    step = core.execution_step("s", [net, other])
    outer = core.execution_step("outer", [step, net], num_iter=2, concurrent_substeps=True)
    assert outer.Substeps()[0].Name() == "s"
    assert core.Plan(outer).Nets() == [net, other]
    with pytest.raises(AssertionError, match="part of a step or plan already"):
        step.SetIter(3)
    with pytest.raises(AssertionError, match="either nets or substeps"):
        core.execution_step("t", net).AddSubstep(core.execution_step("u", other))
    with pytest.raises(AssertionError, match="wants one of them"):
        core.execution_step("t", net, num_iter=1, should_stop_blob=core.BlobReference("b"))
    with pytest.raises(ValueError, match="wants a step, a net or a list"):
        core.execution_step("t", "net")
    with pytest.raises(ValueError, match="wants a name or an ExecutionStep"):
        core.Plan(3)
    clone = core.Net("twin")
    clone.Proto().name = "step"
    with pytest.raises(AssertionError, match="two nets with name 'step'"):
        core.execution_step("t", [net, clone])


# --- workspace ---


def test_feeding_and_fetching() -> None:
    assert workspace.FeedBlob("t", messages.NumpyArrayToCaffe2Tensor(X))
    assert workspace.FeedBlob("s", np.array(["a", "b"]))
    np.testing.assert_array_equal(workspace.blobs["t"], X)
    assert workspace.FetchBlob("s").tolist() == [b"a", b"b"]
    assert (len(workspace.blobs), sorted(workspace.blobs)) == (2, ["s", "t"])
    with pytest.raises(TypeError, match="is no quantised tensor"):
        workspace.FetchInt8Blob("t")
    with pytest.raises(ValueError, match=r"wants a message or what has a Proto\(\), got int"):
        workspace.RunNetOnce(3)
    with pytest.raises(RuntimeError):
        workspace.RunNet("no such net")


def test_running_again_and_failing() -> None:
    net = core.Net("running")
    net.Add(["n", "one"], "n")
    for name in ("n", "one"):
        workspace.FeedBlob(name, np.ones(1, np.float32))
    workspace.CreateNet(net, input_blobs=["later"])
    assert workspace.HasBlob("later")
    with pytest.raises(RuntimeError, match="running"):
        workspace.CreateNet(net)
    workspace.CreateNet(net, overwrite=True)
    assert workspace.RunNet(net, 3)
    assert workspace.FetchBlob("n") == 4
    workspace.RunOperatorMultiple(net.Proto().op[0], 2)
    assert workspace.FetchBlob("n") == 6
    assert len(workspace.BenchmarkNet(net.Name(), 1, 1, True)) == 2
    shapes, types = workspace.InferShapesAndTypes([net], {"n": [4, 1], "one": [1]})
    assert (shapes["n"], types["n"]) == ([4, 1], 1)
    workspace.FeedBlob("one", np.ones((2, 3, 4), np.float32))
    workspace.FeedBlob("n", np.ones((5, 7), np.float32))
    with pytest.raises(RuntimeError, match="does not broadcast"):
        workspace.RunNet(net)


def test_root_folder(tmp_path: Path) -> None:
    workspace.ResetWorkspace(str(tmp_path / "made"))
    assert workspace.RootFolder() == str(tmp_path / "made")
    workspace.FeedBlob("X", X)
    workspace.RunOperatorOnce(core.CreateOperator("Save", ["X"], [], db="x.minidb", db_type="minidb"))
    assert (tmp_path / "made" / "x.minidb").is_file()


# --- models, brew, optimisers ---


def test_parameters_of_models() -> None:
    model = model_helper.ModelHelper("parameters")
    with core.NameScope("a"):
        w = model.create_param("w", [2], Initializer("ConstantFill", value=1.0), "WEIGHT")
        assert model.create_param("w", [2], Initializer("ConstantFill")) is w
    with pytest.raises(AssertionError, match=r"has shape \[2\], wants \[3\]"):
        model.create_param(w, [3], Initializer("ConstantFill"))
    info = model.get_param_info(w)
    assert info is not None
    assert (str(info), info.size, info.parameter) == ("a/w", 2, w)
    with pytest.raises(RuntimeError, match="no gradients yet"):
        model.GetOptimizationParamInfo()
    model.AddParameter(w)
    with pytest.raises(AssertionError, match="declared twice: a/w"):
        model.Validate()
    with pytest.raises(AssertionError, match="wants a BlobReference"):
        model.AddParameter("w")
    model = model_helper.ModelHelper("twice")
    model.AddGradientOperators([model.net.Relu("X", "Y")])
    with pytest.raises(RuntimeError, match="already"):
        model.AddGradientOperators(["Y"])


def test_brew_takes_functions_of_ones_own() -> None:
    def twice(model: Any, blob_in: Any, blob_out: Any, order: str = "") -> Any:
        return model.net.Relu(blob_in, blob_out, order=order)

    model = model_helper.ModelHelper("own", arg_scope={"order": "NHWC"})
    brew.Register(twice)
    try:
        assert brew.has_helper("twice")
        brew.twice(model, "X", "Y")
        with brew.arg_scope(brew.twice, order="inner"), brew.arg_scope([brew.fc], axis=2):
            brew.twice(model, "X", "Z")
            assert brew.get_current_scope() == {"twice": {"order": "inner"}, "fc": {"axis": 2}}
        assert [messages.ArgsToDict(op.arg) for op in model.Proto().op] == [{"order": b"NHWC"}, {"order": b"inner"}]
        with pytest.raises(AttributeError, match="'twice' already"):
            brew.Register(twice)
    finally:
        del brew.twice
        brew.helpers.pop("twice")


def test_brew_refuses_what_does_not_fit() -> None:
    model = model_helper.ModelHelper("refused")
    with pytest.raises(AssertionError, match="wants 2 sizes"):
        brew.conv(model, "X", "Y", 1, 1, [1, 2, 3])
    with pytest.raises(ValueError, match="does not go with use_cudnn=True"):
        brew.conv(model, "X", "Y", 1, 1, 1, engine="EIGEN")
    with pytest.raises(AssertionError, match="wants is_test"):
        brew.dropout(model, "X", "Y")
    with pytest.raises(ValueError, match="wants NCHW or NHWC"):
        cnn.CNNModelHelper("CHW")
    with pytest.raises(ValueError, match="no operator reads"):
        model_helper.ExtractPredictorNet(model.Proto(), ["X"], ["Y"])
    model.net.Dropout("X", ["Y", "mask"], is_test=0)
    with pytest.raises(ValueError, match="is_test=0"):
        model_helper.ExtractPredictorNet(model.Proto(), ["X"], ["Y"])


def test_optimisers_refuse_what_they_do_not_have() -> None:
    with pytest.raises(TypeError, match="AdagradOptimizer and the LearningRate operator have no option lars"):
        optimizer.AdagradOptimizer(lars=0.5)
    net, init = core.Net("refusing"), core.Net("refusing_init")
    with pytest.raises(AssertionError, match="has no gradient"):
        optimizer.SgdOptimizer(0.1)(net, init, "W")
    with pytest.raises(AssertionError, match="wants a positive one"):
        optimizer.SgdOptimizer(-1)(net, init, "W", "W_grad")
    init.ConstantFill([], "W", shape=[2, 2])
    with pytest.raises(AssertionError, match="rowWise wants a sparse gradient"):
        optimizer.AdamOptimizer(rowWise=True)(net, init, "W", "W_grad")
    with pytest.raises(AssertionError, match="its device is not known"):
        optimizer.get_param_device("W", "W_grad", {})


def test_learning_rates_are_scaled_from_outside() -> None:
    model = model_helper.ModelHelper("injected")
    W = model.param_init_net.ConstantFill([], "W", shape=[1], value=1.0)
    model.AddParameter(W)
    model.AddGradientOperators([model.net.Copy(W, "loss")])
    built = optimizer.build_sgd(model, 0.25, allow_lr_injection=True)
    workspace.RunNetOnce(model.param_init_net)
    optimizer.set_lr_injection(2.0)
    assert optimizer.get_lr_injection() == 2.0
    workspace.RunNetOnce(model.net)
    assert workspace.FetchBlob("W") == 0.5
    assert built.get_auxiliary_parameters().shared == ["ONE_0_0"]


# --- drawing and exporting ---


def test_graphs() -> None:
    net = core.Net("drawn")
    net.Relu("X", "Y", name="first")
    net.Sigmoid("Y", "Y")
    net.Add(["X", "Y"], "Z")
    net.Mul(["Y", "Z"], "W")
    graph = net_drawer.GetPydotGraph(net.Proto().op, "g", rankdir="TB")
    assert list(graph.nodes) == [
        "first/Relu (op#0)", "X0", "Y0", "Sigmoid (op#1)", "Y1", "Add (op#2)", "Z0", "Mul (op#3)", "W0",
    ]  # fmt: skip
    assert graph.to_string().startswith('digraph "g" {\nrankdir=TB;\n"first/Relu (op#0)" [shape="box"')
    full, minimal = (net_drawer.GetPydotGraphMinimal(net, minimal_dependency=m).edges for m in (False, True))
    assert set(full) - set(minimal) == {("Sigmoid (op#1)", "Mul (op#3)")}
    assert net_drawer.GetOpNodeProducer(True)(net.Proto().op[0], 0)[0] == "first/Relu (op#0)\nY"


def test_graphs_are_drawn_by_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    graph = net_drawer.GetPydotGraph(core.Net("empty"))
    graph.write(tmp_path / "graph.dot")
    assert (tmp_path / "graph.dot").read_text() == str(graph)
    with pytest.raises(RuntimeError, match="wants Graphviz's dot"):
        graph.create_png()
    assert net_drawer.GetGraphPngSafe(net_drawer.GetPydotGraph, core.Net("empty"))[1:4] == b"PNG"


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "uint8", "object"])
def test_exported_tensors(dtype: str) -> None:
    value = np.array([b"a", b"bc"], object) if dtype == "object" else X.astype(dtype)
    net = caffe2_pb2.NetDef()
    mobile_exporter.add_tensor(net, "T", value)
    workspace.RunNetOnce(net)
    np.testing.assert_array_equal(workspace.FetchBlob("T"), value)


def test_tensors_that_are_not_exported() -> None:
    with pytest.raises(TypeError, match="float64 can't be exported"):
        mobile_exporter.add_tensor(caffe2_pb2.NetDef(), "T", X.astype(np.float64))
    with pytest.raises(TypeError, match="wants bytes"):
        mobile_exporter.add_tensor(caffe2_pb2.NetDef(), "T", np.array([1, "a"], object))


def test_predictor_files(tmp_path: Path) -> None:
    net = core.Net("predicted")
    net.Mul(["X", "W"], "Y")
    workspace.FeedBlob("W", X)
    extra = core.Net("extra")
    extra.ConstantFill([], "E", shape=[1], value=5.0)
    meta = predictor_exporter.PredictorExportMeta(
        net, ["W"], ["X"], ["Y"], shapes={"X": [2, 3], "Y": [2, 3]}, extra_init_net=extra, net_type="dag", num_workers=2
    )
    path = str(tmp_path / "p.minidb")
    predictor_exporter.save_to_db("minidb", path, meta)
    workspace.ResetWorkspace()
    loaded = predictor_exporter.prepare_prediction_net(path, "minidb")
    assert (loaded.Proto().type, loaded.Proto().num_workers) == ("dag", 2)
    assert workspace.FetchBlob("E") == 5
    workspace.FeedBlob("X", X)
    workspace.RunNet(loaded)
    np.testing.assert_array_equal(workspace.FetchBlob("Y"), X * X)
    message = predictor_exporter.load_from_db(path, "minidb", core.DeviceOption(caffe2_pb2.CPU, 0, node_name="node"))
    assert predictor_exporter.GetBlobs(message, meta.parameters_name()) == ["W"]
    assert predictor_exporter.GetNet(message, meta.predict_net_name()).op[0].device_option.node_name == "node"


def test_predictor_files_refuse_what_does_not_fit() -> None:
    net = caffe2_pb2.NetDef()
    with pytest.raises(AssertionError, match="W: among the parameters and the inputs"):
        predictor_exporter.PredictorExportMeta(net, ["W"], ["W"], ["Y"])
    with pytest.raises(AssertionError, match="wants each once"):
        predictor_exporter.PredictorExportMeta(net, ["W"], ["X", "X"], ["Y"])
    named = predictor_exporter.PredictorExportMeta(net, [], ["X"], ["Y"], name="second")
    assert named.inputs_name() == "INPUTS_BLOB_TYPE_second"
    with pytest.raises(ValueError, match="its shape is wanted"):
        predictor_exporter.get_meta_net_def(named)


def test_roles_in_a_definition() -> None:
    message = caffe2_pb2.MetaNetDef()
    predictor_exporter.AddBlobs(message, "role", ["a"])
    predictor_exporter.AddBlobs(message, "role", ["b"])
    assert predictor_exporter.GetBlobs(message, "role") == ["a", "b"]
    predictor_exporter.ReplaceBlobs(message, "role", ["c"])
    assert predictor_exporter.GetBlobs(message, "role") == ["c"]
    assert predictor_exporter.GetBlobs(message, "other") == []
    assert predictor_exporter.GetNet(message, "other") is None
    with pytest.raises(AssertionError, match="no blobs 'other'"):
        predictor_exporter.ReplaceBlobs(message, "other", ["c"])


def test_one_net_of_both() -> None:
    model = cnn.CNNModelHelper(name="both", use_cudnn=False)
    model.FC("X", "Y", 3, 2, weight_init=model.ConstantInit(0.5), bias_init=model.ZeroInit)
    model.net.Proto().type = "dag"
    workspace.FeedBlob("X", X)
    workspace.RunNetOnce(model.GetCompleteNet())
    np.testing.assert_array_equal(workspace.FetchBlob("Y"), np.repeat(X.sum(1, keepdims=True) / 2, 2, axis=1))
    infos = [op.debug_info for op in model.GetCompleteNet().Proto().op]
    assert infos == ["/param_init_net", "/param_init_net", ""]
    model.ConstructInitTrainNetfromNet(model.GetCompleteNet())
    assert (len(model.InitProto().op), list(model.Proto().external_input)) == (2, ["X", "Y_w", "Y_b"])
    assert (model.XavierInit[0], model.MSRAInit[0]) == ("XavierFill", "MSRAFill")


def test_compiled_libraries_are_not_loaded() -> None:
    with pytest.warns(UserWarning, match=r"lib\.so: compiled operators are not loaded"):
        dyndep.InitOpsLibrary("lib.so")
    assert "lib.so" in dyndep.GetImportedOpsLibraries()
