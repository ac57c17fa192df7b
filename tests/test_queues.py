"""Queues between threads: waiting, closing, cancelling, plans of producers and consumers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2ops import Workspace
from caffe2ops.defs import ExecutionStep, NetDef, OperatorDef, PlanDef, TensorProtos
from caffe2ops.errors import OperatorError
from caffe2ops.formats import array_to_tensor, binary
from tests.kit.sample import int32s, int64s, strings
from tests.kit.threads import SOON, started


def op(type_: str, inputs: list[str], outputs: list[str], **args: Any) -> OperatorDef:
    return OperatorDef(type=type_, input=tuple(inputs), output=tuple(outputs), args=args)


def queue(kind: str = "Blobs", **args: Any) -> Workspace:
    """A workspace with a queue "q"."""
    workspace = Workspace()
    workspace.run(op(f"Create{kind}Queue", [], ["q"], **args))
    return workspace


def put(workspace: Workspace, value: Any, name: str = "x") -> None:
    workspace.feed(name, value)
    workspace.run(op("EnqueueBlobs", ["q", name], [name]))


def test_values_move_in_order() -> None:
    workspace = queue(capacity=2)
    for i in range(5):
        put(workspace, int32s(i))
        put(workspace, f"text {i}")
        workspace.run(op("DequeueBlobs", ["q"], ["y"]))
        assert workspace.fetch("y").tolist() == [i]
        workspace.run(op("DequeueBlobs", ["q"], ["y"]))
        assert workspace.fetch("y") == f"text {i}".encode()


def test_a_waiting_value_does_not_change() -> None:
    """Who writes goes on with other memory, also in a net that ran often."""
    workspace = queue(capacity=5)
    workspace.feed("i", np.zeros(1, np.int64))
    net = workspace.create(
        NetDef(
            name="producer",
            op=(op("Iter", ["i"], ["i"]), op("Copy", ["i"], ["x"]), op("EnqueueBlobs", ["q", "x"], ["x"])),
        )
    )
    taker = workspace.create(NetDef(name="consumer", op=(op("DequeueBlobs", ["q"], ["y"]),)))
    found = []
    for _ in range(3):
        for _ in range(5):
            net.run()
        for _ in range(5):
            taker.run()
            found.append(int(workspace.fetch("y")[0]))
    assert found == list(range(1, 16))


def test_reading_waits_for_a_record() -> None:
    workspace = queue()
    thread, ends = started(lambda: workspace.run(op("DequeueBlobs", ["q"], ["y"])))
    time.sleep(0.05)
    assert thread.is_alive()
    put(workspace, int32s(7))
    thread.join(SOON)
    assert ends == [None]
    assert workspace.fetch("y").tolist() == [7]


def test_writing_waits_for_room() -> None:
    workspace = queue()
    put(workspace, int32s(1))
    thread, ends = started(lambda: put(workspace, int32s(2), "other"))
    time.sleep(0.05)
    assert thread.is_alive()
    workspace.run(op("DequeueBlobs", ["q"], ["y"]))
    thread.join(SOON)
    assert ends == [None]


@pytest.mark.parametrize("num_records", [1, 3])
def test_closing_ends_safe_waits(num_records: int) -> None:
    workspace = queue()
    workspace.feed("y", int32s(9))
    read = op("SafeDequeueBlobs", ["q"], ["y", "failed"], num_records=num_records)
    thread, ends = started(lambda: workspace.run(read))
    time.sleep(0.05)
    workspace.run(op("CloseBlobsQueue", ["q"], []))
    thread.join(SOON)
    assert ends == [None]
    assert bool(workspace.fetch("failed"))
    assert workspace.fetch("y").tolist() == [9]


def test_closing_ends_waits_with_an_error() -> None:
    workspace = queue()
    readers = [started(lambda i=i: workspace.run(op("DequeueBlobs", ["q"], [f"y{i}"]))) for i in range(3)]
    time.sleep(0.05)
    workspace.run(op("CloseBlobsQueue", ["q"], []))
    for thread, ends in readers:
        thread.join(SOON)
        assert "queue: is closed and empty" in str(ends[0])


def test_what_waits_can_be_read_after_closing() -> None:
    workspace = queue(capacity=2)
    put(workspace, int32s(1))
    workspace.run(op("CloseBlobsQueue", ["q"], []))
    put(workspace, int32s(2))  # there is room, as in Caffe2
    workspace.feed("x", int32s(3))
    workspace.run(op("SafeEnqueueBlobs", ["q", "x"], ["x", "failed"]))
    assert bool(workspace.fetch("failed"))
    assert workspace.fetch("x").tolist() == [3]
    found = []
    while True:
        workspace.run(op("SafeDequeueBlobs", ["q"], ["y", "failed"]))
        if workspace.fetch("failed"):
            break
        found.append(int(workspace.fetch("y")[0]))
    assert found == [1, 2]


def test_a_timeout_is_kept() -> None:
    workspace = queue()
    begin = time.perf_counter()
    with pytest.raises(OperatorError, match=r"nothing came within timeout_secs = 0.2") as raised:
        workspace.run(op("DequeueBlobs", ["q"], ["y"], timeout_secs=0.2))
    assert isinstance(raised.value.__cause__, TimeoutError)
    assert 0.15 < time.perf_counter() - begin < SOON


def interrupted(program: str, folder: Path) -> str:
    """What a program that prints "waiting" writes to stderr when Ctrl-C is pressed a bit later."""
    heard = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"  # background jobs ignore it
    with subprocess.Popen(
        [sys.executable, "-c", heard + program], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting\n"
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            return process.communicate(timeout=20)[1]
        finally:
            process.kill()


def test_ctrl_c_ends_a_wait(tmp_path: Path) -> None:
    """A read that nobody will ever answer can be interrupted."""
    program = (
        "from caffe2ops import OperatorDef, Workspace\n"
        "w = Workspace()\n"
        "w.run(OperatorDef(type='CreateBlobsQueue', output='q'))\n"
        "print('waiting', flush=True)\n"
        "w.run(OperatorDef(type='DequeueBlobs', input='q', output='y'))\n"
    )
    assert "KeyboardInterrupt" in interrupted(program, tmp_path)


def test_plan_of_producers_and_consumers() -> None:
    """Steps that run at the same time hand each record on exactly once."""
    workspace = queue(capacity=3)
    nets, steps = [], []
    for i in range(3):
        net = NetDef(
            name=f"producer{i}",
            op=(
                op("GivenTensorInt64Fill", [], [f"x{i}"], shape=[1], values=[10**i]),
                op("EnqueueBlobs", ["q", f"x{i}"], [f"x{i}"]),
            ),
        )
        nets.append(net)
        steps.append(ExecutionStep(name=f"p{i}", network=(net.name,), num_iter=20))
    for i in range(2):
        workspace.feed(f"sum{i}", int64s(0))
        net = NetDef(
            name=f"consumer{i}",
            op=(op("DequeueBlobs", ["q"], [f"y{i}"]), op("Add", [f"sum{i}", f"y{i}"], [f"sum{i}"])),
        )
        nets.append(net)
        steps.append(ExecutionStep(name=f"c{i}", network=(net.name,), num_iter=30))
    together = ExecutionStep(name="all", substep=tuple(steps), concurrent_substeps=True)
    workspace.run(PlanDef(name="plan", network=tuple(nets), execution_step=(together,)))
    assert int(workspace.fetch("sum0")[0] + workspace.fetch("sum1")[0]) == 20 * 111


@pytest.mark.parametrize("kind", ["DequeueBlobs", "SafeDequeueBlobs", "DequeueRebatchingQueue"])
def test_cancelling_a_net_ends_its_wait(kind: str) -> None:
    workspace = queue("Rebatching" if "Rebatching" in kind else "Blobs")
    outputs = ["y", "failed"] if kind.startswith("Safe") else ["y"]
    net = workspace.create(NetDef(name="n", op=(op(kind, ["q"], outputs),)))
    thread, ends = started(net.run)
    time.sleep(0.05)
    assert thread.is_alive()
    net.cancel()
    thread.join(SOON)
    assert isinstance(ends[0], OperatorError)


def waiting_plan(*others: OperatorDef) -> PlanDef:
    """A plan of a step that waits for ever, and another one at the same time."""
    nets = (NetDef(name="waits", op=(op("SafeDequeueBlobs", ["q"], ["y", "s"]),)), NetDef(name="other", op=others))
    steps = tuple(ExecutionStep(name=net.name, network=(net.name,)) for net in nets)
    together = ExecutionStep(name="all", substep=steps, concurrent_substeps=True)
    return PlanDef(name="plan", network=nets, execution_step=(together,))


def test_a_failing_step_ends_the_waits_of_others() -> None:
    workspace = queue()
    workspace.feed("x", int32s(1))
    thread, ends = started(lambda: workspace.run(waiting_plan(op("Transpose", ["x"], ["z"], axes=[3]))))
    thread.join(SOON)
    assert "Transpose" in str(ends[0])


def test_ctrl_c_ends_a_plan(tmp_path: Path) -> None:
    from caffe2ops.formats import dump

    dump(waiting_plan(op("DequeueBlobs", ["q"], ["z"])), tmp_path / "plan.pb")
    program = (
        "from caffe2ops import OperatorDef, Workspace\n"
        "from caffe2ops.formats import load\n"
        "w = Workspace()\n"
        "w.run(OperatorDef(type='CreateBlobsQueue', output='q'))\n"
        "plan = load('plan.pb')\n"
        "print('waiting', flush=True)\n"
        "w.run(plan)\n"
    )
    assert "KeyboardInterrupt" in interrupted(program, tmp_path)


def test_unique_names() -> None:
    workspace = queue(capacity=2, num_blobs=2)
    assert {"q_0_0", "q_0_1", "q_1_0", "q_1_1"} <= set(workspace.blobs())
    with pytest.raises(OperatorError, match="there is a blob 'q_0_0' already"):
        workspace.run(op("CreateBlobsQueue", [], ["q"], enforce_unique_name=1))


def test_empty_values_come_back_as_nothing() -> None:
    workspace = queue()
    put(workspace, int32s(1))
    with pytest.raises(Exception, match="'x' is empty"):
        workspace.fetch("x")


def test_weighted_draws() -> None:
    """Of 600 draws about a third come from the queue of weight 1, two thirds from that of weight 2."""
    workspace = Workspace(seed=4)
    for i, name in enumerate("ab"):
        workspace.run(op("CreateBlobsQueue", [], [name], capacity=600))
        for _ in range(600):
            workspace.feed("x", int32s(i))
            workspace.run(op("EnqueueBlobs", [name, "x"], ["x"]))
    net = workspace.create(
        NetDef(name="n", op=(op("WeightedSampleDequeueBlobs", ["a", "b"], ["y", "failed"], weights=[1.0, 2.0]),))
    )
    drawn = []
    for _ in range(600):
        net.run()
        drawn.append(int(workspace.fetch("y")[0]))
    assert 340 < sum(drawn) < 460


def record(i: int) -> bytes:
    return binary.encode(TensorProtos(protos=(array_to_tensor(int32s(i)), array_to_tensor(strings(f"row {i}")))))


def test_queue_as_database() -> None:
    workspace = queue(capacity=4, num_blobs=2)
    for i in range(4):
        workspace.feed("k", f"key {i}")
        workspace.feed("v", record(i) if i % 2 else strings(record(i)))
        workspace.run(op("EnqueueBlobs", ["q", "k", "v"], ["k", "v"]))
    workspace.run(op("CreateBlobsQueueDB", ["q"], ["db"], key_blob_index=0, value_blob_index=1, timeout_secs=0.05))
    reader = workspace.fetch("db")
    assert reader.read() == (b"key 0", record(0))
    workspace.run(op("TensorProtosDBInput", ["db"], ["a", "b"], batch_size=2))
    assert workspace.fetch("a").tolist() == [[1], [2]]
    assert workspace.fetch("b").tolist() == [[b"row 1"], [b"row 2"]]
    workspace.run(op("CloseBlobsQueue", ["q"], []))
    assert list(reader.records()) == [(b"key 3", record(3))]
    with pytest.raises(OperatorError, match="queue: is closed and empty"):
        workspace.run(op("TensorProtosDBInput", ["db"], ["a", "b"]))


def test_queue_as_database_late_or_no_text() -> None:
    workspace = queue()
    workspace.run(op("CreateBlobsQueueDB", ["q"], ["db"], timeout_secs=0.01))
    with pytest.raises(OperatorError, match="nothing came within"):
        workspace.run(op("TensorProtosDBInput", ["db"], ["a"]))
    put(workspace, int32s(1))
    with pytest.raises(OperatorError, match="blob 0 of the record is ndarray, wants a string"):
        workspace.run(op("TensorProtosDBInput", ["db"], ["a"]))


def test_rebatching_waits_for_whole_batches() -> None:
    workspace = queue("Rebatching", capacity=2)
    thread, ends = started(lambda: workspace.run(op("DequeueRebatchingQueue", ["q"], ["y"], num_elements=5)))
    workspace.feed("x", np.arange(8, dtype=np.int32).reshape(4, 2))
    write = op("EnqueueRebatchingQueue", ["q", "x"], [], enqueue_batch=True)
    workspace.run(write)
    time.sleep(0.05)
    assert thread.is_alive()
    writer, written = started(lambda: workspace.run(write))
    thread.join(SOON)
    assert ends == [None]
    assert workspace.fetch("y").tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [0, 1]]
    time.sleep(0.05)
    assert writer.is_alive()  # two of its examples find no room
    workspace.run(op("CloseRebatchingQueue", ["q"], []))
    writer.join(SOON)
    assert "queue: is closed" in str(written[0])


def test_rebatching_keeps_copies() -> None:
    workspace = queue("Rebatching", capacity=2)
    for i in range(2):
        workspace.feed("x", int32s(i, 10 * i))
        workspace.run(op("EnqueueRebatchingQueue", ["q", "x"], []))
    workspace.run(op("DequeueRebatchingQueue", ["q"], ["y"], num_elements=2))
    assert workspace.fetch("y").tolist() == [[0, 0], [1, 10]]
