"""Ports to ONNX: every sample of every operator that has a rule runs in onnxruntime, and so do real nets."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2ops
from caffe2ops import NetDef, OperatorDef, OperatorError, QTensor, TensorSpec, Workspace, registry
from tests.kit import shared as shared_material
from tests.kit.call import definition
from tests.kit.call import prepared as prepared_for
from tests.kit.sample import Blob, Sample, collect

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from caffe2ops.dataflow import read_by  # noqa: E402
from caffe2ops.port import packages, proof, prove, to_onnx  # noqa: E402
from caffe2ops.port.onnx.builder import Builder  # noqa: E402
from caffe2ops.port.onnx.export import NEWEST, OLDEST  # noqa: E402
from caffe2ops.port.onnx.proof import differences_of_steps, first_difference  # noqa: E402
from caffe2ops.port.onnx.proof import session as session_of  # noqa: E402
from caffe2ops.port.onnx.rules import exact_rules, rules  # noqa: E402
from caffe2ops.port.values import NotPortable  # noqa: E402

# Exporters of other tools put arguments of their own on operators; they are warned of when a net is loaded.
pytestmark = pytest.mark.filterwarnings("ignore:.* has no argument:UserWarning")

# --- every sample of every rule ---

# {operator: note of a sample: why ONNX, or onnxruntime, answers something else or nothing}; the list may only shrink
NAN = "onnxruntime orders NaN otherwise"
EMPTY = "onnxruntime gives something else for the extremes of nothing"
NOTHING = "there is no output"
ROUNDS = "what no round has given is int32[0] in Caffe2, whatever rounds would give"
EXPLAINED = {
    "TopK: nan": NAN, "TopK: early nan": NAN, "TopK: long rows, NaN": NAN,
    "TopK: long rows, as many as are not -inf": NAN, "LengthsTopK: NaN among the first k": NAN,
    "LengthsTopK: NaN later": NAN, "Accuracy: nan": NAN, "MaxPool: nan spreads": NAN, "ReduceMax: nan": NAN,
    "ReduceMax: empty axis": EMPTY, "ReduceMin: empty axis": EMPTY, "ReduceFrontMax: nothing to fold": EMPTY,
    "ReduceBackMax: nothing to fold": EMPTY, "ArgMax: empty axis": EMPTY, "ArgMin: empty axis": EMPTY,
    "Accuracy: no rows": "the mean of nothing", "RoIAlign: no width": "the mean of no samples",
    "SpatialBN: training, empty batch": "training on no images leaves the running values alone",
    "SparseToDenseMask: no rows": "onnxruntime does not reshape [0, 2] to [0, 3, 2]",
    "Gather: match outer, no rows": "ONNX does not reshape nothing to a dim that follows",
    "SinusoidPositionEncoding: default": "an angle of 3000 has 12 bits behind the point in float32",
    "EnforceFinite: ": NOTHING, "EnforceFinite: float64": NOTHING, "If: neither": NOTHING,
    "ONNXWhile: no trip": ROUNDS, "ONNXWhile: not once": ROUNDS,
}  # fmt: skip
# {message: why an operator is refused for these arguments or inputs}
REFUSED = {
    "strings": "string tensors",
    "draws random numbers": "a net that trains",
    "the nets leave float32 and int64": "a blob whose dtype depends on a condition",
    "is no int32": "an argument that only 64 bits hold",
    "of float(32|64); whole numbers can be": "Unique of floats, among which there may be NaN",
    "needs the shape as a constant": "a diagonal of any rank",
    "fixed, step, exp and inv can be": "learning rates of other policies",
    "the gradient of a (convolution|pooling)": "order NHWC, groups, negative padding",
    "an init net has not made": "a counter that begins in the net itself",
    "boxes with an angle": "detectors of rotated boxes",
    "set is_test = 1": "places of maxima, for a gradient",
    "^net 'one', operator 0, LC: global_pooling": "a layer that is one place",
    "order NHWC|with global_pooling, or of float16": "columns and indices in other layouts",
    "^net 'one', operator 0, ATen: ": "functions and dtypes of ATen",
    "engine DNNLOWP": "Caffe2's other library of 8 bits",
    "INDICES whose dims": "a scatter of less than DATA's rows",
    "AccHist counts in all runs": "what an operator keeps from run to run",
    "engine GREEDY": "a search for the range of each row",
    "^net 'one' gives out nothing": "an operator that makes no tensor",
    "holds no quantised tensor": "floats where Caffe2's other library of 8 bits takes them",
}
TOLERANCE = 2e-4


def takes_part(sample: Sample) -> bool:
    """Whether ONNX has values like the inputs; those that are quantised are made by operators before."""
    makers = [step[0] for step in sample.before]
    blobs = any(isinstance(value, Blob) for value in sample.inputs)
    strings = any(getattr(getattr(value, "dtype", None), "hasobject", False) for value in sample.inputs)
    return not strings and all(m.startswith(("Int8Given", "GivenTensor")) for m in makers) and blobs <= bool(makers)


SAMPLES = [
    s
    for s in collect()
    if s.op in rules() and s.op in registry.types() and s.error is None and not s.random and takes_part(s)
    and not (s.op == "InferenceLSTM" and not s.inputs[0].size)  # ends the process in onnxruntime 1.32
]  # fmt: skip
FIRST = list({s.op: s for s in reversed(SAMPLES)}.values())[::-1]


# Samples have what nets seldom have: no rows, NaN, extremes.
OLD = tuple(map(int, runtime.__version__.split(".")[:2])) <= (1, 23)
newer_runtime = pytest.mark.skipif(OLD, reason="onnxruntime up to 1.23 ends the process on TopK of nothing")


def over(samples: list[Sample]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sample", samples, ids=lambda sample: sample.id)


def explained(sample: Sample) -> str | None:
    return EXPLAINED.get(f"{sample.op}: {sample.note}")


def exported(
    sample: Sample, constant: bool = False, loose: int | None = 0, **options: Any
) -> tuple[Any, dict[str, Any]]:
    """The model of a sample's operator, and what to feed; skips the test for a refusal that the table explains.

    `constant`: all inputs but the first are parameters; `loose`: so many dims of every input are unknown, None for all.
    """
    op, workspace = definition(sample), prepared_for(sample, Path())
    feeds = {name: workspace.fetch(name) for name in op.input}
    parameters = {name: feeds.pop(name) for name in list(feeds)[1:] if name not in op.output} if constant else {}
    shapes = {name: spec_of(value, loose) for name, value in feeds.items()}
    try:
        return to_onnx(NetDef(name="one", op=(op,)), parameters, shapes, **options), feeds
    except (OperatorError, NotPortable) as error:
        if not isinstance(error, NotPortable) and not isinstance(error.__cause__, NotPortable):
            raise
        refusal = str(error)
    if "as a constant" in refusal and not constant and loose == 0:
        return exported(sample, constant=True, **options)
    if loose == 0 and not options:
        assert any(re.search(reason, refusal) for reason in REFUSED), refusal
    pytest.skip(refusal.splitlines()[0])


def spec_of(value: Any, loose: int | None) -> Any:
    if loose == 0 or isinstance(value, QTensor) or value.dtype.hasobject:
        return value
    known = value.shape[value.ndim if loose is None else loose :]
    return TensorSpec([caffe2ops.UNKNOWN] * (value.ndim - len(known)) + list(known), value.dtype)


def assert_proven(model: Any, feeds: Mapping[str, Any]) -> None:
    report = prove(model, feeds, tolerance=TOLERANCE)
    if "NOT_IMPLEMENTED" in report.unproven:
        pytest.skip(f"onnxruntime has no kernel: {report.unproven[-80:]}")
    assert report.holds, f"\n{report}"


@newer_runtime
@over(SAMPLES)
def test_sample(sample: Sample, request: pytest.FixtureRequest) -> None:
    """The operator alone, ported, answers in onnxruntime what it answers here."""
    if reason := explained(sample):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    assert_proven(*exported(sample))


@newer_runtime
@over([s for s in SAMPLES if len(s.inputs) > 1 and not explained(s)])
def test_sample_with_parameters(sample: Sample) -> None:
    """The same with all inputs but the first as constants."""
    assert_proven(*exported(sample, constant=True))


@newer_runtime
@over([s for s in SAMPLES if not explained(s)])
def test_sample_of_any_batch(sample: Sample) -> None:
    """The same with the first dim of every input unknown when it is ported."""
    if sample.note == "running values begin":
        pytest.skip("running values of another size count as zeros, which only a known size tells")
    assert_proven(*exported(sample, loose=1))


@newer_runtime
@over([s for s in FIRST if not explained(s)])
@pytest.mark.parametrize("opset", [OLDEST, NEWEST])
def test_sample_in_other_opsets(sample: Sample, opset: int) -> None:
    model, feeds = exported(sample, opset=opset)
    assert model.proto().opset_import[0].version == opset
    assert_proven(model, feeds)


def outputs_of(op: str) -> tuple[int, int]:
    """The fewest and the most outputs of an operator."""
    schema = registry.get(op).schema_of()
    return schema.min_output, schema.min_output if schema.max_output is None else schema.max_output


@newer_runtime
@over([s for s in FIRST if not explained(s) and outputs_of(s.op)[1] > (s.outputs or outputs_of(s.op)[0])])
def test_sample_with_all_outputs(sample: Sample) -> None:
    """All outputs that are written here are given out."""
    sample = replace(sample, outputs=outputs_of(sample.op)[1])
    op, workspace = definition(sample), prepared_for(sample, Path())
    try:
        workspace.run(op)
    except OperatorError as error:
        pytest.skip(f"the sample is not one for all outputs: {error.reason}")
    model, feeds = exported(sample)
    written = [name for name in op.output if isinstance(workspace.find(name).value, (np.ndarray, QTensor))]
    assert sorted(model.outputs) == sorted(written)
    assert_proven(model, feeds)


def test_rules_are_of_operators() -> None:
    assert not set(rules()) - set(registry.types())


# --- real nets ---

MODELS = {model["name"] for model in shared_material.read_json("models/index.json", []) if model["caffe2_ran"]}
GLOW = "glow_caffe2Models"
SMALL = shared_material.read_json(f"models/{GLOW}/results.json", {"results": {}})["results"]
# {net: why it cannot be ported, or the proof cannot hold}
OUTSIDE = {
    "minidb_data_adjoint": "data, no net", "minidb_data_transixor": "data, no net",
    "reagent_dqn_predictor": "strings and a sampler; see test_predictor_export",
    "gaussian_fill_use_input_shape": "random numbers",
    "gaussian_fill_use_input_shape_with_extra_shape": "random numbers",
    "gaussian_fill_use_provided_shape": "random numbers", "uniform_fill_use_input_shape": "random numbers",
    "uniform_fill_input_as_shape": "random numbers",
}  # fmt: skip
# Nets of 8 bits, proven from end to end as whole numbers; between floats they are off by a step at every operator.
# Quantises floats anew on the way, which may be a step off, and more behind that.
REQUANTISED = "mask_rcnn_2go_int8_nodet"
EIGHT_BITS = (REQUANTISED, "s_mask_rcnn_2go_int8_resize")
EMPTY = "s_mask_rcnn_2go_int8_resize"  # finds nothing in its input: only the blobs on the way can be compared
# Its made-up weights give scores of up to 1 / (1 + exp(-1121)): what is 1 and what is almost 1 hangs on the last bits.
SATURATED = "s_faster_rcnn_r50c4"


def load_net(path: Path) -> NetDef:
    net = caffe2ops.load(path)
    assert isinstance(net, NetDef)
    return net


def load_feeds(path: Path) -> dict[str, Any]:
    feeds: dict[str, Any] = {}
    if path.exists():
        with np.load(path) as archive:
            for name in archive.files:
                if f"{name}__scale" in archive:
                    scale, zero = float(archive[f"{name}__scale"]), int(archive[f"{name}__zero_point"])
                    feeds[name] = QTensor(archive[name], scale, zero)
                elif not name.endswith(("__scale", "__zero_point")):
                    feeds[name] = archive[name]
    return feeds


def prepared(inits: list[NetDef]) -> Workspace:
    workspace = Workspace()
    for net in inits:
        workspace.run(net)
    return workspace


def load_model(name: str, shared: Path) -> tuple[NetDef, Workspace, dict[str, Any]]:
    inits, predict = shared_material.model_files(name)
    feeds = load_feeds(shared / "models" / name / "input.npz")
    return load_net(predict), prepared(list(map(load_net, inits))), feeds


@pytest.mark.parametrize("name", sorted(MODELS))
def test_model(name: str, shared: Path) -> None:
    if name in OUTSIDE:
        pytest.skip(OUTSIDE[name])
    net, workspace, feeds = load_model(name, shared)
    missing = sorted({op.type for op in net.op} - set(registry.types()))
    if missing:
        pytest.skip(f"operators missing: {', '.join(missing)}")
    model = to_onnx(net, workspace, feeds, exact_int8=name in EIGHT_BITS)
    report = prove(model, feeds, stepwise=name == SATURATED)
    assert report.holds, f"\n{report}"
    assert all(0 in d.shape for d in report.differences) == (name == EMPTY)
    if name not in (SATURATED, REQUANTISED):  # the outputs of some are nearly one-hot: all blobs on the way agree, too
        assert first_difference(model, feeds, proof.TOLERANCE) == "no operator's output differs more than that"
    if name in EIGHT_BITS:
        assert not any(d.absolute for d in differences_of_steps(model, feeds) if "Int8" in d.blob)


@pytest.mark.parametrize("name", EIGHT_BITS)
def test_model_of_8_bits_between_floats(name: str, shared: Path) -> None:
    """Every operator is within a step. What comes together is more, and the report says what to do."""
    net, workspace, feeds = load_model(name, shared)
    model = to_onnx(net, workspace, feeds)
    report = prove(model, feeds, stepwise=True)
    assert report.holds, f"\n{report}"
    if name != EMPTY:
        assert "--exact-int8" in str(prove(model, feeds))


def test_detector_whose_scores_differ(shared: Path) -> None:
    """The detector with made-up weights, those of its proposals a thousandth: from end to end."""
    net, workspace, feeds = load_model(SATURATED, shared)
    for name in ("rpn_cls_logits_w", "rpn_bbox_pred_w"):
        workspace.feed(name, workspace.fetch(name) * np.float32(1e-3))
    report = prove(to_onnx(net, workspace, feeds), feeds)
    assert report.holds, f"\n{report}"
    assert min(d.shape[0] for d in report.differences) > 0
    assert proof.EQUAL_SCORES in report.notes


EXACT = [s for s in SAMPLES if exact_rules()[s.op] is not rules()[s.op]]


@newer_runtime
@over(EXACT)
def test_sample_in_whole_numbers(sample: Sample) -> None:
    """The operators of 8 bits as whole numbers: the same bytes."""
    for loose, constant in ((0, False), (1, True)):
        model, feeds = exported(sample, loose=loose, constant=constant, exact_int8=True)
        report = prove(model, feeds)
        assert report.holds, f"\n{report}"
        assert not any(d.absolute for d in report.differences), f"\n{report}"


def test_predictor_export(shared: Path) -> None:
    """A recommender's predictor: all outputs but the names of actions (strings) and the one that is drawn."""
    folder = shared / "models" / "reagent_dqn_predictor"
    predictor = caffe2ops.Predictor.of_export(caffe2ops.load(folder / "example_predictor.c2"))
    odd = ("features.values.keys", "single_categorical_features.values")
    outputs = [name for name in predictor.outputs if not name.endswith(odd)]
    assert len(outputs) == len(predictor.outputs) - 2
    feeds = load_feeds(folder / "input.npz")
    assert_proven(to_onnx(predictor.definition, predictor.workspace, feeds, outputs=outputs), feeds)
    with pytest.raises(OperatorError, match="WeightedSample"):
        to_onnx(predictor.definition, predictor.workspace, feeds)


