"""BBoxTransform: regions moved by the deltas of each class."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.detection.boxes import Upright, images_of
from caffe2ops.ops.detection.rotated_boxes import Rotated
from caffe2ops.ops.shape.axes import differ
from caffe2ops.registry import array_module


class BoxArgs(Operator):
    """Base: arguments on how boxes are read."""

    legacy_plus_one: bool = Arg(
        True, doc="whether x2 and y2 name the last pixel inside, so that widths are x2 - x1 + 1"
    )

    def boxes(self, rotated: bool) -> Upright | Rotated:
        """How boxes of this kind are moved, clipped and compared."""
        return Rotated(self.legacy_plus_one, None, 0) if rotated else Upright(self.legacy_plus_one)


class MovedBoxArgs(BoxArgs):
    """Base: arguments on how boxes are moved."""

    angle_bound_on: bool = Arg(True, doc="whether angles of rotated boxes are brought within bounds")
    angle_bound_lo: int = Arg(-90, doc="the lower bound of angles, in degrees")
    angle_bound_hi: int = Arg(90, doc="the upper bound of angles, a multiple of 180 degrees above the lower one")
    clip_angle_thresh: float = Arg(1.0, doc="how many degrees from upright a rotated box may be to be clipped")

    def boxes(self, rotated: bool) -> Upright | Rotated:
        if not rotated:
            return super().boxes(rotated)
        low, high = self.angle_bound_lo, self.angle_bound_hi
        if self.angle_bound_on and (high <= low or (high - low) % 180):
            raise ValueError(f"angle_bound_lo = {low}, angle_bound_hi = {high}: want a multiple of 180 between them")
        return Rotated(self.legacy_plus_one, (low, high) if self.angle_bound_on else None, self.clip_angle_thresh)


class BBoxTransform(MovedBoxArgs):
    """Moves regions by the deltas of each class, clipped to the picture.

    A region may begin with its batch index. Regions, but not their angles, are divided by the scale of their picture
    first; the result is multiplied by it with `apply_scale`. A box is four numbers, five when `rotated`. Raises
    ValueError for regions and deltas of other counts, batch indices of no picture, and bounds of angles that do not
    fit. Caffe2: operators/bbox_transform_op.
    """

    contract = """rois: float[M, ?], deltas: rois[M, ?], im_info: rois[B, 3]
        -> box_out: rois[?], roi_batch_splits?: rois[?]"""
    docs = {
        "rois": "regions [x1, y1, x2, y2] or [centre x, centre y, width, height, degrees], or with batch index ahead",
        "deltas": "(dx, dy, dw, dh) of each class; da in radians too for rotated boxes",
        "im_info": "height, width and scale of each picture",
        "box_out": "the moved boxes, shape of deltas",
        "roi_batch_splits": "how many regions each picture has",
    }
    gradient = FORBIDDEN
    weights: list[float] = Arg((1.0, 1.0, 1.0, 1.0), doc="what dx, dy, dw, dh are divided by")
    apply_scale: bool = Arg(True, doc="multiply the result by the scale of the picture")
    rotated: bool = Arg(False, doc="boxes have an angle")

    def infer(self, rois: Any, deltas: Any, im_info: Any) -> tuple[TensorSpec, ...]:
        numbers = self.boxes(self.rotated).numbers
        if len(self.weights) != 4 or not all(self.weights):
            raise ValueError(f"weights = {self.weights}, wants 4 numbers that are not 0")
        if differ(rois.shape[1], numbers) and differ(rois.shape[1], numbers + 1):
            raise ValueError(f"rois: {rois.shape[1]} numbers a region, wants {numbers} or {numbers + 1}")
        if differ(deltas.shape[1] % numbers, 0):
            raise ValueError(f"deltas: {deltas.shape[1]} numbers a region, wants a multiple of {numbers}")
        if not differ(rois.shape[1], numbers) and differ(im_info.shape[0], 1):
            raise ValueError(f"im_info: {im_info.shape[0]} pictures, regions without batch index want 1")
        return TensorSpec(deltas.shape, rois.dtype), TensorSpec((im_info.shape[0],), rois.dtype)

    def run_cpu(self, rois: np.ndarray, deltas: np.ndarray, im_info: np.ndarray) -> Any:
        self.infer(rois, deltas, im_info)
        return self.transformed(rois, deltas, im_info, self.images(rois, len(im_info)))

    def run_cuda(self, rois: Any, deltas: Any, im_info: Any) -> Any:
        from caffe2ops.ops.detection.boxes_cuda import images_of
        from caffe2ops.ops.segment.lengths_cuda import on_host

        self.infer(rois, deltas, im_info)
        image, bad = images_of(rois, self.boxes(self.rotated).numbers, len(im_info))
        if int(bad[0] | (image[1:] < image[:-1]).any()):
            on_host(lambda host: self.images(host, len(im_info)), rois)
        return self.transformed(rois, deltas, im_info, image)

    def images(self, rois: np.ndarray, pictures: int) -> np.ndarray:
        """The picture of each region. Raises ValueError for one of no picture, or less than the one before."""
        image = images_of(rois, self.boxes(self.rotated).numbers, pictures)
        falls = np.flatnonzero(np.diff(image) < 0) + 1
        if falls.size:
            raise ValueError(f"rois: batch index {image[falls[0]]} in row {falls[0]} is less than the one before")
        return image

    def transformed(self, rois: Any, deltas: Any, im_info: Any, image: Any) -> tuple[Any, Any]:
        """The outputs, on any device."""
        kind = self.boxes(self.rotated)
        height, width, scale = (im_info[image, i][:, None] for i in range(3))
        boxes = rois[:, None, -kind.numbers :].copy()
        boxes[..., :4] /= scale[:, None]
        by_class = deltas.reshape(len(rois), deltas.shape[1] // kind.numbers, kind.numbers)
        moved = kind.moved(boxes, by_class, self.weights)
        found = kind.clipped(moved, *(np.floor(side / scale + rois.dtype.type(0.5)) for side in (height, width)))
        if self.apply_scale:
            found[..., :4] *= scale[:, None]
        pictures = array_module(self.device).arange(len(im_info) + 1)
        splits = np.diff(np.searchsorted(image, pictures)).astype(rois.dtype)
        return found.reshape(deltas.shape), splits
