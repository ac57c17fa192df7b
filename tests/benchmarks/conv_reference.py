"""The real Caffe2's side of the benchmark of convolution, pooling and normalisation: run by its own interpreter."""

import numpy as np
from caffe2.python import core, workspace

core.GlobalInit(["benchmark", "--caffe2_log_level=3", "--caffe2_omp_num_threads=1"])


def operator(op, shapes, args):
    """A net of one operator on random inputs of these shapes."""
    rng = np.random.RandomState(0)
    names = []
    for i, shape in enumerate(shapes):
        names.append(f"{op}{i}")
        workspace.FeedBlob(names[-1], (rng.rand(*shape) + 0.1).astype("f4"))
    net = core.Net(op)
    getattr(net, op)(names, [op + "_out"], **args)
    workspace.CreateNet(net)
    name = net.Proto().name
    return lambda: workspace.RunNet(name)
