"""The real Caffe2's side of load_init_net.py, run by its own interpreter."""

from caffe2.python import core, workspace

core.GlobalInit(["benchmark", "--caffe2_log_level=3", "--caffe2_omp_num_threads=1"])


def run_net_once(path):
    """An init net from its bytes, by the C++ route."""
    with open(path, "rb") as file:
        content = file.read()

    def call():
        workspace.ResetWorkspace()
        workspace.C.run_net_once(content)

    return call
