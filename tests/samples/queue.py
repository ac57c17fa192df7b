"""Queues. What threads do with them stands in tests/test_queues.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Blob, Sample, normal, strings

CPU: dict[str, Any] = {"devices": ("cpu",)}
Q, P = Blob("q"), Blob("p")
X, S = normal(2, 3), strings("ab", "c")
OPAQUE: dict[str, Any] = {"golden": False, "reason": "a handle cannot be compared", "expected": []}
MUTE: dict[str, Any] = {"golden": False, "reason": "no output; see tests/test_queues.py", "expected": []}
QUIRK = "Caffe2 gives a queue that nobody can use"
Step = tuple[str, list[str], list[str], dict[str, Any]]


def create(name: str = "q", num_blobs: int = 1, capacity: int = 2) -> Step:
    return ("CreateBlobsQueue", [], [name], {"num_blobs": num_blobs, "capacity": capacity})


def fill(name: str, shape: list[int], value: float, kind: str = "") -> Step:
    count = int(np.prod(shape))
    return (f"GivenTensor{kind}Fill", [], [name], {"shape": shape, "values": [value + i for i in range(count)]})


def put(queue: str, *shapes: list[int], value: float = 1.0) -> list[Step]:
    """A record of tensors of these shapes."""
    names = [f"{queue}_in{i}" for i in range(len(shapes))]
    fills = [
        fill(name, shape, float(value + 10 * i)) for i, (name, shape) in enumerate(zip(names, shapes, strict=True))
    ]
    return [*fills, ("EnqueueBlobs", [queue, *names], names, {})]


CLOSE: Step = ("CloseBlobsQueue", ["q"], [], {})


def made(num_blobs: int = 1, capacity: int = 10) -> Step:
    return ("CreateRebatchingQueue", [], ["q"], {"num_blobs": num_blobs, "capacity": capacity})


def examples(*shapes: list[int], batch: bool = True) -> list[Step]:
    names = [f"in{i}" for i in range(len(shapes))]
    fills = [
        fill(name, shape, 10 * i if i else 0.0, "Int64" * bool(i)) for i, (name, shape) in enumerate(zip(names, shapes))
    ]
    return [*fills, ("EnqueueRebatchingQueue", ["q", *names], [], {"enqueue_batch": batch})]


SHUT: Step = ("CloseRebatchingQueue", ["q"], [], {})
TWO = [create("q"), create("p"), *put("q", [2], value=1), *put("p", [2], value=5)]
samples = [
    Sample("CreateBlobsQueue", [], {"capacity": 3, "num_blobs": 2, "field_names": ["a", "b"]}, **OPAQUE),
    Sample("CreateBlobsQueue", [], {"num_blobs": 2, "field_names": ["a"]}, note="names", error="field_names: are 1"),
    Sample(
        "CreateBlobsQueue",
        [],
        {"enforce_unique_name": True},
        before=[fill("out0_0_0", [1], 1)],
        note="there already",
        error="there is a blob 'out0_0_0' already",
    ),
    Sample("CreateBlobsQueue", [], {"capacity": 0}, note="no room", error="capacity = 0", golden=False, reason=QUIRK),
    Sample("CloseBlobsQueue", [Q], before=[create()], **MUTE),
    Sample("CloseBlobsQueue", [X], note="no queue", error="queue: holds ndarray"),
    Sample(
        "EnqueueBlobs",
        [Q, X, S],
        before=[fill("q_0_0", [3], 1.5), fill("q_0_1", [2], 4.0), create(num_blobs=2)],
        outputs=2,
        inplace={0: 1, 1: 2},
        note="what lay in the slot comes back",
    ),
    Sample(
        "EnqueueBlobs",
        [Q, X, S],
        before=[create()],
        outputs=2,
        inplace={0: 1, 1: 2},
        note="two of one",
        error="queue: its records have 1 blobs, the operator has 2",
    ),
    Sample(
        "EnqueueBlobs",
        [Q, X],
        before=[create(capacity=1), *put("q", [2]), CLOSE],
        inplace={0: 1},
        note="closed",
        error="queue: is closed and full",
    ),
    Sample("EnqueueBlobs", [Q, X], before=[create()], outputs=1, note="not in place", error="updated in place"),
    Sample("SafeEnqueueBlobs", [Q, X], before=[fill("q_0_0", [3], 1.5), create()], outputs=2, inplace={0: 1}),
    Sample(
        "SafeEnqueueBlobs",
        [Q, X],
        before=[create(capacity=1), *put("q", [2]), CLOSE],
        outputs=2,
        inplace={0: 1},
        note="closed and full",
    ),
    Sample("DequeueBlobs", [Q], before=[create(num_blobs=2), *put("q", [2, 1], [3])], outputs=2),
    Sample("DequeueBlobs", [Q], {"timeout_secs": 5.0}, before=[create(), *put("q", [2, 1]), CLOSE], note="closed"),
    Sample("DequeueBlobs", [Q], before=[create(), CLOSE], note="closed and empty", error="queue: is closed and empty"),
    Sample("DequeueBlobs", [Q], {"timeout_secs": 0.01}, before=[create()], note="late", error="timeout_secs = 0.01"),
    Sample("DequeueBlobs", [Q], before=[create()], outputs=2, note="two of one", error="records have 1 blobs"),
    Sample("DequeueBlobs", [X], note="no queue", error="queue: holds ndarray"),
    Sample("SafeDequeueBlobs", [Q], before=[create(num_blobs=2), *put("q", [2, 1], [3])], outputs=3),
    Sample(
        "SafeDequeueBlobs", [Q], before=[fill("out0", [2], 3.0), create(), CLOSE], outputs=2, note="closed and empty"
    ),
    Sample(
        "SafeDequeueBlobs",
        [Q],
        {"num_records": 2},
        outputs=3,
        note="two records",
        before=[create(num_blobs=2), *put("q", [2, 1], [3]), *put("q", [1, 1], [2], value=50)],
    ),
    Sample(
        "SafeDequeueBlobs",
        [Q],
        {"num_records": 3},
        outputs=2,
        note="fewer records",
        before=[create(), *put("q", [2, 1]), CLOSE],
    ),
    Sample(
        "SafeDequeueBlobs",
        [Q],
        {"num_records": 2},
        outputs=2,
        note="none of two",
        before=[fill("out0", [2], 3.0), create(), CLOSE],
    ),
    Sample(
        "SafeDequeueBlobs",
        [Q],
        {"num_records": 2},
        outputs=2,
        note="widths",
        before=[create(), *put("q", [2, 1]), *put("q", [1, 2])],
        error=r"blob 0: float32\[1, 2\] does not fit",
        golden=False,
        reason="Caffe2 writes out of bounds",
    ),
    Sample(
        "SafeDequeueBlobs",
        [Q],
        {"num_records": 2},
        outputs=2,
        note="scalars",
        before=[create(), *put("q", []), *put("q", [])],
        error="blob 0: is a scalar, wants rows",
    ),
    Sample(
        "SafeDequeueBlobs", [Q], {"num_records": 0}, outputs=2, before=[create()], note="0", error="num_records = 0"
    ),
    *(
        Sample("WeightedSampleDequeueBlobs", [Q, P], args, before=TWO, outputs=outputs, seed=seed, note=note, **CPU)
        for seed, outputs, args, note in (
            (3, 2, {}, "seed 3"),
            (4, 2, {}, "seed 4"),
            (4, 2, {"weights": [0.0, 2.0]}, "never the first"),
            (4, 2, {"weights": [1.0, 0.0], "table_idx_blob": 0}, "number instead"),
            (5, 2, {"weights": [0.5, 0.25], "table_idx_blob": 0}, "number"),
        )
    ),
    Sample(
        "WeightedSampleDequeueBlobs",
        [Q],
        {"weights": [1.0, 2.0]},
        outputs=2,
        before=[create()],
        note="two weights",
        error="weights: are 2",
    ),
    Sample(
        "WeightedSampleDequeueBlobs",
        [Q],
        {"weights": [0.0]},
        outputs=2,
        before=[create()],
        note="no weight",
        error="wants none negative",
    ),
    Sample(
        "WeightedSampleDequeueBlobs",
        [Q],
        {"table_idx_blob": 1},
        outputs=2,
        before=[create()],
        note="index",
        error="table_idx_blob: 1",
    ),
    Sample("CreateBlobsQueueDB", [Q], before=[create()], **OPAQUE),
    Sample(
        "CreateBlobsQueueDB",
        [Q],
        {"value_blob_index": 1},
        before=[create()],
        note="no such blob",
        error="value_blob_index: 1",
        golden=False,
        reason="Caffe2 finds out when it reads",
    ),
    Sample("CreateRebatchingQueue", [], {"capacity": 3, "num_blobs": 2}, **OPAQUE),
    Sample("CloseRebatchingQueue", [Q], before=[made()], **MUTE),
    Sample("EnqueueRebatchingQueue", [Q, X], before=[made()], **MUTE),
    Sample("EnqueueRebatchingQueue", [Q, X, X], before=[made()], note="two of one", error="examples have 1 tensors"),
    Sample("EnqueueRebatchingQueue", [Q, X], before=[made(), SHUT], note="closed", error="queue: is closed"),
    Sample(
        "EnqueueRebatchingQueue",
        [Q, X, normal(3, 1)],
        {"enqueue_batch": True},
        before=[made(2)],
        note="rows",
        error="tensor 1: shape is",
    ),
    Sample("DequeueRebatchingQueue", [Q], {"num_elements": 2}, before=[made(2), *examples([3, 2], [3])], outputs=2),
    Sample("DequeueRebatchingQueue", [Q], before=[made(), *examples([3, 2], batch=False)], note="one example"),
    Sample("DequeueRebatchingQueue", [Q], {"num_elements": 5}, before=[made(), *examples([3, 2]), SHUT], note="fewer"),
    Sample("DequeueRebatchingQueue", [Q], {"num_elements": 2}, before=[made(), *examples([3, 0])], note="empty"),
    Sample("DequeueRebatchingQueue", [Q], before=[made(), SHUT], note="closed", error="is closed and empty"),
    Sample(
        "DequeueRebatchingQueue",
        [Q],
        {"num_elements": 2},
        note="shapes",
        error="tensor 0: an example is",
        before=[made(), *examples([3], batch=False), *examples([2], batch=False)],
    ),
    Sample(
        "DequeueRebatchingQueue",
        [Q],
        before=[made(2)],
        note="one of two",
        error="examples have 2 tensors",
        golden=False,
        reason="Caffe2 writes out of bounds",
    ),
]
