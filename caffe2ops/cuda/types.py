"""Between NumPy dtypes and the types of CUDA C++."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import DTypeLike

C_NAMES = {
    "bool": "bool",
    "int8": "signed char",
    "uint8": "unsigned char",
    "int16": "short",
    "uint16": "unsigned short",
    "int32": "int",
    "uint32": "unsigned int",
    "int64": "long long",
    "uint64": "unsigned long long",
    "float16": "__half",
    "float32": "float",
    "float64": "double",
}
DTYPES = {c: np.dtype(name) for name, c in C_NAMES.items()} | {"unsigned": np.dtype(np.uint32)}


def c_name(dtype: DTypeLike) -> str:
    """float32 -> "float"; a dtype that CUDA code has no type for raises TypeError."""
    name = np.dtype(dtype).name
    if name not in C_NAMES:
        raise TypeError(f"dtype {name} has no CUDA type, wanted one of {', '.join(C_NAMES)}")
    return C_NAMES[name]


def compute_name(dtype: DTypeLike) -> str:
    """The C type that values of this dtype are calculated in: float for float16, else their own."""
    return "float" if np.dtype(dtype) == np.float16 else c_name(dtype)


def prelude(types: Mapping[str, DTypeLike]) -> str:
    """`using T = float;` for each alias, in one line so that compiler messages keep the lines of the source."""
    lines = [f"using {alias} = {c_name(dtype)};" for alias, dtype in types.items()]
    half = any(np.dtype(dtype) == np.float16 for dtype in types.values())
    return ("#include <cuda_fp16.h>\n" if half else "") + " ".join(lines) + "\n#line 1\n"