@pytest.mark.parametrize("name", sorted(name for name, result in SMALL.items() if result["ran"]))
def test_small_net(name: str, shared: Path) -> None:
    if name in OUTSIDE:
        pytest.skip(OUTSIDE[name])
    folder, init = shared / "models" / GLOW, SMALL[name]["init"]
    if init is not None and not (folder / f"{init}.pbtxt").exists():
        pytest.skip(f"{init} is not among the files")
    inits = [] if init is None else [load_net(folder / f"{init}.pbtxt")]
    net = load_net(folder / f"{name}.pbtxt")
    if "external_input cleared" in SMALL[name].get("patched", ""):
        net = net.replace(external_input=())
    feeds = load_feeds(folder / f"{name}.input.npz")
    assert_proven(to_onnx(net, prepared(inits), feeds), feeds)


# --- the core ---

DIGITS = Path(__file__).parent.parent / "examples" / "digits"


def net_of(*ops: OperatorDef, **fields: Any) -> NetDef:
    return NetDef(name="net", op=ops, **fields)


def op_of(type_: str, inputs: Any, outputs: Any, **args: Any) -> OperatorDef:
    return OperatorDef(type=type_, input=inputs, output=outputs, args=args)


def digits(**options: Any) -> Any:
    init, predict = (load_net(DIGITS / f"{name}_net.pb") for name in ("init", "predict"))
    return to_onnx(predict, init, {"data": ("N", 1, 8, 8)}, **options)


