"""Boxes [x1, y1, x2, y2]; `one` is 1.0 where x2 and y2 name the last pixel inside."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def moved_boxes(boxes: Tensor, deltas: Tensor, one: float) -> Tensor:
    """Boxes moved and scaled by (dx, dy, dw, dh)."""
    corner, end = boxes[..., :2], boxes[..., 2:]
    shift, growth = deltas[..., :2], deltas[..., 2:]
    sides = end - corner + one
    centre = shift * sides + (corner + 0.5 * sides)
    half = growth.clamp(max=math.log(1000 / 16)).exp() * sides * 0.5
    return torch.cat((centre - half, centre + half - one), -1)


def clipped_boxes(boxes: Tensor, size: Tensor, one: float) -> Tensor:
    """Boxes cut off at the borders of pictures of this (height, width)."""
    limits = size.flip(-1) - one
    return torch.minimum(boxes, torch.cat((limits, limits), -1)).clamp(min=0)


def box_overlaps(boxes: Tensor, one: float) -> Tensor:
    """What each two boxes share, over what they cover together."""
    corner, end = boxes[..., :2], boxes[..., 2:]
    areas = (end - corner + one).prod(-1)
    low = torch.maximum(corner[:, None], corner)
    high = torch.minimum(end[:, None], end)
    shared = (high - low + one).clamp(min=0).prod(-1)
    return shared / (areas[:, None] + areas - shared)


def suppressed(boxes: Tensor, threshold: float, most: int, one: float) -> Tensor:
    """The boxes, best first, that overlap no better one more; `most` of them if > 0."""
    kept: list[int] = []
    alive = [True] * len(boxes)
    rivals = (~(box_overlaps(boxes, one) <= threshold)).tolist()
    for i in range(len(boxes)):
        if alive[i] and (most <= 0 or len(kept) < most):
            kept.append(i)
            alive = [a and not rival for a, rival in zip(alive, rivals[i])]
    return torch.tensor(kept, dtype=torch.long, device=boxes.device)


def softly_suppressed(
    boxes: Tensor,
    scores: Tensor,
    rows: Tensor,
    threshold: float,
    soft: tuple[float, float],
    one: float,
) -> tuple[Tensor, Tensor]:
    """The best of the rows each time, and scores: each lowers those of what it overlaps,
    by a gaussian or (sigma 0) beyond the threshold, till they are below the least."""
    sigma, least = soft
    overlaps, scores, kept = box_overlaps(boxes, one), scores.clone(), []
    while rows.numel():
        at = int(scores[rows].argmax())
        best = rows[at]
        rows = torch.where(rows == best, rows[0], rows)[1:]
        kept.append(best)
        overlap = overlaps[best, rows]
        weight = torch.where(overlap > threshold, 1 - overlap, 1)
        weight = (-overlap * overlap / sigma).exp() if sigma else weight
        scores[rows] = scores[rows] * weight
        rows = rows[scores[rows] >= least]
    return torch.stack(kept) if kept else rows, scores


def bbox_transform(
    rois: Tensor,
    deltas: Tensor,
    im_info: Tensor,
    weights: list[float],
    one: float,
    apply_scale: bool,
) -> tuple[Tensor, Tensor]:
    """Regions [R, (index), 4] moved for each class, and how many each picture has."""
    index = (rois[:, 0] if rois.shape[1] == 5 else rois.new_zeros(len(rois))).long()
    info = im_info[index][:, None]
    scale = info[..., 2:]
    by_class = deltas.reshape(len(rois), deltas.shape[1] // 4, 4)
    by_class = by_class / by_class.new_tensor(weights)
    boxes = moved_boxes(rois[:, None, -4:] / scale, by_class, one)
    boxes = clipped_boxes(boxes, (info[..., :2] / scale + 0.5).floor(), one)
    boxes = boxes * scale if apply_scale else boxes
    splits = torch.bincount(index, minlength=len(im_info)).to(rois.dtype)
    return boxes.reshape(deltas.shape), splits


def generate_proposals(
    scores: Tensor,
    deltas: Tensor,
    im_info: Tensor,
    anchors: Tensor,
    spatial_scale: float,
    before: int,
    after: int,
    overlap: float,
    least: float,
    one: float,
) -> tuple[Tensor, Tensor]:
    """Regions [R, (index, x1, y1, x2, y2)] of the best anchors, and their scores."""
    n, count, height, width = scores.shape
    y, x = torch.meshgrid(
        torch.arange(height, device=scores.device),
        torch.arange(width, device=scores.device),
        indexing="ij",
    )
    shifts = torch.stack((x, y, x, y), -1).to(scores.dtype) / spatial_scale
    places = (anchors[:, None, None] + shifts).reshape(-1, 4)
    by_place = deltas.reshape(n, count, 4, height, width).movedim(2, -1)
    regions, chances = [], []
    for i in range(n):
        flat = scores[i].flatten()
        order = flat.argsort(descending=True, stable=True)
        order = order[:before] if before > 0 else order
        boxes = moved_boxes(places[order], by_place[i].reshape(-1, 4)[order], one)
        boxes = clipped_boxes(boxes, im_info[i, :2].trunc(), one)
        sides = boxes[:, 2:] - boxes[:, :2] + one
        inside = boxes[:, :2] + sides / 2 < im_info[i, :2].flip(0)
        good = ((sides >= least * im_info[i, 2]) & inside).all(1)
        boxes, order = boxes[good], order[good]
        kept = suppressed(boxes, overlap, after, one)
        regions.append(torch.nn.functional.pad(boxes[kept], (1, 0), value=float(i)))
        chances.append(flat[order[kept]])
    return torch.cat(regions), torch.cat(chances)


def box_with_nms_limit(
    scores: Tensor,
    boxes: Tensor,
    splits: Tensor | None,
    threshold: float,
    overlap: float,
    most: int,
    one: float,
    background: int,
    counted: int,
    agnostic: bool,
    soft: tuple[float, float] | None = None,
) -> tuple[Tensor, ...]:
    """The detections of each picture: scores, boxes, classes, how many, rows, by class;
    `soft`: sigma (0: none) and least score where scores are lowered by overlaps."""
    rows, classes = scores.shape[:2]
    scores, boxes = scores.reshape(rows, classes), boxes.reshape(rows, -1, 4)
    sizes = [rows] if splits is None else splits.long().tolist()
    found, counts = [], []
    for s, b in zip(torch.split(scores, sizes), torch.split(boxes, sizes)):
        parts = []
        for k in range(background, classes - 1 + background):
            at = (s[:, k] > threshold).nonzero().flatten()
            of_class, chance = b[:, 0 if agnostic else k], s[:, k]
            if soft is None:
                at = at[chance[at].argsort(descending=True, stable=True)]
                at = at[suppressed(of_class[at], overlap, most, one)]
            else:
                at, chance = softly_suppressed(of_class, chance, at, overlap, soft, one)
            label = torch.full_like(at, k - background)
            parts.append((chance[at], of_class[at], label, at))
        score, box, label, at = (torch.cat(column) for column in zip(*parts))
        if 0 < most < len(score):
            best = score.argsort(descending=True, stable=True)[:most]
            best = best[label[best].argsort(stable=True)]
            score, box, label, at = score[best], box[best], label[best], at[best]
        found.append((score, box, (label + counted).to(s.dtype), at.int()))
        counts.append(torch.bincount(label + 1, minlength=classes).int())
    columns = [torch.cat(column) for column in zip(*found)]
    detected = scores.new_tensor([len(column[0]) for column in found])
    return (*columns[:3], detected, columns[3], torch.stack(counts))
