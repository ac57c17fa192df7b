"""Operators of an installed package, found through its entry point."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parent / "plugin"
USE = """
import numpy as np
from caffe2ops import OperatorDef, Workspace, check_gradient, registry
op = OperatorDef(type="PluginTwice", input="x", output="y")
workspace = Workspace()
workspace.feed("x", np.array([1.5], np.float32))
workspace.run(op)
assert workspace.fetch("y").tolist() == [3.0]
assert "PluginTwice" in registry.types()
assert all(check.ok for check in check_gradient(op, {"x": np.ones(2)}))
print(registry.get("PluginTwice").declared)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the plug-in is installed into, by pip."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "plugin"
    import shutil

    shutil.copytree(PLUGIN, source)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True, capture_output=True, timeout=120)
    return target


def run(code: str, site: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=120, check=False
    )


def test_an_installed_plugin_is_registered(site: Path) -> None:
    done = run(USE, site)
    assert done.returncode == 0, done.stderr
    assert "caffe2ops_example_plugin" in done.stdout


def test_a_broken_plugin_is_left_out_with_a_warning(site: Path, tmp_path: Path) -> None:
    (tmp_path / "broken-1.0.dist-info").mkdir()
    (tmp_path / "broken-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    entry = "[caffe2ops.operators]\nbroken = broken_plugin\n"
    (tmp_path / "broken-1.0.dist-info" / "entry_points.txt").write_text(entry)
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('no licence')")
    done = run("from caffe2ops import registry; print(len(registry.types()))", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "plug-in broken (broken_plugin) was left out: RuntimeError: no licence" in done.stderr
