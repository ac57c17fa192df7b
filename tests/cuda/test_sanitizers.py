"""The kernels of LengthsTopK and of the families under ASan + UBSan and under TSan, each run in its own process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cuda.sanitized_families import FAMILIES
from tests.kit.cuemu.fixture import missing
from tests.kit.cuemu.settings import settings

ROOT = Path(__file__).parents[2]
RUNTIMES = {"address,undefined": ("libasan.so", "libubsan.so"), "thread": ("libtsan.so",)}


def _runtime(name: str) -> str | None:
    """Where the compiler keeps a sanitizer's library."""
    if shutil.which(settings.compiler) is None:
        return None
    found = subprocess.run([settings.compiler, f"-print-file-name={name}"], capture_output=True, text=True).stdout
    return found.strip() if Path(found.strip()).is_absolute() else None


# TSan keeps what it knows of every emulated thread, so that it has no room for all families in one process.
PROGRAMS = [
    ("address,undefined", "sanitized"),
    ("address,undefined", "sanitized_families"),
    ("thread", "sanitized"),
    *(("thread", f"sanitized_families {name}") for name in FAMILIES if name != "gathers"),  # a thread an element
]


@pytest.mark.parametrize(("sanitizers", "program"), PROGRAMS)
def test_kernels_are_clean(sanitizers: str, program: str) -> None:
    libraries = [_runtime(name) for name in RUNTIMES[sanitizers]]
    why = missing() or (f"{settings.compiler} has no {sanitizers} sanitizer" if None in libraries else None)
    if why:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    environment = os.environ | {
        "CUEMU_SAN": sanitizers,
        "CUEMU_OPT": "-O0",
        "LD_PRELOAD": " ".join(filter(None, libraries)),
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "TSAN_OPTIONS": "exitcode=66",
    }
    done = subprocess.run(
        [sys.executable, "-m", *f"tests.cuda.{program}".split()],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "clean"), done.stdout + done.stderr[-6000:]