def test_names_are_those_of_blobs() -> None:
    """The last version of a blob bears its name, earlier ones a number; an input keeps its own."""
    net = net_of(op_of("Relu", "x", "x"), op_of("Scale", "x", "y", scale=2.0), op_of("Relu", "y", "y"))
    model = to_onnx(net, None, {"x": (2, 3)}, outputs=["x", "y"])
    assert [node.outputs[0].name for node in model.graph.nodes] == ["x__out", "y__1", "y"]
    assert {blob: value.name for blob, value in model.outputs.items()} == {"x": "x__out", "y": "y"}
    assert prove(model).holds
    assert prove(to_onnx(caffe2ops.Net("of a builder", net), None, {"x": (2, 3)})).holds


@pytest.mark.parametrize(
    "op",
    [
        op_of("FC", ("x", "w", "b"), "y", axis=2),
        op_of("ATen", "x", "y", operator="flatten", start_dim=1, end_dim=-1),
        op_of("ATen", "x", "y", operator="flatten", start_dim=0, end_dim=1),
    ],
    ids=lambda op: f"{op.type}-{len(op.args)}",
)
def test_batches_of_nothing(op: OperatorDef) -> None:
    """Dims of 0 leave none to be told from the number of elements."""
    weights = {"w": np.ones((5, 4), np.float32), "b": np.zeros(5, np.float32)} if len(op.input) > 1 else {}
    model = to_onnx(net_of(op), weights, {"x": ("N", 3, 4)})
    assert prove(model, *({"x": np.ones((n, 3, 4), np.float32)} for n in (2, 0))).holds


