"""Features of regions of quantised images, by bilinear interpolation with weights of 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import Arg
from caffe2ops.ops.int8.arithmetic import MOST, F, Int8, clamped, multiplied, quantised
from caffe2ops.qtensor import QTensor


class Int8RoIAlign(Int8):
    """RoIAlign of quantised images (order NHWC): the mean of samples in each bin, its weights rounded to 1/255.

    Raises ValueError for regions of other than 4 or 5 finite numbers or of no image, and where scale of X / (255 *
    Y_scale * samples of a bin) is not below 1. Caffe2: operators/quantized/int8_roi_align_op.
    """

    contract = "X: blob, RoIs: float32[R, K] -> Y: blob"
    docs = {
        "X": "quantised images [N, H, W, C]",
        "RoIs": "regions [x1, y1, x2, y2], or with the batch index ahead",
        "Y": "features [R, pooled_h, pooled_w, C], quantised",
    }
    order: str = Arg("NHWC", choices=("NHWC",), doc="where the channels stand")
    spatial_scale: float = Arg(1.0, gt=0, doc="size of X over that of the picture the regions are in")
    pooled_h: int = Arg(1, ge=1, doc="height of the features")
    pooled_w: int = Arg(1, ge=1, doc="width of the features")
    sampling_ratio: int = Arg(
        -1, doc="samples along each side of a bin; as many as it has elements, rounded up, if <= 0"
    )

    def run_cpu(self, X: Any, rois: np.ndarray) -> QTensor:
        x = quantised("X", X)
        if len(x.shape) != 4:
            raise ValueError(f"X: shape is {list(x.shape)}, wants [N, H, W, C]")
        if rois.shape[1] not in (4, 5):
            raise ValueError(f"RoIs: {rois.shape[1]} numbers a region, wants 4 or 5")
        if not np.isfinite(rois).all():
            raise ValueError("RoIs: holds a number that is not finite")
        images = rois[:, 0].astype(np.int64) if rois.shape[1] == 5 else np.zeros(len(rois), np.int64)
        bad = np.flatnonzero((images < 0) | (images >= len(x.data)))
        if bad.size:
            raise ValueError(f"RoIs: batch index {images[bad[0]]} in row {bad[0]}, X has {len(x.data)} images")
        y = np.empty((len(rois), self.pooled_h, self.pooled_w, x.shape[3]), np.uint8)
        for features, image, box in zip(y, images, rois[:, -4:] * F(self.spatial_scale)):
            features[...] = self._features(x, x.data[image], box)
        return self.made(y)

    def _features(self, x: QTensor, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """The features of one region."""
        height, width, channels = image.shape
        rows, columns = (
            self._side(box[1], box[3], height, self.pooled_h),
            self._side(box[0], box[2], width, self.pooled_w),
        )
        samples = len(rows[0]) // self.pooled_h, len(columns[0]) // self.pooled_w
        sums = np.zeros((len(rows[0]), len(columns[0]), channels), np.int64)
        for down in (0, 1):
            for across in (0, 1):
                weights = np.rint(rows[2 + down][:, None] * columns[2 + across] * F(MOST)).astype(np.int64)
                sums += weights[..., None] * image[rows[down]][:, columns[across]]
        sums -= x.zero_point * MOST
        binned = sums.reshape(self.pooled_h, samples[0], self.pooled_w, samples[1], channels).sum(axis=(1, 3))
        scale = x.scale / (float(F(self.Y_scale)) * MOST * (samples[0] * samples[1]))
        return clamped(multiplied(binned, scale, "scale of X / (255 * Y_scale * samples)"), self.Y_zero_point)

    def _side(self, start: Any, end: Any, size: int, bins: int) -> tuple[np.ndarray, ...]:
        """Along a side, for each sample: the elements before and behind it, and the weights of both."""
        step = np.maximum(end - start, F(1)) / F(bins)
        samples = self.sampling_ratio if self.sampling_ratio > 0 else int(np.ceil(step))
        within = (np.arange(samples, dtype=F) + F(0.5)) * step / F(samples)
        at = ((start + np.arange(bins, dtype=F) * step)[:, None] + within).ravel()
        counts = (at >= -1) & (at <= size)
        at = at.clip(0, size - 1)
        low = at.astype(np.int64)
        part = at - low.astype(F)
        return low, np.minimum(low + 1, size - 1), (F(1) - part) * counts, part * counts
