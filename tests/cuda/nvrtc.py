"""CUDA C++ -> cubin, with the NVRTC of the pip packages nvidia-cuda-nvrtc and nvidia-cuda-runtime; needs no driver."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# what CuPy 14 passes, besides the include folder
CUPY_OPTIONS = ("-ftz=true", "--device-as-default-execution-space")


def _root() -> Path | None:
    spec = find_spec("nvidia")
    for folder in spec.submodule_search_locations or () if spec else ():
        if (Path(folder) / "cu13" / "lib").is_dir():
            return Path(folder) / "cu13"
    return None


def missing() -> str | None:
    """Why nothing can be compiled here, or None."""
    root = _root()
    if root and (root / "lib/libnvrtc.so.13").exists() and (root / "include/cuda_fp16.h").exists():
        return None
    return "needs the pip packages nvidia-cuda-nvrtc and nvidia-cuda-runtime, 13.0"


@cache
def _library() -> tuple[ctypes.CDLL, Path]:
    root = _root()
    assert root is not None
    builtins = next((root / "lib").glob("libnvrtc-builtins.so.*"))
    ctypes.CDLL(str(builtins), ctypes.RTLD_GLOBAL)  # NVRTC opens it by its bare name
    return ctypes.CDLL(str(root / "lib/libnvrtc.so.13")), root


class CompileError(RuntimeError):
    """NVRTC refused the source; the message is its log."""


def compile_cuda(code: str, name: str, arch: str, options: Sequence[str] = ()) -> tuple[bytes, str]:
    """-> (cubin, log with the registers and spills of each kernel)."""
    nvrtc, root = _library()
    program = ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), code.encode(), name.encode(), 0, None, None)
    try:
        flags = [*options, *CUPY_OPTIONS, f"-I{root}/include", f"-arch={arch}", "--ptxas-options=-v"]
        given = (ctypes.c_char_p * len(flags))(*[flag.encode() for flag in flags])
        failed = nvrtc.nvrtcCompileProgram(program, len(flags), given)
        log = _read(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).decode()
        if failed:
            raise CompileError(log)
        return _read(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program), log
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _read(size_of: ctypes._NamedFuncPointer, read: ctypes._NamedFuncPointer, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    size_of(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    read(program, buffer)
    return buffer.raw.rstrip(b"\0") if size_of.__name__.endswith("LogSize") else buffer.raw
