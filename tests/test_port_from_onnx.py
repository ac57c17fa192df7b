"""ONNX models as Caffe2 nets: the node tests that the onnx package ships, whole models, and what is refused.

The names of the node tests that pass stand in port_from_onnx_passing.txt; `python -m tests.test_port_from_onnx` writes
it anew and says why the others don't.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from caffe2ops import QTensor, Workspace  # noqa: E402
from caffe2ops.cli.port_from_onnx import from_onnx as command  # noqa: E402
from caffe2ops.errors import OperatorError  # noqa: E402
from caffe2ops.ops.detection.by_score import equal_by_index  # noqa: E402
from caffe2ops.port import to_onnx  # noqa: E402
from caffe2ops.port.from_onnx import NodeError, from_onnx, prove  # noqa: E402
from caffe2ops.port.from_onnx.rules import rules  # noqa: E402
from caffe2ops.port.onnx.proof import of_caffe2ops, session  # noqa: E402
from caffe2ops.port.proof import compare  # noqa: E402
from tests.test_port_onnx import EIGHT_BITS, FIRST, explained, exported, load_model, load_net  # noqa: E402

PASSING = Path(__file__).with_name("port_from_onnx_passing.txt")
RANDOM = ("test_bernoulli",)  # whose numbers are random, in onnx as here


class Rep:
    """A model ready to run, as onnx's runner wants it.

    Inputs that the import needs as constants, because Caffe2 has them as arguments, become constants with the values
    of the first run; `fixed` are their names.
    """

    def __init__(self, model: Any):
        self.model, self.fixed = model, ()
        held = {tensor.name for tensor in model.graph.initializer}
        self.names = [info.name for info in model.graph.input if info.name not in held]
        self.imported: Any = None

    def run(self, inputs: Any, **_: Any) -> list[Any]:
        feeds = dict(zip(self.names, inputs))
        while self.imported is None:
            try:
                self.imported = from_onnx(self.model, constants={name: feeds[name] for name in self.fixed})
            except NodeError as error:
                fresh = [name for name in error.needs if name not in self.fixed]
                if not fresh or len(self.fixed) + len(fresh) == len(self.names):
                    raise
                self.fixed = (*self.fixed, *fresh)
        found = self.imported.run({name: value for name, value in feeds.items() if name not in self.fixed})
        return [np.asarray(found[output.name]) for output in self.model.graph.output]


@cache
def cases() -> dict[str, Any]:
    """The node tests by name."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        loader = pytest.importorskip("onnx.backend.test.loader")
        return {case.name: case for case in loader.load_model_tests(kind="node")}


def judge(case: Any) -> tuple[str, str]:
    """What becomes of a node test: passed, fixed (passed with inputs as constants), refused or failed; and why."""
    from onnx.backend.test.runner import Runner, _normalize_tensor

    rep = Rep(case.model)
    try:
        for inputs, outputs in case.data_sets:
            found = rep.run([_normalize_tensor(x) for x in inputs])
            wanted = [_normalize_tensor(y) for y in outputs]
            Runner.assert_similar_outputs(wanted, found, case.rtol, case.atol)
    except (ValueError, AssertionError, RuntimeError, TypeError, AttributeError) as error:
        refused = rep.imported is None and isinstance(error, ValueError)
        return "refused" if refused else "failed", f"{type(error).__name__}: {error}"
    return ("fixed" if rep.fixed else "passed"), ""


