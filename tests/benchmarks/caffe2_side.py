"""The real Caffe2's side of the benchmarks: run by its own interpreter (Python 3.9), never by caffe2ops'."""

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
            net.Add(["x%d" % i, "c"], "x%d" % (i + 1))
        else:
            net.Relu("x%d" % i, "x%d" % (i + 1))
    workspace.CreateNet(net)
    name = net.Proto().name
    return lambda: workspace.RunNet(name)


def run_net_once(path):
    """An init net from its bytes, by the C++ route."""
    content = open(path, "rb").read()

    def call():
        workspace.ResetWorkspace()
        workspace.C.run_net_once(content)

    return call
