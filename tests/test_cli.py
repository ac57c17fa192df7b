"""The command line, run as a user would."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from caffe2ops import Net, NetDef, OperatorDef, dump, load
from caffe2ops.cli import main

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
        (["check", "{model}", "--shape", "x=a"], "wants NAME=1,3,224,224"),
        (["ops", "Reluu"], "did you mean"),
        (["convert", "{model}/init_net.pb", "{model}/x", "--to", "xml"], "xml"),
    ],
)
def test_errors_are_one_block_without_traceback(cli, model: Path, args: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    status, text = cli(*(arg.format(model=model) for arg in args))
    assert status == 1
    assert message in text.replace("\n", " ")
    assert "Traceback" not in text


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
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", "caffe2ops", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == __import__("caffe2ops").__version__