def judged() -> Iterator[tuple[str, str, str]]:
    """(name, verdict, why) of every node test but the random ones."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name, case in cases().items():
            if not name.startswith(RANDOM):
                yield (name, *judge(case))


def report(verdicts: dict[str, str]) -> str:
    """One line: passed, supported, total."""
    count = Counter(verdicts.values())
    passed, total = count["passed"] + count["fixed"], len(verdicts)
    supported = total - count["refused"]
    return (
        f"onnx {onnx.__version__}: {passed} passed ({count['fixed']} of them with inputs as constants) / {supported} "
        f"supported / {total} node tests"
    )


def test_node_tests_of_onnx() -> None:
    """Those listed pass, and none that isn't listed; those of another version of onnx aren't looked at."""
    verdicts = {name: verdict for name, verdict, _ in judged()}
    print(report(verdicts))
    passed = {name for name, verdict in verdicts.items() if verdict in ("passed", "fixed")}
    version, *lines = PASSING.read_text().splitlines()
    listed = {line for line in lines if line in verdicts}
    assert listed - passed == set(), "these don't pass any more"
    if version == f"# onnx {onnx.__version__}":
        assert passed - set(lines) == set(), "these pass now: python -m tests.test_port_from_onnx"


# --- what else the onnx package ships ---

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
CONVERTED = sorted(p for kind in ("pytorch-converted", "pytorch-operator") for p in (DATA / kind).glob("test_*"))


def tensors(folder: Path, kind: str) -> list[Any]:
    """The arrays of input_0.pb, input_1.pb, ..."""
    files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda path: int(path.stem.rpartition("_")[2]))
    return [onnx.numpy_helper.to_array(onnx.load_tensor(str(path))) for path in files]


@pytest.mark.parametrize("folder", CONVERTED, ids=lambda folder: folder.name)
def test_models_of_version_6(folder: Path) -> None:
    """Layers and functions of PyTorch as it once exported them, with their answers."""
    rep = Rep(onnx.load(str(folder / "model.onnx")))
    for data in folder.glob("test_data_set_*"):
        for found, wanted in zip(rep.run(tensors(data, "input")), tensors(data, "output")):
            assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)


# --- from Caffe2 to ONNX and back ---


def plain(value: Any) -> Any:
    """The elements of a quantised tensor, which are what ONNX has."""
    return value.data if isinstance(value, QTensor) else value


def there_and_back(model: Any, feeds: dict[str, Any], tolerance: float = 1e-3) -> None:
    """A ported net, ported back, gives what it gave."""
    proto, fixed = model.proto(), {}
    imported = None
    while imported is None:
        try:
            imported = from_onnx(proto, constants=fixed)
        except NodeError as error:
            fresh = [name for name in error.needs if name in feeds and name not in fixed]
            if not fresh:
                raise
            fixed |= {name: plain(feeds[name]) for name in fresh}
    found = imported.run({name: plain(value) for name, value in feeds.items() if name in imported.given})
    mine = of_caffe2ops(model, feeds)
    for blob, value in model.outputs.items():
        difference = compare(blob, mine[blob], found[value.name])
        assert difference.within(tolerance), difference


# {message: why an exported sample isn't taken back}
REFUSED_SAMPLES = {
    "gives out the places of the maxima": "MaxPool's second output counts otherwise than Caffe2's",
    "folds a tensor without elements": "the mean of nothing",
    "only the batch": "images without channels",
    "wants two spatial axes": "Caffe2's ConvTranspose",
    "slices along an axis": "Unique of rows",
    "Col2Im|MaxRoiPool": "no rule",
    "k = 0, wants >= 1|k: is 0, wants 1": "the first 0",
}


@pytest.mark.filterwarnings("ignore:.* has no argument:UserWarning")
@pytest.mark.parametrize("sample", [s for s in FIRST if not explained(s)], ids=lambda sample: sample.id)
def test_samples_there_and_back(sample: Any) -> None:
    model, feeds = exported(sample)
    try:
        with np.errstate(all="ignore"):
            there_and_back(model, feeds)
    except NodeError as error:
        if not any(re.search(reason, str(error)) for reason in REFUSED_SAMPLES):
            raise
        pytest.skip(str(error))


# nets of ../shared that are small enough to be taken there and back at every run
SMALL_NETS = (
    "googlenet_tail_fc", "onnx_superres_reshape", "pinn_ac_model", "pinn_hemt_dc_9_adjoint", "s_alexnet",
    "s_mnist_deploy_pbtxt", "s_mobilenet_v2_fp32", "s_tiny_darknet", "style_crayon", "mask_rcnn_2go_int8_nodet",
    "s_mask_rcnn_2go_int8_resize", "s_mask_rcnn_2go_fp32_first", "s_faster_rcnn_r50c4",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:.* has no argument:UserWarning")
@pytest.mark.parametrize("name", SMALL_NETS)
def test_nets_there_and_back(name: str, shared: Path) -> None:
    """Those of 8 bits as whole numbers; boxes of equal scores in the order in which ONNX takes them."""
    net, workspace, feeds = load_model(name, shared)
    with equal_by_index():
        there_and_back(to_onnx(net, workspace, feeds, exact_int8=name in EIGHT_BITS), feeds)


# --- the core ---


def model_of(
    nodes: list[Any], inputs: dict[str, Any], outputs: list[str], initializers: Any = None, **more: Any
) -> Any:
    """A ModelProto; inputs as name -> (dtype, dims)."""
    code = onnx.helper.np_dtype_to_tensor_dtype
    infos = [onnx.helper.make_tensor_value_info(n, code(np.dtype(t)), dims) for n, (t, dims) in inputs.items()]
    outs = [onnx.helper.make_empty_tensor_value_info(name) for name in outputs]
    held = [onnx.numpy_helper.from_array(array, name) for name, array in (initializers or {}).items()]
    graph = onnx.helper.make_graph(nodes, "net", infos, outs, held)
    opset = onnx.helper.make_opsetid("", more.pop("opset", 21))
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10, **more)


node_of = onnx.helper.make_node
TWO = (np.float32, ("N", 3))
IMAGE = (np.float32, ("N", 4, 7, 6))
OPEN = (np.float32, ("N", 4, "H", "W"))


def drawn(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape).astype(np.float32)


def test_namesakes_have_the_names_of_the_model() -> None:
    """Weights go to the init net; blobs, operators and inputs keep their names, without blanks."""
    nodes = [node_of("Gemm", ["x", "W", "b"], ["hidden one"], "fc", transB=1), node_of("Relu", ["hidden one"], ["y"])]
    weights = {"W": np.ones((4, 3), np.float32), "b": np.arange(4, dtype=np.float32)}
    imported = from_onnx(model_of(nodes, {"x": TWO}, ["y"], weights))
    assert [(op.type, op.name, op.input, op.output) for op in imported.net.op] == [
        ("FC", "fc", ("x", "W", "b"), ("hidden_one",)),
        ("Relu", "y", ("hidden_one",), ("y",)),
    ]
    assert [(op.type, op.output[0]) for op in imported.init.op] == [("GivenTensorFill", "W"), ("GivenTensorFill", "b")]
    assert imported.net.external_input == ("x", "W", "b")
    report = prove(imported)
    assert report.holds
    assert [run.feeds["x"] for run in report.runs] == [(1, 3), (3, 3)]


def test_names_that_make_caffe2_want_a_kernel() -> None:
    """It asks all that shares a base with pooling for one where the name has Pool in it, or begins with Conv."""
    nodes = [
        node_of("Pad", ["x", "p"], ["h"], "Conv/MaxPool/Pad"),
        node_of("MaxPool", ["h"], ["m"], "MaxPool", kernel_shape=[2, 2]),
        node_of("GlobalAveragePool", ["m"], ["y"], "/avgpool/GlobalAveragePool"),
    ]  # fmt: skip
    imported = from_onnx(model_of(nodes, {"x": IMAGE}, ["y"], {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1])}))
    assert [(op.type, op.name) for op in imported.net.op] == [
        ("PadImage", "conv/Maxpool/Pad"), ("MaxPool", "MaxPool"), ("AveragePool", "/avgpool/GlobalAveragepool"),
    ]  # fmt: skip


def test_bytes_are_transposed_as_whole_numbers() -> None:
    """Caffe2's Transpose has neither bytes nor truth values."""
    nodes = [node_of("Transpose", ["x"], ["t"], perm=[0, 2, 1]), node_of("Cast", ["t"], ["y"], to=1)]
    for dtype in (np.uint8, bool):
        imported = from_onnx(model_of(nodes, {"x": (dtype, ("N", 3, 4))}, ["y"]))
        assert [op.type for op in imported.net.op] == ["Cast", "Transpose", "Cast", "Cast"]
        assert prove(imported).holds


