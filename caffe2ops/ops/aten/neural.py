"""Functions of neural networks: activations, normalisation, embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.aten.elementwise import erf
from caffe2ops.ops.aten.functions import declare
from caffe2ops.ops.index.rows import checked_indices, sum_rows
from caffe2ops.ops.segment.lengths_reduce import greatest_of_runs
from caffe2ops.ops.shape.axes import show, size

SUM, MEAN, MAX = range(3)  # of embedding_bag


def elu(x: np.ndarray, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0) * input_scale) * alpha) * scale


def softplus(x: np.ndarray, beta: float = 1, threshold: float = 20) -> Any:
    return np.where(x * beta > threshold, x, np.log1p(np.exp(x * beta)) / beta)


def gelu(x: np.ndarray) -> Any:
    return x * (1 + erf(x * np.sqrt(x.dtype.type(0.5)))) / 2


def hardtanh(x: np.ndarray, min_val: float = -1, max_val: float = 1) -> Any:
    return np.clip(x, min_val, max_val)


def _normalised(rows: np.ndarray, eps: float) -> Any:
    return (rows - rows.mean(axis=1, keepdims=True)) / np.sqrt(rows.var(axis=1, keepdims=True) + rows.dtype.type(eps))


def layer_norm(
    x: np.ndarray, *affine: np.ndarray, normalized_shape: list[int], eps: float = 1e-5, cudnn_enable: bool = True
) -> Any:
    last = x.shape[x.ndim - len(normalized_shape) :]
    if list(last) != list(normalized_shape) or any(a.shape != last for a in affine):
        raise ValueError(
            f"normalized_shape = {normalized_shape}, weight and bias want the last dims of {show(x.shape)}"
        )
    y = _normalised(x.reshape(-1, size(last)), eps).reshape(x.shape)
    return _affine(y, *affine)


def group_norm(
    x: np.ndarray, *affine: np.ndarray, num_groups: int, eps: float = 1e-5, cudnn_enabled: bool = True
) -> Any:
    if x.ndim < 2 or num_groups < 1 or x.shape[1] % num_groups or any(a.shape != x.shape[1:2] for a in affine):
        raise ValueError(f"num_groups = {num_groups}, input of shape {show(x.shape)} wants a divisor of its channels")
    y = _normalised(x.reshape(x.shape[0] * num_groups, -1), eps).reshape(x.shape)
    return _affine(y, *(a.reshape(-1, *(1,) * (x.ndim - 2)) for a in affine))


def _affine(y: np.ndarray, weight: Any = 1, bias: Any = 0) -> Any:
    return y * weight + bias


def embedding_bag(
    table: np.ndarray,
    index: np.ndarray,
    offsets: np.ndarray,
    weights: np.ndarray | None = None,
    scale_grad_by_freq: bool = False,
    mode: int = SUM,
    sparse: bool = False,
    include_last_offset: bool = False,
) -> Any:
    """Only the first result, the bags; an empty one is 0."""
    ends = offsets if include_last_offset else np.append(offsets, len(index))
    lengths = np.diff(ends)
    if not ends.size or ends[0] or ends[-1] != len(index) or (lengths < 0).any():
        raise ValueError(f"offsets: are {offsets.tolist()}, wants them ascending from 0 to at most {len(index)}")
    if weights is not None and (mode != SUM or weights.shape != index.shape):
        raise ValueError(f"per_sample_weights: shape is {show(weights.shape)}, wants {show(index.shape)}, and mode = 0")
    checked_indices(index, len(table), "indices", "weight")
    out = np.zeros((len(lengths), table.shape[1]), table.dtype)
    if mode == MAX:
        out[lengths > 0] = greatest_of_runs(table[index], lengths[lengths > 0]) if len(index) else 0
        return out
    sum_rows(table, index, lengths, weights, out)
    return out / np.maximum(lengths, 1).astype(out.dtype)[:, None] if mode == MEAN else out


def one_hot(x: np.ndarray, num_classes: int = -1) -> Any:
    count = int(x.max(initial=-1)) + 1 if num_classes < 0 else num_classes
    return (checked_indices(x, count, "self", "num_classes")[..., None] == np.arange(count)).astype(np.int64)


declare({
    "elu 1 alpha= scale= input_scale=": elu,
    "softplus 1 beta= threshold=": softplus,
    "gelu 1": gelu,
    "hardtanh 1 min_val= max_val=": hardtanh,
    **{f"layer_norm {n} normalized_shape": layer_norm for n in (1, 2)},
    "layer_norm 3 normalized_shape eps= cudnn_enable=": layer_norm,
    **{f"group_norm {n} num_groups": group_norm for n in (1, 2)},
    "group_norm 3 num_groups eps= cudnn_enabled=": group_norm,
    "embedding_bag 3 scale_grad_by_freq= mode= sparse=": embedding_bag,
    "embedding_bag 4 scale_grad_by_freq mode sparse include_last_offset=": embedding_bag,
    "one_hot 1 num_classes=": one_hot,
})  # fmt: skip