def test_outputs_bear_the_names_of_their_blobs() -> None:
    """Also those that are another blob's value, whose name begins alike, and parameters that no operator reads."""
    net = net_of(op_of("Relu", "x", "a__b"), op_of("NanCheck", "a__b", "a"), external_output=("a", "a__b", "w"))
    model = to_onnx(net, {"w": np.ones(3, np.float32)}, {"x": (2, 3)})
    assert {blob: value.name for blob, value in model.outputs.items()} == {"a": "a", "a__b": "a__b", "w": "w__out"}
    assert prove(model).holds
    assert list(to_onnx(net, model.parameters, {}, outputs=["w"]).outputs) == ["w"]
    ran = Workspace()
    ran.feed("x", np.ones((2, 3), np.float32))
    ran.run(net.op[0])
    assert to_onnx(net_of(net.op[0]), ran, {"x": (2, 3)}).state == []


def test_blobs_without_a_value_in_onnx_are_not_those_before() -> None:
    """An operator that writes strings over numbers; nobody can read the numbers any more."""
    tree = next(sample for sample in SAMPLES if sample.op == "HSoftmaxSearch")
    names = definition(tree).input
    search = op_of("HSoftmaxSearch", names, ("b", "scores"), **tree.args)
    weights = {"b": np.ones(3, np.float32), **dict(zip(names[1:], tree.inputs[1:]))}
    model = to_onnx(net_of(search), weights, {names[0]: tree.inputs[0]})
    assert list(model.outputs) == ["scores"]
    assert prove(model, {names[0]: tree.inputs[0]}).holds
    with pytest.raises(OperatorError, match="'b' holds strings"):
        to_onnx(net_of(search, op_of("Relu", "b", "y")), weights, {names[0]: tree.inputs[0]})


def test_dims_that_vary_keep_their_names() -> None:
    model = digits()
    dims = [d.dim_param or d.dim_value for d in model.proto().graph.output[0].type.tensor_type.shape.dim]
    assert dims == ["N", 10]
    report = prove(model)
    assert report.holds
    assert [run.feeds["data"][0] for run in report.runs] == list(proof.BATCHES)


def test_given_feeds_are_run_with_other_batches_too() -> None:
    with np.load(DIGITS / "digits.npz") as archive:
        report = prove(digits(), {"data": archive["data"]})
    assert [run.feeds["data"][0] for run in report.runs] == [12, *proof.BATCHES]


def test_shape_arithmetic_is_folded() -> None:
    """What only depends on shapes that are known is computed when the net is ported."""
    net = net_of(
        op_of("Shape", "x", "shape"), op_of("Slice", "shape", "batch", starts=(0,), ends=(1,)),
        op_of("ConstantFill", "batch", "ones", input_as_shape=1, value=1.0), op_of("FlattenToVec", "x", "flat"),
        op_of("Gather", ("flat", "batch"), "picked"), op_of("Mul", ("picked", "ones"), "y"),
    )  # fmt: skip
    model = to_onnx(net, None, {"x": (2, 3)}, outputs=["y"])
    assert [node.type for node in model.graph.nodes] == ["Reshape", "Gather", "Mul"]
    assert prove(model).holds


