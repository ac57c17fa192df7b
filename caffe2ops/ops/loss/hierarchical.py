"""Hierarchical softmax: the probability of a word is the product of those of the branches that lead to it in a tree.

Every inner node of the tree is a small fully connected layer and a softmax over its branches; the layers' weights stand
one below the other in W, those of a node from row `offset` on. Trees and paths are messages of caffe2's hsm.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.data.message import message_of
from caffe2ops.ops.index.rows import add_rows, offsets_of
from caffe2ops.ops.loss.cross_entropy import SMALLEST
from caffe2ops.ops.shape.axes import show, size

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


class NodeLayers(Operator):
    """Base: samples, weights and biases of all nodes, checked."""

    docs = {
        "X": "samples [M, K]; a vector is one",
        "W": "weights of all nodes [N, K]: a row for each branch",
        "b": "biases of all nodes",
        "labels": "the word of each sample",
        "Y": "the negative log probability of each sample's word",
        "intermediate_output": "for each node on the paths of all samples: outputs of its layer, then of its softmax",
        "dY": "gradient of Y",
        "dX": "gradient of X",
        "dW": "gradient of W",
        "db": "gradient of b",
        "dintermediate_output": "gradient of intermediate_output",
    }

    def _matrices(self, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = x.shape[0] if x.ndim > 1 else 1
        x2, w2 = x.reshape(rows, size(x.shape[1:]) if x.ndim > 1 else x.size), w.reshape(len(w), size(w.shape[1:]))
        if w.ndim < 2 or w2.shape[1] != x2.shape[1]:
            raise ValueError(f"W: shape is {show(w.shape)}, X has {x2.shape[1]} features a sample")
        if len(b) != len(w2):
            raise ValueError(f"b: has {len(b)} elements, W has {len(w2)} rows")
        return x2, w2


class PathLayers(NodeLayers):
    """Base: the paths from the root to each word, and the nodes that the samples pass."""

    hierarchy: bytes = Arg(doc="a serialized HierarchyProto: the path to each word")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        paths = {
            path.word_id: path for path in reversed(message_of("HierarchyProto", self.hierarchy, "hierarchy").paths)
        }
        nodes = [(n.index, n.length, n.target) for word in sorted(paths) for n in paths[word].path_nodes]
        self.words = np.array(sorted(paths), np.int64)
        self.lengths = np.array([len(paths[word].path_nodes) for word in sorted(paths)], np.int64)
        self.nodes = np.array(nodes, np.int64).reshape(-1, 3)  # first row of W, branches, branch to take
        for first, branches, branch in nodes:
            if first < 0 or not 0 <= branch < branches:
                raise ValueError(f"hierarchy: branch {branch} of {branches} from row {first} on is none")

    def _steps(self, labels: np.ndarray, samples: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each step of each sample's path: the sample, where it stands in intermediate_output, and its node."""
        if labels.size != samples:
            raise ValueError(f"labels: has {labels.size} elements, wants {samples}, one a sample")
        labels = labels.reshape(-1)
        at = np.searchsorted(self.words, labels)
        bad = np.flatnonzero(~np.isin(labels, self.words))
        if bad.size:
            raise IndexError(f"labels: element {bad[0]} is {labels[bad[0]]}, hierarchy has no such word")
        counts = self.lengths[at]
        starts = np.repeat(offsets_of(self.lengths)[at] - offsets_of(counts)[:-1], counts)
        nodes = self.nodes[starts + np.arange(starts.size)]
        if nodes.size and (last := int((nodes[:, 0] + nodes[:, 1]).max())) > rows:
            raise ValueError(f"hierarchy: a node ends at row {last}, W has {rows}")
        return np.repeat(np.arange(samples), counts), offsets_of(2 * nodes[:, 1]), nodes

    @staticmethod
    def _by_node(nodes: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """For each node: its rows of W, and which steps pass it."""
        _, group, sizes = np.unique(nodes[:, :2], axis=0, return_inverse=True, return_counts=True)
        for steps in (
            np.split(np.argsort(group.reshape(-1), kind="stable"), np.cumsum(sizes)[:-1]) if sizes.size else ()
        ):
            first, branches, _ = nodes[steps[0]]
            yield slice(first, first + branches), steps


class HSoftmax(PathLayers):
    """The negative log probability of each sample's word in a tree of softmaxes.

    Raises IndexError for a word that the hierarchy does not have, ValueError for a node beyond W (Caffe2 reads there).
    Caffe2: operators/h_softmax_op.
    """

    contract = "X: float, W: X, b: X[N], labels: int32 -> Y: X[?], intermediate_output: X[?]"

    def infer(self, x: TensorSpec, w: TensorSpec, b: TensorSpec, labels: TensorSpec) -> tuple[TensorSpec, ...]:
        return TensorSpec((x.shape[0] if x.ndim > 1 else 1,), x.dtype), TensorSpec((UNKNOWN,), x.dtype)

    def run_cpu(self, x: np.ndarray, w: np.ndarray, b: np.ndarray, labels: np.ndarray) -> Any:
        x2, w2 = self._matrices(x, w, b)
        samples, places, nodes = self._steps(labels, len(x2), len(w2))
        y, inner = self.out(0, (len(x2),), x.dtype), self.out(1, (int(places[-1]),), x.dtype)
        losses = np.zeros(len(nodes), x.dtype)
        for rows, steps in self._by_node(nodes):
            scores = x2[samples[steps]] @ w2[rows].T + b[rows]
            softmax = _softmax(scores)
            inner[places[steps][:, None] + np.arange(2 * scores.shape[1])] = np.concatenate((scores, softmax), axis=1)
            taken = softmax[np.arange(len(steps)), nodes[steps, 2]]
            losses[steps] = -np.log(np.maximum(taken, x.dtype.type(SMALLEST)))
        y[...] = np.bincount(samples, losses, len(x2))
        return y, inner

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        inner = g.GO(1) if g.has_GO(1) else f"{g.O(1)}_grad"  # only written; Caffe2 wants it given
        inputs = (*g.def_.input, g.O(1), g.GO(0))
        return [g.op("HSoftmaxGradient", inputs, (g.GI(0), g.GI(1), g.GI(2), inner))]


class HSoftmaxGradient(PathLayers):
    """The gradients of HSoftmax by samples, weights and biases, and what flows through each node on the way.

    Caffe2: operators/h_softmax_op.
    """

    contract = (
        "X: float, W: X, b: X[N], labels: int32, intermediate_output: X[?], dY: X -> "
        "dX: X, dW: W, db: b, dintermediate_output: intermediate_output"
    )

    def run_cpu(
        self, x: np.ndarray, w: np.ndarray, b: np.ndarray, labels: np.ndarray, inner: np.ndarray, dy: np.ndarray
    ) -> Any:
        x2, w2 = self._matrices(x, w, b)
        samples, places, nodes = self._steps(labels, len(x2), len(w2))
        if inner.shape != (places[-1],) or dy.size != len(x2):
            raise ValueError(
                f"intermediate_output: shape is {show(inner.shape)}, dY: {show(dy.shape)}, "
                f"wants [{places[-1]}] and {len(x2)} elements"
            )
        grads = [self.out(i, value.shape, x.dtype) for i, value in enumerate((x, w, b, inner))]
        for grad in grads:
            grad[...] = 0
        dx2, dw, db, dinner = grads[0].reshape(x2.shape), grads[1].reshape(w2.shape), grads[2], grads[3]
        for rows, steps in self._by_node(nodes):
            branches = rows.stop - rows.start
            places_of_softmax = places[steps][:, None] + np.arange(branches, 2 * branches)
            softmax = inner[places_of_softmax]
            at = np.arange(len(steps)), nodes[steps, 2]
            by_softmax = np.zeros_like(softmax)
            by_softmax[at] = -dy.reshape(-1)[samples[steps]] / np.maximum(softmax[at], x.dtype.type(SMALLEST))
            by_scores = (by_softmax - (softmax * by_softmax).sum(axis=1, keepdims=True)) * softmax
            dinner[places_of_softmax], dinner[places_of_softmax - branches] = by_softmax, by_scores
            dw[rows] += by_scores.T @ x2[samples[steps]]
            db[rows] += by_scores.sum(axis=0)
            add_rows(dx2, samples[steps], by_scores @ w2[rows])
        return tuple(grads)


class HSoftmaxSearch(NodeLayers):
    """The most probable nodes and words of a tree for each sample, searched from the root.

    The score of a branch is the negative log probability of all branches down to it; below branches that add `beam` or
    more to the score of their node nothing is searched. Nodes go by their names, words by their decimal numbers. Of
    equal scores those found first come first. Raises ValueError for a node without offset or name. Caffe2:
    operators/h_softmax_op.
    """

    contract = "X: float, W: X[N, K], b: X[N] -> Y_names: string[?], Y_scores: X[?]"
    docs = {**NodeLayers.docs, "Y_names": "[M, topN]; empty where fewer were found", "Y_scores": "[M, topN], ascending"}
    gradient = FORBIDDEN
    tree: bytes = Arg(doc="a serialized TreeProto, each node with offset and name")
    beam: float = Arg(0.01, doc="by how much less likely than its node a branch may be")
    topN: int = Arg(5, ge=0, doc="how many nodes and words are put out")  # noqa: N815

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.root = message_of("TreeProto", self.tree, "tree").root_node

    def infer(self, x: TensorSpec, w: TensorSpec, b: TensorSpec) -> tuple[TensorSpec, ...]:
        shape = (x.shape[0] if x.ndim > 1 else 1, self.topN)
        return TensorSpec(shape, np.dtype(object)), TensorSpec(shape, x.dtype)

    def run_cpu(self, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> Any:
        x2, w2 = self._matrices(x, w, b)
        names, scores = np.full((len(x2), self.topN), b"", object), self.out(1, (len(x2), self.topN), x.dtype)
        scores[...] = 0
        labels: list[bytes] = []
        found = [np.zeros((3, 0), np.float64)]
        self._visit(self.root, x2, w2, b, np.arange(len(x2)), np.zeros(len(x2), x.dtype), labels, found)
        hits = np.concatenate(found, axis=1)
        hits = hits[:, np.lexsort((hits[1], hits[2], hits[0]))]
        sample, label = hits[0].astype(np.int64), hits[1].astype(np.int64)
        place = np.arange(sample.size) - np.searchsorted(sample, sample)
        top = place < self.topN
        names[sample[top], place[top]] = np.array([*labels, b""], object)[label[top]]
        scores[sample[top], place[top]] = hits[2, top]
        return names, scores

    def _visit(
        self,
        node: Any,
        x: np.ndarray,
        w: np.ndarray,
        b: np.ndarray,
        samples: np.ndarray,
        above: np.ndarray,
        labels: list[bytes],
        found: list[np.ndarray],
    ) -> None:
        """Adds (sample, label, score) of all branches from this node on that the samples, at these scores, come to."""
        for field in ("offset", "name"):
            if not node.HasField(field):
                raise ValueError(f"tree: node {node.name!r} has no {field}: HSM Search require the field {field}")
        branches = len(node.children) + len(node.word_ids)
        if node.offset < 0 or node.offset + branches > len(w):
            raise ValueError(f"tree: node {node.name!r} ends at row {node.offset + branches}, W has {len(w)}")
        if not branches or not samples.size:
            return
        rows = slice(node.offset, node.offset + branches)
        softmax = _softmax(x[samples] @ w[rows].T + b[rows])
        scores = -np.log(np.maximum(softmax, x.dtype.type(SMALLEST))) + above[:, None]
        at, branch = np.nonzero(scores < (above + x.dtype.type(self.beam))[:, None])
        found.append(np.stack((samples[at], branch + len(labels), scores[at, branch])))
        labels += [child.name.encode() for child in node.children] + [b"%d" % word for word in node.word_ids]
        for i, child in enumerate(node.children):
            here = at[branch == i]
            self._visit(child, x, w, b, samples[here], scores[here, i], labels, found)


def _softmax(scores: np.ndarray) -> np.ndarray:
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))
