"""LengthsTopK, its gradient, and their batch form TopKPool."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, rng

NEAR = "values equal or so near that a step changes their order"

INF, NAN = np.inf, np.nan
EXTENSION = "an extension of caffe2ops"


def _lengths(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def _normal(*shape: int, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    return rng(seed).standard_normal(shape).astype(dtype)


def _few(size: int, *values: float, seed: int = 0) -> np.ndarray:
    return rng(seed).choice(np.array(values, np.float32), size)


def _top(note: str, data: np.ndarray, lengths: np.ndarray, k: int, **more: object) -> Sample:
    return Sample("LengthsTopK", [data, lengths], {"k": k}, note=note, **more)  # type: ignore[arg-type]


def _refused(op: str, note: str, inputs: list[np.ndarray], args: dict[str, object], error: str) -> Sample:
    return Sample(op, inputs, args, note=note, error=error, golden=False, reason="refused")


SPREAD = rng(3).integers(0, 40, 60).astype(np.int32)
MIXED = np.concatenate([rng(4).integers(0, 300, 9), [0, 9000, 1, 20000]]).astype(np.int32)

_TOP_K = [
    _top("as documented", np.array([5, 1, 5, 2, 7, 3], np.float32), _lengths(4, 0, 2), 3),
    _top("random", _normal(23), _lengths(5, 0, 11, 7), 3),
    _top("k one", _normal(23, seed=1), _lengths(5, 0, 11, 7), 1),
    _top("k beyond every length", _normal(12, seed=2), _lengths(5, 3, 0, 4), 9),
    _top("no segments", _normal(0), _lengths(), 2),
    _top("only empty segments", _normal(0), _lengths(0, 0, 0), 2),
    _top(
        "ties and signed zeros",
        _few(40, 0.0, -0.0, 1, -1, seed=5),
        _lengths(13, 1, 0, 26),
        6,
        differentiable=False,
        reason=NEAR,
    ),
    _top("infinities", _few(40, INF, -INF, 0, 3, seed=6), _lengths(13, 1, 0, 26), 6, differentiable=False),
    _top(
        "denormals",
        _few(40, 1e-42, -1e-42, 2e-45, 0, seed=7),
        _lengths(13, 1, 0, 26),
        6,
        differentiable=False,
        reason=NEAR,
    ),
    _top("NaN among the first k", _few(60, NAN, 1, 2, 3, seed=8), _lengths(20, 5, 0, 35), 4, differentiable=False),
    _top("NaN later", np.array([3, 1, NAN, 2, NAN, 4], np.float32), _lengths(6), 2, differentiable=False),
    _top("many segments", _normal(int(SPREAD.sum()), seed=9), SPREAD, 7),
    _top("all strategies", _normal(int(MIXED.sum()), seed=10), MIXED, 5, differentiable=False, reason=NEAR),
    _top(
        "all strategies, ties",
        _few(int(MIXED.sum()), *range(-4, 5), seed=11),
        MIXED,
        20,
        differentiable=False,
        reason=NEAR,
    ),
    _top("mostly -inf", _few(int(MIXED.sum()), -INF, -INF, -INF, 1, seed=12), MIXED, 5, differentiable=False),
    _top("float64", _normal(23, dtype="float64"), _lengths(5, 0, 11, 7), 3, golden=False, reason=EXTENSION),
    _top(
        "float16",
        _normal(23, dtype="float16"),
        _lengths(5, 0, 11, 7),
        3,
        golden=False,
        reason=EXTENSION,
        differentiable=False,
    ),
    _refused("LengthsTopK", "k zero", [_normal(3), _lengths(3)], {"k": 0}, "k = 0"),
    _refused("LengthsTopK", "k missing", [_normal(3), _lengths(3)], {}, "k is missing"),
    _refused("LengthsTopK", "sum too large", [_normal(6), _lengths(4, 3)], {"k": 1}, "LENGTHS: sum is 7, DATA has 6"),
    _refused("LengthsTopK", "sum too small", [_normal(6), _lengths(2, 3)], {"k": 1}, "LENGTHS: sum is 5, DATA has 6"),
    _refused("LengthsTopK", "negative length", [_normal(6), _lengths(8, -2)], {"k": 1}, r"LENGTHS: \[1\] is -2"),
    _refused("LengthsTopK", "rank", [_normal(2, 3), _lengths(6)], {"k": 1}, "DATA"),
    _refused("LengthsTopK", "lengths of int64", [_normal(6), np.array([6])], {"k": 1}, "LENGTHS"),
    _refused("LengthsTopK", "data of int32", [_lengths(1, 2), _lengths(2)], {"k": 1}, "DATA"),
    _refused("LengthsTopK", "k beyond memory", [_normal(2), _lengths(1, 1)], {"k": 2**45}, "k: is 35184372088832"),
]


def _back(note: str, lengths: np.ndarray, indices: list[list[int]], **more: object) -> Sample:
    at = np.array(indices, np.int32).reshape(len(lengths), -1 if indices else 2)
    gradient, args = _normal(*at.shape, seed=13), {"k": at.shape[1]}
    return Sample("LengthsTopKGradient", [lengths, at, gradient], args, note=note, differentiable=False, **more)  # type: ignore[arg-type]


_GRADIENT = [
    _back("as documented", _lengths(4, 0, 2), [[0, 2, 3], [-1, -1, -1], [0, 1, -1]]),
    _back("no padding", _lengths(4, 5), [[3, 0], [2, 4]]),
    _back("padding is not read", _lengths(1, 3), [[0, 7], [2, 1]]),
    _back("padding that looks like an index", _lengths(1, 3), [[0, 0], [2, 1]]),
    _back("no segments", _lengths(), []),
    _back(
        "index beyond the segment",
        _lengths(4, 5),
        [[3, 4], [2, 4]],
        error=r"TopKIndices: \[0, 1\] is 4",
        golden=False,
        reason="read out of bounds there",
    ),
    _back(
        "index -1 where there is an element",
        _lengths(4, 5),
        [[3, 2], [-1, 4]],
        error=r"\[1, 0\] is -1",
        golden=False,
        reason="read out of bounds there",
    ),
    _back("rows", _lengths(4, 5, 6), [[3, 2], [2, 4], [0, 1]]),
    _refused(
        "LengthsTopKGradient",
        "rows and lengths",
        [_lengths(4), np.zeros((2, 1), np.int32), _normal(2, 1)],
        {"k": 1},
        "TopKIndices",
    ),
    _refused(
        "LengthsTopKGradient",
        "columns and k",
        [_lengths(4), np.zeros((1, 2), np.int32), _normal(1, 2)],
        {"k": 3},
        "TopKIndices",
    ),
    _refused(
        "LengthsTopKGradient",
        "negative length",
        [_lengths(-4), np.zeros((1, 1), np.int32), _normal(1, 1)],
        {"k": 1},
        "LENGTHS",
    ),
]


def _pool(note: str, inputs: list[np.ndarray], **args: object) -> Sample:
    return Sample("TopKPool", inputs, args, note=note, golden=False, reason=EXTENSION)


_SEQUENCES = _normal(3, 5, 2, seed=14)
_POOL = [
    _pool("value", [_SEQUENCES, _lengths(5, 0, 3)], k=2),
    _pool("position", [_SEQUENCES, _lengths(5, 1, 3)], k=2, order="position"),
    _pool("k beyond the lengths", [_SEQUENCES, _lengths(5, 1, 3)], k=7),
    _pool("k of each row", [_SEQUENCES, _lengths(5, 4, 3), _lengths(3, 0, 1)]),
    _pool("k of each row, position", [_SEQUENCES, _lengths(5, 4, 3), _lengths(3, 2, 1)], order="position"),
    _pool("mask", [_SEQUENCES, _lengths(5, 4, 3), _lengths(3, 2, 1)], mode="mask"),
    _pool("features", [_normal(2, 4, 5, seed=15), _lengths(3, 4)], k=2, axis=-1),
    _pool("features, mask", [_normal(2, 4, 5, seed=15), _lengths(3, 4)], k=2, axis=-1, mode="mask"),
    _pool("two dims", [_normal(3, 5, seed=16), _lengths(3, 0, 5)], k=2, axis=-1),
    _pool("four dims", [_normal(2, 4, 3, 2, seed=17), _lengths(3, 4)], k=2, order="position"),
    _pool("no sequences", [_normal(0, 4, 3), _lengths()], k=2),
    _pool("no features", [_normal(2, 4, 0), _lengths(3, 4)], k=2),
    _pool("no steps", [_normal(2, 0, 3), _lengths(0, 0)], k=2, order="position"),
    _pool("float64", [_normal(2, 4, 3, seed=18, dtype="float64"), _lengths(3, 4)], k=2),
    _refused("TopKPool", "neither k nor K", [_SEQUENCES, _lengths(5, 0, 3)], {}, "k: is 0"),
    _refused("TopKPool", "length beyond", [_SEQUENCES, _lengths(5, 6, 3)], {"k": 1}, r"LENGTHS"),
    _refused("TopKPool", "negative length", [_SEQUENCES, _lengths(5, -1, 3)], {"k": 1}, r"LENGTHS"),
    _refused("TopKPool", "rows of lengths", [_SEQUENCES, _lengths(5, 1)], {"k": 1}, r"LENGTHS"),
    _refused("TopKPool", "negative K", [_SEQUENCES, _lengths(5, 1, 3), _lengths(1, -1, 2)], {}, r"K: has -1"),
    _refused("TopKPool", "rank", [_normal(3), _lengths(1, 1, 1)], {"k": 1}, "DATA"),
    _refused("TopKPool", "order", [_SEQUENCES, _lengths(5, 1, 3)], {"k": 1, "order": "index"}, "order = 'index'"),
]


def _pool_back(note: str, inputs: list[np.ndarray], error: str | None = None, **args: object) -> Sample:
    return Sample(
        "TopKPoolGradient", inputs, args, note=note, golden=False, reason=EXTENSION, error=error, differentiable=False
    )


_AT = np.array([[[0, 1], [3, -1]], [[-1, -1], [-1, -1]]], np.int32)
_POOL_GRADIENT = [
    _pool_back("gather", [_normal(2, 4, 2), _AT, _normal(2, 2, 2, seed=19)], k=2),
    _pool_back("mask", [_normal(2, 4, 2), _AT, _normal(2, 4, 2, seed=20)], k=2, mode="mask"),
    _pool_back("features", [_normal(2, 2, 3), _AT.clip(-1, 2), _normal(2, 2, 2, seed=21)], k=2, axis=-1),
    _pool_back(
        "index beyond",
        [_normal(2, 3, 2), _AT, _normal(2, 2, 2, seed=19)],
        error="indices: has -1 ... 3|indices: has an",
        k=2,
    ),
    _pool_back("shape of dY", [_normal(2, 4, 2), _AT, _normal(2, 3, 2, seed=19)], error="dY", k=2),
    _pool_back("shape of indices", [_normal(2, 4, 3), _AT, _normal(2, 2, 2, seed=19)], error="indices", k=2),
]

samples = [*_TOP_K, *_GRADIENT, *_POOL, *_POOL_GRADIENT]
