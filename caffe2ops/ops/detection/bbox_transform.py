"""BBoxTransform: regions moved by the deltas of each class."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.conv.geometry import differ
from caffe2ops.ops.detection.boxes import clipped, moved

ROTATED = "rotated boxes are not supported"


class LegacyBoxes(Operator):
    """Base: arguments on how boxes are read."""

    legacy_plus_one: bool = Arg(
        True, doc="whether x2 and y2 name the last pixel inside, so that widths are x2 - x1 + 1"
    )
    angle_bound_on: bool = Arg(True, doc="whether angles of rotated boxes are brought within bounds; not read here")
    angle_bound_lo: int = Arg(-90, doc="the lower bound of angles; not read here")
    angle_bound_hi: int = Arg(90, doc="the upper bound of angles; not read here")
    clip_angle_thresh: float = Arg(1.0, doc="how far from upright a box may be to be clipped; not read here")


def image_of(rois: np.ndarray, images: int) -> np.ndarray:
    """The image that each region [batch index, x1, y1, x2, y2] is of; the first where there is no index.

    Raises ValueError for an index of no image, and for falling ones.
    """
    if rois.shape[1] == 4:
        return np.zeros(len(rois), np.int64)
    index = rois[:, 0].astype(np.int64)
    bad = np.flatnonzero((index < 0) | (index >= images) | (np.diff(index, prepend=0) < 0))
    if bad.size:
        raise ValueError(f"rois: batch index {rois[bad[0], 0]} in row {bad[0]}, wants 0 to {images - 1}, rising")
    return index


class BBoxTransform(LegacyBoxes):
    """Moves regions by the deltas of each class, clipped to the picture.

    A region of 5 numbers begins with its batch index. Regions are divided by the scale of their picture first; the
    result is multiplied by it with `apply_scale`. Raises ValueError for regions of other than 4 or 5 numbers, deltas
    that are no multiple of 4, batch indices of no picture, and rotated boxes. Caffe2: operators/bbox_transform_op.
    """

    contract = """rois: float[M, ?], deltas: rois[M, ?], im_info: rois[B, 3]
        -> box_out: rois[?], roi_batch_splits?: rois[?]"""
    docs = {
        "rois": "regions [x1, y1, x2, y2], or with the batch index ahead",
        "deltas": "(dx, dy, dw, dh) of each class",
        "im_info": "height, width and scale of each picture",
        "box_out": "the moved boxes, shape of deltas",
        "roi_batch_splits": "how many regions each picture has",
    }
    gradient = FORBIDDEN
    weights: list[float] = Arg((1.0, 1.0, 1.0, 1.0), doc="what dx, dy, dw, dh are divided by")
    apply_scale: bool = Arg(True, doc="multiply the result by the scale of the picture")
    rotated: bool = Arg(False, doc="boxes with an angle; not supported")

    def infer(self, rois: Any, deltas: Any, im_info: Any) -> tuple[TensorSpec, ...]:
        if self.rotated:
            raise ValueError(f"rotated = 1: {ROTATED}")
        if len(self.weights) != 4 or not all(self.weights):
            raise ValueError(f"weights = {self.weights}, wants 4 numbers that are not 0")
        if differ(rois.shape[1], 4) and differ(rois.shape[1], 5):
            raise ValueError(f"rois: {rois.shape[1]} numbers a region, wants 4 or 5")
        if differ(deltas.shape[1] % 4, 0):
            raise ValueError(f"deltas: {deltas.shape[1]} numbers a region, wants a multiple of 4")
        if not differ(rois.shape[1], 4) and differ(im_info.shape[0], 1):
            raise ValueError(f"im_info: {im_info.shape[0]} pictures, regions without batch index want 1")
        return TensorSpec(deltas.shape, rois.dtype), TensorSpec((im_info.shape[0],), rois.dtype)

    def run_cpu(self, rois: np.ndarray, deltas: np.ndarray, im_info: np.ndarray) -> Any:
        self.infer(rois, deltas, im_info)
        image = image_of(rois, len(im_info))
        height, width, scale = (im_info[image, i][:, None] for i in range(3))
        boxes = (rois[:, -4:] / scale)[:, None, :]
        found = moved(
            boxes,
            deltas.reshape(len(rois), -1, 4) if deltas.size else deltas[:, None],
            self.weights,
            self.legacy_plus_one,
        )
        found = clipped(found, np.rint(height / scale), np.rint(width / scale), self.legacy_plus_one)
        if self.apply_scale:
            found *= scale[:, None]
        splits = np.bincount(image, minlength=len(im_info)).astype(rois.dtype)
        return found.reshape(deltas.shape), splits
