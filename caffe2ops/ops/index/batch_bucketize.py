"""BatchBucketize: the interval that values of some columns lie in."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import NO_GRADIENT, Operator
from caffe2ops.ops.index.rows import checked_indices, offsets_of
from caffe2ops.ops.segment.lengths_reduce import checked_lengths


class BatchBucketize(Operator):
    """For some columns the number of the first boundary that is not less than the value: how many, where all are.

    Column indices[k] has the next lengths[k] boundaries. Raises IndexError for a column out of range, where Caffe2
    reads what lies there, ValueError for negative lengths or a sum that is not the number of boundaries. Caffe2:
    operators/batch_bucketize_op.
    """

    contract = (
        "float_features: float[N, D], indices: int32[K], boundaries: float_features[B], lengths: int32[K] "
        "-> bucktized_feat: int32[N, K]"
    )
    docs = {
        "float_features": "a row for each example",
        "indices": "columns",
        "boundaries": "upper limits of the buckets, column by column",
        "lengths": "how many boundaries each of the columns has",
        "bucktized_feat": "bucket numbers, 0 <= number <= lengths[k]",
    }
    gradient = NO_GRADIENT

    def run_cpu(
        self, features: np.ndarray, indices: np.ndarray, boundaries: np.ndarray, lengths: np.ndarray
    ) -> np.ndarray:
        columns = checked_indices(indices, features.shape[1], "indices", "float_features, transposed,")
        offsets = offsets_of(checked_lengths(lengths, len(boundaries), "boundaries", name="lengths"))
        out = self.out(0, (len(features), len(indices)), np.int32)
        for k, column in enumerate(columns):
            out[:, k] = first_not_less(boundaries[offsets[k] : offsets[k + 1]], features[:, column])
        return out


def first_not_less(limits: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The place of the first limit that is >= x, len(limits) where none is; NaN is >= and <= nothing."""
    places = np.flatnonzero(~np.isnan(limits))
    rising = np.maximum.accumulate(limits[places])
    return np.append(places, len(limits))[np.searchsorted(rising, x)]
