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
from caffe2ops.port import proof, to_onnx  # noqa: E402
from caffe2ops.port.from_onnx import NodeError, from_onnx, prove  # noqa: E402
from caffe2ops.port.from_onnx.rules import rules  # noqa: E402
from tests.test_port_onnx import FIRST, explained, exported, load_model, load_net  # noqa: E402

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
    mine = proof.of_caffe2ops(model, feeds)
    for blob, value in model.outputs.items():
        difference = proof.compare(blob, value, mine[blob], found[value.name])
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
    "s_mnist_deploy_pbtxt", "s_mobilenet_v2_fp32", "s_tiny_darknet", "style_crayon",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:.* has no argument:UserWarning")
@pytest.mark.parametrize("name", SMALL_NETS)
def test_nets_there_and_back(name: str, shared: Path) -> None:
    net, workspace, feeds = load_model(name, shared)
    there_and_back(to_onnx(net, workspace, feeds), feeds)


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
    nodes = [node_of("Relu", ["x"], ["h"]), node_of("Det", ["h"], ["y"], "volume"), node_of("Col2Im", ["h"], ["z"])]
    model = model_of(nodes, {"x": TWO}, ["y", "z"])
    with pytest.raises(NodeError, match="node 1, Det 'volume': Det has no form in Caffe2 here; nor have Col2Im"):
        from_onnx(model)
    assert [op.type for op in from_onnx(model_of(nodes, {"x": TWO}, ["h"])).net.op] == ["Relu"]
    with pytest.raises(ValueError, match="input 'x': Caffe2 has no tensors of dtype uint32"):
        from_onnx(model_of([node_of("Identity", ["x"], ["y"])], {"x": (np.uint32, (2,))}, ["y"]))
    with pytest.raises(ValueError, match="of opset 5, wants 6 or later"):
        from_onnx(model_of(nodes[:1], {"x": TWO}, ["h"], opset=5))


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
    model = model_of(
        [node_of("SpaceToDepth", ["x"], ["y"], blocksize=2)], {"x": (np.float32, ("N", 3, "H", "W"))}, ["y"]
    )
    with pytest.raises(NodeError, match="SpaceToDepth 'y': needs the dims of 'x' as numbers"):
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
