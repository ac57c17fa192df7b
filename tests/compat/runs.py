"""Runs the scripts of this folder, and records what the original engine gives for them.

python -m tests.compat.runs PYTHON    PYTHON: an interpreter with the original Caffe2
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
DIGITS = HERE.parent.parent / "examples" / "digits" / "digits.npz"
SCRIPTS = {
    "basics": False,
    "regression": False,
    "digits": True,
    "layers": False,
}  # whether it takes the digits and a folder


def run(command: Sequence[str], script: str, folder: Path) -> tuple[dict[str, Any], str]:
    """What a script writes when `command` runs it, and what it prints. Raises AssertionError where it fails."""
    target = folder / f"{script}.npz"
    more = [str(DIGITS), str(folder)] if SCRIPTS[script] else []
    line = [*command, str(HERE / "scripts" / f"{script}.py"), str(target), *more]
    done = subprocess.run(line, capture_output=True, text=True, cwd=HERE.parent.parent, timeout=300)
    if done.returncode:
        raise AssertionError(f"{' '.join(line)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    with np.load(target) as results:
        return dict(results), done.stdout + done.stderr


def golden(script: str) -> dict[str, Any]:
    with np.load(HERE / "golden" / f"{script}.npz") as results:
        return dict(results)


def main() -> None:
    for script in SCRIPTS:
        with tempfile.TemporaryDirectory() as folder:
            results, _ = run([sys.argv[1]], script, Path(folder))
        np.savez_compressed(HERE / "golden" / f"{script}.npz", **results)
        print(script, len(results), "values")


if __name__ == "__main__":
    main()