def test_parameters_of_all_dtypes() -> None:
    """Those that have no filler are cast from another one; float64 keeps all its digits."""
    kinds = (np.float16, np.float32, np.float64, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.bool_)
    arrays = {np.dtype(kind).name: np.array([0, 1, 100 / 3]).astype(kind) for kind in kinds}
    outs = [f"y_{name}" for name in arrays]
    imported = from_onnx(model_of([node_of("Identity", [n], [f"y_{n}"]) for n in arrays], {}, outs, arrays))
    for name, array in arrays.items():
        found = imported.run({})[f"y_{name}"]
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_what_is_constant_is_computed_at_once() -> None:
    nodes = [
        node_of("Shape", ["x"], ["s"]), node_of("Gather", ["s", "one"], ["n"]),
        node_of("Concat", ["rest", "n"], ["dims"], axis=0), node_of("Reshape", ["x", "dims"], ["y"]),
    ]  # fmt: skip
    held = {"one": np.array([1]), "rest": np.array([-1])}
    imported = from_onnx(model_of(nodes, {"x": (np.float32, (2, 3))}, ["y"], held))
    assert [(op.type, op.args.get("shape")) for op in imported.net.op] == [("Copy", None)]
    varying = from_onnx(model_of(nodes, {"x": (np.float32, ("N", "M"))}, ["y"], held))
    assert [op.type for op in varying.net.op] == ["Shape", "Concat", "Reshape"] or prove(varying).holds


def test_inputs_that_are_arguments_are_named() -> None:
    """An import can be given the values of inputs that Caffe2 has as arguments; the proof uses them, too."""
    model = model_of([node_of("ReduceSum", ["x", "axes"], ["y"])], {"x": TWO, "axes": (np.int64, (1,))}, ["y"])
    with pytest.raises(NodeError, match=r"node 0, ReduceSum 'y': needs axes .*give the value of 'axes'") as caught:
        from_onnx(model)
    assert caught.value.needs == ("axes",)
    imported = from_onnx(model, constants={"axes": np.array([1])})
    assert (imported.net.op[0].args["axes"], [v.name for v in imported.inputs]) == ((1,), ["x"])
    assert prove(imported).holds
    with pytest.raises(ValueError, match="has no input 'axis'; it has x, axes"):
        from_onnx(model, constants={"axis": 1})


def test_refusals_name_the_node_and_why() -> None:
    nodes = [
        node_of("Relu", ["x"], ["h"]),
        node_of("StringConcat", ["h", "h"], ["y"], "both"),
        node_of("ImageDecoder", ["h"], ["z"]),
    ]
    model = model_of(nodes, {"x": TWO}, ["y", "z"])
    with pytest.raises(NodeError, match=r"node 1, StringConcat 'both': .* nor have ImageDecoder"):
        from_onnx(model)
    assert [op.type for op in from_onnx(model_of(nodes, {"x": TWO}, ["h"])).net.op] == ["Relu"]
    with pytest.raises(ValueError, match="input 'x': Caffe2 has no tensors of dtype uint32"):
        from_onnx(model_of([node_of("Identity", ["x"], ["y"])], {"x": (np.uint32, (2,))}, ["y"]))
    with pytest.raises(ValueError, match="of opset 5, wants 6 or later"):
        from_onnx(model_of(nodes[:1], {"x": TWO}, ["h"], opset=5))


# what a node must not be -> what is said of it
WRONG_NODES = {
    "Add 'y': has 1 inputs, wants 2": node_of("Add", ["x"], ["y"]),
    "Relu 'y': has 2 inputs, wants 1": node_of("Relu", ["x", "x"], ["y"]),
    "Clip 'y': has 4 inputs, wants 1 to 3": node_of("Clip", ["x"] * 4, ["y"]),
    "Concat 'y': has 0 inputs, wants at least 1": node_of("Concat", [], ["y"], axis=0),
    "Mul 'y': its input B is left out": node_of("Mul", ["x", ""], ["y"]),
    "Concat 'y': axis is missing": node_of("Concat", ["x", "x"], ["y"]),
    "Concat 'y': axis is of type STRING, wants INT": node_of("Concat", ["x", "x"], ["y"], axis="rows"),
}


@pytest.mark.parametrize("message", WRONG_NODES)
def test_wrong_nodes(message: str) -> None:
    with pytest.raises(NodeError, match=message):
        from_onnx(model_of([WRONG_NODES[message]], {"x": TWO}, ["y"]))


def test_wrong_models(tmp_path: Path) -> None:
    """An axis too far, an input of another dtype, a function that calls itself, a file cut off or empty."""
    inputs = {"x": TWO}
    far = from_onnx(model_of([node_of("Softmax", ["x"], ["y"], axis=7)], inputs, ["y"]))
    assert "not proven: onnxruntime does not run the model" in prove(far).verdict
    with pytest.raises(NodeError, match=r"Add 'y': B has inconsistent type tensor\(int64\)"):
        from_onnx(model_of([node_of("Add", ["x", "w"], ["y"])], inputs, ["y"], {"w": np.arange(3)}))
    opsets = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("mine", 1)]
    call = node_of("Again", ["x"], ["y"], domain="mine")
    function = onnx.helper.make_function("mine", "Again", ["x"], ["y"], [call], opsets)
    model = model_of([call], inputs, ["y"], functions=[function])
    model.opset_import.append(opsets[1])
    with pytest.raises(ValueError, match="the model is not valid: Cycle"):
        from_onnx(model)
    whole = model_of([node_of("Add", ["x", "w"], ["y"])], inputs, ["y"], {"w": drawn(3)})
    whole.graph.initializer[0].raw_data = b"12345"
    with pytest.raises(ValueError, match="tensor 'w' of the model: "):
        from_onnx(whole)
    for data, message in ((whole.SerializeToString()[:-9], "m.onnx: no whole ONNX model"), (b"", "has no outputs")):
        (tmp_path / "m.onnx").write_bytes(data)
        with pytest.raises(ValueError, match=message):
            from_onnx(tmp_path / "m.onnx")


def test_sparse_parameters() -> None:
    """They are filled up with zeros; places of rows and columns, or counted through."""
    make = onnx.helper.make_sparse_tensor
    kept, flat, pairs = (onnx.numpy_helper.from_array(a) for a in (
        np.float32([5, 6]), np.array([1, 2]), np.array([[0, 1], [1, 2]])
    ))  # fmt: skip
    kept.name = "w"
    nodes = [
        node_of("Constant", [], ["v"], sparse_value=make(kept, pairs, [2, 3])),
        node_of("Sum", ["x", "v", "w"], ["y"]),
    ]
    model = model_of(nodes, {"x": (np.float32, (2, 3))}, ["y"])
    model.graph.sparse_initializer.append(make(kept, flat, [3]))
    imported = from_onnx(model)
    np.testing.assert_array_equal(imported.run({"x": np.zeros((2, 3), np.float32)})["y"], [[0, 10, 6], [0, 5, 12]])
    assert prove(imported).holds


