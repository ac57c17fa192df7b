"""Recorded answers of the real Caffe2: which case a sample stands for, and what was answered.

An answer is found by a digest of everything the reference was told, so that a changed sample has no answer until it is
recorded anew (`python -m tests.golden.record`), and reordering samples changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops.defs import NetDef, TensorProto
from caffe2ops.formats.binary import encode

from .call import definition, feeds_of, is_differentiated
from .sample import Blob, Sample

FOLDER = Path(__file__).parents[1] / "golden"
SIZE_LIMIT = 300_000  # bytes that a family's file should stay under
RERECORD = "record it with: python -m tests.golden.record --family {family}"


def is_asked(sample: Sample) -> bool:
    """Whether the real Caffe2 is asked about a sample."""
    return sample.golden and not any(_is_opaque(value) for value in sample.inputs)


def _is_opaque(value: Any) -> bool:
    return not isinstance(value, (np.ndarray, np.generic, Blob))


def case_of(sample: Sample) -> dict[str, Any]:
    """A sample as reference.py reads it, arrays left out."""
    op = {
        "type": sample.op,
        "inputs": sample.input_names,
        "outputs": list(definition(sample).output),
        "args": _json_args(sample.args),
        "seed": sample.seed,
        "engine": sample.engine,
    }
    before = [
        {"type": type_, "inputs": list(inputs), "outputs": list(outputs), "args": _json_args(args)}
        | ({"engine": engine[0]} if engine else {})
        for type_, inputs, outputs, args, *engine in sample.before
    ]
    feeds = {name: _feed_spec(np.asarray(value)) for name, value in feeds_of(sample).items()}
    return {"op": op, "before": before, "feeds": feeds, "gradient": is_differentiated(sample)}


def _feed_spec(value: np.ndarray) -> dict[str, Any]:
    if value.dtype == object:
        return {"shape": list(value.shape), "strings": [item.decode("latin-1") for item in value.ravel()]}
    return {"shape": list(value.shape), "dtype": value.dtype.name}


def _json_args(args: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _json_value(value) for name, value in args.items()}


def _json_value(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, (NetDef, TensorProto)):
        return {type(value).__name__: base64.b64encode(encode(value)).decode()}
    if isinstance(value, (bool, np.bool_, np.integer)):
        return int(value)
    return float(value) if isinstance(value, (float, np.floating)) else value


def digest(sample: Sample) -> str:
    """A short name of everything that the reference is told about a sample."""
    hashed = hashlib.sha256(json.dumps(case_of(sample), sort_keys=True).encode())
    for value in feeds_of(sample).values():
        array = np.asarray(value)
        if array.dtype != object:
            hashed.update(np.ascontiguousarray(array).tobytes())
    return f"{sample.op}-{hashed.hexdigest()[:12]}"


@cache
def load(family: str) -> dict[str, dict[str, Any]]:
    """{digest: {"out0": array, "gradient0": array, "gradient0/indices": ..., "!error": message, ...}} of a family."""
    path = FOLDER / f"{family}.npz"
    answers: dict[str, dict[str, Any]] = {}
    if path.exists():
        with np.load(path, allow_pickle=False) as archive:
            for key in archive.files:
                case, _, name = key.partition("/")
                answers.setdefault(case, {})[name] = archive[key]
    return answers


def answer(sample: Sample) -> dict[str, Any] | None:
    """What the real Caffe2 answered to a sample, strings decoded; None where nothing is recorded for it."""
    found = load(sample.family).get(digest(sample))
    return None if found is None else dict(_decoded(name, value) for name, value in found.items())


def _decoded(name: str, value: np.ndarray) -> tuple[str, Any]:
    if name.endswith("/strings"):
        shape, values = json.loads(str(value))
        out = np.empty(len(values), dtype=object)
        out[:] = [item.encode("latin-1") for item in values]
        return name.removesuffix("/strings"), out.reshape(shape)
    return name, str(value) if value.dtype.kind == "U" else value


def seed_gradient(shape: tuple[int, ...], dtype: Any, index: int) -> np.ndarray:
    """The gradient that comes in for output `index`; reference.py makes the same."""
    count = int(np.prod(shape))
    return (((np.arange(count) * 37 + 11 * index + 5) % 64 - 32) / 32).astype(dtype).reshape(shape)
