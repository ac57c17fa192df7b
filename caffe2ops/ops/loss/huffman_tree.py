"""HuffmanTreeHierarchy makes the tree of a hierarchical softmax from how often labels occur."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.data.message import message_of
from caffe2ops.ops.index.rows import checked_indices


class HuffmanTreeHierarchy(Operator):
    """The Huffman tree of labels: the more often a label occurs, the nearer it is to the root.

    Offsets are Caffe2's, which leave rows of W unused. Raises IndexError for a label that is no class. Caffe2:
    operators/h_softmax_op.
    """

    contract = "Labels: int64[N] -> Hierarch: string[1]"
    docs = {"Labels": "class numbers", "Hierarch": "the tree, a serialized TreeProto"}
    num_classes: int = Arg(ge=1, doc="number of classes")

    def run_cpu(self, labels: np.ndarray) -> Any:
        checked_indices(labels, self.num_classes, "Labels", "num_classes")
        children = _huffman(np.bincount(labels, minlength=self.num_classes).tolist())
        tree = message_of("TreeProto", b"", "tree")
        self._offset = 0
        self._grow(tree.root_node, len(children) - 1, children)
        return np.array([tree.SerializeToString()], object)

    def _grow(self, node: Any, index: int, children: list[Any]) -> None:
        """Writes what stands below node `index`, whose rows come next."""
        node.offset, self._offset = self._offset, self._offset + 2
        branches = children[index] if isinstance(children[index], tuple) else ()
        for side, child in enumerate(branches):
            if isinstance(children[child], tuple):
                self._grow(node.children.add(), child, children)
            else:
                node.word_ids.append(children[child])
                self._offset += side


def _huffman(counts: list[int]) -> list[Any]:
    """The nodes of the tree in the order they are taken, the root last: a class, or the places of two nodes before.

    Equal counts are taken in the order of the heap of C++'s standard library.
    """
    heap: list[tuple[int, Any]] = []

    def sift_up(hole: int, item: tuple[int, Any]) -> None:
        while hole and heap[(hole - 1) // 2][0] > item[0]:
            heap[hole] = heap[(hole - 1) // 2]
            hole = (hole - 1) // 2
        heap[hole] = item

    def push(item: tuple[int, Any]) -> None:
        heap.append(item)
        sift_up(len(heap) - 1, item)

    def pop() -> tuple[int, Any]:
        top, last = heap[0], heap.pop()
        hole = 0
        while heap and 2 * hole + 1 < len(heap):  # down the smaller children to the bottom, then up again
            child = 2 * hole + 2
            if child >= len(heap) or heap[child][0] > heap[child - 1][0]:
                child -= 1
            heap[hole], hole = heap[child], child
        if heap:
            sift_up(hole, last)
        return top

    for label, count in enumerate(counts):
        push((count, label))
    taken: list[Any] = []
    while heap:
        left = pop()
        taken.append(left[1])
        if heap:
            right = pop()
            taken.append(right[1])
            push((left[0] + right[0], (len(taken) - 2, len(taken) - 1)))
    return taken
