"""Histograms, quantiles, meters and samples."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Blob, Sample, int32s, int64s, normal, rng, strings

X = normal(3, 4)
NONE = np.zeros((0, 3), np.float32)
NAN = np.array([1, np.nan, 2], np.float32)
DISTRIBUTIONS = {
    "percentile_raw": [-1.0, 0.0, 0.5, 0.25, 1.0, 3.0],
    "percentile_mapping": [0.1, 0.5, 0.7, 0.2, 0.6, 0.9],
    "percentile_lower": [0.05, 0.45, 0.65, 0.2, 0.55, 0.85],
    "percentile_upper": [0.15, 0.55, 0.75, 0.3, 0.65, 0.95],
    "lengths": [3, 2, 1],
}
RAW = np.array([[-2, 0.25, 3], [0, 0.5, 2], [0.5, 2, 4], [-0.3, 1, 3], [0.1, 0.1, np.nan]], np.float32)
SCORES = rng(1).integers(0, 4, (5, 3)).astype(np.float32)
TRUTH = rng(2).integers(0, 2, (5, 3)).astype(np.int32)
TRUTH[:, 2] = 0
WEIGHTS = np.array([[0, 1, 0, 2], [0.5, 0.25, 4, 0], [0, 0, 0, 0]], np.float32)
CDF = np.array([0.25, 0.25, 1.0, 1.75, 2.5], np.float32)
UNORDERED = "Caffe2 asks a bisection, which wants them ascending, and may read beyond them"
COUNTS = "Caffe2 counts it outside its memory"
ROWS = normal(9, 2)
MUTEX = [("CreateMutex", [], ["mutex"], {})]
FRESH = [np.zeros((0, 2), np.float32), int64s(7), ROWS, Blob("mutex")]

REGISTRY = [
    ("StatRegistryCreate", [], ["registry"], {}),
    ("GivenTensorStringFill", [], ["keys"], {"shape": [1], "values": ["key"]}),
    ("GivenTensorInt64Fill", [], ["values"], {"shape": [1], "values": [34]}),
    ("StatRegistryUpdate", ["keys", "values", "registry"], [], {}),
]
SILENT = {"outputs": 0, "golden": False, "reason": "there is no output to compare", "expected": []}
CLOCK = {"random": True, "reason": "time goes on"}


def timer(op: str, outputs: int) -> list[Sample]:
    """An operator on a running timer, and on none. The reference would read one whose operator is gone."""
    before = [("TimerBegin", [], ["timer"], {})]
    gone = "Caffe2's timer belongs to an operator that has run and gone"
    return [
        Sample(op, [Blob("timer")], outputs=outputs, before=before, random=True, golden=False, reason=gone),
        Sample(op, [normal(2)], note="no timer", outputs=outputs, error="timer: holds ndarray"),
    ]


def reservoir(rows: int, visited: int, data: np.ndarray = ROWS) -> list[object]:
    """The inputs of ReservoirSampling for a reservoir in use."""
    return [normal(rows, 2, seed=4), int64s(visited), data, Blob("mutex")]


def reservoirs(note: str, inputs: list[object], most: int = 4, **more: object) -> Sample:
    args, shared = {"num_to_collect": most}, {0: 0, 1: 1}
    return Sample("ReservoirSampling", inputs, args, note, 2, shared, before=MUTEX, seed=5, **more)


samples = [
    *(
        Sample("SelfBinningHistogram", list(inputs), {"num_bins": 5, **args}, note=f"{note} {more}", outputs=2)
        for note, inputs in {
            "": (X,),
            "two": (X, normal(5)),
            "double": (X.astype(np.float64),),
            "ints": (np.arange(11, dtype=np.float32),),
            "alike": (np.full(4, 2.5, np.float32),),
            "zeros": (np.zeros(4, np.float32),),
            "empty": (NONE,),
        }.items()
        for more, args in {
            "": {},
            "abs": {"abs": 1},
            "logarithmic": {"bin_spacing": "logarithmic"},
            "start": {"bin_spacing": "logarithmic", "logspace_start": 0.125},
        }.items()
    ),
    Sample("SelfBinningHistogram", [X], {"num_bins": 1}, note="one bin"),
    Sample("SelfBinningHistogram", [np.array([np.inf, 0.25, 2], np.float32)], {"num_bins": 3}, note="infinity"),
    Sample("SelfBinningHistogram", [np.array([-np.inf, 0.25, 2], np.float32)], {"num_bins": 3}, note="below all"),
    Sample("SelfBinningHistogram", [X], {"num_bins": 0}, note="no bins", error="num_bins = 0"),
    Sample("SelfBinningHistogram", [X], {"num_bins": 2, "bin_spacing": "cubic"}, note="spacing", error="bin_spacing ="),
    Sample("SelfBinningHistogram", [X], {"num_bins": 2, "logspace_start": 0.0}, note="start", error="logspace_start ="),
    Sample("SelfBinningHistogram", [X, X.astype(np.float64)], {"num_bins": 2}, note="two dtypes", error="dtype is"),
    Sample(
        "SelfBinningHistogram",
        [NAN],
        {"num_bins": 2},
        note="nan",
        error="X: holds NaN",
        golden=False,
        reason="Caffe2's bounds depend on where it stands",
    ),
    Sample("AccumulateHistogram", [X], stateful=True),
    Sample(
        "AccumulateHistogram",
        [X],
        {"lower_bound": -1.0, "upper_bound": 0.7, "num_buckets": 4},
        note="buckets",
        stateful=True,
    ),
    Sample(
        "AccumulateHistogram",
        [np.arange(6, dtype=np.float32)],
        {"upper_bound": 5.0, "num_buckets": 5},
        note="edges",
        stateful=True,
    ),
    Sample(
        "AccumulateHistogram",
        [X],
        {"lower_bound": 0.5, "upper_bound": -0.5},
        note="bounds the wrong way round",
        stateful=True,
    ),
    Sample(
        "AccumulateHistogram",
        [np.array([np.inf, -np.inf, 0], np.float32)],
        {"num_buckets": 2},
        note="infinity",
        stateful=True,
    ),
    Sample("AccumulateHistogram", [NONE], {"num_buckets": 2}, note="empty", stateful=True),
    Sample("AccumulateHistogram", [X], {"num_buckets": 0}, note="no buckets", error="num_buckets = 0"),
    Sample("AccumulateHistogram", [NAN], note="nan", error="X: holds NaN", golden=False, reason=COUNTS),
    *(
        Sample("Quantile", [X, normal(5)], {"quantile": quantile}, note=f"share {quantile}")
        for quantile in (0.0, 0.01, 0.3, 0.5, 0.77, 1.0)
    ),
    Sample("Quantile", [X], {"quantile": 0.4, "abs": 0}, note="signed"),
    Sample("Quantile", [X], {"quantile": 0.4, "abs": 0, "tol": 0.5}, note="coarse"),
    Sample("Quantile", [X.astype(np.float64)], {"quantile": 0.6, "tol": 1e-6}, note="double"),
    Sample("Quantile", [int32s(2, 1, 1, 1, 3).astype(np.float32)], {"quantile": 0.5}, note="ties"),
    Sample("Quantile", [NAN], {"quantile": 0.3}, note="nan"),
    Sample("Quantile", [NAN], {"quantile": 0.9, "abs": 0}, note="above nan"),
    Sample("Quantile", [np.array([3, 1, np.inf, 5], np.float32)], {"quantile": 0.7}, note="infinity"),
    Sample("Quantile", [X], {"quantile": 1.5}, note="above 1", error="quantile = 1.5"),
    Sample("Quantile", [X], {"quantile": 0.5, "tol": 0.0}, note="no tolerance", error="tol = 0"),
    Sample("Quantile", [X], note="no share", error="quantile is missing"),
    Sample("Quantile", [NONE], {"quantile": 0.5}, note="empty", error="X: has no elements"),
    Sample(
        "Quantile",
        [np.array([3, 3.0000002, 3.0000002], np.float32)],
        {"quantile": 0.5, "tol": 1e-9},
        note="neighbours",
        error="no float32 lies between",
    ),
    Sample("BisectPercentile", [RAW], DISTRIBUTIONS),
    Sample("BisectPercentile", [RAW[:0]], DISTRIBUTIONS, note="empty"),
    Sample("BisectPercentile", [RAW[:, :2]], DISTRIBUTIONS, note="columns", error="raw_values: has 2 columns"),
    Sample(
        "BisectPercentile",
        [RAW[:, :1]],
        {**DISTRIBUTIONS, "percentile_raw": [0.0, 0.0, 0.0, 0.5, 0.5, 1.0], "lengths": [6]},
        note="ties",
    ),
    Sample("BisectPercentile", [RAW], {**DISTRIBUTIONS, "lengths": [3, 2, 2]}, note="sum", error="lengths add up to 7"),
    Sample(
        "BisectPercentile",
        [RAW],
        {**DISTRIBUTIONS, "percentile_lower": [0.5]},
        note="short",
        error="percentile_lower: has 1",
    ),
    Sample(
        "BisectPercentile",
        [RAW],
        {**DISTRIBUTIONS, "lengths": [3, 3, 0]},
        note="no points",
        error="wants 1 or more",
        golden=False,
        reason="Caffe2 reads those of other features",
    ),
    Sample(
        "BisectPercentile",
        [RAW[:, :1]],
        {**DISTRIBUTIONS, "lengths": [6]},
        note="descending",
        error="wants them ascending",
        golden=False,
        reason=UNORDERED,
    ),
    Sample("APMeter", [SCORES, TRUTH], stateful=True),
    Sample("APMeter", [SCORES, TRUTH], {"buffer_size": 3}, note="more than fits", stateful=True),
    Sample("APMeter", [SCORES, TRUTH * 2 - 1], {"buffer_size": 9}, note="other labels", stateful=True),
    Sample("APMeter", [SCORES[:0], TRUTH[:0]], note="empty", stateful=True),
    Sample("APMeter", [SCORES, TRUTH], {"buffer_size": 0}, note="nothing kept", stateful=True),
    Sample("APMeter", [SCORES, TRUTH[:, :2]], note="classes", error="labels: shape is", golden=False, reason=COUNTS),
    Sample("MultiClassAccuracy", [SCORES, int32s(0, 0, 1, 1, 0)]),
    Sample("MultiClassAccuracy", [X, int32s(3, 2, 0)], note="each once"),
    Sample("MultiClassAccuracy", [np.array([[np.nan, -1], [-np.inf, -np.inf]], np.float32), int32s(1, 1)], note="nan"),
    Sample("MultiClassAccuracy", [NONE, int32s()], note="empty"),
    Sample(
        "MultiClassAccuracy", [X, int32s(3, 4, 0)], note="label", error="element 1 is 4", golden=False, reason=COUNTS
    ),
    Sample("MultiClassAccuracy", [X, int32s(3, 2)], note="rows", error="labels: shape is", golden=False, reason=COUNTS),
    Sample("Perplexity", [rng(3).uniform(0.01, 1, 7).astype(np.float32)]),
    Sample("Perplexity", [np.array([0, 1], np.float32)], note="impossible"),
    Sample("Perplexity", [NONE[:, 0]], note="empty"),
    Sample("Perplexity", [X], note="2-D", error="wants", golden=False, reason="Caffe2 looks at the first elements"),
    Sample("WeightedSample", [WEIGHTS], seed=3),
    Sample("WeightedSample", [WEIGHTS, normal(3, 4)], seed=8, outputs=2, note="values"),
    Sample("WeightedSample", [rng(5).uniform(0, 1, (40, 7)).astype(np.float32)], seed=9, note="more"),
    Sample("WeightedSample", [WEIGHTS[:, :0], WEIGHTS[:, :0]], seed=3, outputs=2, note="no weights"),
    Sample("WeightedSample", [WEIGHTS[:0]], seed=3, note="empty"),
    Sample("WeightedSample", [WEIGHTS], seed=3, outputs=2, note="no values", error="2 outputs for 1 inputs"),
    Sample("WeightedSample", [WEIGHTS, normal(3, 5)], outputs=2, note="shapes", error="sampling_values: shape is"),
    Sample(
        "WeightedSample", [-WEIGHTS], seed=3, note="negative", error="wants 0 or more", golden=False, reason=UNORDERED
    ),
    Sample("WeightedMultiSampling", [CDF], {"num_samples": 11}, seed=3),
    Sample("WeightedMultiSampling", [CDF, np.zeros((2, 3))], seed=4, note="shape"),
    Sample("WeightedMultiSampling", [CDF], seed=4, note="none"),
    Sample("WeightedMultiSampling", [CDF[:0], np.zeros((2, 3))], seed=4, note="empty"),
    Sample(
        "WeightedMultiSampling",
        [CDF, np.zeros(3)],
        {"num_samples": 2},
        seed=4,
        note="both",
        error="num_samples = 2: the input",
    ),
    Sample(
        "WeightedMultiSampling",
        [CDF[::-1].copy()],
        {"num_samples": 2},
        seed=4,
        note="descending",
        error="sampling_cdf: descends",
        golden=False,
        reason=UNORDERED,
    ),
    reservoirs("", FRESH),
    reservoirs("not full", FRESH, 12),
    reservoirs("just full", FRESH, 9),
    reservoirs("nothing to collect", [*FRESH[:2], ROWS[:0], FRESH[3]]),
    reservoirs("goes on", reservoir(4, 6)),
    reservoirs("still filling", reservoir(3, 3)),
    reservoirs("goes on with nothing", reservoir(3, 3, ROWS[:0])),
    reservoirs("64 bits", [np.zeros(0), int64s(0), normal(9).astype(np.float64), Blob("mutex")]),
    reservoirs("rows", reservoir(3, 3, normal(5)), error="DATA: has rows of"),
    reservoirs(
        "visited", reservoir(2, 3), error="RESERVOIR has 2", golden=False, reason="Caffe2 leaves rows unwritten"
    ),
    reservoirs("two counters", [FRESH[0], int64s(0, 0), *FRESH[2:]], error="NUM_VISITED: has 2"),
    reservoirs("none", FRESH, 0, error="num_to_collect = 0"),
    reservoirs("no mutex", [*FRESH[:3], ROWS], error="MUTEX: holds ndarray"),
    Sample("StatRegistryCreate"),
    Sample("StatRegistryExport", [Blob("registry")], before=REGISTRY, outputs=3, **CLOCK),
    Sample("StatRegistryExport", [Blob("registry")], {"reset": 0}, "kept", 3, before=REGISTRY, **CLOCK),
    Sample("StatRegistryExport", [normal(2)], note="no registry", outputs=3, error="handle: holds ndarray"),
    Sample("StatRegistryUpdate", [strings("a", "b"), int64s(1, 2), Blob("registry")], before=REGISTRY, **SILENT),
    Sample("StatRegistryUpdate", [strings("a", "b"), int64s(1, 2)], note="of the workspace", **SILENT),
    Sample("StatRegistryUpdate", [strings("a", "b"), int64s(1)], outputs=0, note="sizes", error="values: has 1 elem"),
    *(
        Sample(op, [value], args, note, **SILENT)
        for op in ("AveragePut", "IncrementPut", "StdDevPut")
        for note, value, args in (
            ("", normal(1), {"stat_name": "loss", "magnitude_expand": 1000}),
            ("several", int32s(-3, 9), {}),
            ("empty", normal(0), {"default_value": 2.5}),
            ("beyond", np.array([1e20]), {"bound": 1}),
        )
    ),
    *(
        Sample("IncrementPut", [value], args, note, 0, error=error, golden=not reason, reason=reason)
        for note, value, args, error, reason in (
            ("nan", NAN[1:], {}, "cannot be NaN", ""),
            ("great", np.array([2.0**62]), {"magnitude_expand": 2}, "too large", ""),
            ("infinite", np.array([np.inf]), {}, "too large", "Caffe2 counts the least int64"),
            (
                "half",
                np.array([6e4], np.float16),
                {"magnitude_expand": 10000},
                "too large",
                "Caffe2's product is infinite",
            ),
            ("nothing", normal(0), {}, "Default value must be", "Caffe2 reads what was there before"),
            ("factor", normal(1), {"magnitude_expand": 0}, "magnitude_expand = 0", "Caffe2 divides by 0"),
            ("bool", np.array([True]), {}, "dtype is bool", ""),
        )
    ),
    Sample("TimerBegin", stateful=True),
    Sample("TimerBegin", args={"counter_name": "span"}, note="name", stateful=True),
    *timer("TimerEnd", 0),
    *timer("TimerGet", 1),
    *timer("TimerGetAndEnd", 1),
    Sample("WallClockTime", **CLOCK),
]
