"""Pictures of style transfer nets on CUDA arrays: a thread for each number of the output."""

from __future__ import annotations

from math import prod
from typing import Any

from caffe2ops.cuda import Elementwise

_PREPROCESS = Elementwise(
    "const long long p = i % size, c = i / size % 3, n = i / size / 3; "
    "Y = float(X[(n * size + p) * 4 + c]) - mean[c] + noise[(3 * p + c) % noise_size];",
    tables="X:uint8 mean:float32 noise:float32", int_scalars="size noise_size", outputs="Y:float32",
    dtypes=("float32",), name="stylizer_preprocess",
)  # fmt: skip
_DEPROCESS = Elementwise(
    "const long long c = i % 4, p = i / 4 % size, n = i / 4 / size; "
    "const float level = c < 3 ? X[(n * 3 + c) * size + p] + mean[c] : 255.f; "
    "Y = level >= 255.f ? 255 : level > 0.f ? T_Y(level) : 0;",
    tables="X:float32 mean:float32", int_scalars="size", outputs="Y:uint8", dtypes=("float32",),
    name="stylizer_deprocess",
)  # fmt: skip


def preprocess(X: Any, mean: Any, noise: Any, Y: Any) -> Any:
    """Bytes [N, H, W, 4] as images [N, 3, H, W]."""
    return _PREPROCESS(out=Y, X=X, mean=mean, noise=noise, size=prod(X.shape[1:3]), noise_size=noise.size)


def deprocess(X: Any, mean: Any, Y: Any) -> Any:
    """Images [N, 3, H, W] as bytes [N, H, W, 4]."""
    return _DEPROCESS(out=Y, X=X, mean=mean, size=prod(X.shape[2:]))