def test_nets_that_were_saved_on_a_gpu(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """They are ported and proven on the CPU, the nets within their operators and the init net too."""
    gpu = caffe2ops.DeviceOption(device_type=caffe2ops.DeviceType.CUDA)
    then = net_of(op_of("Relu", "x", "y"), device_option=gpu)
    branch = op_of("If", "c", "y", then_net=then, else_net=then).replace(device_option=gpu)
    net = net_of(branch, op_of("Add", ("y", "w"), "z"), device_option=gpu)
    init = net_of(op_of("ConstantFill", (), "w", shape=(3,), value=2.0).replace(device_option=gpu))
    feeds = {"x": np.ones((2, 3), np.float32), "c": np.array(True)}
    model = to_onnx(net, init, feeds)
    for options in ({}, {"trace": True, "tolerance": -1.0}, {"stepwise": True}):
        assert prove(model, feeds, **options).holds == ("trace" not in options)
    for name, each in (("init", init), ("predict", net)):
        caffe2ops.dump(each, tmp_path / f"{name}_net.pb")
    np.savez(tmp_path / "feeds.npz", **feeds)
    assert cli(tmp_path, "--to", tmp_path / "gpu.onnx", "--feeds", tmp_path / "feeds.npz")[0] == 0


def test_only_what_outputs_need_is_ported() -> None:
    net = net_of(op_of("Relu", "x", "y"), op_of("GaussianFill", "y", "z"))
    with pytest.raises(OperatorError, match=r"operator 1, GaussianFill: has no form in ONNX here.*--output"):
        to_onnx(net, None, {"x": (2,)})
    assert prove(to_onnx(net, None, {"x": (2,)}, outputs=["y"])).holds
    with pytest.raises(ValueError, match="has no blob 'yy'; did you mean y"):
        to_onnx(net, None, {"x": (2,)}, outputs=["yy"])


def test_refusals_name_the_operator_and_a_way_out() -> None:
    net = net_of(op_of("Relu", "x", "y"), op_of("Dropout", "y", ("z", "mask"), is_test=0))
    with pytest.raises(OperatorError, match=r"operator 1, Dropout: draws random numbers.*set is_test = 1") as caught:
        to_onnx(net, None, {"x": (2,)})
    assert "inputs: y float32[2]" in str(caught.value)
    with pytest.raises(ValueError, match="the shape of input 'x' is not given"):
        to_onnx(net)
    for shape, message in (
        ((-1, 2), r"a dim is below 0 in \(-1, 2\)"), ("N,2", "'N,2', wants an array"), (2, "2, wants an array"),
        (TensorSpec(None, np.float32), "wants dims and a dtype"), (TensorSpec((1, 2)), "wants dims and a dtype"),
    ):  # fmt: skip
        with pytest.raises(NotPortable, match=f"input 'x': .*{message}"):
            to_onnx(net_of(net.op[0]), None, {"x": shape})
    with pytest.raises(ValueError, match="opset = 3, wants"):
        to_onnx(net, None, {"x": (2,)}, opset=3)


def test_operators_without_a_rule_can_be_kept() -> None:
    """They become nodes of the domain caffe2ops with their arguments; then nothing is proven."""
    net = net_of(op_of("GaussianFill", "x", "noise", mean=1.0), op_of("Add", ("x", "noise"), "y"))
    model = to_onnx(net, None, {"x": (2, 3)}, allow_custom=True)
    node = model.proto().graph.node[0]
    assert (node.domain, node.op_type, node.attribute[0].name) == ("caffe2ops", "GaussianFill", "mean")
    report = prove(model)
    assert not report.holds
    assert "no runtime knows GaussianFill" in str(report)
    strings = to_onnx(net_of(op_of("StringJoin", "x", "s")), None, {"x": (2,)}, allow_custom=True)
    assert strings.proto().graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.STRING


def test_what_a_rule_began_before_it_refused_is_gone() -> None:
    net = net_of(op_of("TopK", ("x", "k"), ("v", "i"), axis=0), op_of("Tile", ("v", "n", "axis"), "y"))
    shapes = {"x": (5,), "k": np.int64([2]), "n": np.int32([2]), "axis": np.int32([0])}
    model = to_onnx(net, None, shapes, outputs=["y"], allow_custom=True)
    assert model.custom == ["Tile"]
    assert model.graph.nodes[-1].domain == "caffe2ops"


def test_nodes_that_lead_nowhere_are_left_out() -> None:
    """GroupNorm's mean is asked for by nobody; the blob stays, what only shapes it further does not."""
    net = net_of(op_of("GroupNorm", ("x", "w", "b"), "y", group=2))
    parameters = {name: np.ones(4, np.float32) for name in "wb"}
    model = to_onnx(net, parameters, {"x": ("N", 4, 3, 3)})
    assert "Squeeze" not in [node.type for node in model.graph.nodes]
    assert prove(model).holds


def test_parameters_beyond_the_limit_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    model = digits()
    files = model.save(tmp_path / "digits.onnx", external=1000)
    assert [file.name for file in files] == ["digits.onnx", "digits.onnx.data"]
    assert files[0].stat().st_size < files[1].stat().st_size
    assert prove(model, path=str(files[0])).holds
    assert model.save(tmp_path / "digits.onnx") == files[:1]


def test_models_beyond_the_limit_are_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From files, in which the checker still finds dims and axes; traced and operator by operator, too."""
    monkeypatch.setattr("caffe2ops.port.onnx.proof.EXTERNAL", 1)
    net = net_of(op_of("FC", ("x", "w", "b"), "y"), op_of("Reshape", "y", ("z", "_"), shape=(0, 2, -1)),
                 op_of("ReduceBackSum", "z", "sum"))  # fmt: skip
    weights = {"w": np.ones((400, 5), np.float32), "b": np.zeros(400, np.float32)}
    model = to_onnx(net, weights, {"x": ("N", 5)}, outputs=["sum"])
    assert prove(model, path=str(model.save(tmp_path / "model.onnx", external=1)[0])).holds
    assert prove(model).holds
    assert prove(model, stepwise=True).holds
    model.parameters["b"] = model.parameters["b"] + 100
    assert "first difference: operator 0 (FC)" in str(prove(model, trace=True))


def test_blobs_that_the_net_changes_are_inputs_with_defaults() -> None:
    """A parameter that is updated in place: its value goes in, unless another one is fed, and the new one comes out."""
    net = net_of(op_of("Add", ("count", "x"), "count"))
    model = to_onnx(net, {"count": np.array([5.0], np.float32)}, {"x": (1,)})
    assert model.state == ["count"]
    assert [value.name for value in model.inputs] == ["x"]
    assert prove(model, {"x": np.array([2.0], np.float32)}).holds
    session = session_of(model.proto())
    fed = {"x": np.array([1.0], np.float32), "count": np.array([7.0], np.float32)}
    np.testing.assert_array_equal(session.run(["count__out"], fed)[0], [8.0])


def test_checks_are_noted() -> None:
    model = to_onnx(net_of(op_of("NanCheck", "x", "y"), op_of("Relu", "y", "z")), None, {"x": (2,)})
    assert any("cannot raise" in note for note in model.notes)
    assert "cannot raise" in model.proto().doc_string


def test_trace_finds_the_first_blob_that_differs() -> None:
    model = digits()
    name = next(name for name in model.parameters if model.parameters[name].ndim == 1)
    model.parameters[name] = model.parameters[name] + 1  # caffe2ops gets other weights than the model has
    report = prove(model, trace=True)
    assert not report.holds
    reader = next(i for i, op in enumerate(model.net.op) if name in op.input)
    assert f"first difference: operator {reader} " in str(report)


def test_proof_reports_shapes_and_infinities() -> None:
    one = np.ones((2, 2), np.float32)
    assert not proof.compare("y", one, one[:1]).within(1.0)
    assert "NaN" in proof.compare("y", one, one * np.inf).problem
    assert not proof.compare("y", np.int64([1 << 60]), np.int64([(1 << 60) + 1])).within(1.0)
    near = proof.compare("y", one, one + np.float32(1e-5))
    assert near.within(1e-3)
    assert not near.within(1e-6)


def test_feeds_of_other_blobs_are_left_alone() -> None:
    """Parameters are constants in the model, so they are here, too; blobs that the net changes are fed to both."""
    net = net_of(op_of("Add", ("x", "w"), "y"), op_of("Add", ("n", "x"), "n"))
    ones = np.ones(3, np.float32)
    model = to_onnx(net, {"w": ones, "n": ones}, {"x": (3,)})
    report = prove(model, {name: ones * i for i, name in enumerate("xwny")})
    assert report.holds
    assert list(report.runs[0].feeds) == ["x", "n"]


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"dat": np.zeros((1, 1, 8, 8), np.float32)}, "input 'data' is not fed; did you mean dat?"),
        ({"data": np.zeros((1, 1, 8, 5), np.float32)}, r"'data' is fed float32\[1, 1, 8, 5\], but was ported as data"),
        ({"data": np.zeros((1, 8, 8), np.float32)}, r"'data' is fed float32\[1, 8, 8\], but"),
        ({"data": np.zeros((1, 1, 8, 8))}, "'data' is fed float64"),
    ],
)
def test_feeds_that_the_model_does_not_take(feeds: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prove(digits(), feeds)


def test_where_either_side_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are drawn of a size that the net does not take, and doubled; onnxruntime stops in the model, as it does
    where it lacks kernels."""
    init, predict = (load_net(DIGITS / f"{name}_net.pb") for name in ("init", "predict"))
    model = to_onnx(predict, init, {"data": ("N", 1, "H", "W")})
    with pytest.raises(ValueError, match=r"inputs that are drawn, as none are given \(--feeds\): net 'digits', op"):
        prove(model)
    report = prove(model, {"data": np.ones((2, 1, 8, 8), np.float32)})
    assert report.holds
    assert [run.feeds["data"] for run in report.runs] == [(2, 1, 8, 8), (3, 1, 8, 8)]
    assert "not compared with {'data': (1, 1, 16, 16)}: net 'digits', operator 5, FC: " in str(report)
    monkeypatch.setitem(rules(), "Relu", lambda g, op, x: g.Gather(x, [7]))
    report = prove(to_onnx(net_of(op_of("Relu", "x", "y")), None, {"x": (1, 3)}))
    assert not report.holds
    assert report.verdict.startswith("not proven: onnxruntime does not run the model")


def test_operator_by_operator_constants_of_the_net_are_constants() -> None:
    """What a rule wants as a constant may be computed by operators that only constants lead to."""
    ints = [op_of("GivenTensorIntFill", (), name, shape=(1,), values=(v,)) for name, v in (("n", 2), ("axis", 1))]
    net = net_of(*ints, op_of("Add", ("axis", "zero"), "axis"), op_of("Tile", ("x", "n", "axis"), "y"))
    assert prove(to_onnx(net, {"zero": np.int32([0])}, {"x": (4, 3)}), stepwise=True).holds


def test_random_numbers_that_a_workspace_holds() -> None:
    """The noise of a style transfer net is the same before and after the port, and operator by operator."""
    op = op_of("PackedInt8BGRANHWCToNCHWCStylizerPreprocess", ("x", "mean"), "y", noise_size=7)
    workspace = Workspace()
    feeds = {"x": np.zeros((1, 2, 3, 4), np.uint8)}
    for name, value in {**feeds, "mean": np.zeros(3, np.float32)}.items():
        workspace.feed(name, value)
    workspace.run(op)
    model = to_onnx(net_of(op), workspace, feeds)
    (theirs,) = session_of(model.proto()).run(None, feeds)
    np.testing.assert_allclose(theirs, workspace.fetch("y"), rtol=1e-6)
    assert prove(model, feeds).holds
    assert prove(model, feeds, stepwise=True).holds


def test_both_branches_of_if() -> None:
    branches = [net_of(op_of("Scale", "x", "y", scale=s), op_of("Relu", "y", "y")) for s in (2.0, -3.0)]
    net = net_of(op_of("If", ("c", "x"), "y", then_net=branches[0], else_net=branches[1]), op_of("Exp", "y", "z"))
    model = to_onnx(net, None, {"c": np.array(True), "x": ("N", 3)})
    x = np.array([[1.0, -2.0, 0.5]], np.float32)
    assert prove(model, *({"c": np.array(c), "x": x} for c in (True, False))).holds


def test_loops() -> None:
    """Doubles until a limit is passed; what the loop writes first must be there before it."""
    body = net_of(op_of("Scale", "x", "x", scale=2.0))
    condition = net_of(op_of("SumElements", "x", "sum"), op_of("LT", ("sum", "limit"), "c"))
    net = net_of(op_of("While", ("c", "x"), "x", loop_net=body, cond_net=condition))
    feeds = {"c": np.array(True), "x": np.array([1.0, 2.0], np.float32), "limit": np.float32(100).reshape(())}
    model = to_onnx(net, None, feeds)
    assert prove(model, feeds, {**feeds, "x": np.array([0.1, 90.0], np.float32)}).holds


def test_nets_in_workspaces_of_their_own() -> None:
    """Do binds blobs under other names; the scope, which ONNX has no type for, passes branches and loops."""
    inner = net_of(op_of("Scale", "a", "b", scale=2.0), op_of("Add", ("b", "t"), "t"), op_of("Copy", "b", "c"))
    bound = {"inner_blobs": ("a", "t", "c"), "outer_blobs_idx": (0, 1, 3)}
    do = op_of("Do", ("x", "total", "scope"), ("total", "double", "scope"), net=inner, **bound)
    less = op_of("SumElements", "total", "sum"), op_of("LT", ("sum", "limit"), "c")
    branch = op_of("If", ("c", "x"), ("total", "scope"), then_net=net_of(do))
    loop = op_of("While", ("c", "x"), ("total", "scope"), loop_net=net_of(do), cond_net=net_of(*less))
    shapes = {"x": (2,), "total": (2,), "limit": np.float32(9).reshape(()), "c": np.array(True)}
    for op in (do, branch, loop):
        net = net_of(op_of("CreateScope", (), "scope"), op, op_of("Exp", "total", "y"))
        model = to_onnx(net, None, {name: value for name, value in shapes.items() if name in read_by(net)})
        feeds = {"x": np.float32([1, 2]), "total": np.float32([0, 0.5]), "limit": shapes["limit"]}
        feeds = {name: value for name, value in feeds.items() if name in read_by(net)}
        for c in (True, False):
            assert prove(model, {**feeds, "c": np.array(c)} if "c" in read_by(net) else feeds).holds
    scope = caffe2ops.Workspace()
    scope.run(op_of("CreateScope", (), "scope"))
    assert prove(to_onnx(net_of(do), scope, {"x": (2,), "total": (2,)})).holds


@pytest.mark.parametrize("scopes", [{}, {"disable_scopes": 1}])
def test_loops_of_onnx(scopes: dict[str, int]) -> None:
    """A carried blob that grows, another that the body reads from outside, and rows that each round gives."""
    body = net_of(
        op_of("Concat", ("grown", "x"), ("longer", "_"), axis=0), op_of("Scale", "kept", "kept2", scale=2.0),
        op_of("SumElements", "kept2", "s"), op_of("ExpandDims", "s", "row", dims=(0,)),
        op_of("LT", ("row", "limit"), "go"), external_input=("i", "holds", "grown", "kept"),
        external_output=("go", "longer", "kept2", "row"),
    )  # fmt: skip
    loop = op_of("ONNXWhile", ("most", "first", "x", "x"), ("all", "last", "rows"), body=body, has_cond=1,
                 has_trip_count=1, **scopes)  # fmt: skip
    feeds = {"most": np.int64([5]), "first": np.array([True]), "x": np.float32([1, 2]), "limit": np.float32([20])}
    model = to_onnx(net_of(loop, external_output=("all", "last", "rows")), None, feeds)
    assert model.outputs["all"].shape == (None,)
    assert prove(model, *({**feeds, "most": np.int64([n])} for n in (2, 5))).holds


def test_weights_that_the_init_net_packs() -> None:
    """FbGemmPack rounds them to float16; a packed blob is no tensor, but its numbers are known."""
    init = net_of(
        op_of("GivenTensorFill", (), "w", shape=(2, 3), values=(0.1, -0.2, 0.3, 1e6, 0.5, 0.7)),
        op_of("GivenTensorFill", (), "b", shape=(2,), values=(1.0, 2.0)), op_of("FbGemmPack", "w", "packed"),
    )  # fmt: skip
    assert prove(to_onnx(net_of(op_of("FbFCPacked", ("x", "packed", "b"), "y")), init, {"x": ("N", 3)})).holds
    with pytest.raises(OperatorError, match="FbGemmPack"):
        to_onnx(net_of(*init.op, op_of("FbFCPacked", ("x", "packed", "b"), "y")), None, {"x": ("N", 3)})


def test_rows_that_a_sparse_gradient_names_again() -> None:
    """They are changed again, by a loop; none is needed where the indices are constants without repetition."""
    names = ("table", "moment", "indices", "grad", "lr")
    net = net_of(op_of("SparseAdagrad", names, names[:2]))
    tables = {"table": np.ones((4, 2), np.float32), "moment": np.zeros((4, 2), np.float32), "lr": np.float32([-0.1])}
    feeds = {"indices": np.int64([2, 0, 2]), "grad": np.float32([[1, 2], [3, 4], [5, 6]])}
    model = to_onnx(net, tables, {"indices": TensorSpec((caffe2ops.UNKNOWN,), np.int64), "grad": (None, 2)})
    assert "Loop" in [node.type for node in model.graph.nodes]
    assert prove(model, feeds, {"indices": np.int64([3]), "grad": np.ones((1, 2), np.float32)}).holds
    fixed = to_onnx(net, {**tables, "indices": np.int64([2, 0])}, {"grad": (2, 2)})
    assert "Loop" not in [node.type for node in fixed.graph.nodes]
    assert prove(fixed, {"grad": feeds["grad"][:2]}).holds


def test_constants_fold_only_while_they_stay_small() -> None:
    net = net_of(op_of("Tile", "w", "big", tiles=100000, axis=0), op_of("Add", ("big", "x"), "y"))
    model = to_onnx(net, {"w": np.ones((1, 2), np.float32)}, {"x": (1, 2)})
    assert [node.type for node in model.graph.nodes] == ["Tile", "Add"]


def test_weights_of_rows_in_another_shape() -> None:
    net = net_of(op_of("ReduceFrontWeightedSum", ("x", "w"), "y", num_reduce_dim=2))
    assert prove(to_onnx(net, None, {"x": (4, 3, 2), "w": (2, 6)})).holds


@pytest.mark.parametrize("shape", [(0, 2), (3, 0), (-5, 0)])
def test_dims_that_expand_leaves_alone(shape: tuple[int, int]) -> None:
    net = net_of(op_of("Expand", ("x", "dims"), "y"))
    feeds: dict[str, Any] = {"x": np.ones((3, 1), np.float32), "dims": np.int64(shape)}
    for fixed in ({"dims": feeds["dims"]}, {}):
        fed = {name: value for name, value in feeds.items() if name not in fixed}
        assert prove(to_onnx(net, fixed, fed), fed).holds


def test_a_model_that_is_wrong_is_refused_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rules(), "Relu", lambda g, op, x: g.MatMul(x, np.ones((7, 7), np.float32)))
    with pytest.raises(OperatorError, match=r"operator 0, Relu: ONNX refuses MatMul of x float32\[2, 3\], y/constant"):
        to_onnx(net_of(op_of("Relu", "x", "y")), None, {"x": (2, 3)})
    monkeypatch.setitem(rules(), "Relu", lambda g, op, x: g.Reshape(x, [7]))
    monkeypatch.setattr(Builder, "_infer", lambda self, node: setattr(node.outputs[0], "dtype", np.dtype("float32")))
    with pytest.raises(Exception, match=r"[Ss]hape"):
        prove(to_onnx(net_of(op_of("Relu", "x", "y")), None, {"x": (2, 3)}))


