"""The command line, run as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from caffe2ops import Net, NetDef, OperatorDef, dump, load
from caffe2ops.cli import main
from caffe2ops.defs import ExecutionStep, PlanDef, TensorProtos
from caffe2ops.formats import array_to_tensor, dumps, open_db

DIGITS = Path(__file__).parent.parent / "examples" / "digits"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with an init/predict pair."""
    folder = tmp_path / "model"
    folder.mkdir()
    net = Net("small")
    net.add_input("x", "w", "b")
    net.FC(["x", "w", "b"], "y")
    net.add_output("y")
    fills = [
        OperatorDef(type="GivenTensorFill", output="w", args={"shape": (1, 2), "values": (1.0, 2.0)}),
        OperatorDef(type="ConstantFill", output="b", args={"shape": (1,), "value": 0.5}),
    ]
    dump(NetDef(name="init", op=tuple(fills)), folder / "init_net.pb")
    dump(net.definition, folder / "predict_net.pb")
    np.savez(tmp_path / "feeds.npz", x=np.array([[1.0, 1.0]], np.float32))
    return folder


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Runs the command line; gives exit status and all that was printed."""

    def run(*args: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["caffe2ops", *map(str, args)])
        monkeypatch.setenv("COLUMNS", "200")
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


def test_run_prints_outputs(cli, model: Path) -> None:  # type: ignore[no-untyped-def]
    status, text = cli("run", model, "--feeds", model.parent / "feeds.npz")
    assert status == 0
    assert "float32[1, 1]" in text
    assert "3.5" in text


def test_run_writes_outputs(cli, model: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out.npz"
    np.save(tmp_path / "x.npy", np.zeros((3, 2), np.float32))
    predict, init = model / "predict_net.pb", model / "init_net.pb"
    status, _ = cli("run", predict, "--init", init, "--feed", f"x={tmp_path / 'x.npy'}", "--output", out, "--runs", 2)
    assert status == 0
    assert np.load(out)["y"].tolist() == [[0.5]] * 3


def test_run_profiles(cli, model: Path) -> None:  # type: ignore[no-untyped-def]
    status, text = cli("run", model, "--feeds", model.parent / "feeds.npz", "--profile", "--fetch", "w")
    assert status == 0
    assert "100.0%" in text


def test_run_without_feeds_says_what_is_expected(cli, model: Path) -> None:  # type: ignore[no-untyped-def]
    status, text = cli("run", model)
    assert status == 2
    assert "expects these blobs" in text
    assert "--feed x=FILE.npy" in text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["run", "nowhere.pb"], "nowhere.pb"),
        (["run", "{model}", "--feed", "x=1,2"], "FC: X"),
        (["run", "{model}", "--device", "tpu"], "wants cpu, cuda or cuda:N"),
        (["run", "{model}", "--feed", "x"], "wants NAME=FILE.npy or NAME=VALUE"),
        (["run", "{model}/.."], "wants one predict net and one init net"),
        (["check", "{model}", "--shape", "x=1,-2"], "wants NAME=1,3,224,224"),
        (["check", "{model}", "--shape", "xx=1,2"], "'xx' is no input of the net; did you mean x?"),
        (["draw", "{model}", "-o", "n.gv", "--shape", "y=1,2"], "'y' is no input of the net"),
        (["report", "{model}", "-o", "r.html", "--shape", "x=1,2:flot32"], "wants NAME=1,3,224,224[:dtype]"),
        (["check", "{odd}/records"], "holds a database of 1 records, wants a net or a predictor export"),
        (["run", "{model}", "--feeds", "{odd}/x.npy"], "x.npy: wants a .npz of arrays: this is a .npy"),
        (["run", "{model}", "--feeds", "{model}/init_net.pb"], "init_net.pb: wants a .npz of arrays"),
        (["run", "{model}", "--feeds", "{odd}/cut.npz"], "cut.npz: wants a .npz of arrays"),
        (["run", "{model}", "--feeds", "{odd}/objects.npz"], "objects.npz: wants a .npz of arrays"),
        (["ops", "Reluu"], "did you mean"),
        (["convert", "{model}/init_net.pb", "{model}/x", "--to", "xml"], "xml"),
    ],
)
def test_errors_are_one_block_without_traceback(cli, model: Path, args: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    odd = model.parent / "odd"
    odd.mkdir()
    np.save(odd / "x.npy", np.zeros(2))
    np.savez(odd / "objects.npz", x=np.array([None]))
    (odd / "cut.npz").write_bytes((model.parent / "feeds.npz").read_bytes()[:100])
    with open_db("minidb", odd / "records", "new") as db, db.transaction() as records:
        records.put("a", dumps(TensorProtos(protos=(array_to_tensor(np.zeros(2, np.float32)),))))
    status, text = cli(*(arg.format(model=model, odd=odd) for arg in args))
    assert status == 1
    assert message in text.replace("\n", " ")
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["draw", "{model}", "-o", "{model}/net.svg"], 1, "error: drawing wants Graphviz's program dot on the path"),
        (["report", "{model}", "-o", "{model}/net.html"], 0, "warning: No picture: drawing wants Graphviz's program"),
    ],
)
def test_without_graphviz(
    cli,  # type: ignore[no-untyped-def]
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    ended, text = cli(*(arg.format(model=model) for arg in args))
    assert (ended, message in text) == (status, True), text


def test_traceback_on_request(cli, model: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(OSError, match="nowhere"):
        cli("--traceback", "run", "nowhere.pb")
    from caffe2ops.cli.app import state

    state.traceback = False


def test_check(cli, model: Path) -> None:  # type: ignore[no-untyped-def]
    status, text = cli("check", model, "--shape", "x=5,2")
    assert status == 0
    assert "float32[5, 1]" in text
    assert "0 errors, 0 warnings" in text
    status, text = cli("check", model, "--shape", "x=5,3")
    assert status == 1
    assert "operator 0, FC" in text
    dump(
        NetDef(name="bad", op=(OperatorDef(type="Nope", input="q", output="y"),), external_input=("x",)),
        model / "predict_net.pb",
    )
    status, text = cli("check", model)
    assert status == 1
    assert "1 operator of unknown type 'Nope'" in text
    assert "reads 'q', which nothing writes" in text
    assert "parameter 'w' is never read" in text


def test_check_of_inputs_that_are_no_floats_and_of_odd_nets(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    net = Net("sums")
    net.LengthsSum(["x", "n"], "y")
    dump(net.definition, tmp_path / "n.pb")
    status, text = cli("check", tmp_path / "n.pb", "--shape", "x=N,2", "--shape", "n=3:int32")
    assert (status, "float32[3, 2]" in text, "input n" in text) == (0, True, True)
    status, text = cli("check", tmp_path / "n.pb", "--shape", "x=?,2", "--shape", "n=3")
    assert (status, "dtype is float32, wants int32" in text) == (1, True)
    assert "0, without 1 operators of unknown shapes" in cli("check", tmp_path / "n.pb")[1]
    (tmp_path / "empty.pb").touch()
    status, text = cli("check", tmp_path / "empty.pb")
    assert (status, "the net has no operators" in text) == (0, True)


def test_names_like_markup_and_beyond_the_encoding_of_the_terminal(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    net = NetDef(name="[/b]", op=(OperatorDef(type="Relu", input="x[i]", output="[red]é"),))
    dump(net, tmp_path / "n.pb")
    for command in (["show"], ["check"], ["run", "--feed", "x[i]=1.0"], ["report", "-o", tmp_path / "r.html"]):
        status, text = cli(command[0], tmp_path / "n.pb", *command[1:])
        assert (status, "[red]é" in text or command[0] == "report") == (0, True), text
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "caffe2ops", "show", str(tmp_path / "n.pb")]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert "[red]?" in shown.stdout


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="there is no /dev/stdin")
def test_nets_out_of_a_pipe(model: Path) -> None:
    command = [sys.executable, "-m", "caffe2ops", "show", "/dev/stdin"]
    net = (model / "predict_net.pb").read_bytes()
    shown = subprocess.run(command, input=net, capture_output=True, check=True, timeout=60)
    assert b"net 'small': 1 operators" in shown.stdout


def test_lines_into_a_pipe_are_whole(tmp_path: Path) -> None:
    name = 100 * "long/" + "name"
    dump(NetDef(op=(OperatorDef(type="Relu", input=name, output="y"),)), tmp_path / "n.pb")
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    command = [sys.executable, "-m", "caffe2ops", "show", str(tmp_path / "n.pb")]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert name in shown.stdout


def test_show_of_a_plan_and_of_nets_within(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    body = NetDef(name="body", op=(OperatorDef(type="Copy", input="x", output="y"),))
    outer = OperatorDef(type="If", input="c", output="y", args={"then_net": body})
    steps = ExecutionStep(name="all", num_iter=3, substep=(ExecutionStep(name="one", network=("main",)),))
    plan = PlanDef(name="p", network=(NetDef(name="main", op=(outer,)),), execution_step=(steps,))
    dump(plan, tmp_path / "plan.pb")
    status, text = cli("show", tmp_path / "plan.pb")
    assert status == 0
    assert "net 'body', then_net of operator 0 (If): 1 operators" in text
    assert "step 'all': num_iter=3" in text
    assert "step 'one': network=main" in text


def test_the_same_warning_comes_once(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    dump(NetDef(op=(OperatorDef(type="Relu", input="x", output="y", args={"odd": 1}),)), tmp_path / "n.pb")
    _, text = cli("report", tmp_path / "n.pb", "-o", tmp_path / "r.html", "--shape", "x=2")
    assert text.count("no argument 'odd'") == 1


def test_show_ops_and_convert(cli, model: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    status, text = cli("show", model)
    assert status == 0
    assert "net 'small': 1 operators" in text
    status, text = cli("ops", "LengthsTopK")
    assert status == 0
    assert "DATA: floating[S], LENGTHS: int32[N]" in text
    assert "lengths_top_k.py" in text
    status, text = cli("ops")
    assert status == 0
    assert "LengthsTopKGradient" in text
    original = load(model / "init_net.pb")
    for name in ("a.pbtxt", "a.json", "a.pb"):
        assert cli("convert", model / "init_net.pb", tmp_path / name)[0] == 0
        assert load(tmp_path / name) == original


def test_gradcheck(cli, model: Path) -> None:  # type: ignore[no-untyped-def]
    status, text = cli("gradcheck", model, "--shape", "x=3,2")
    assert status == 0
    assert text.count("ok") == 3


def test_module_and_script_are_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "caffe2ops", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == __import__("caffe2ops").__version__
