"""The cases of the LengthsTopK benchmark, and the real Caffe2's side of it (Python 3.9, without caffe2ops)."""

import numpy as np

CASES = {
    "A": "10k segments of 50, k = 5",
    "B": "100k segments of 10, k = 3",
    "C": "100 segments of 50k, k = 100",
    "D": "1 segment of 10M, k = 1000",
    "E": "50k segments, Zipf, k = 10",
    "F": "20k segments of 20, k = 50",
    "G": "2k segments of 1000, k = 10",
    "H": "as A, many ties",
    "I": "10 segments of 5, k = 3",
}


def case(name):
    """(data, lengths, k); lengths are spread evenly up to twice the average that CASES names."""
    random = np.random.RandomState(0)
    lengths, k = {
        "A": lambda: (random.randint(0, 101, 10_000), 5),
        "B": lambda: (random.randint(0, 21, 100_000), 3),
        "C": lambda: (random.randint(0, 100_001, 100), 100),
        "D": lambda: (np.array([10_000_000]), 1000),
        "E": lambda: (np.minimum(random.zipf(1.5, 50_000), 200_000), 10),
        "F": lambda: (random.randint(0, 41, 20_000), 50),
        "G": lambda: (random.randint(0, 2001, 2000), 10),
        "H": lambda: (random.randint(0, 101, 10_000), 5),
        "I": lambda: (random.randint(0, 11, 10), 3),
    }[name]()
    size = int(lengths.sum())
    if name == "H":
        data = random.randint(-5, 5, size)
    else:
        data = random.rand(size) if size >= 8_000_000 else random.standard_normal(size)
    return data.astype(np.float32), lengths.astype(np.int32), k


def operator(name, gradient):
    """A net of one operator: LengthsTopK, or its gradient."""
    from caffe2.python import core, workspace

    data, lengths, k = case(name)
    workspace.FeedBlob("X", data)
    workspace.FeedBlob("L", lengths)
    workspace.FeedBlob("dV", np.random.RandomState(1).randn(len(lengths), k).astype(np.float32))
    forward = core.CreateOperator("LengthsTopK", ["X", "L"], ["V", "I"], k=k)
    workspace.RunOperatorOnce(forward)
    net = core.Net("bench")
    net.Proto().type = "simple"
    back = core.CreateOperator("LengthsTopKGradient", ["L", "I", "dV"], ["dX"], k=k)
    net.Proto().op.extend([back if gradient else forward])
    workspace.CreateNet(net)
    net_name = net.Proto().name
    return lambda: workspace.RunNet(net_name)
