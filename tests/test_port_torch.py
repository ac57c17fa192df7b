"""Ports to PyTorch: every operator with a rule, real nets, and the source that is written."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2ops
from caffe2ops import NetDef, OperatorDef, Workspace, registry
from caffe2ops.cli.nets import open_model
from caffe2ops.errors import OperatorError
from caffe2ops.port.torch.export import to_torch
from caffe2ops.port.torch.proof import prove_torch
from caffe2ops.port.torch.rules import rules
from caffe2ops.port.torch.running import imported
from caffe2ops.port.torch.text import fold, literal
from caffe2ops.port.torch.writer import functions
from caffe2ops.port.values import NotPortable
from caffe2ops.qtensor import QTensor
from tests.kit import shared as shared_material
from tests.kit.call import definition, prepared
from tests.kit.sample import Sample, collect

torch = pytest.importorskip("torch", reason="PyTorch is not here (pip install caffe2ops[torch])")
pytest.importorskip("safetensors", reason="safetensors is not here (pip install caffe2ops[torch])")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.* has no argument:UserWarning"),
    pytest.mark.filterwarnings("ignore:var.*degrees of freedom:UserWarning"),  # of nothing
]
DIGITS = Path(__file__).parent.parent / "examples" / "digits"

# --- operators ---

NAN = "orders NaN otherwise than PyTorch"
# {operator or sample: why its outputs differ}
DIFFERENT = {
    **dict.fromkeys(("Clip", "TopK", "LengthsTopK", "ArgMax", "ArgMin", "Accuracy", "Bucketize", "Max", "Min"), NAN),
    **dict.fromkeys(
        (
            "BoxWithNMSLimit-10-ties",
            "BoxWithNMSLimit-11-ties-no-limit",
            "GenerateProposals-3-ties-sizes-with-fractions",
            "GenerateProposals-4-ties-all",
        ),
        "takes boxes of equal scores in the order that std::sort leaves",
    ),
    "SinusoidPositionEncoding-7-default": "sines of large angles, whose exponential rounds otherwise",
    "SpatialBN-17-training-empty-batch": "the statistics of nothing",
    **dict.fromkeys(("Gelu-2-extremes", "SortedSegmentRangeLogSumExp-10-extremes"), "of infinities"),
}
# {sample: why its gradients differ}
OTHER_GRADIENTS = {
    **dict.fromkeys(
        ("LeakyRelu-9-3-d", "LeakyRelu-11-extremes", "Elu-6-3-d", "Elu-8-extremes"),
        "alpha < 0: Caffe2's gradient looks at the sign of the output",
    ),
    "CosineSimilarity-1-vectors": "is 0 up to rounding",
    "SpatialSoftmaxWithLoss-2-scale": "Caffe2 multiplies the gradient with `scale`, but not the loss",
    **dict.fromkeys(
        ("SparseToDenseMask-5-an-id-twice", "SparseToDenseMask-6-negative-id"),
        "Caffe2 gives rows that were overwritten a gradient, too",
    ),
}
CHECKED = 3  # gradients are compared for so many samples of an operator


def samples() -> Iterator[Sample]:
    """Samples that give numbers; of what another operator makes first only quantised tensors."""
    for sample in collect():
        makers = [step[0] for step in sample.before]
        plain = all(v.dtype != object for v in sample.inputs if isinstance(v, np.ndarray))
        blobs = any(not isinstance(v, np.ndarray) for v in sample.inputs)
        made = all(maker.startswith("Int8Given") for maker in makers) and blobs <= bool(makers)
        if sample.op in rules() and plain and made and not (sample.error or sample.random):
            yield sample


def values_of(sample: Sample) -> dict[str, Any]:
    """The inputs of a sample by name."""
    workspace = prepared(sample, Path())
    return {name: workspace.fetch(name) for name in definition(sample).input}


SAMPLES = list(samples())
# Operators that become submodules where their parameters are constants.
MODULES = (
    "Conv", "FC", "SpatialBN", "PRelu", "Gather", "SparseLengths", "LayerNorm", "GroupNorm", "InstanceNorm", "Int8",
)  # fmt: skip


def gradient_cases() -> Iterator[Any]:
    """The first samples of each operator with a gradient: fed, and with parameters where it becomes a submodule."""
    counts: Counter[str] = Counter()
    for sample in SAMPLES:
        why = OTHER_GRADIENTS.get(sample.id) or reason(sample)
        if why or not sample.differentiable or not registry.get(sample.op).schema_of().gradient:
            continue
        counts[sample.op] += 1
        if counts[sample.op] <= CHECKED:
            for constant in (False, True)[: 1 + sample.op.startswith(MODULES)]:
                yield pytest.param(sample, constant, id=f"{sample.id}{'-constant' * constant}")


def reason(sample: Sample) -> str:
    """Why a sample's outputs are not compared, empty where they are."""
    why = DIFFERENT.get(sample.id) or DIFFERENT.get(sample.op, "")
    floats = [v for v in sample.inputs if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
    nan = any(np.isnan(v).any() for v in floats)
    return why if why != NAN or nan else ""


def ported(sample: Sample, feeds: dict[str, Any], constant: bool) -> tuple[Any, dict[str, Any]]:
    """The model of one operator, with all inputs but the first as parameters where `constant`, and the feeds."""
    op = definition(sample)
    names = list(feeds)[:1] if constant else list(feeds)
    parameters = {name: value for name, value in feeds.items() if name not in names}
    given = {name: feeds[name] for name in names}
    if not op.output:
        pytest.skip("has no output")
    try:
        net = NetDef(name=sample.op, op=(op,))
        outputs = op.output[:-1] if op.type == "RecurrentNetwork" else op.output  # the last are the steps' workspaces
        return to_torch(net, parameters, given, outputs=list(dict.fromkeys(outputs))), given
    except OperatorError as error:
        if isinstance(error.__cause__, NotPortable):
            pytest.skip(str(error.__cause__))
        raise


def nudged(feeds: dict[str, Any]) -> dict[str, Any]:
    """Floats a bit aside, away from kinks; none of them infinite or huge."""
    generator, found = np.random.default_rng(5), {}
    for name, value in feeds.items():
        if value.dtype.kind == "f":
            plain = np.where(np.abs(value) < 1e4, value, 1.0)
            step = 1e-3 * np.abs(plain).max(initial=0.1) * generator.random(value.shape)
            value = (plain + np.where(plain < 0, -step, step)).astype(value.dtype)
        found[name] = value
    return found


def assert_proven(model: Any, *feeds: dict[str, Any], **options: Any) -> Any:
    proof = prove_torch(model, *feeds, **options)
    assert proof.holds, f"\n{proof}\n{model.source()}"
    return proof


@pytest.mark.parametrize("sample", [s for s in SAMPLES if not reason(s)], ids=lambda s: s.id)
def test_sample(sample: Sample) -> None:
    feeds = values_of(sample)
    model, given = ported(sample, feeds, constant=sample.op.startswith(MODULES) and sample.index % 2 == 0)
    proof = assert_proven(model, given, gradients=False)
    assert not any(d.absolute for d in proof.differences if d.dtype.startswith("quantised"))


@pytest.mark.parametrize(("sample", "constant"), list(gradient_cases()))
def test_gradients_of_sample(sample: Sample, constant: bool) -> None:
    feeds = nudged(values_of(sample))
    try:
        model, given = ported(sample, feeds, constant)
        workspace = Workspace()
        for name, value in feeds.items():
            workspace.feed(name, value)
        workspace.run(model.net)
    except OperatorError as error:
        pytest.skip(f"refuses the inputs put aside: {error.reason}")
    assert_proven(model, given)


def test_rules_are_of_operators() -> None:
    assert not set(rules()) - set(registry.types())


def test_functions_are_used() -> None:
    """Each function that the source may take along is named by a rule or by another one."""
    folder = Path(caffe2ops.__file__).parent / "port" / "torch" / "rules"
    text = "".join(path.read_text() for path in folder.glob("*.py"))
    needed = {name for _, needs in functions().values() for name in needs}
    kinds = ("segment_log_sum_exp", "segment_log_mean_exp")
    assert [
        name for name in functions() if not re.search(rf"['\"]{name}['\"]", text) and name not in (*needed, *kinds)
    ] == []


# --- real nets ---

SMALL = ["googlenet_tail_fc", "s_mnist_deploy_pbtxt", "s_mnist_train_net"]
CLASSIFIERS = [
    "s_alexnet", "s_zfnet512", "s_vgg19", "s_inception_v1", "s_resnet50", "s_mobilenet_v2_fp32", "s_tiny_darknet",
]  # fmt: skip
RAN = [model["name"] for model in shared_material.read_json("models/index.json", []) if model["caffe2_ran"]]
PINN = [name for name in RAN if name.startswith("pinn")]
SLOW = ("s_mobilenet_v2_fp32", "onnx_superres_reshape")  # gradients take long in caffe2ops


def load_net(path: Path) -> NetDef:
    net = caffe2ops.load(path)
    assert isinstance(net, NetDef)
    return net


def load_model(name: str, shared: Path) -> tuple[NetDef, Workspace, dict[str, Any]]:
    inits, predict = shared_material.model_files(name)
    workspace = Workspace()
    for init in inits:
        workspace.run(load_net(init))
    with np.load(shared / "models" / name / "input.npz") as archive:
        feeds = {blob: archive[blob] for blob in archive.files}
    return load_net(predict), workspace, feeds


@pytest.mark.parametrize("name", [*SMALL, *CLASSIFIERS, *PINN, "onnx_superres_reshape"])
def test_model(name: str, shared: Path, tmp_path: Path) -> None:
    """Outputs and gradients agree; the source is what a formatter would have written.

    Classifiers give out what goes into their softmax as well: with the weights made up for some, that is all 0 and 1.
    """
    net, workspace, feeds = load_model(name, shared)
    last = next(op for op in reversed(net.op) if op.type == "Softmax") if name in CLASSIFIERS else OperatorDef()
    model = to_torch(net, workspace, feeds, outputs=[*last.input, *last.output])
    files = model.save(tmp_path / "model.py")
    assert_formatted(files[0])
    proof = assert_proven(model, feeds, path=files[0], gradients=name not in SLOW)
    gradients = [d for d in proof.differences if d.blob.startswith("gradient by ")]
    assert bool(gradients) == (name not in SLOW)


@pytest.mark.parametrize("name", ["x_squeezenet_armcompute", "x_googlenet_first_part"])
def test_net_without_weights(name: str, shared: Path) -> None:
    """Classifiers whose weights nobody kept, with small ones."""
    folder = shared / "models" / name
    net = load_net(folder / shared_material.read_json(f"models/{name}/meta.json")["predict"])
    data = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
    parameters = small_weights(net, data)
    assert_proven(to_torch(net, parameters, {"data": ("N", *data.shape[1:])}))


def small_weights(net: NetDef, data: np.ndarray) -> dict[str, np.ndarray]:
    """Weights of eight filters for each convolution, found by running the net."""
    generator, workspace, found = np.random.default_rng(1), Workspace(), {}
    workspace.feed("data", data)
    for op in net.op:
        if op.type == "Conv":
            kernel = int(op.args["kernel"])
            channels = workspace.fetch(op.input[0]).shape[1]
            spread = (channels * kernel**2 / 2) ** -0.5
            made = (
                generator.standard_normal((8, channels, kernel, kernel)) * spread,
                generator.standard_normal(8) * 0.1,
            )
            for blob, array in zip(op.input[1:], made):
                found[blob] = array.astype(np.float32)
                workspace.feed(blob, found[blob])
        workspace.run(op)
    return found


def test_style_net(shared: Path, tmp_path: Path) -> None:
    """From bytes to bytes; gradients by the parameters of the blob before the bytes."""
    net, workspace, feeds = load_model("style_crayon", shared)
    model = to_torch(net, workspace, feeds)
    path = model.save(tmp_path / "style.py")[0]
    assert_formatted(path)
    assert_proven(model, feeds, path=path)
    assert any("adds noise" in note for note in model.notes)
    inner = to_torch(net, workspace, feeds, outputs=[net.op[-1].input[0]])
    proof = assert_proven(inner, feeds)
    assert len(proof.differences) > 20


@pytest.mark.parametrize("name", ["mask_rcnn_2go_int8_nodet", "s_mask_rcnn_2go_fp32_first"])
def test_detector(name: str, shared: Path, tmp_path: Path) -> None:
    """From a picture to boxes and masks; equal scores are taken by index."""
    net, workspace, feeds = load_model(name, shared)
    model = to_torch(net, workspace, feeds)
    path = model.save(tmp_path / "detector.py")[0]
    assert_formatted(path)
    proof = assert_proven(model, feeds, path=path)
    assert any("order of their indices" in note for note in proof.notes) == ("int8" in name)
    assert not any(d.blob.startswith("gradient") for d in proof.differences)


@pytest.mark.parametrize("name", ["mask_rcnn_2go_int8_nodet", "s_mask_rcnn_2go_int8_resize", "s_faster_rcnn_r50c4"])
def test_detector_stepwise(name: str, shared: Path) -> None:
    """Each operator fed what caffe2ops has: those of 8 bits give the same bytes."""
    net, workspace, feeds = load_model(name, shared)
    proof = assert_proven(to_torch(net, workspace, feeds), feeds, stepwise=True)
    bytes_ = [d for d in proof.differences if d.dtype.startswith("quantised")]
    assert bool(bytes_) == ("int8" in name)
    assert not any(d.absolute for d in bytes_)


def test_recommender(shared: Path, tmp_path: Path) -> None:
    """A predictor file of a net with ragged features; numbers of dims that inference lacks are looked up in a run."""
    folder = shared / "models" / "reagent_dqn_predictor"
    model = open_model(folder / "example_predictor.c2", [])
    with np.load(folder / "input.npz") as archive:
        feeds = {blob: archive[blob] for blob in archive.files}
    weights = next(op for op in model.net.op if op.type == "WeightedSample").input[0]
    ported = to_torch(model.net, model.prepare(), feeds, outputs=[weights])
    path = ported.save(tmp_path / "recommender.py")[0]
    assert_formatted(path)
    assert_proven(ported, feeds, path=path)
    with pytest.raises(OperatorError, match="WeightedSample: has no form in PyTorch here; nor have Append"):
        to_torch(model.net, model.prepare(), feeds, outputs=model.outputs)


GLOW = "glow_caffe2Models"
GLOW_NETS = shared_material.read_json(f"models/{GLOW}/results.json", {"results": {}})["results"]


@pytest.mark.parametrize("name", sorted(n for n, result in GLOW_NETS.items() if result["ran"] and "_fill_" not in n))
def test_small_net(name: str, shared: Path) -> None:
    """Nets of an operator or two, some of 8 bits; fills of random numbers are left out."""
    folder, init = shared / "models" / GLOW, GLOW_NETS[name]["init"]
    workspace = Workspace()
    if init is not None:
        if not (folder / f"{init}.pbtxt").exists():
            pytest.skip(f"{init} is not among the files")
        workspace.run(load_net(folder / f"{init}.pbtxt"))
    net = load_net(folder / f"{name}.pbtxt").replace(external_input=())
    with np.load(folder / f"{name}.input.npz") as archive:
        given = dict(archive)
    feeds: dict[str, Any] = {blob: x for blob, x in given.items() if not blob.endswith(("__scale", "__zero_point"))}
    for blob in list(feeds):
        if f"{blob}__scale" in given:
            feeds[blob] = QTensor(feeds[blob], float(given[f"{blob}__scale"]), int(given[f"{blob}__zero_point"]))
    proof = assert_proven(to_torch(net, workspace, feeds), feeds)
    assert not any(d.absolute for d in proof.differences if d.dtype.startswith("quantised"))


RUFF = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
wants_ruff = pytest.mark.skipif(RUFF is None, reason="ruff is not here")


def assert_formatted(path: Path) -> None:
    if RUFF is None:
        return
    found = subprocess.run([RUFF, "format", "--isolated", "--diff", path], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    found = subprocess.run([RUFF, "check", "--isolated", path], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@wants_ruff
def test_functions_stay_as_they_are_formatted() -> None:
    """At a width of 88, which is a formatter's own, and at that of this project."""
    folder = Path(caffe2ops.__file__).parent / "port" / "torch" / "functions"
    for width in ("88", "120"):
        command = [str(RUFF), "format", "--isolated", "--line-length", width, "--diff", str(folder)]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0, width


# --- the core ---


def net_of(*ops: OperatorDef, **fields: Any) -> NetDef:
    return NetDef(name="net", op=ops, **fields)


def op_of(type_: str, inputs: Any, outputs: Any, **args: Any) -> OperatorDef:
    return OperatorDef(type=type_, input=inputs, output=outputs, args=args)


def digits(**options: Any) -> Any:
    init, predict = (load_net(DIGITS / f"{name}_net.pb") for name in ("init", "predict"))
    return to_torch(predict, init, {"data": ("N", 1, 8, 8)}, **options)


def test_source_of_digits(tmp_path: Path) -> None:
    """Submodules for what has parameters, blobs as locals, and batches of any size."""
    model = digits()
    source = model.source()
    assert "nn.Conv2d(1, " in source
    assert "data: Tensor" in source
    proof = assert_proven(model)
    assert [run.feeds["data"][0] for run in proof.runs] == [1, 3]
    assert sum(d.blob == "gradient by data" for d in proof.differences) == 2
    assert [path.name for path in model.save(tmp_path / "digits.py")] == ["digits.py", "digits.safetensors"]


def test_the_file_needs_only_torch_and_safetensors(tmp_path: Path) -> None:
    digits().save(tmp_path / "digits.py")
    code = (
        "import sys, torch, digits; y = digits.load()(torch.zeros(2, 1, 8, 8));"
        "print(tuple(y.shape), 'caffe2ops' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "(2, 10) False"


def test_rewritten_blobs_get_names_of_their_own() -> None:
    net = net_of(op_of("Relu", "x", "x"), op_of("Scale", "x", "y", scale=2.0), op_of("Sqr", "y", "y"))
    model = to_torch(net, None, {"x": (2, 3)}, outputs=["x", "y"])
    lines = [line.strip() for line in model.written.forward(model.results)]
    assert lines == ["x_relu = F.relu(x)", "y = x_relu * 2.0", "y_sqr = y * y"]
    assert_proven(model)


def test_names_that_are_no_identifiers() -> None:
    net = net_of(op_of("Relu", "class", "1/pool:0"), op_of("Relu", "1/pool:0", "self"), op_of("Relu", "self", "torch"))
    model = to_torch(net, None, {"class": (2, 3)})
    assert "x1_pool_0 = F.relu(class_2)" in model.source()
    assert_proven(model)


def test_scopes_become_comments() -> None:
    blobs = ("a/x", "a/y", "b/z")
    net = net_of(*(op_of("Relu", i, o) for i, o in zip(("data", *blobs), blobs)))
    text = to_torch(net, None, {"data": (2,)}).source()
    assert "        # a\n" in text
    assert "# b" not in text


def test_shared_parameters_are_not_taken_into_submodules() -> None:
    net = net_of(op_of("FC", ("x", "w", "b"), "y"), op_of("FC", ("y", "w", "b"), "z"))
    parameters = {"w": np.eye(3, dtype=np.float32) * 2, "b": np.ones(3, np.float32)}
    model = to_torch(net, parameters, {"x": (2, 3)})
    assert model.source().count("nn.Parameter") == 2
    assert_proven(model)


def test_only_what_outputs_need_is_ported() -> None:
    net = net_of(op_of("Relu", "x", "y"), op_of("GaussianFill", "y", "z"))
    with pytest.raises(OperatorError, match=r"operator 1, GaussianFill: has no form in PyTorch here.*--output"):
        to_torch(net, None, {"x": (2,)})
    model = to_torch(net, None, {"x": (2,)}, outputs=["y"])
    assert model.notes == ["operators that the outputs do not need are left out: 1 GaussianFill"]
    assert_proven(model)
    with pytest.raises(ValueError, match="has no blob 'yy'; did you mean y"):
        to_torch(net, None, {"x": (2,)}, outputs=["yy"])
    with pytest.raises(ValueError, match="the shape of input 'x' is not given"):
        to_torch(net)


def test_quantised_tensors_go_in_and_out() -> None:
    """As bytes; what they mean stands above the module."""
    x = QTensor(np.arange(6, dtype=np.uint8).reshape(2, 3), 0.5, 2)
    net = net_of(op_of("Int8LeakyRelu", "x", "y", Y_scale=0.25, Y_zero_point=7, alpha=0.1))
    model = to_torch(net, None, {"x": x})
    proof = assert_proven(model, {"x": x})
    assert proof.notes == ["gradients are not compared: operators of 8 bits have none"]
    source = model.source()
    assert "Inputs: x uint8[2, 3] (bytes, 0.5 * (byte - 2))." in source
    assert "Outputs: y (bytes, 0.25 * (byte - 7))." in source
    model.steps["y"] = model.steps["y"]._replace(zero=8)
    assert not prove_torch(model, {"x": x}).holds
    with pytest.raises(OperatorError, match="Relu: works on a quantised tensor; Int8Dequantize makes floats of it"):
        to_torch(net_of(op_of("Relu", "x", "y")), None, {"x": x})
    with pytest.raises(OperatorError, match="is no quantised tensor"):
        to_torch(net, None, {"x": x.data})


@pytest.mark.parametrize("scale", [0.5, 0.25])
def test_branches_of_other_scales(scale: float) -> None:
    """What both branches write has one scale, or none that is known."""
    then, other = (
        net_of(op_of("Int8Quantize", "x", "q", Y_scale=s, Y_zero_point=3), op_of("Relu", "x", "z"))
        for s in (0.5, scale)
    )
    net = net_of(op_of("If", ("c", "x"), ("q", "z"), then_net=then, else_net=other), op_of("Int8Dequantize", "q", "y"))
    given = {"c": np.array(False), "x": np.array([[0.2, 3.3]], np.float32)}
    if scale == 0.5:
        assert_proven(to_torch(net, None, given, outputs=["y"]), given)
    else:
        with pytest.raises(OperatorError, match="is no quantised tensor"):
            to_torch(net, None, given, outputs=["y"])


def test_packed_weights() -> None:
    """Packed by the net, or before it."""
    pack, fc = op_of("FbGemmPack", "w", "p"), op_of("FbFCPacked", ("x", "p", "b"), "y")
    workspace = Workspace()
    values = {
        "x": np.ones((2, 3), np.float32),
        "w": np.eye(4, 3, dtype=np.float32) / 3,
        "b": np.arange(4.0, dtype="f4"),
    }
    for name, value in values.items():
        workspace.feed(name, value)
    workspace.run(pack)
    for ops in ((pack, fc), (fc,)):
        model = to_torch(net_of(*ops), workspace, {"x": ("N", 3)})
        assert_proven(model, {"x": values["x"]})
        assert_proven(model, {"x": values["x"]}, stepwise=True)


def test_outputs_without_gradients_are_named() -> None:
    net = net_of(op_of("Exp", "x", "y"), op_of("IsNaN", "x", "z"), op_of("Percentile", ("x", "points", "n"), "p"))
    parameters = {"points": np.array([[0, 0], [1, 1]], np.float32), "n": np.array([2], np.int32)}
    proof = assert_proven(to_torch(net, parameters, {"x": (3, 1)}))
    assert "gradient by x" in str(proof)
    assert proof.notes == ["gradients are not compared for the outputs p: caffe2ops has none on the way to them"]


def test_equal_elements_of_a_pooling_window() -> None:
    """The outputs agree; the gradients do by Caffe2's rule, which a note says."""
    net = net_of(op_of("MaxPool", "x", "y", kernel=3, stride=2), op_of("MaxPool", "y", "z", kernel=2))
    model = to_torch(net, None, {"x": (1, 2, 9, 9)})
    x = np.random.default_rng(0).standard_normal((1, 2, 9, 9)).astype(np.float32)
    proof = assert_proven(model, {"x": x})
    assert [note for note in proof.notes if "equally great" in note]


def test_a_wrong_port_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    net = net_of(op_of("Exp", "x", "y"), op_of("Relu", "y", "y"))
    monkeypatch.setitem(rules(), "Relu", lambda t, op, x: f"F.relu({x}) * 1.01")
    proof = prove_torch(to_torch(net, None, {"x": (2, 3)}), trace=True)
    assert "first difference: operator 1 (Relu), blob 'y'" in str(proof)
    assert Counter(d.within(proof.tolerance) for d in proof.differences) == {False: 2}
    assert "NOT proven" in str(proof)


def test_checks_raise(tmp_path: Path) -> None:
    model = to_torch(net_of(op_of("NanCheck", "x", "y")), None, {"x": (2,)})
    assert_proven(model, gradients=False)
    module = imported(model.save(tmp_path / "checks.py")[0]).load()
    with pytest.raises(ValueError, match="x holds numbers that are not finite"):
        module(torch.tensor([1.0, float("nan")]))


@pytest.mark.parametrize(
    ("value", "text"),
    [(np.float32(0.1), "0.1"), (float(np.float32(1e-4)), "0.0001"), ((1,), "(1,)"), ([True], "[True]")],
)
def test_literals(value: Any, text: str) -> None:
    assert literal(value) == text


A, B, C = (f"blob_{letter}_of_a_deep_scope_with_a_long_name" for letter in "abc")
LONG = (
    f"{A} = {B} + {C}",
    f"{A} = ({B} + {C}) * 2.0",
    f"{A} = 1.0507009873554805 * F.elu({B}, alpha=1.6732632423543772)",
    f"{A} = {B} * F.softplus({C}) - {C}.flatten(1, 2) * {B}",
    f"{A} = F.conv2d({B}, {C}, padding=1).movedim(1, -1)",
    f"{A} = self.{B}({C}).movedim(1, -1)",
    f"{A} = {B}.movedim(-1, 1).unflatten(1, (4, -1)).transpose(1, 2).flatten(1, 2)",
    f"{A} = -({B} * {C}).sum(1)",
    f"{A} = {B}[:, {C}.long()]",
    f"{A} = torch.cat(({A}, {B}, {C}), 1)",
    f"{A}, {B} = top_k_pool({A}, {B}, {C}, [1.0, 2.0], size={A} + {B} * {C}, none=False)[:2]",
    f"self.{A} = nn.Conv2d(256, 512, kernel_size=3, padding=1, bias=False)",
    f"return {A}, {B}, {C}",
)


@wants_ruff
@pytest.mark.parametrize("statement", LONG)
def test_long_statements_are_folded(statement: str) -> None:
    """As a formatter does it."""
    source = f"def f():\n    {statement}\n"
    command = [str(RUFF), "format", "--isolated", "-"]
    run = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    assert list(fold(statement, 1)) == run.stdout.splitlines()[1:]


def test_both_branches_of_if() -> None:
    branches = [net_of(op_of("Scale", "x", "y", scale=s), op_of("Relu", "y", "y")) for s in (2.0, -3.0)]
    net = net_of(op_of("If", ("c", "x"), "y", then_net=branches[0], else_net=branches[1]), op_of("Exp", "y", "z"))
    model = to_torch(net, None, {"c": np.array(True), "x": (1, 3)})
    x = np.array([[1.0, -2.0, 0.5]], np.float32)
    assert_proven(model, *({"c": np.array(c), "x": x} for c in (True, False)))


def test_loops() -> None:
    """Doubles until a limit is passed."""
    body = net_of(op_of("Scale", "x", "x", scale=2.0))
    condition = net_of(op_of("SumElements", "x", "sum"), op_of("LT", ("sum", "limit"), "c"))
    net = net_of(op_of("While", ("c", "x"), "x", loop_net=body, cond_net=condition))
    feeds = {"c": np.array(True), "x": np.array([1.0, 2.0], np.float32), "limit": np.float32(100).reshape(())}
    model = to_torch(net, None, feeds)
    assert "while c" in model.source()
    assert_proven(model, feeds, {**feeds, "x": np.array([0.1, 90.0], np.float32)})


# --- the command line ---


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from caffe2ops.cli import main

    def run(*args: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["caffe2ops", "port", *map(str, args)])
        monkeypatch.setenv("COLUMNS", "200")
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    status, text = run(DIGITS, "--to", tmp_path / "digits.py", "--shape", "data=N,1,8,8")
    assert status == 0
    assert "digits.safetensors" in text
    assert "gradient by data" in text
    assert "proven (2 runs" in text
    status, text = run(DIGITS, "--to", tmp_path / "d.py", "--feeds", DIGITS / "digits.npz", "--tolerance", 0, "--trace")
    assert status == 1
    assert "first difference: operator" in text
    status, text = run(DIGITS, "--to", tmp_path / "d.py", "--shape", "data=N,1,8,8", "--stepwise")
    assert status == 0
    assert "0 Conv: conv1" in text
    status, text = run(DIGITS, "--to", tmp_path / "d.py", "--shape", "data=N,1,8,8", "--opset", 20)
    assert status != 0
    assert "are for ONNX models" in text


def test_public_names() -> None:
    from caffe2ops import port

    assert port.to_torch is to_torch
    assert port.prove_torch is prove_torch
