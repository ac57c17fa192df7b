"""Real nets, small and large, give the answers that Caffe2 gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2ops
from caffe2ops import DeviceOption, NetDef, OperatorDef, QTensor, Workspace, registry
from tests.kit import shared as shared_material

# Nets whose every operator must be there; the others run as soon as their operators are.
COMPLETE = [
    "googlenet_tail_fc",
    "pinn_ac_model",
    "pinn_hemt_dc_1",
    "pinn_hemt_dc_9_adjoint",
    "pinn_qv_d2_nancheck",
    "pinn_qv_s0",
    "pinn_transixor_h264_text",
    "onnx_superres_reshape",
    "s_mnist_deploy_pbtxt",
    "s_mnist_train_net",
    "s_alexnet",
    "s_zfnet512",
    "s_vgg19",
    "s_inception_v1",
    "s_resnet50",
    "s_mobilenet_v2_fp32",
    "s_tiny_darknet",
]
MODELS = {model["name"]: model for model in shared_material.read_json("models/index.json", []) if model["caffe2_ran"]}
GLOW = "glow_caffe2Models"
SMALL = shared_material.read_json(f"models/{GLOW}/results.json", {"results": {}})["results"]

# Exporters of other tools put arguments of their own on operators; they are warned of when a net is loaded.
pytestmark = pytest.mark.filterwarnings("ignore:.* has no argument:UserWarning")

# (rtol, atol) where float32 sums run in another order over many layers, or random numbers differ
TOLERANCE = (1e-4, 1e-6)
TOLERANCES = {
    # Caffe2 convolves with Winograd's transforms here (NNPACK), which are ten times less exact: bytes may differ by one
    "style_crayon": (0.0, 1.0),
}
# nets that draw random numbers without a seed: only shapes and dtypes are compared
RANDOM = ("gaussian_fill", "uniform_fill")


def missing_operators(*nets: NetDef) -> list[str]:
    return sorted({op.type for net in nets for op in net.op} - set(registry.types()))


def compare(workspace: Workspace, expected: Any, tolerance: tuple[float, float], values: bool = True) -> None:
    for name in expected.files:
        if name.endswith(("__scale", "__zero_point")):
            continue  # of an Int8 blob
        held = workspace.fetch(name)
        want = expected[name]
        if isinstance(held, QTensor):  # within one quantisation step
            assert np.float32(held.scale) == expected[f"{name}__scale"], name
            assert held.zero_point == expected[f"{name}__zero_point"], name
            np.testing.assert_allclose(held.data.astype(int), want.astype(int), rtol=0, atol=1, err_msg=name)
            continue
        actual = np.asarray(held)
        if want.dtype.kind == "S":
            want = want.astype(object)
        assert (actual.shape, actual.dtype) == (want.shape, want.dtype), name
        if not values:
            continue
        if want.dtype.kind == "f" or (want.dtype == np.uint8 and tolerance[1] >= 1):
            np.testing.assert_allclose(actual, want, *tolerance, equal_nan=True, err_msg=name)
        else:
            np.testing.assert_array_equal(actual, want, err_msg=name)


DATA = [name for name in MODELS if name.startswith("minidb_data")]
EXPORTS = ["reagent_dqn_predictor"]  # a minidb of nets and blobs


@pytest.mark.parametrize("name", sorted({*COMPLETE, *MODELS} - {*DATA, *EXPORTS}))
def test_model(name: str, shared: Path) -> None:
    folder, (inits, predict) = shared / "models" / name, shared_material.model_files(name)
    nets = [load_net(path) for path in (*inits, predict)]
    if missing := missing_operators(*nets):
        assert name not in COMPLETE, f"operators missing: {', '.join(missing)}"
        pytest.skip(f"operators missing: {', '.join(missing)}")
    run_and_compare(nets, folder / "input.npz", folder / "output.npz", TOLERANCES.get(name, TOLERANCE))


def load_net(path: Path) -> NetDef:
    net = caffe2ops.load(path)
    assert isinstance(net, NetDef), path
    return net


def run_and_compare(
    nets: list[NetDef], feeds: Path, answers: Path, tolerance: tuple[float, float], values: bool = True
) -> None:
    workspace = Workspace()
    for net in nets[:-1]:
        workspace.run(net)
    if feeds.exists():
        with np.load(feeds) as archive:
            for blob in archive.files:
                if f"{blob}__scale" in archive:
                    scale, zero_point = float(archive[f"{blob}__scale"]), int(archive[f"{blob}__zero_point"])
                    workspace.feed(blob, QTensor(archive[blob], scale, zero_point))
                elif not blob.endswith(("__scale", "__zero_point")):
                    workspace.feed(blob, archive[blob])
    workspace.run(nets[-1])
    with np.load(answers) as expected:
        compare(workspace, expected, tolerance, values)


@pytest.mark.parametrize("name", sorted(name for name, result in SMALL.items() if result["ran"]))
def test_small_net(name: str, shared: Path) -> None:
    folder = shared / "models" / GLOW
    init = SMALL[name]["init"]
    nets = []
    if init is not None:
        init_path = folder / f"{init}.pbtxt"
        if not init_path.exists():
            pytest.skip(f"{init} is not among the files")
        nets.append(load_net(init_path))
    nets.append(load_net(folder / f"{name}.pbtxt"))
    if "external_input cleared" in SMALL[name].get(
        "patched", ""
    ):  # it lists them incompletely, Caffe2 refuses that too
        nets[-1] = nets[-1].replace(external_input=())
    if missing := missing_operators(*nets):
        pytest.skip(f"operators missing: {', '.join(missing)}")
    run_and_compare(
        nets, folder / f"{name}.input.npz", folder / f"{name}.output.npz", TOLERANCE, not name.startswith(RANDOM)
    )


@pytest.mark.parametrize("name", EXPORTS)
def test_predictor_export(name: str, shared: Path) -> None:
    """A predictor file answers as Caffe2 did with the nets and blobs in it."""
    folder = shared / "models" / name
    meta = shared_material.read_json(f"models/{name}/meta.json")
    predictor = caffe2ops.load(folder / meta["predict"])
    nets = [entry.value for entry in predictor.meta.nets]
    if missing := missing_operators(*nets):
        pytest.skip(f"operators missing: {', '.join(missing)}")
    with np.load(folder / "input.npz") as feeds, np.load(folder / "output.npz") as expected:
        found = caffe2ops.Predictor.of_export(predictor).run(dict(feeds))
        for blob in expected.files:
            want = expected[blob].astype(object) if expected[blob].dtype.kind == "S" else expected[blob]
            assert (found[blob].shape, found[blob].dtype) == (want.shape, want.dtype), blob
            if want.dtype.kind == "f":
                np.testing.assert_allclose(found[blob], want, *TOLERANCE, err_msg=blob)
            else:
                np.testing.assert_array_equal(found[blob], want, err_msg=blob)


@pytest.mark.parametrize("name", DATA)
def test_data(name: str, shared: Path, tmp_path: Path) -> None:
    """Two batches of a minidb of TensorProtos are those that Caffe2 read."""
    if missing := sorted({"CreateDB", "TensorProtosDBInput"} - set(registry.types())):
        pytest.fail(f"operators missing: {', '.join(missing)}")
    source = shared / "models" / name / shared_material.read_json(f"models/{name}/meta.json")["predict"]
    (tmp_path / "data.minidb").write_bytes(source.read_bytes())
    workspace = Workspace(root=tmp_path)
    workspace.run(OperatorDef(type="CreateDB", output=("reader",), args={"db": "data.minidb", "db_type": "minidb"}))
    outputs = [f"o{i}" for i in range(3)]
    net = workspace.create(
        NetDef(op=(OperatorDef(type="TensorProtosDBInput", input=("reader",), output=outputs, args={"batch_size": 5}),))
    )
    with np.load(source.parent / "output.npz") as expected:
        for run in range(2):
            net.run()
            for output in outputs:
                np.testing.assert_array_equal(workspace.fetch(output), expected[f"iter{run}/{output}"])


def on_cuda(net: NetDef) -> NetDef:
    """The net with all its operators on a card."""
    ops = (op.replace(device_option=(op.device_option or DeviceOption()).replace(device_type=1)) for op in net.op)
    return net.replace(op=tuple(ops))


@pytest.mark.parametrize("name", sorted(name for name in MODELS if name not in (*DATA, *EXPORTS)))
def test_model_on_cuda(name: str, shared: Path, emulated_cuda: Any) -> None:
    """The same from end to end with parameters and inputs on a card, which is emulated."""
    folder, (inits, predict) = shared / "models" / name, shared_material.model_files(name)
    net = load_net(predict)
    missing = sorted({op.type for op in net.op if "cuda" not in registry.get(op.type).schema_of().devices})
    if missing:
        pytest.skip(f"on the CPU only: {', '.join(missing)}")
    workspace = Workspace()
    for init in inits:
        workspace.run(load_net(init))
    with np.load(folder / "input.npz") as archive:
        for blob, value in {**{b: workspace.fetch(b) for b in workspace.blobs()}, **archive}.items():
            workspace.feed(blob, value, DeviceOption(device_type=1))
    workspace.run(on_cuda(net))
    assert all(isinstance(workspace.blob(blob).value, emulated_cuda.ndarray) for blob in net.op[-1].output)
    with np.load(folder / "output.npz") as expected:
        compare(workspace, expected, TOLERANCES.get(name, TOLERANCE))
