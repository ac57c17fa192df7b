"""The real Caffe2's side of nets.py, run by its own interpreter."""

import json
import os

import numpy as np


def net(folder):
    """A net of the collection on its inputs."""
    from caffe2.proto import caffe2_pb2
    from caffe2.python import core, workspace
    from google.protobuf import text_format

    core.GlobalInit(["benchmark", "--caffe2_log_level=3", "--caffe2_omp_num_threads=1"])

    def load(name):
        found = caffe2_pb2.NetDef()
        with open(os.path.join(folder, name), "rb") as file:
            content = file.read()
        if name.endswith(("txt", ".prototxt")):
            text_format.Merge(content.decode(), found)
        else:
            found.ParseFromString(content)
        for part in [found, *found.op]:
            part.ClearField("device_option")
        return found

    with open(os.path.join(folder, "meta.json")) as file:
        meta = json.load(file)
    for name in meta["init"]:
        workspace.RunNetOnce(load(name))
    with np.load(os.path.join(folder, "input.npz")) as archive:
        for name in archive.files:
            workspace.FeedBlob(name, archive[name])
    modified = "predict_net.modified.pb"
    predict = load(modified if os.path.exists(os.path.join(folder, modified)) else meta["predict"])
    workspace.CreateNet(predict)
    run = workspace.C.run_net
    return lambda: run(predict.name, 1, False)
