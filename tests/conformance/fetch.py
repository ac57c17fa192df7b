"""Fetches the Python files of the last torch that has Caffe2's front end and tests; nothing of it is committed.

python -m tests.conformance.fetch
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VARIABLE = "CAFFE2OPS_UPSTREAM"
FOLDER = Path(os.environ.get(VARIABLE, Path.home() / ".cache/caffe2-upstream"))
WHEEL = "torch==1.12.1"  # its macOS wheel has the newest Python files and is the smallest
PLATFORM = "--only-binary=:all: --python-version 3.9 --platform macosx_10_9_x86_64 --implementation cp --abi cp39"


class NotFetched(Exception):  # noqa: N818
    """The files are not there and could not be fetched."""


def fetch() -> Path:
    """The folder with the files, unpacked into a cache outside the checkout if they are not there yet. Raises
    NotFetched."""
    if not (FOLDER / "caffe2/python/core.py").is_file():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *PLATFORM.split()]
            done = subprocess.run([*command, "--dest", folder, WHEEL], capture_output=True, text=True, check=False)
            wheels = list(Path(folder).glob("*.whl"))
            if not wheels:
                reason = done.stderr.strip().splitlines()[-1:]
                raise NotFetched(f"{WHEEL} could not be fetched into {FOLDER} ({VARIABLE}): {' '.join(reason)}")
            with zipfile.ZipFile(wheels[0]) as wheel:
                names = [n for n in wheel.namelist() if n.startswith("caffe2/") and not n.endswith(".so")]
                wheel.extractall(FOLDER, names)
    return FOLDER


if __name__ == "__main__":
    print(fetch())
