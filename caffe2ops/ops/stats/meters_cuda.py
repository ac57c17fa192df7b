"""Accuracy of each class and perplexity on CUDA arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise, Reduction

# The class with the highest prediction of each row. NaN and -inf count as the least number; whole numbers are counted.
_BEST = Elementwise(
    "const long long label = labels[i]; const T* row = x + i * classes; T top = T(least); best = 0; "
    "for (long long c = 0; c < classes; ++c) if (row[c] > top) { top = row[c]; best = T_best(c); } "
    "if (label < 0 || label >= classes) atomicExch(bad, 1); "
    "else { atomicAdd(amounts + label, 1); if (label == best) atomicAdd(hits + label, 1); }",
    outputs="best:int32", tables="x labels:int32", int_scalars="classes", scalars="least", flags="amounts hits bad",
    dtypes=("float32", "float64"), name="best_class",
)  # fmt: skip
_SHARE = Elementwise(
    "float(hits) / float(amounts > 0 ? amounts : 1)", "hits:int32 amounts:int32", "share:float32", dtypes=("float32",),
    name="share_of_hits",
)  # fmt: skip
_POWER = Elementwise("pow(double(x), power)", "x", "y:float64", scalars="power", name="perplexity_power")
_TIMES = Reduction(combine="a * b", identity="A(1)", dtypes=("float64",), name="perplexity")


def class_accuracies(prediction: Any, labels: Any, accuracies: Any, amounts: Any) -> bool:
    """Fills accuracies and amounts [D] from predictions [N, D]; whether all labels are classes."""
    import cupy

    n, classes = prediction.shape
    hits, bad = cupy.zeros(classes, np.int32), cupy.zeros(1, np.int32)
    amounts[...] = 0
    _BEST(
        out=cupy.empty(n, np.int32), x=prediction, labels=labels, classes=classes,
        least=np.finfo(prediction.dtype).min, amounts=amounts, hits=hits, bad=bad,
    )  # fmt: skip
    _SHARE(hits, amounts, out=accuracies)
    return not int(bad[0])


def perplexity(probabilities: Any, output: Any) -> Any:
    """The product of all probabilities to the power of -1 / their number."""
    import cupy

    powers = cupy.empty(probabilities.shape, np.float64)
    return _TIMES(_POWER(probabilities, out=powers, power=-1 / max(probabilities.size, 1)), output)
