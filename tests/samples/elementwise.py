"""Samples of the operators in caffe2ops/ops/elementwise."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Blob, Sample, normal, rng, strings

STEPS = "steps, or rounds to fewer bits"

INF, NAN = np.inf, np.nan
NUMBERS = (np.float32, np.float64, np.int32, np.int64)
EXTREMES = np.float32([-INF, -1e30, -3, -1, -0.5, -1e-30, -0.0, 0, 1e-30, 0.5, 1, 3, 1e30, INF, NAN])
EXTENSION = "an extension of the dtypes that Caffe2 takes"


def floats(*shape, seed=0, low=-2.0, high=2.0, dtype=np.float32):
    return np.asarray(rng(seed).uniform(low, high, shape), dtype)


def integers(*shape, seed=0, low=-9, high=9, dtype=np.int32):
    return np.asarray(rng(seed).integers(low, high, shape), dtype)


def numbers(*shape, dtype, seed=0):
    x = floats(*shape, seed=seed) * 4
    return np.where(np.abs(x) < 1, 2, x).astype(dtype)


samples = []

# --- rows of one tensor: (operator, lowest, highest, arguments) ---

for op, low, high in [
    ("Abs", -2, 2),
    ("Acos", -0.9, 0.9),
    ("Asin", -0.9, 0.9),
    ("Atan", -2, 2),
    ("Cbrt", 0.3, 3),
    ("Ceil", -4, 4),
    ("Clip", -2, 2),
    ("Cos", -4, 4),
    ("Cosh", -2, 2),
    ("Cube", -2, 2),
    ("Erf", -2, 2),
    ("Exp", -2, 2),
    ("Floor", -4, 4),
    ("Log", 0.2, 5),
    ("Logit", 0.1, 0.9),
    ("Negative", -2, 2),
    ("Reciprocal", 0.3, 3),
    ("Rsqrt", 0.3, 3),
    ("Scale", -2, 2),
    ("Sign", -2, 2),
    ("Sin", -4, 4),
    ("Sinh", -2, 2),
    ("Sqr", -2, 2),
    ("Sqrt", 0.3, 3),
    ("Tan", -1, 1),
    ("ReplaceNaN", -2, 2),
    ("IsNaN", -2, 2),
    ("NanCheck", -2, 2),
    ("Copy", -2, 2),
    ("StopGradient", -2, 2),
]:
    samples.append(Sample(op, [floats(2, 3, 5, low=low, high=high)], note="3-D"))
    samples.append(Sample(op, [floats(low=low, high=high)], note="a scalar"))
    if op != "NanCheck":
        samples.append(Sample(op, [EXTREMES], note="extremes", differentiable=False))

samples += [Sample(op, [numbers(3, 4, dtype=dtype)]) for op in ("Negative", "Sign", "Cube") for dtype in NUMBERS[1:]]
samples += [Sample(op, [floats(3, 4, low=0.5, dtype=np.float64)]) for op in ("Sqrt", "Scale", "IsNaN", "ReplaceNaN")]
samples += [
    Sample(
        op,
        [floats(3, 4, low=0.2, high=0.9, dtype=np.float64)],
        golden=False,
        reason=EXTENSION,
        note="float64",
        expected=[f],
    )
    for op, f in [
        ("Exp", np.exp(floats(3, 4, low=0.2, high=0.9, dtype=np.float64))),
        ("Log", np.log(floats(3, 4, low=0.2, high=0.9, dtype=np.float64))),
    ]
]
samples += [
    Sample("Clip", [floats(3, 5)], {"min": -0.7, "max": 0.4}),
    Sample("Clip", [EXTREMES], {"min": -1.0}, note="only min", differentiable=False),
    Sample("Clip", [EXTREMES], {"min": 1.0, "max": -1.0}, note="min above max", differentiable=False),
    Sample("ClipGradient", [EXTREMES, np.full(15, 2, np.float32)], {"min": -1.0, "max": 1.0}),
    Sample("ClipGradient", [EXTREMES, np.full(15, NAN, np.float32)], {"max": 1.0}, note="NaN in dY"),
    Sample("Scale", [floats(3, 5)], {"scale": -0.3}),
    Sample("Logit", [floats(4, 5, low=0.0, high=1.0)], {"eps": 0.2}, note="eps"),
    Sample("LogitGradient", [EXTREMES, np.full(15, 2, np.float32)]),
    Sample("LogitGradient", [floats(9, low=-1, high=2), floats(9, seed=1)], {"eps": 0.3}, note="eps"),
    Sample("ReplaceNaN", [EXTREMES], {"value": 2.5}, note="value"),
    Sample("AbsGradient", [EXTREMES[:-1], np.full(14, 2, np.float32)]),
    Sample("CubeGradient", [integers(2, 3), integers(2, 3, seed=1)], note="int32"),
    Sample("CbrtGradient", [np.full(4, 2, np.float32), np.float32([-8, 0, 1, INF])], note="zero"),
    Sample("Mod", [integers(3, 5)], {"divisor": 3}),
    Sample("Mod", [integers(3, 5, dtype=np.int64)], {"divisor": -4, "sign_follow_divisor": 1}),
    Sample("Mod", [integers(3, 5)], {"divisor": 4, "sign_follow_divisor": 1}),
    Sample("Mod", [np.int32([5, -(2**31)])], {"divisor": 2**33}, note="divisor beyond int32"),
    Sample(
        "Mod",
        [np.int32([5, -(2**31)])],
        {"divisor": -1},
        golden=False,
        expected=[np.int32([0, 0])],
        note="minus one",
        reason="crashes",
    ),
    Sample("Mod", [integers(3)], {"divisor": 0}, error="divisor = 0, wants not 0"),
    Sample("Mod", [floats(3)], {"divisor": 2}, error="X: dtype is float32"),
    Sample("Not", [np.array([[True, False, True]])]),
    Sample("Not", [integers(3)], error="X: dtype is int32, wants bool"),
    Sample("Sqrt", [integers(3)], error="X: dtype is int32"),
]

# --- passing on ---

for dtype in (np.float16, np.int8, np.int16, np.uint8, np.uint16, bool, np.int64):
    samples.append(Sample("Copy", [integers(3, 4).astype(dtype)], note=np.dtype(dtype).name))
    samples.append(Sample("StopGradient", [integers(3, 4).astype(dtype)], note=np.dtype(dtype).name))
samples += [
    Sample("Copy", [strings("a", "", "bc")], note="strings", devices=("cpu",)),
    Sample("CopyOnDeviceLike", [floats(2, 3), integers(4)]),
    Sample(
        "Alias", [Blob("x")], before=[("ConstantFill", [], ["x"], {"shape": [2, 3], "value": 1.5})], devices=("cpu",)
    ),
    Sample("ZeroGradient", [floats(2, 3)], golden=False, expected=[], reason="writes nothing"),
    Sample("NanCheck", [floats(2, 3), integers(4), np.float32([NAN])], note="others are not looked at"),
    Sample("NanCheck", [np.float32([1, NAN, INF])], error=r"tensor \('in0'\): element 1 is nan; 2 of 3 are not finite"),
    Sample("NanCheck", [np.float32([1, -INF])], error="element 1 is -inf"),
    Sample("EnforceFinite", [floats(2, 3)], golden=False, expected=[], reason="writes nothing"),
    Sample(
        "EnforceFinite",
        [floats(2, 3, dtype=np.float64)],
        note="float64",
        golden=False,
        expected=[],
        reason="writes nothing",
    ),
    Sample("EnforceFinite", [np.float32([[1, 2], [INF, 3]])], error="element 2 is inf; 1 of 4"),
]

# --- two tensors: shapes under both broadcasting rules ---

LEGACY = {"broadcast": 1}
SHAPES = [
    ((2, 3, 4), (2, 3, 4), {}, "same shape"),
    ((2, 3, 4), (4,), {}, "last dim"),
    ((4,), (2, 3, 4), {}, "B is larger"),
    ((2, 1, 4), (3, 1), {}, "both are repeated"),
    ((2, 3), (), {}, "a scalar"),
    ((), (3,), {}, "A is a scalar"),
    ((2, 3, 4), (3, 4), LEGACY, "legacy suffix"),
    ((2, 3, 4), (3,), LEGACY | {"axis": 1}, "legacy axis"),
    ((2, 3, 4), (2, 3), LEGACY | {"axis": 0}, "legacy first axis"),
    ((2, 3, 4), (1,), LEGACY, "legacy one element"),
    ((2, 3), (1, 1, 1), LEGACY, "legacy one element of more dims"),
    ((2, 3, 4), (1, 3, 1), LEGACY, "legacy ones at the ends"),
    ((2, 3, 4, 2), (3,), LEGACY | {"axis_str": "C"}, "legacy axis_str"),
    ((2, 3, 4, 5), (5,), LEGACY | {"axis_str": "C", "order": "NHWC"}, "legacy axis_str NHWC"),
]
for op in ("Add", "Sub", "Mul", "Div"):
    for a, b, args, note in SHAPES:
        samples.append(
            Sample(op, [numbers(*a, dtype=np.float32), numbers(*b, dtype=np.float32, seed=1)], args, note=note)
        )
    samples.append(Sample(op, [np.float32(3), np.float32(2)], note="numbers"))
    for dtype in NUMBERS[1:]:
        samples.append(
            Sample(op, [numbers(2, 3, dtype=dtype), numbers(3, dtype=dtype, seed=1)], note=np.dtype(dtype).name)
        )
        samples.append(
            Sample(
                f"{op}Gradient",
                [
                    numbers(*s, dtype=dtype, seed=i)
                    for i, s in enumerate([(2, 3), (2, 3), (3,)] + [(2, 3)] * (op == "Div"))
                ],
            )
        )
for op, dtype in [
    ("EQ", np.int64),
    ("NE", np.int32),
    ("LT", np.float32),
    ("LE", np.float64),
    ("GT", np.float32),
    ("GE", np.int64),
]:
    for a, b, args, note in SHAPES[1::2]:
        samples.append(
            Sample(
                op, [integers(*a, high=-5, dtype=dtype), integers(*b, high=-5, seed=1, dtype=dtype)], args, note=note
            )
        )
    samples.append(
        Sample(op, [np.array([True, False, True, False]), np.array([True, True, False, False])], note="bool")
    )
    samples.append(Sample(op, [np.float32([NAN, 1, NAN, INF]), np.float32([1, NAN, NAN, INF])], note="NaN"))
for op in ("And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor"):
    for a, b, args, note in SHAPES[::3]:
        samples.append(Sample(op, [integers(*a) > 0, integers(*b, seed=1) > 0], args, note=note))
    if op.startswith("Bit"):
        samples += [Sample(op, [integers(2, 3, dtype=d), integers(3, seed=1, dtype=d)]) for d in NUMBERS[2:]]
    else:
        samples.append(Sample(op, [integers(2, 3), integers(2, 3)], error="A: dtype is int32, wants bool"))

LEAST = np.iinfo(np.int32).min
samples += [
    Sample("Div", [np.float32([1, -1, 0, INF]), np.float32([0, 0, 0, INF])], note="by zero", differentiable=False),
    Sample("Div", [np.int32([-7, 7, -7, 7]), np.int32([2, -2, -2, 2])], note="towards 0"),
    Sample(
        "Div",
        [np.int32([7, 0, LEAST]), np.int32([0, 0, -1])],
        golden=False,
        reason="Caffe2's process ends",
        expected=[np.int32([0, 0, LEAST])],
        note="whole by zero",
    ),
    Sample(
        "DivGradient", [np.int32([2, -2, -2]), np.int32([-3, -3, 3]), np.int32([5, 2, 3])], note="old inputs", outputs=2
    ),
    Sample(
        "MulGradient",
        [floats(2, 3), floats(4, 3), floats(3)],
        error=r"dC: shape is \[2, 3\]",
        golden=False,
        reason="reads out of bounds",
    ),
    Sample("Add", [floats(3), integers(3)], error="B: dtype is int32, wants float32"),
    Sample("Add", [floats(2, 3), floats(3, 2)], error="does not broadcast"),
    Sample("Add", [floats(2, 3, 4), floats(3)], LEGACY, error=r"B: shape is \[3\]"),
    Sample("Add", [floats(2, 3, 4), floats(2, 1, 4)], LEGACY, error=r"B: shape is \[2, 1, 4\]"),
    Sample("Add", [floats(4), floats(2, 4)], LEGACY, error="does not fit into A"),
    Sample("Add", [floats(2, 3, 4), floats(3)], LEGACY | {"axis": 5}, error="from axis 5 on"),
    Sample("Add", [floats(2, 3, 4), floats(3)], LEGACY | {"axis": 1, "axis_str": "C"}, error="wants one of them"),
    Sample("Add", [floats(2, 3, 4), floats(3)], LEGACY | {"axis_str": "Z"}, error="wants one letter of order"),
    Sample("Add", [floats(3), floats(2, 3)], inplace={0: 0}, error="C is A's blob"),
    Sample("Add", [floats(3), floats(2, 3)], inplace={0: 1}, note="in place of the larger B"),
]

for a, b, args, note in SHAPES[6:]:
    samples.append(
        Sample(
            "SumReduceLike", [floats(*a), floats(*b)], {k: v for k, v in args.items() if k != "broadcast"}, note=note
        )
    )
samples += [
    Sample("SumReduceLike", [floats(2, 3), floats(2, 3)], note="same shape"),
    Sample("SumReduceLike", [floats(2, 3, dtype=np.float64), integers(3)], note="float64"),
    Sample("SumReduceLike", [floats(2, 3, 4), floats(3)], error=r"B: shape is \[3\]"),
    Sample("SumReduceLike", [floats(4), floats(2, 4)], error="does not fit into A"),
]

# --- Pow ---

ONES = "its gradient makes ones of float32, so that it cannot be checked in float64"

for exponent in (2.0, -1.0, 1.0, 0.0, 0.5, 2.5, 3.0):
    samples.append(Sample("Pow", [floats(2, 3, low=0.3, high=3)], {"exponent": exponent}, note=f"exponent {exponent}"))
    samples.append(
        Sample(
            "Pow",
            [EXTREMES[3:11]],
            {"exponent": exponent},
            note=f"extremes {exponent}",
            differentiable=False,
            reason="poles",
        )
    )
samples += [
    Sample(
        "Pow",
        [floats(2, 3, low=0.3, high=3), floats(2, 3, seed=1)],
        note="two inputs",
        differentiable=False,
        reason=ONES,
    ),
    Sample(
        "Pow",
        [floats(2, 3, 4, low=0.3, high=3), floats(3, seed=1)],
        LEGACY | {"axis": 1},
        note="broadcast",
        differentiable=False,
        reason=ONES,
    ),
    Sample(
        "Pow",
        [floats(2, 3, low=0.3, high=3), floats(1, seed=1)],
        LEGACY,
        note="one exponent",
        differentiable=False,
        reason=ONES,
    ),
    Sample("Pow", [floats(2, 3), floats(3)], error="exponent: shape is"),
    Sample("Pow", [floats(2, 3), floats(2, 3)], {"axis": 1}, error="they want broadcast = 1"),
    Sample("Pow", [floats(3)], error="either as argument or as second input", golden=False, reason="Caffe2 takes 0"),
]

# --- any number of tensors ---

for op in ("Sum", "SumInt", "Max", "Min", "Mean"):
    for n in (1, 2, 3, 5):
        samples.append(Sample(op, [floats(2, 3, seed=seed) for seed in range(n)], note=f"{n} inputs"))
    unchecked = {"golden": False, "reason": "Caffe2 compares the sizes only"} if op in ("Max", "Min") else {}
    samples.append(Sample(op, [floats(3), floats(1, 3)], error="wants", **unchecked))
samples += [
    Sample(op, [numbers(4, dtype=d, seed=s) for s in (0, 1, 2)]) for op in ("Sum", "SumInt") for d in NUMBERS[1:]
]
samples += [
    Sample("Mean", [floats(4, dtype=np.float64), floats(4, seed=1, dtype=np.float64)], note="float64"),
    Sample("MeanGradient", [floats(2, 3)], outputs=3),
    *(
        Sample(
            op,
            [np.float32([NAN, 1, NAN, 3]), np.float32([1, NAN, NAN, 3])],
            note="NaN",
            differentiable=False,
            golden=False,
            reason="Caffe2 looks at NaN only in the first",
            expected=[np.float32([NAN, NAN, NAN, 3])],
        )
        for op in ("Max", "Min")
    ),
    Sample(
        "MaxGradient",
        [np.float32([1, 2, NAN]), np.float32([5, INF, 7]), np.float32([1, 1, NAN]), np.float32([1, 2, 0])],
        outputs=2,
    ),
    Sample(
        "MinGradient",
        [np.float32([1, 2]), np.float32([5, 6]), np.float32([1, 3]), np.float32([1, 2])],
        outputs=2,
        note="ties",
    ),
    Sample(
        "MaxGradient",
        [floats(3), floats(3), floats(3)],
        outputs=2,
        error="2 outputs",
        golden=False,
        reason="reads out of bounds",
    ),
    Sample("Sum", [floats(3), integers(3)], error="X: dtype is int32, wants float32"),
]

# --- Cast ---

WIDE = np.float64([-300, -1.9, -1, -0.5, 0, 0.5, 1.9, 255, 256, 300, 40000, 70000])
TYPES = {1: "float", 2: "int32", 5: "bool", 6: "uint8", 7: "int8", 8: "uint16", 9: "int16", 10: "int64", 13: "double"}
for number, name in TYPES.items():
    for dtype in ("float32", "float64", "int32", "int64", "uint8", "int8", "bool"):
        values = WIDE.astype(np.int64).astype(dtype) if dtype[0] in "iub" else WIDE.astype(dtype)
        samples.append(
            Sample("Cast", [values], {"to": number}, note=f"{dtype} to {name}", differentiable=False, reason=STEPS)
        )


def f(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


samples += [
    Sample("Cast", [np.float32([NAN, INF, -3e9, 3e9])], {"to": 2}, note="beyond int32", devices=("cpu",)),
    Sample("Cast", [np.float32([NAN, INF, -3e9, 3e9])], {"to": 6}, note="far beyond uint8", devices=("cpu",)),
    Sample("Cast", [np.float32([1.5, -2, NAN, INF, 1e7])], {"to": 4}, note="float to string", devices=("cpu",)),
    Sample("Cast", [np.array([True, False])], {"to": "string"}, note="bool to string", devices=("cpu",)),
    Sample("Cast", [integers(2, 3)], {"to": "float"}, note="to by name", differentiable=False, reason=STEPS),
    Sample("Cast", [floats(2, 3)], {"to": "DOUBLE", "from_type": "float"}, note="gradient"),
    Sample(
        "Cast",
        [floats(2, 3, dtype=np.float64)],
        {"to": 1, "from_type": 13},
        note="narrowing",
        differentiable=False,
        reason=STEPS,
    ),
    Sample(
        "Cast",
        [floats(2, 3)],
        {"to": 12},
        golden=False,
        reason=EXTENSION,
        expected=[floats(2, 3).astype(np.float16)],
        differentiable=False,
    ),
    Sample(
        "Cast",
        [floats(3).astype(np.float16)],
        {"to": 1},
        golden=False,
        reason=EXTENSION,
        expected=[floats(3).astype(np.float16).astype("f4")],
        differentiable=False,
    ),
    Sample("Cast", [floats(3)], {"to": "flaot"}, error="to = 'flaot', wants the number or name"),
    Sample("Cast", [floats(3)], {"to": 99}, error="to = 99, wants", golden=False, reason="ends Caffe2's process"),
    Sample("Cast", [floats(3)], error="argument to is missing", golden=False, reason="ends Caffe2's process"),
    Sample("CopyFromCPUInput", [floats(2, 3)]),
    Sample("EnsureCPUOutput", [floats(2, 3)]),
    Sample("Log1p", [np.abs(normal(3, 4))]),
    Sample("Log1p", [f(0, 1e-7, -0.5, 3e38)], note="near 0"),
    Sample("Log1p", [f(-1, -2, np.inf, np.nan)], note="special", differentiable=False, reason="no finite value"),
    Sample("Log1p", [f()], note="empty"),
    Sample("Log1pGradient", [np.abs(normal(3, 4)), normal(3, 4)]),
]