def test_text_that_is_given_out() -> None:
    """The names of classes; a proof counts those that differ."""
    names = np.array(["cat", "dog", "owl"], object)
    nodes = [node_of("ArgMax", ["x"], ["i"], axis=1, keepdims=0), node_of("Gather", ["names", "i"], ["y"])]
    imported = from_onnx(model_of(nodes, {"x": TWO}, ["y"], {"names": names}))
    feeds = {"x": np.float32([[0, 2, 1], [3, 2, 1]])}
    assert imported.run(feeds)["y"].tolist() == [b"dog", b"cat"]
    assert prove(imported, feeds).holds
    imported.model.graph.initializer[0].string_data[1] = b"fox"
    assert [d.absolute for d in prove(imported, feeds).differences] == [1, 1, 2]  # the last of three rows


def test_dims_below_zero_are_open() -> None:
    imported = from_onnx(model_of([node_of("Relu", ["x"], ["y"])], {"x": (np.float32, (-1, 3))}, ["y"]))
    assert prove(imported, {"x": drawn(2, 3)}).holds


@pytest.mark.parametrize(
    "more", [{}, {"scan_input_directions": [1]}, {"scan_output_directions": [1]}, {"scan_output_axes": [1]}]
)
def test_scan_of_open_length(more: dict[str, Any]) -> None:
    info = onnx.helper.make_tensor_value_info
    step = [node_of("Add", ["s", "r"], ["t"]), node_of("Mul", ["t", "t"], ["o"])]
    body = onnx.helper.make_graph(step, "step", [info(n, 1, (3,)) for n in "sr"], [info(n, 1, (3,)) for n in "to"])
    node = node_of("Scan", ["z", "x"], ["last", "rows"], body=body, num_scan_inputs=1, **more)
    assert prove(from_onnx(model_of([node], {"x": TWO}, ["last", "rows"], {"z": drawn(3)}))).holds


def test_functions_of_the_model_are_called_in_place() -> None:
    """With their attributes, and with names of their own inside."""
    body = [node_of("LeakyRelu", ["a"], ["b"]), node_of("Mul", ["b", "a"], ["c"])]
    body[0].attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    function = onnx.helper.make_function(
        "mine", "Gate", ["a"], ["c"], body, [onnx.helper.make_opsetid("", 21)], ["slope"]
    )
    model = model_of([node_of("Gate", ["x"], ["y"], domain="mine", slope=0.5)], {"x": TWO}, ["y"], functions=[function])
    model.opset_import.append(onnx.helper.make_opsetid("mine", 1))
    imported = from_onnx(model)
    assert [(op.type, op.output[0]) for op in imported.net.op] == [("LeakyRelu", "y/b"), ("Mul", "y")]
    assert imported.net.op[0].args["alpha"] == 0.5
    assert prove(imported).holds


def test_sequences_of_known_length() -> None:
    """Nothing of them is left in the net; what reads one otherwise is refused."""
    nodes = [
        node_of("SplitToSequence", ["x"], ["s"], axis=1, keepdims=0), node_of("SequenceAt", ["s", "last"], ["a"]),
        node_of("SequenceErase", ["s"], ["t"]), node_of("SequenceInsert", ["t", "a", "first"], ["u"]),
        node_of("ConcatFromSequence", ["u"], ["y"], axis=-1, new_axis=1), node_of("SequenceLength", ["u"], ["n"]),
    ]  # fmt: skip
    held = {"last": np.array(-1), "first": np.array(0)}
    imported = from_onnx(model_of(nodes, {"x": TWO}, ["y", "n"], held))
    assert imported.net.op[0].type == "Split"
    found = imported.run({"x": np.float32([[1, 2, 3], [4, 5, 6]])})
    np.testing.assert_array_equal(found["y"], [[3, 1, 2], [6, 4, 5]])
    assert found["n"] == 3
    assert prove(imported).holds
    with pytest.raises(ValueError, match="is a sequence or reads one"):
        from_onnx(model_of(nodes, {"x": TWO}, ["s"], held))


def test_dtypes_of_parameters_that_caffe2_lacks() -> None:
    """They are computed with when the model is ported; what would read them in the net is refused."""
    weights = drawn(3, 4).astype(onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16))
    nodes = [node_of("Cast", ["w"], ["wide"], to=1), node_of("MatMul", ["x", "wide"], ["y"])]
    imported = from_onnx(model_of(nodes, {"x": TWO}, ["y"], {"w": weights}))
    assert [op.type for op in imported.net.op] == ["MatMul"]
    assert prove(imported).holds
    nodes = [node_of("Gather", ["w", "i"], ["y"])]
    with pytest.raises(NodeError, match="no tensors of dtype bfloat16"):
        from_onnx(model_of(nodes, {"i": (np.int64, ("N",))}, ["y"], {"w": weights}))


def test_both_nets_are_written(tmp_path: Path) -> None:
    weights = {"W": np.ones((3, 2), np.float32)}
    imported = from_onnx(model_of([node_of("MatMul", ["x", "W"], ["y"])], {"x": TWO}, ["y"], weights))
    assert [file.name for file in imported.save(tmp_path / "out")] == ["init_net.pb", "predict_net.pb"]
    assert imported.save(tmp_path / "a.pbtxt", tmp_path / "b.pb")[0].read_text().startswith("name")
    workspace = Workspace()
    workspace.feed("x", np.ones((1, 3), np.float32))
    for file in ("init_net.pb", "predict_net.pb"):
        workspace.run(load_net(tmp_path / "out" / file))
    np.testing.assert_array_equal(workspace.fetch("y"), [[3.0, 3.0]])


def test_a_proof_that_does_not_hold() -> None:
    imported = from_onnx(model_of([node_of("Mul", ["x", "w"], ["y"])], {"x": TWO}, ["y"], {"w": np.float32([2.0])}))
    imported.model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.float32([3.0]), "w"))
    report = prove(imported)
    assert not report.holds
    assert "NOT proven" in str(report)


def test_dims_of_inputs_can_be_given() -> None:
    """In place of those that the model declares; a decomposition may need them."""
    node = node_of("MaxPool", ["x"], ["y", "places"], kernel_shape=[2, 2])
    model = model_of([node], {"x": (np.float32, ("N", 3, "H", "W"))}, ["y", "places"])
    with pytest.raises(NodeError, match="MaxPool 'y': needs dim 2 of 'x' as a number"):
        from_onnx(model)
    assert prove(from_onnx(model, {"x": (2, 3, 4, 6)})).holds
    with pytest.raises(ValueError, match="has no input 'z'"):
        from_onnx(model, {"z": (1,)})


