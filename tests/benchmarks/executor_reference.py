"""The real Caffe2's side of executor.py, run by its own interpreter."""

import numpy as np
from caffe2.python import core, workspace

core.GlobalInit(["benchmark", "--caffe2_log_level=3", "--caffe2_omp_num_threads=1"])


def chain(count=1000, width=10, kind="simple"):
    """A net of `count` operators on `width` elements, Relu and Add in turn."""
    rng = np.random.RandomState(0)
    workspace.FeedBlob("x0", rng.randn(width).astype("f4"))
    workspace.FeedBlob("c", rng.randn(width).astype("f4"))
    net = core.Net("chain")
    net.Proto().type = kind
    for i in range(count):
        if i % 2:
            net.Add([f"x{i}", "c"], f"x{i + 1}")
        else:
            net.Relu(f"x{i}", f"x{i + 1}")
    workspace.CreateNet(net)
    name = net.Proto().name
    return lambda: workspace.RunNet(name)
