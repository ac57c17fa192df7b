"""Regions over the levels of a feature pyramid: collecting the best, distributing them by size."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.detection.boxes import sizes

REGIONS = "regions of all levels, then their scores, finest level first: [R, 5] each, [R] each"


class Collecting(Operator):
    """Base: the best regions of all levels."""

    rpn_max_level: int = Arg(6, doc="the coarsest level that regions come from")
    rpn_min_level: int = Arg(2, doc="the finest level that regions come from")
    rpn_post_nms_topN: int = Arg(2000, ge=0, doc="how many regions are kept, the best")  # noqa: N815

    def check_levels(self) -> int:
        """How many levels there are. Raises ValueError where the inputs are not two of each."""
        levels = self.rpn_max_level - self.rpn_min_level + 1
        if levels < 1 or self.n_inputs != 2 * levels:
            raise ValueError(
                f"{self.n_inputs} inputs, wants {2 * max(levels, 0)}: regions and scores of the levels "
                f"{self.rpn_min_level} to {self.rpn_max_level}"
            )
        return levels

    def best(self, inputs: tuple[Any, ...]) -> Any:
        """The best regions, from the greatest score on."""
        levels = self.check_levels()
        for level, (rois, probs) in enumerate(zip(inputs[:levels], inputs[levels:]), self.rpn_min_level):
            if rois.ndim != 2 or rois.shape[1] != 5 or probs.size != len(rois):
                raise ValueError(
                    f"level {level}: regions {list(rois.shape)}, scores {list(probs.shape)}; want [R, 5], [R]"
                )
        order = np.argsort(-np.concatenate([probs.reshape(-1) for probs in inputs[levels:]]), kind="stable")
        return np.concatenate(inputs[:levels])[order[: self.rpn_post_nms_topN]]


class Distributing(Operator):
    """Base: a region of side s goes to level roi_canonical_level + log2(s / roi_canonical_scale), rounded down."""

    roi_canonical_scale: int = Arg(224, ge=1, doc="side of a region that goes to the canonical level")
    roi_canonical_level: int = Arg(4, doc="the level that such a region goes to")
    roi_max_level: int = Arg(5, doc="the coarsest level")
    roi_min_level: int = Arg(2, doc="the finest level")
    legacy_plus_one: bool = Arg(
        True, doc="whether x2 and y2 name the last pixel inside, so that widths are x2 - x1 + 1"
    )

    def check_outputs(self, others: int) -> int:
        """How many levels there are. Raises ValueError where the outputs are not one a level, and some others."""
        levels = self.roi_max_level - self.roi_min_level + 1
        if levels < 1 or self.n_outputs != levels + others:
            raise ValueError(
                f"{self.n_outputs} outputs, wants {max(levels, 0) + others}: one for each of the levels "
                f"{self.roi_min_level} to {self.roi_max_level}, and {others}"
            )
        return levels

    def by_level(self, rois: Any) -> tuple[Any, ...]:
        """Regions of each level, and where each region stands when these are joined."""
        if rois.ndim != 2 or rois.shape[1] not in (4, 5):
            raise ValueError(f"rois: shape is {list(rois.shape)}, wants [R, 4] or [R, 5]")
        rois = rois if rois.shape[1] == 5 else np.pad(rois, ((0, 0), (1, 0)))
        widths, heights = sizes(rois[:, -4:], self.legacy_plus_one)
        side = np.sqrt(np.maximum(widths * heights, 0))
        level = np.floor(self.roi_canonical_level + np.log2(side / self.roi_canonical_scale + rois.dtype.type(1e-6)))
        level = np.clip(level, self.roi_min_level, self.roi_max_level)
        parts = [np.flatnonzero(level == k) for k in range(self.roi_min_level, self.roi_max_level + 1)]
        restore = np.argsort(np.concatenate(parts), kind="stable").astype(np.int32)
        return (*(rois[part] for part in parts), restore)

    def specs(self, rois: Any, levels: int) -> tuple[TensorSpec, ...]:
        """Specs of what `by_level` gives."""
        part = TensorSpec((UNKNOWN, 5), rois.dtype)
        return (*[part] * levels, TensorSpec((rois.shape[0],), np.int32))


class CollectRpnProposals(Collecting):
    """The best regions over all levels of a pyramid, from the greatest score on.

    Raises ValueError where inputs are not regions and scores of each level. Caffe2:
    operators/collect_and_distribute_fpn_rpn_proposals_op.
    """

    contract = "rois_and_probs: float, *more: rois_and_probs -> rois: rois_and_probs[?]"
    docs = {"rois_and_probs": REGIONS, "more": REGIONS, "rois": "the best, [R, 5]"}
    gradient = FORBIDDEN

    def infer(self, *inputs: TensorSpec) -> TensorSpec:
        self.check_levels()
        return TensorSpec((UNKNOWN, 5), inputs[0].dtype)

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        return self.best(inputs)

    run_cuda = run_cpu


class DistributeFpnProposals(Distributing):
    """Deals regions out to the levels of a pyramid by their size.

    Raises ValueError where there is not an output for each level. Caffe2:
    operators/collect_and_distribute_fpn_rpn_proposals_op.
    """

    contract = "rois: float -> rois_of_level: rois[?], *more: any"
    docs = {
        "rois": "regions, [R, 5], or [R, 4] of the first picture",
        "rois_of_level": "those of the finest level, [., 5]",
        "more": "those of the other levels; last, where each region stands when all levels are joined, int32[R]",
    }
    gradient = FORBIDDEN

    def infer(self, rois: Any) -> tuple[TensorSpec, ...]:
        return self.specs(rois, self.check_outputs(1))

    def run_cpu(self, rois: np.ndarray) -> Any:
        self.check_outputs(1)
        return self.by_level(rois)

    run_cuda = run_cpu


class CollectAndDistributeFpnRpnProposals(Collecting, Distributing):
    """CollectRpnProposals and DistributeFpnProposals in one.

    Raises ValueError where inputs or outputs are not those of the levels. Caffe2:
    operators/collect_and_distribute_fpn_rpn_proposals_op.
    """

    contract = """rois_and_probs: float, *more: rois_and_probs
        -> rois: rois_and_probs[?], rois_of_level: rois_and_probs[?], *others: any"""
    docs = {
        "rois_and_probs": REGIONS,
        "more": REGIONS,
        "rois": "the best, [R, 5]",
        "rois_of_level": "those of the finest level",
        "others": "those of the other levels; last, where each region stands when all levels are joined, int32[R]",
    }
    gradient = FORBIDDEN

    def infer(self, *inputs: TensorSpec) -> tuple[TensorSpec, ...]:
        self.check_levels()
        rois = TensorSpec((UNKNOWN, 5), inputs[0].dtype)
        return (rois, *self.specs(rois, self.check_outputs(2)))

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        self.check_outputs(2)
        rois = self.best(inputs)
        return (rois, *self.by_level(rois))

    run_cuda = run_cpu