def test_loops_and_branches() -> None:
    """If and ONNXWhile, whose bodies read what stands outside."""
    info = onnx.helper.make_tensor_value_info
    double = onnx.helper.make_graph([node_of("Add", ["x", "x"], ["a"])], "then", [], [info("a", 1, (2,))])
    negate = onnx.helper.make_graph([node_of("Neg", ["x"], ["b"])], "else", [], [info("b", 1, (2,))])
    step = [
        node_of("Add", ["v", "y"], ["w"]),
        node_of("Identity", ["go"], ["goes"]),
        node_of("Mul", ["w", "w"], ["row"]),
    ]
    ins = [info("i", 7, ()), info("go", 9, ()), info("v", 1, (2,))]
    body = onnx.helper.make_graph(step, "body", ins, [info("goes", 9, ()), info("w", 1, (2,)), info("row", 1, (2,))])
    nodes = [
        node_of("If", ["c"], ["y"], then_branch=double, else_branch=negate),
        node_of("Loop", ["n", "", "x"], ["last", "rows"], body=body),
    ]
    model = model_of(nodes, {"c": (bool, ()), "n": (np.int64, ()), "x": (np.float32, (2,))}, ["last", "rows"])
    imported = from_onnx(model)
    assert [op.type for op in imported.net.op] == ["If", "ONNXWhile", "Cast", "Reshape"]
    x = np.array([1.0, -2.0], np.float32)
    feeds = [{"c": np.array(c), "n": np.array(n), "x": x} for c in (True, False) for n in (0, 3)]
    assert prove(imported, *feeds).holds


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Writes, proves, and says whether the proof holds."""
    model = model_of([node_of("ReduceSum", ["x", "axes"], ["y"])], {"x": TWO, "axes": (np.int64, (1,))}, ["y"])
    onnx.save(model, str(tmp_path / "m.onnx"))
    feeds, axes = {"x": np.ones((4, 3), np.float32)}, {"axes": np.array([1])}
    assert command(tmp_path / "m.onnx", [tmp_path / "nets"], {}, feeds, constants=axes)
    text = capsys.readouterr().out
    assert "init_net.pb" in text
    assert "1 operators, 0 parameters" in text
    assert "proven (3 runs" in text
    with pytest.raises(ValueError, match="names 3 files"):
        command(tmp_path / "m.onnx", [tmp_path] * 3, {}, feeds)


# --- more than the node tests ask ---

# name -> node, inputs (dtype, dims), parameters
OPEN_DIMS: dict[str, Any] = {
    **{
        f"GridSample {mode} {padding} {corners}": (
            node_of("GridSample", ["x", "g"], ["y"], mode=mode, padding_mode=padding, align_corners=corners),
            {"x": IMAGE, "g": (np.float32, ("N", "H", "W", 2))}, {},
        )
        for mode in ("linear", "nearest", "cubic")
        for padding in ("zeros", "border", "reflection")
        for corners in (0, 1)
    },
    "ConvTranspose in 3 dims": (
        node_of("ConvTranspose", ["x", "w", "b"], ["y"], strides=[2, 1, 3], pads=[1, 0, 1, 0, 1, 1], group=2,
                output_padding=[1, 0, 2]),
        {"x": (np.float32, ("N", 4, 4, 5, 3))}, {"w": drawn(4, 3, 3, 2, 2), "b": drawn(6)},
    ),
    "ConvTranspose with a fed filter": (
        node_of("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], dilations=[2, 1], output_padding=[1, 1]),
        {"x": IMAGE, "w": (np.float32, (4, 3, 3, 2))}, {},
    ),
    "places of maxima": (
        node_of("MaxPool", ["x"], ["v", "y"], kernel_shape=[3, 2], pads=[1, 1, 0, 1], strides=[2, 1], ceil_mode=1),
        {"x": IMAGE}, {},
    ),
    "MaxUnpool": (node_of("MaxUnpool", ["x", "i"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
                  {"x": (np.float32, (1, 1, 2, 3))},
                  {"i": np.array([0, 3, 5, 13, 14, 23]).reshape(1, 1, 2, 3)}),
    "Col2Im": (
        node_of("Col2Im", ["x", "i", "b"], ["y"], pads=[1, 0, 0, 2], strides=[2, 1], dilations=[1, 2]),
        {"x": (np.float32, ("N", 12, 6))}, {"i": np.array([5, 4]), "b": np.array([2, 3])},
    ),
    "DFT": (node_of("DFT", ["x", "n", "a"], ["y"], onesided=1), {"x": (np.float32, ("N", 9, 4, 1))},
            {"n": np.array(6), "a": np.array(1)}),
    "TensorScatter": (
        node_of("TensorScatter", ["x", "u", "i"], ["y"], mode="circular"),
        {"x": (np.float32, (2, "H", 5, 3)), "u": (np.float32, (2, "H", 2, 3))}, {"i": np.array([4, 1])},
    ),
    "slices of Unique": (node_of("Unique", ["x"], ["y", "f", "i", "c"], axis=1, sorted=0),
                         {"x": (np.float32, (3, 4))}, {}),
    "DeformConv with a mask": (
        node_of("DeformConv", ["x", "w", "o", "b", "m"], ["y"], offset_group=2, group=2, pads=[1, 0, 1, 1],
                strides=[2, 1]),
        {"x": IMAGE, "o": (np.float32, ("N", 24, 4, 6)), "m": (np.float32, ("N", 12, 4, 6))},
        {"w": drawn(4, 2, 3, 2), "b": drawn(4)},
    ),
    **{
        f"{kind} {', '.join(f'{name} {value}' for name, value in more.items())}": (
            node_of(kind, ["x", *(["w"] if kind == "Conv" else [])], ["y"], **more), {"x": OPEN},
            {"w": drawn(3, 4, 3, 3)} if kind == "Conv" else {},
        )
        for kind, more in (
            ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 0], "ceil_mode": 1}),
            ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 3], "pads": [1, 2, 1, 2], "ceil_mode": 1}),
            ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 1], "auto_pad": "SAME_UPPER"}),
            ("AveragePool", {"kernel_shape": [3, 2], "strides": [3, 2], "auto_pad": "SAME_UPPER"}),
            ("Conv", {"strides": [2, 3], "auto_pad": "SAME_UPPER"}),
            ("Conv", {"auto_pad": "SAME_LOWER"}),
            ("DepthToSpace", {"blocksize": 2}),
            ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}),
            ("Trilu", {"upper": 0}),
            ("Trilu", {"upper": 1}),
        )
    },
    "Trilu from a diagonal that is fed": (node_of("Trilu", ["x", "k"], ["y"]), {"x": OPEN}, {"k": np.array(-1)}),
    "Einsum of open dims": (
        node_of("Einsum", ["x", "u"], ["y"], equation="nchw,cd->dhnw"), {"x": OPEN}, {"u": drawn(4, 2)},
    ),
    "Einsum of attention": (
        node_of("Einsum", ["x", "y"], ["z"], equation="bhid,bhjd->bhij"),
        {"x": (np.float32, ("N", 2, "I", 4)), "y": (np.float32, ("N", 2, "J", 4))}, {},
    ),
    "Det": (node_of("Det", ["x"], ["y"]), {"x": (np.float32, ("N", 2, 4, 4))}, {}),
    "Einsum": (node_of("Einsum", ["x", "u", "v"], ["y"], equation="nii,ij,jk->nk"),
               {"x": (np.float32, ("N", 3, 3)), "u": (np.float32, (3, 4)), "v": (np.float32, (4, 2))}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", OPEN_DIMS)
def test_with_open_dims(name: str) -> None:
    node, inputs, held = OPEN_DIMS[name]
    version = 24 if node.op_type == "TensorScatter" else 22
    report = prove(from_onnx(model_of([node], inputs, list(node.output), held, opset=version)))
    assert report.holds, report
    assert not report.notes


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_blocks_of_open_dims(mode: str) -> None:
    """There and back; sizes that are no multiple of the block are the model's to refuse."""
    nodes = [
        node_of("SpaceToDepth", ["x"], ["d"], blocksize=2), node_of("Relu", ["d"], ["r"]),
        node_of("DepthToSpace", ["r"], ["y"], blocksize=2, mode=mode),
    ]  # fmt: skip
    imported = from_onnx(model_of(nodes, {"x": OPEN}, ["d", "y"]))
    report = prove(imported, {"x": drawn(2, 4, 6, 10)})
    assert report.holds, report
    assert [run.feeds["x"] for run in report.runs] == [(2, 4, 6, 10), (1, 4, 12, 20), (3, 4, 6, 10)]
    assert "onnxruntime" in prove(imported, {"x": drawn(2, 4, 5, 10)}).verdict


