"""CUDA C++ source -> a shared library for this CPU, built with g++ and cached by its text."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from .settings import settings

HERE = Path(__file__).parent
INCLUDE = HERE / "include"
_BOUNDS = r"(?:__launch_bounds__\s*\([^)]*\)\s*)?"
_GLOBAL = re.compile(rf"__global__\s+{_BOUNDS}void\s+{_BOUNDS}(\w+)\s*\(")
_TEMPLATE = re.compile(rf"template\s*<[^;{{]*?>\s*(?:static\s+)?__global__\s+{_BOUNDS}void\s+{_BOUNDS}(\w+)")
_DYNAMIC_SHARED = re.compile(
    r"extern\s+__shared__\s+(?:__align__\s*\(\s*\d+\s*\)\s*)?([\w:]+(?:\s+[\w:]+)*?)\s+(\w+)\s*\[\s*\]\s*;"
)


class CompileError(RuntimeError):
    """g++ refused the source; the message is its own."""


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise CompileError(done.stderr)


def _sanitizer_flags() -> list[str]:
    if not settings.sanitizers:
        return []
    return [f"-fsanitize={settings.sanitizers}", "-fno-sanitize=vptr", "-fno-omit-frame-pointer", "-g"]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def _make(target: Path, command: Sequence[str | Path]) -> Path:
    """Run `command` with `-o target` unless it is there; another process may be doing the same."""
    if not target.exists():
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        _run([*command, "-o", partial])
        partial.replace(target)
    return target


def _runtime() -> Path:
    """The fibers and barriers; never instrumented itself, but told which sanitizer watches."""
    source = HERE / "runtime.cpp"
    defines = [f"-DCUEMU_{short}" for long, short in (("address", "ASAN"), ("thread", "TSAN"))
               if long in settings.sanitizers]  # fmt: skip
    digest = _digest(source.read_text(), (INCLUDE / "cuemu.h").read_text(), *defines)
    return _make(
        settings.cache / f"runtime_{digest}.o",
        [settings.compiler, "-std=c++17", "-O2", "-g", "-fPIC", "-fvisibility=hidden", "-I", INCLUDE, *defines,
         "-c", source],
    )  # fmt: skip


def _headers(flags: Sequence[str]) -> Path:
    """A copy of the headers, cuemu.h compiled for these flags beside it: a third of the time for each kernel."""
    texts = {path.name: path.read_text() for path in sorted(INCLUDE.iterdir())}
    folder = settings.cache / f"include_{_digest(settings.compiler, *flags, *texts.values())}"
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        if not (folder / name).exists():
            _write(folder / name, text)
    _make(folder / "cuemu.h.gch", [settings.compiler, *flags, "-x", "c++-header", folder / "cuemu.h"])
    return folder


def _write(target: Path, text: str) -> None:
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(target)


def kernel_names(code: str) -> list[str]:
    """The `__global__` functions of a source that are no templates, in order."""
    templates = set(_TEMPLATE.findall(code))
    return [name for name in dict.fromkeys(_GLOBAL.findall(code)) if name not in templates]


def build(code: str, options: Iterable[str] = (), names: Sequence[str] | None = None) -> tuple[Path, list[str]]:
    """Build `code` -> (library, names of its kernels); `names` may be expressions such as `relu<float>`."""
    settings.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    kernels = list(names) if names else kernel_names(code)
    code = _DYNAMIC_SHARED.sub(
        lambda m: f"{m[1]}* const {m[2]} = reinterpret_cast<{m[1]}*>(cuemu::dynamic_shared());", code
    )
    exports = "".join(f"CUEMU_EXPORT_KERNEL({i}, {name})\n" for i, name in enumerate(kernels))
    passed = [o.replace("--std", "-std") for o in options if o.startswith(("-D", "-I", "-U")) or "std=" in o]
    flags = [
        settings.optimize, "-std=gnu++17", *passed, "-fPIC", "-fvisibility=hidden", "-ffp-contract=off",
        "-fno-strict-aliasing", "-w", *_sanitizer_flags(),
    ]  # fmt: skip
    runtime, headers = _runtime(), _headers(flags)
    digest = _digest(code, exports, str(runtime), str(headers))
    source = settings.cache / f"kernel_{digest}.cu"
    if not source.exists():
        _write(source, f'{code}\n#line 1 "cuemu-exports"\n{exports}')
    included = ["-include", "cuemu.h", "-I", headers]
    compile_it = [settings.compiler, *flags, *included, "-x", "c++", source, "-x", "none", runtime, "-shared"]
    return _make(settings.cache / f"kernel_{digest}.so", compile_it), kernels
