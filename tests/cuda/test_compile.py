"""Every `.cu` and every kernel made from an expression compiles for every kind of GPU, by NVRTC; no driver needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import caffe2ops
from caffe2ops import registry
from caffe2ops.cuda import Elementwise, Reduction, RowUpdate, SegmentFold, Source
from tests.cuda import nvrtc

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100")
PACKAGE = Path(caffe2ops.__file__).parent
FILES = sorted(PACKAGE.rglob("*.cu"))


@pytest.fixture(autouse=True)
def compiler() -> None:
    why = nvrtc.missing()
    if why:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)


def texts(source: Source) -> Iterator[str]:
    for types in source.variants():
        yield source.text(**types)


def assert_compiles(code: str, name: str, arch: str, options: tuple[str, ...]) -> None:
    _, log = nvrtc.compile_cuda(code, name, arch, options)
    warnings = [line for line in log.splitlines() if "warning" in line]
    assert not warnings, "\n".join(warnings)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_files(path: Path, arch: str) -> None:
    source = Source(path.read_text(), path.name)
    assert source.dtypes, f"{path.name} does not say what it is compiled for"
    for code in texts(source):
        assert_compiles(code, source.name, arch, source.options)


@pytest.mark.parametrize("arch", [ARCHITECTURES[0], ARCHITECTURES[-1]])
def test_expressions(arch: str) -> None:
    """All expressions of one dtype in one text, and unoptimised: together that costs a fifth."""
    registry.load_all()
    for dtype in ("float32", "float64", "float16", "int32", "int64", "uint8", "bool"):
        sources = [
            kernel.source(kernel.compiled_for(dtype))
            for kernel in sorted(Elementwise.instances, key=lambda k: (k.name, k.expression))
            if dtype in {np.dtype(d).name for d in kernel.dtypes}
        ]
        sources += [
            kernel.source(dtype, dtype)
            for kernel in sorted(Reduction.instances, key=lambda k: (k.name, str(k.parts)))
            if dtype in {np.dtype(d).name for d in kernel.dtypes}
        ]
        sources += [
            kernel.source(kernel.compiled_for(dtype))
            for kernel in sorted(RowUpdate.instances, key=lambda k: (k.name, str(k.parts)))
            if dtype in {np.dtype(d).name for d in kernel.dtypes}
        ]
        sources += [
            kernel.source(dtype, dtype, "float32" if dtype == "float16" else dtype)
            for kernel in sorted(SegmentFold.instances, key=lambda k: (k.name, str(k.parts)))
            if dtype in {np.dtype(d).name for d in kernel.dtypes}
        ]
        if sources:
            assert_compiles(_joined(sources), f"expressions of {dtype}", arch, (*sources[0].options, "--device-debug"))


def _joined(sources: list[Source]) -> str:
    """Each text in a namespace of its own; their kernels, no longer extern "C", may share names."""
    parts = []
    for i, source in enumerate(sources):
        (text,) = texts(source)
        includes, _, rest = text.partition("using ")
        body = f"using {rest}".replace('extern "C" __global__', "__global__")
        parts.append(f"{includes}namespace expression_{i} {{\n{body}\n}}")
    return "\n".join(parts)


def test_a_wrong_source_is_refused() -> None:
    with pytest.raises(nvrtc.CompileError, match="identifier"):
        nvrtc.compile_cuda('extern "C" __global__ void f() { nonsense; }', "f", "sm_90")
