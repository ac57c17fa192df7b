"""The calls of face.py, written as a Caffe2 script is; run by the real Caffe2's interpreter as they are."""

import numpy as np


def call(work):
    """100 times one kind of work."""
    from caffe2.python import core, workspace

    workspace.GlobalInit(["benchmark", "--caffe2_log_level=3"])
    x = np.arange(12, dtype="f4").reshape(3, 4)
    workspace.FeedBlob("X", x)
    workspace.FeedBlob("W", x)
    workspace.FeedBlob("B", np.ones(3, "f4"))
    op = core.CreateOperator("FC", ["X", "W", "B"], ["Y"])
    workspace.RunOperatorOnce(op)
    net = core.Net("net")
    net.FC(["X", "W", "B"], ["Y"])

    def feed():
        workspace.FeedBlob("X", x)

    def create():
        core.CreateOperator("FC", ["X", "W", "B"], ["Y"], axis=1)

    def run():
        workspace.RunOperatorOnce(op)

    def all_three():
        workspace.FeedBlob("X", x)
        workspace.RunOperatorOnce(core.CreateOperator("FC", ["X", "W", "B"], ["Y"], axis=1))
        workspace.FetchBlob("Y")

    def gradient():
        core.GradientRegistry.GetBackwardPass([op], {"Y": "Y_grad"})

    def run_net():
        workspace.RunNetOnce(net)

    one = {"feed": feed, "create": create, "run": run, "all": all_three, "gradient": gradient, "net": run_net}[work]

    def hundred():
        for _ in range(100):
            one()

    return hundred
