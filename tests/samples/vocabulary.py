"""Vocabularies, maps, hashes and n-grams."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import DataType
from tests.kit.sample import Blob, Sample, int32s, int64s, normal, strings

V, M = Blob("v"), Blob("m")
OPAQUE: dict[str, Any] = {"golden": False, "reason": "a handle cannot be compared", "expected": []}
Step = tuple[str, list[str], list[str], dict[str, Any]]
F = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


def vocabulary(kind: str = "Int", keys: tuple[Any, ...] = (7, 5, 9), **args: Any) -> list[Step]:
    """Steps that make a vocabulary of these keys."""
    filler = {"Int": "Int", "Long": "Int64", "String": "String"}[kind]
    return [
        (f"{kind}IndexCreate", [], ["v"], args),
        (f"GivenTensor{filler}Fill", [], ["keys"], {"shape": [len(keys)], "values": list(keys)}),
        ("IndexLoad", ["v", "keys"], ["v"], {}),
    ]


FREEZE: Step = ("IndexFreeze", ["v"], ["v"], {})
PAIRS: list[Step] = [
    ("GivenTensorInt64Fill", [], ["k"], {"shape": [1], "values": [5]}),
    ("GivenTensorIntFill", [], ["x"], {"shape": [1], "values": [-7]}),
    ("KeyValueToMap", ["k", "x"], ["m"], {}),
]


def ngram(x: np.ndarray, columns: list[int], limits: list[int], vals: list[int], note: str = "", **more: Any) -> Sample:
    args = {"col_ids": columns, "categorical_limits": limits, "vals": vals}
    return Sample("NGramFromCategorical", [x], args, note=note, **more)


samples = [
    *(Sample(f"{kind}IndexCreate", [], {"max_elements": 9}, **OPAQUE) for kind in ("Int", "Long", "String")),
    Sample("IndexGet", [V, int32s(5, 8, 5, 7, 6, 8).reshape(2, 3)], before=vocabulary(), note="new keys"),
    Sample("IndexGet", [V, int32s(5, 8, 5, 7)], before=[*vocabulary(), FREEZE], note="frozen"),
    Sample("IndexGet", [V, int64s(5, 2**40, 2)], before=vocabulary("Long", (2**40, 7)), note="int64"),
    Sample("IndexGet", [V, strings("b", "", "c")], before=vocabulary("String", ("a", "b")), note="strings"),
    Sample("IndexGet", [V, int32s()], before=vocabulary(), note="no keys"),
    Sample("IndexGet", [V, int32s(5, 8)], before=vocabulary(max_elements=5), note="room for one"),
    Sample("IndexGet", [V, int32s(5, 8, 6)], before=vocabulary(max_elements=5), note="no room", error="keys: 6 is new"),
    Sample(
        "IndexGet", [V, int64s(5)], before=vocabulary(), note="dtype", error="its keys are int32, those given int64"
    ),
    Sample("IndexGet", [F, int64s(5)], note="no vocabulary", error="handle: holds ndarray"),
    Sample("IndexFreeze", [V], inplace={0: 0}, before=vocabulary(), **OPAQUE),
    Sample("IndexFreeze", [V], before=vocabulary(), note="not in place", error="updated in place"),
    Sample("IndexLoad", [V, int32s(3, 1)], inplace={0: 0}, before=vocabulary(), **OPAQUE),
    Sample("IndexLoad", [V, int32s(3, 1, 3)], inplace={0: 0}, before=vocabulary(), note="again", error="items: 3 is"),
    Sample(
        "IndexLoad",
        [V, int32s(*range(5))],
        inplace={0: 0},
        before=vocabulary(max_elements=4),
        note="too many",
        error="items: 5 are more than max_elements = 4",
    ),
    Sample(
        "IndexLoad",
        [V, int32s()],
        {"skip_first_entry": 1},
        inplace={0: 0},
        before=vocabulary(),
        note="none to skip",
        error="items: has no elements",
    ),
    Sample(
        "IndexLoad", [V, strings("a")], inplace={0: 0}, before=vocabulary(), note="dtype", error="its keys are int32"
    ),
    Sample("IndexStore", [V], before=vocabulary()),
    Sample("IndexStore", [V], before=vocabulary("Long", (2**40, -3)), note="int64"),
    Sample("IndexStore", [V], before=vocabulary("String", ("b", "a", "")), note="strings"),
    Sample("IndexStore", [V], before=[("IntIndexCreate", [], ["v"], {})], note="empty"),
    Sample("IndexSize", [V], before=vocabulary()),
    Sample("CreateMap", [], {"key_dtype": int(DataType.INT64)}, **OPAQUE),
    Sample("CreateMap", [], {"value_dtype": int(DataType.FLOAT)}, note="floats", error="value_dtype = 1"),
    Sample("KeyValueToMap", [int32s(1, 2), int64s(3, 4)], **OPAQUE),
    Sample(
        "KeyValueToMap", [int32s(1, 2), int64s(3)], note="sizes", error="value_blob: has 1 elements, key_blob has 2"
    ),
    Sample("KeyValueToMap", [int32s(1), F], note="floats", error="value_blob: dtype is float32"),
    Sample("MapToKeyValue", [M], before=PAIRS, outputs=2),
    Sample("MapToKeyValue", [M], before=[("CreateMap", [], ["m"], {})], outputs=2, note="empty"),
    Sample("MapToKeyValue", [F], outputs=2, note="no map", error="map_blob: holds ndarray"),
    Sample("IndexHash", [int32s(0, 1, -5, 2**31 - 1, -(2**31))], {"modulo": 10}),
    Sample("IndexHash", [int64s(0, 1, -5, 2**40, -(2**63)).reshape(5, 1)], {"modulo": 2**40, "seed": 5}, note="int64"),
    Sample("IndexHash", [int32s(1, 7)], {"modulo": 2**31 - 1, "seed": -3}, note="negative seed"),
    Sample("IndexHash", [int32s(1, 7)], {"modulo": 2**31 - 1, "seed": 2**40 + 7}, note="large seed"),
    Sample("IndexHash", [int64s(1, 7)], {"modulo": 12345, "seed": 2**62}, note="large seed of int64"),
    Sample("IndexHash", [int32s(1, 7)], {"modulo": 10}, inplace={0: 0}, note="in place"),
    Sample("IndexHash", [int32s()], {"modulo": 3}, note="empty"),
    Sample("IndexHash", [int32s(1)], note="no modulo", error="MODULO should be > 0"),
    Sample("IndexHash", [int32s(1)], {"modulo": 2**31}, note="large modulo", error="MODULO shouldn't be larger"),
    ngram(F, [0, 1], [2, 2], [1, 3, 4, 6]),
    ngram(F[:, ::-1].copy(), [1, 0], [3, 1], [5, 1, 3, 4], "order of columns"),
    ngram(F + np.float32(0.5), [1], [3], [3, 5, 7], "half"),
    ngram(-F - np.float32(0.5), [1], [3], [-3, -5, -7], "half below 0"),
    ngram(F, [1], [3], [4, 2, 4], "repeated"),
    ngram(F.reshape(3, 1, 2), [1], [2], [4, 2], "three dims"),
    ngram(F[:, 0].copy(), [0], [2], [4, 3], "vector"),
    ngram(np.array([np.nan, 1e20, -1e20, 4], np.float32), [0], [2], [4, -(2**31)], "not a number"),
    ngram(F[:0], [0], [2], [4, 2], "empty"),
    ngram(F, [2], [2], [4, 2], "column", error="col_ids: 2, floats has 2 columns"),
    ngram(F, [1], [2, 1], [4, 2, 1], "limits", error="categorical_limits: are 2"),
    ngram(F, [1], [3], [4, 2], "values", error="vals: are 2"),
    ngram(F, [1], [0], [], "no category", error="categorical_limits"),
    ngram(normal(2, 2).astype(np.float64), [1], [2], [4, 2], "float64", error="dtype is float64"),
]
