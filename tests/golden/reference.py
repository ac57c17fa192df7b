"""Answer cases with the real Caffe2; started by record.py under the reference's interpreter (Python 3.9).

    python reference.py FOLDER INDEX...

FOLDER holds cases.json (a list of cases, see record.py) and arrays.npz. Each case's answer is written before the next begins, since
an operator can abort the process here: INDEX.forward.npz, then INDEX.gradient.npz.
"""

import base64
import json
import os
import sys

import numpy as np
from caffe2.proto import caffe2_pb2
from caffe2.python import core, utils, workspace


def decode(value):
    """An argument value out of JSON: bytes, nets and tensors come as {"bytes" | "NetDef" | "TensorProto": base64}."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, text),) = value.items()
    content = base64.b64decode(text)
    if kind == "bytes":
        return content
    message = getattr(caffe2_pb2, kind)()
    message.ParseFromString(content)
    return message


def operator(step):
    options = {"device_option": core.DeviceOption(caffe2_pb2.CPU, random_seed=step["seed"])} if step.get("seed") else {}
    op = core.CreateOperator(step["type"], step["inputs"], step["outputs"], engine=step.get("engine", ""), **options)
    op.arg.extend(utils.MakeArgument(name, decode(value)) for name, value in step["args"].items())
    return op


def fetched(blob):
    """{suffix: array} of a blob: "" for a tensor of numbers, "/strings" for JSON text, "/opaque" for anything else."""
    try:
        value = workspace.FetchBlob(blob)
    except Exception:
        return {"/opaque": np.array("not a tensor")}
    if isinstance(value, np.ndarray) and value.dtype == object:
        values = [item.decode("latin-1") if isinstance(item, bytes) else item for item in value.ravel()]
        return {"/strings": np.array(json.dumps([list(value.shape), values]))}
    if isinstance(value, np.ndarray):
        return {"": value}
    return {"/opaque": np.array("not a tensor")}


def refusal(error):
    return np.array(str(error).strip().splitlines()[0][:200])


def seed_gradient(shape, dtype, index):
    """The gradient that comes in for output `index`: exact small fractions, the same in record.py's process and here."""
    count = int(np.prod(shape))
    return (((np.arange(count) * 37 + 11 * index + 5) % 64 - 32) / 32).astype(dtype).reshape(shape)


def forward(case, arrays, index):
    workspace.ResetWorkspace()
    for name, spec in case["feeds"].items():
        if "strings" in spec:
            values = [value.encode("latin-1") for value in spec["strings"]]
            value = np.array(values, dtype=object).reshape(spec["shape"])
        else:
            value = arrays["%d/%s" % (index, name)]
        workspace.FeedBlob(name, value)
    try:
        for step in case["before"]:
            workspace.RunOperatorOnce(operator(step))
        workspace.RunOperatorOnce(operator(case["op"]))
    except Exception as error:
        return {"!error": refusal(error)}
    answers = {}
    for i, name in enumerate(case["op"]["outputs"]):
        answers.update({"out%d%s" % (i, suffix): value for suffix, value in fetched(name).items()})
    return answers


def gradient(case):
    """Gradients of the inputs, for given gradients of every floating output, of the operator that `forward` just ran."""
    seeds = {}
    for i, name in enumerate(case["op"]["outputs"]):
        value = fetched(name).get("")
        if value is not None and value.dtype.kind == "f":
            seeds[name] = "%s_seed" % name
            workspace.FeedBlob(seeds[name], seed_gradient(value.shape, value.dtype, i))
    if not seeds:
        return {}
    try:
        ops, gradients = core.GradientRegistry.GetBackwardPass([operator(case["op"])], seeds)
        for op in ops:
            workspace.RunOperatorOnce(op)
    except Exception as error:
        return {"!gradient_error": refusal(error)}
    answers = {}
    for i, name in enumerate(case["op"]["inputs"]):
        g = gradients.get(name)
        if isinstance(g, core.GradientSlice):
            answers["gradient%d/indices" % i] = workspace.FetchBlob(g.indices)
            answers["gradient%d/values" % i] = workspace.FetchBlob(g.values)
        elif g is not None:
            answers["gradient%d" % i] = workspace.FetchBlob(g)
    return answers


def main(folder, *indices):
    core.GlobalInit(["reference", "--caffe2_log_level=4", "--caffe2_cpu_allocator_do_junk_fill=1"])
    with open(os.path.join(folder, "cases.json")) as f:
        cases = json.load(f)
    arrays = np.load(os.path.join(folder, "arrays.npz"))
    for index in map(int, indices):
        answers = forward(cases[index], arrays, index)
        np.savez(os.path.join(folder, "%d.forward.npz" % index), **answers)
        answers = gradient(cases[index]) if cases[index]["gradient"] and "!error" not in answers else {}
        np.savez(os.path.join(folder, "%d.gradient.npz" % index), **answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