def test_the_net_stops_where_the_model_does_not() -> None:
    """Such a size counts against the proof; one that was fed is raised as it is."""
    node = node_of("Slice", ["x", "s", "e", "a"], ["y"])
    held = {"s": np.array([-2]), "e": np.array([9]), "a": np.array([1])}
    imported = from_onnx(model_of([node], {"x": (np.float32, (2, "M"))}, ["y"], held))
    report = prove(imported, {"x": drawn(2, 5)})
    assert not report.holds
    assert "with x[2, 1] the net stops: net 'net', operator 0, Slice 'y'" in str(report)
    with pytest.raises(OperatorError, match="Slice 'y'"):
        prove(imported, {"x": drawn(2, 1)})


@pytest.mark.parametrize("steps", [[1, -1], [-2, 3], [2, 2]])
def test_slices_by_computed_numbers(steps: list[int]) -> None:
    """Beyond both ends, too, and with nothing in between."""
    inputs = {"x": (np.float32, ("N", "M", 5)), "s": (np.int64, (2,)), "e": (np.int64, (2,))}
    held = {"a": np.array([1, -1]), "t": np.array(steps)}
    imported = from_onnx(model_of([node_of("Slice", ["x", "s", "e", "a", "t"], ["y"])], inputs, ["y"], held))
    feeds = [
        {"x": drawn(2, i % 5 + 1, 5), "s": np.array([i % 19 - 9, i % 17 - 8]), "e": np.array([i % 13 - 6, i % 11 - 5])}
        for i in range(0, 400, 7)
    ]
    assert prove(imported, *feeds).holds


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("places", ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"])
def test_resize_of_open_dims(mode: str, places: str) -> None:
    """By factors, and to sizes that are fed behind those of the input."""
    node = node_of(
        "Resize", ["x", "", "f"], ["y"], mode=mode, coordinate_transformation_mode=places, nearest_mode="floor"
    )
    x, inputs = drawn(2, 3, 5, 8), {"x": (np.float32, ("N", "C", "H", "W"))}
    by_factors = from_onnx(model_of([node], inputs, ["y"], {"f": np.float32([1, 1, 3, 0.5])}))
    assert prove(by_factors, {"x": x}).holds
    node.input[:] = ["x", "", "", "s"]
    nodes = [node_of("Shape", ["x"], ["n"], end=2), node_of("Concat", ["n", "hw"], ["s"], axis=0), node]
    to_sizes = from_onnx(model_of(nodes, {**inputs, "hw": (np.int64, (2,))}, ["y"]))
    assert prove(to_sizes, *({"x": x, "hw": np.array(hw)} for hw in ((10, 3), (1, 9)))).holds


def test_shapes_of_unknown_length() -> None:
    """Fed for tensors whose number of dims is not known either."""
    nodes = [node_of("ConstantOfShape", ["s"], ["c"]), node_of("Expand", ["x", "s"], ["e"])]
    model = model_of(nodes, {"x": (np.float32, None), "s": (np.int64, ("R",))}, ["c", "e"])
    found = from_onnx(model).run({"x": drawn(3, 1), "s": np.array([2, 3, 4])})
    assert [(v.shape, v.dtype) for v in found.values()] == [((2, 3, 4), np.float32)] * 2


@pytest.mark.parametrize("mode", ["reflect", "edge"])
def test_padding_of_open_sequences(mode: str) -> None:
    """As images of one row."""
    node, held = node_of("Pad", ["x", "p"], ["y"], mode=mode), {"p": np.array([0, 0, 2, 0, 0, 1])}
    imported = from_onnx(model_of([node], {"x": (np.float32, ("N", 4, "T"))}, ["y"], held))
    assert [op.type for op in imported.net.op] == ["ExpandDims", "PadImage", "Squeeze"]
    assert prove(imported, {"x": drawn(2, 4, 5)}).holds


def test_computed_padding() -> None:
    inputs = {"x": (np.float32, ("N", "M", 5)), "p": (np.int64, (6,))}
    imported = from_onnx(model_of([node_of("Pad", ["x", "p"], ["y"])], inputs, ["y"]))
    assert "padding below 0" in imported.notes[0]
    assert prove(imported, {"x": drawn(2, 3, 5), "p": np.array([0, 1, 2, 0, 0, 3])}).holds


# --- 8 bits ---

IN, OUT = (0.05, 120), (0.1, 100)  # scale and zero point of the inputs and of the output


def quantised(
    kind: str, shapes: list[Any], weights: list[Any], out: tuple[float, int], dtype: Any, behind: str = "", **more: Any
) -> Any:
    """A model of one node between QuantizeLinear and DequantizeLinear; `weights` are its constant inputs, of which
    floats become signed bytes, and a vector 32 bits."""
    nodes, held, names = [], {}, []
    for i in range(len(shapes)):
        nodes += _pair(f"x{i}", *IN, dtype, held)
        names.append(f"x{i}/d")
    for i, array in enumerate(weights):
        names.append(f"w{i}")
        if array.dtype != np.float32 or kind == "Resize":
            held[f"w{i}"] = array
            continue
        steps, kind_of = (np.float32(0.01), np.int8) if array.ndim > 1 else (np.float32(IN[0] * 0.01), np.int32)
        held |= {f"w{i}/q": np.rint(array / steps).astype(kind_of), f"w{i}/s": np.array(steps)}
        held[f"w{i}/z"] = np.zeros((), kind_of)
        nodes.append(node_of("DequantizeLinear", [f"w{i}/q", f"w{i}/s", f"w{i}/z"], [f"w{i}"]))
    nodes.append(node_of(kind, names, ["h" if behind else "y"], "main", **more))
    if behind:
        ends = {"low": np.float32(0), "high": np.float32(6)} if behind == "Clip" else {}
        nodes.append(node_of(behind, ["h", *ends], ["y"]))
        held |= ends
    nodes += _pair("y", *out, dtype, held)
    return model_of(nodes, {f"x{i}": (np.float32, ("N", *dims)) for i, dims in enumerate(shapes)}, ["y/d"], held)


def _pair(name: str, scale: float, zero: int, dtype: Any, held: dict[str, Any]) -> list[Any]:
    """Quantised and back; signed bytes are 128 less."""
    held[f"{name}/s"], held[f"{name}/z"] = np.float32(scale), np.array(zero - 128 * (dtype == np.int8), dtype)
    ends = [f"{name}/s", f"{name}/z"]
    there, back = [name, *ends], [f"{name}/q", *ends]
    return [node_of("QuantizeLinear", there, [back[0]]), node_of("DequantizeLinear", back, [f"{name}/d"])]


CONV: Any = [[(4, 7, 6)], [drawn(6, 4, 3, 3), drawn(6)]]
# what stands for each: the node, shapes of its inputs and constants, scale and zero point of the output, attributes
IN_8_BITS: dict[str, Any] = {
    "Int8Conv": ("Conv", *CONV, OUT, {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "Int8Conv groups": ("Conv", [(4, 7, 6)], [drawn(8, 2, 3, 3)], OUT, {"group": 2, "dilations": [2, 1]}),
    "Int8ConvRelu": ("Conv", *CONV, OUT, {"behind": "Relu", "auto_pad": "SAME_UPPER"}),
    "Int8ConvRelu for a Clip": ("Conv", *CONV, (6 / 255, 0), {"behind": "Clip"}),
    "Int8ConvTranspose": ("ConvTranspose", [(4, 5, 4)], [drawn(4, 3, 3, 2), drawn(3)], OUT,
                          {"strides": [2, 2], "pads": [1, 0, 0, 1], "output_padding": [1, 0]}),
    "Int8FC": ("Gemm", [(9,)], [drawn(9, 5), drawn(5)], OUT, {}),
    "Int8FC transposed": ("Gemm", [(9,)], [drawn(5, 9), drawn(5)], OUT, {"transB": 1}),
    "Int8FC without bias": ("MatMul", [(9,)], [drawn(9, 5)], OUT, {}),
    "Int8FC Int8Relu": ("Gemm", [(9,)], [drawn(9, 5), drawn(5)], OUT, {"behind": "Relu"}),
    "Int8Add": ("Add", [(3, 4, 5), (3, 4, 5)], [], OUT, {}),
    "Int8AddRelu": ("Add", [(6,), (6,)], [], OUT, {"behind": "Relu"}),
    "Int8AveragePool": ("AveragePool", [(3, 6, 5)], [], OUT, {"kernel_shape": [3, 2], "strides": [2, 1]}),
    "Int8AveragePool whole": ("GlobalAveragePool", [(3, 6, 5)], [], (0.02, 130), {}),
    "Int8AveragePool mean": ("ReduceMean", [(3, 6, 5)], [np.array([2, 3])], (0.02, 130), {}),
    "Int8MaxPool": ("MaxPool", [(3, 6, 5)], [], IN, {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]}),
    "Int8Relu": ("Relu", [(3, 6, 5)], [], IN, {}),
    "Int8LeakyRelu": ("LeakyRelu", [(3, 6, 5)], [], OUT, {"alpha": 0.2}),
    "Int8Sigmoid": ("Sigmoid", [(3, 6, 5)], [], (1 / 256, 0), {}),
    "Int8Softmax": ("Softmax", [(6,)], [], (1 / 256, 0), {}),
    "Int8Concat": ("Concat", [(3, 6, 5), (3, 2, 5)], [], IN, {"axis": 2}),
    "Int8Transpose": ("Transpose", [(3, 6, 5)], [], IN, {"perm": [0, 2, 1, 3]}),
    "Int8Transpose Int8Flatten": ("Flatten", [(3, 6, 5)], [], IN, {}),
    "Int8Reshape of single points": ("Reshape", [(3, 1, 1)], [np.array([0, -1])], IN, {}),
    "Int8Flatten of single points": ("Flatten", [(3, 1, 1)], [], IN, {}),
    "Int8Transpose Int8Flatten in front": ("Flatten", [(3, 1, 1)], [], IN, {"axis": -2}),
    "Int8Transpose Int8Reshape of a dim as before": ("Reshape", [(3, 1, 1)], [np.array([0, 0, -1])], IN, {}),
    "Int8Transpose Int8Reshape Int8Transpose": ("Reshape", [(4, 6, 5)], [np.array([0, 2, 12, 5])], IN, {}),
    "Int8Reshape Int8Transpose": ("Unsqueeze", [(6, 5)], [np.array([1])], IN, {}),
    "Int8Transpose Int8Reshape": ("Squeeze", [(3, 1, 5)], [np.array([2])], IN, {}),
    "Int8ResizeNearest": ("Resize", [(3, 4, 5)], [np.zeros(0, np.float32), np.float32([1, 1, 2, 3])], IN,
                          {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("wanted", IN_8_BITS)
def test_int8_operators(wanted: str, dtype: Any) -> None:
    """Within one step of onnxruntime, and the parameters have the names of the model."""
    kind, shapes, weights, out, more = IN_8_BITS[wanted]
    model = quantised(kind, shapes, weights, out, dtype, **more)
    imported = from_onnx(model, int8=True)
    between = [op.type for op in imported.net.op if op.type not in ("NCHW2NHWC", "NHWC2NCHW", "Int8Quantize")]
    assert between == [*(name for name in wanted.split() if name.startswith("Int8")), "Int8Dequantize"]
    assert {v.name for v in imported.parameters} <= {f"w{i}/q" for i in range(len(weights))} | {"main/bias"}
    assert not imported.notes
    report = prove(imported, {f"x{i}": 3 * drawn(2, *dims) for i, dims in enumerate(shapes)})
    assert report.holds, report
    assert any(d.blob == "y/q" for d in report.differences)


def test_int8_only_where_it_fits() -> None:
    """What Caffe2 has no Int8 operator for is computed in floats between Int8 tensors, and a note says why."""
    for kind, out, more, reason in (
        ("Erf", OUT, {}, "no Int8 operator"),
        ("Relu", OUT, {}, "another scale"),
        ("Sigmoid", OUT, {}, "always has 1/256"),
        ("AveragePool", OUT, {"kernel_shape": [3, 3], "pads": [1] * 4}, "padding"),
    ):  # fmt: skip
        imported = from_onnx(quantised(kind, [(3, 5, 5)], [], out, np.uint8, **more), int8=True)
        assert [op.type for op in imported.net.op if kind in op.type] == [kind]
        assert f"1 {kind} in floats (main): " in imported.notes[0]
        assert reason in imported.notes[0]
        assert prove(imported).holds
    model = quantised("Conv", *CONV, OUT, np.uint8)
    for held in model.graph.initializer:
        if held.name == "w0/s":  # a scale for each channel
            held.CopyFrom(onnx.numpy_helper.from_array(np.linspace(0.005, 0.01, 6, dtype=np.float32), "w0/s"))
        if held.name == "w0/z":
            held.CopyFrom(onnx.numpy_helper.from_array(np.zeros(6, np.int8), "w0/z"))
    next(n for n in model.graph.node if n.output[0] == "w0").attribute.add(name="axis", type=2, i=0)
    imported = from_onnx(model, int8=True)
    assert "one scale for all" in imported.notes[0]
    assert prove(imported).holds
    assert not from_onnx(model).int8


def quantised_digits(folder: Path, form: str, signed: bool, per_channel: bool) -> Any:
    """The digits' classifier, quantised by onnxruntime to q.onnx, and its images."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    digits = Path(__file__).parents[1] / "examples" / "digits"
    images = np.load(digits / "digits.npz")["data"].astype(np.float32)
    workspace = Workspace()
    workspace.run(load_net(digits / "init_net.pb"))
    to_onnx(load_net(digits / "predict_net.pb"), workspace, {"data": ("N", 1, 8, 8)}).save(folder / "m.onnx")
    kinds = quantization.QuantType
    reader = type("Reader", (), {"get_next": iter([*({"data": x[None]} for x in images), None]).__next__})()
    quantization.quantize_static(
        str(folder / "m.onnx"), str(folder / "q.onnx"), reader, quant_format=quantization.QuantFormat[form],
        activation_type=kinds.QInt8 if signed else kinds.QUInt8, weight_type=kinds.QInt8, per_channel=per_channel,
    )  # fmt: skip
    return images


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_a_scale_for_each_channel(form: str, tmp_path: Path) -> None:
    """Of weights and of biases; what has them stays in floats."""
    feeds = {"data": quantised_digits(tmp_path, form, False, True)}
    imported = from_onnx(tmp_path / "q.onnx")
    theirs = session(str(tmp_path / "q.onnx")).run(None, feeds)[0]
    np.testing.assert_allclose(imported.run(feeds)["probability"], theirs, atol=0.01)
    in_8_bits = from_onnx(tmp_path / "q.onnx", int8=True)
    assert any("one scale for all" in note for note in in_8_bits.notes)
    assert prove(in_8_bits, feeds, tolerance=0.1).holds


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("signed", [False, True])
def test_a_classifier_of_8_bits(form: str, signed: bool, tmp_path: Path) -> None:
    """The digits' classifier, quantised by onnxruntime: in Int8 operators, with onnxruntime's classes."""
    images, workspace = quantised_digits(tmp_path, form, signed, False), Workspace()
    imported = from_onnx(tmp_path / "q.onnx", int8=True)
    count = Counter(op.type for op in imported.net.op)
    assert (count["Int8Conv"], count["Int8MaxPool"], count["Int8FC"]) == (2, 1, 2)
    assert all(op.type.startswith("Int8") or op.type in ("NCHW2NHWC", "Softmax") for op in imported.net.op)
    imported.save(tmp_path)
    for file in ("init_net.pb", "predict_net.pb"):
        workspace.feed("data", images)
        workspace.run(load_net(tmp_path / file))
    mine = workspace.fetch("probability")
    theirs = session(str(tmp_path / "q.onnx")).run(None, {"data": images})[0]
    np.testing.assert_array_equal(mine.argmax(1), theirs.argmax(1))
    np.testing.assert_allclose(mine, theirs, atol=0.02)
    assert prove(imported, {"data": images}).holds
    assert prove(from_onnx(tmp_path / "q.onnx"), {"data": images}, tolerance=0.1).holds


def test_rules_are_of_operators_of_onnx() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if not schema.domain}
    assert set(rules()) <= known


if __name__ == "__main__":
    results = list(judged())
    names = sorted(name for name, verdict, _ in results if verdict in ("passed", "fixed"))
    PASSING.write_text("\n".join([f"# onnx {onnx.__version__}", *names]) + "\n")
    reasons: dict[str, list[str]] = {}
    for name, verdict, why in results:
        if why:
            reasons.setdefault(f"{verdict}: {why.splitlines()[0][:160]}", []).append(name)
    for why, found in sorted(reasons.items()):
        print(len(found), why, *found[:2])
    print(report({name: verdict for name, verdict, _ in results}))
