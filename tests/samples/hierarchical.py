"""Hierarchical softmax: trees of words."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.formats.messages import message_class
from tests.kit.sample import Sample, int32s, int64s, normal, rng

ROWS = 13  # branches of all nodes
WORDS = {"n1": (4, [0, 1, 2]), "n2": (7, [3, 4]), "n3": (9, [5, 6, 7, 8])}  # offset and words of the lowest nodes
PATHS = {"n1": [(0, 2, 0), (2, 2, 0)], "n2": [(0, 2, 0), (2, 2, 1)], "n3": [(0, 2, 1)]}


def hierarchy(*more: tuple[int, int, int]) -> bytes:
    """The paths to all words, and one with `more` to word 9."""
    message: Any = message_class("HierarchyProto")()
    paths = {
        word: [*PATHS[name], (offset, len(words), place)]
        for name, (offset, words) in WORDS.items()
        for place, word in enumerate(words)
    }
    if more:
        paths[9] = list(more)
    for word, nodes in paths.items():
        path = message.paths.add(word_id=word)
        for index, length, target in nodes:
            path.path_nodes.add(index=index, length=length, target=target)
    return bytes(message.SerializeToString())


def tree(**changes: Any) -> bytes:
    """The same as a tree; `changes` of the root node."""
    message: Any = message_class("TreeProto")()
    root = message.root_node
    root.offset, root.name = 0, "n5"
    inner = root.children.add(offset=2, name="n4")
    for name, parent in {"n1": inner, "n2": inner, "n3": root}.items():
        offset, words = WORDS[name]
        parent.children.add(offset=offset, name=name).word_ids.extend(words)
    for name, value in changes.items():
        root.ClearField(name) if value is None else setattr(root, name, value)
    return bytes(message.SerializeToString())


H, T = {"hierarchy": hierarchy()}, {"tree": tree()}
X, W, B = normal(6, 3), normal(ROWS, 3), normal(ROWS)
LABELS = int32s(8, 0, 3, 3, 5, 1)
BEYOND = "Caffe2 reads beyond them"

samples = [
    Sample("HSoftmax", [X, W, B, LABELS], H, outputs=2),
    Sample("HSoftmax", [X[0], W, B, LABELS[:1]], H, outputs=2, note="vector"),
    Sample("HSoftmax", [X.reshape(3, 1, 6), normal(ROWS, 2, 3), B, LABELS[:3]], H, outputs=2, note="3-D"),
    Sample("HSoftmax", [X * 40, W, B, LABELS], H, outputs=2, note="certain", differentiable=False, reason="cut"),
    Sample("HSoftmax", [X, W, B, LABELS + 2], H, outputs=2, note="word", error="labels: element 0 is 10"),
    Sample("HSoftmax", [X, W[:, :2], B, LABELS], H, outputs=2, note="features", error="W: shape is"),
    Sample("HSoftmax", [X, W, B[1:], LABELS], H, outputs=2, note="biases", error="b: has 12"),
    Sample("HSoftmax", [X, W, B, LABELS], {"hierarchy": b"junk"}, outputs=2, note="junk", error="no serialized Hier"),
    Sample("HSoftmax", [X, W, B, LABELS], outputs=2, note="no hierarchy", error="hierarchy is missing"),
    *(
        Sample("HSoftmax", [X, W, B, labels], {"hierarchy": paths}, note, 2, error=error, golden=False, reason=BEYOND)
        for note, labels, paths, error in (
            ("few labels", LABELS[:5], hierarchy(), "labels: has 5"),
            ("row", LABELS + 1, hierarchy((12, 2, 0)), "ends at row 14, W has 13"),
            ("branch", LABELS, hierarchy((0, 2, 2)), "branch 2 of 2 from row 0"),
        )
    ),
    Sample("HSoftmaxGradient", [X, W, B, LABELS, normal(76), normal(6)], H, outputs=4),
    Sample(
        "HSoftmaxGradient",
        [X, W, B, LABELS, normal(8), normal(6)],
        H,
        outputs=4,
        note="inner",
        error="intermediate_output: shape is",
        golden=False,
        reason=BEYOND,
    ),
    Sample("HSoftmaxSearch", [X, W, B], {**T, "beam": 5.0}, outputs=2),
    Sample("HSoftmaxSearch", [X, W, B], {**T, "beam": 2.0, "topN": 3}, outputs=2, note="narrow"),
    Sample("HSoftmaxSearch", [X, W, B], {**T, "beam": 50.0, "topN": 12}, outputs=2, note="all"),
    Sample("HSoftmaxSearch", [X, W, B], T, outputs=2, note="nothing near"),
    Sample("HSoftmaxSearch", [X[0], W, B], {**T, "beam": 5.0}, outputs=2, note="vector"),
    Sample("HSoftmaxSearch", [X, W, B], {"tree": tree(name=None)}, outputs=2, note="name", error="has no name"),
    Sample("HSoftmaxSearch", [X, W, B], {"tree": tree(offset=None)}, outputs=2, note="offset", error="has no offset"),
    Sample("HSoftmaxSearch", [X, W, B], {"tree": b"junk"}, outputs=2, note="junk", error="no serialized TreeProto"),
    Sample(
        "HSoftmaxSearch",
        [X, W, B],
        {"tree": tree(offset=12)},
        outputs=2,
        note="row",
        error="ends at row 14, W has 13",
        golden=False,
        reason=BEYOND,
    ),
    Sample("HuffmanTreeHierarchy", [np.repeat(int64s(0, 1, 2, 3), (4, 3, 2, 1))], {"num_classes": 4}),
    Sample("HuffmanTreeHierarchy", [rng(2).integers(0, 23, 60)], {"num_classes": 23}, note="ties"),
    *(
        Sample("HuffmanTreeHierarchy", [int64s()], {"num_classes": classes}, note=f"{classes} classes")
        for classes in (1, 2, 7, 12)
    ),
    Sample("HuffmanTreeHierarchy", [int64s(3)], {"num_classes": 3}, note="label", error="Labels: element 0 is 3"),
    Sample(
        "HuffmanTreeHierarchy",
        [int64s(-1)],
        {"num_classes": 3},
        note="negative",
        error="Labels: element 0 is -1",
        golden=False,
        reason=BEYOND,
    ),
    Sample("HuffmanTreeHierarchy", [int64s()], note="no classes", error="num_classes is missing"),
]