# --- packages and the command line ---


def test_nothing_is_imported_before_it_is_needed() -> None:
    code = "import sys, caffe2ops, caffe2ops.cli.app, caffe2ops.port; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"onnx", "onnxruntime"} & set(loaded)


def test_a_missing_package_names_the_extra() -> None:
    with pytest.raises(ImportError, match=r"pip install 'caffe2ops\[port\]'"):
        packages.need("no_such_package_of_caffe2ops")


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Runs the command line; gives exit status and all that was printed."""
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

    return run


def test_command(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    status, text = cli(DIGITS, "--to", tmp_path / "digits.onnx", "--shape", "data=N,1,8,8")
    assert status == 0
    assert "proven (2 runs" in text
    assert onnx.load(tmp_path / "digits.onnx").graph.output[0].name == "probability"
    status, text = cli(
        DIGITS, "--to", tmp_path / "a.onnx", "--feeds", DIGITS / "digits.npz", "--tolerance", 0, "--trace"
    )
    assert status == 1
    assert "NOT proven" in text
    assert "first difference: operator" in text


def test_command_compares_operator_by_operator(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    feeds = DIGITS / "digits.npz"
    status, text = cli(
        DIGITS, "--to", tmp_path / "digits.onnx", "--feeds", feeds, "--stepwise", "--output", "conv1"
    )  # fmt: skip
    assert status == 0
    assert "0 Conv: conv1" in text
    assert "1 Relu: conv1" in text
    assert "2 Conv" not in text


def test_command_says_what_is_missing(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    status, text = cli(DIGITS, "--to", tmp_path / "digits.onnx")
    assert status != 0
    assert "'data'" in text
    assert "--shape" in text


@pytest.mark.parametrize(
    ("to", "options", "message"),
    [
        ("d.xyz", [], "wants .onnx or .py"), ("a.onnx,b.onnx", [], "of one file's name"),
        ("d.onnx", ["--shape", "data=1,x y"], "wants NAME=N,3,224,224"),
        ("d.onnx", ["--shape", "data=-1,1,8,8"], "wants NAME=N,3,224,224"),
        ("d.onnx", ["--shape", "dat=N,1,8,8"], "--shape dat: the net reads no blob of that name; did you mean data"),
        ("d.onnx", ["--constant", "a=1"], "--int8, --constant are for ONNX models"),
        ("d.onnx", ["--shape", "data=N,1,8,8", "--opset", "0"], "opset = 0, wants"),
    ],
)  # fmt: skip
def test_command_refuses_what_it_would_pass_over(  # type: ignore[no-untyped-def]
    cli, tmp_path: Path, to: str, options: list[str], message: str
) -> None:
    status, text = cli(DIGITS, "--to", tmp_path / to, *options)
    assert status == 1
    assert message in text


def test_command_prints_names_as_they_are(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Brackets in them mean nothing to the terminal."""
    caffe2ops.dump(net_of(op_of("NanCheck", "x", "[/a]"), op_of("Relu", "[/a]", "y[b]")), tmp_path / "net.pb")
    status, text = cli(tmp_path / "net.pb", "--to", tmp_path / "[c].onnx", "--shape", "x=2,3")
    assert status == 0
    assert "y[b]" in text
    assert "[c].onnx" in text
