"""Record what the real Caffe2's schemas allow: ~/.cache/caffe2-reference/bin/python tests/golden/record_schemas.py

Writes schemas.json, one line an operator: which numbers of inputs and outputs (up to 8; the last stands for more), as pairs only
where they depend on each other; which (input, output) pairs may share a blob and which must; whether gradient operators get the forward
operator's arguments. All found by asking, each operator in a process of its own. Runs under the reference's interpreter (Python 3.9).
"""

import json
import os
import sys

from caffe2.proto import caffe2_pb2
from caffe2.python import core, workspace

MOST = 8  # blobs tried


def allowed(schema):
    inputs = [n for n in range(MOST + 1) if schema.num_inputs_allowed(n) and schema.min_input <= n <= schema.max_input]
    outputs = [n for n in range(MOST + 1) if schema.num_outputs_allowed(n) and schema.min_output <= n <= schema.max_output]
    pairs = [(i, o) for i in inputs for o in outputs if schema.num_inputs_outputs_allowed(i, o)]
    return inputs, outputs, pairs


def passes(op_type, args, inputs, outputs):
    """Whether a definition passes the schema; running fails anyway, since the inputs do not exist."""
    op = caffe2_pb2.OperatorDef(type=op_type, input=inputs, output=outputs, arg=args)
    try:
        workspace.C.run_operator_once(op.SerializeToString())
    except Exception as error:
        return "did not pass schema" not in str(error)
    return True


def facts(op_type):
    schema = workspace.C.OpSchema.get(op_type)
    if schema is None:
        return None
    inputs, outputs, pairs = allowed(schema)
    args = [caffe2_pb2.Argument(name=arg.name, i=1) for arg in schema.args if arg.required]
    enforced = [(i, o) for i in range(MOST) for o in range(MOST) if schema.inplace_enforced(i, o)]
    shared = []
    for i in range(max(inputs, default=0)):
        for o in range(max(outputs, default=0)):
            if (i, o) not in enforced and any(shares(op_type, args, enforced, i, o, *pair) for pair in pairs):
                shared.append((i, o))
    found = {"inputs": inputs, "outputs": outputs}
    if len(pairs) < len(inputs) * len(outputs):
        found["pairs"] = pairs
    found.update({"inplace": shared, "inplace_enforced": enforced})
    copies = in_child(copies_arguments, op_type, args, pairs)
    if isinstance(copies, bool):
        found["gradient_copies_arguments"] = copies
    return found


def copies_arguments(op_type, args, pairs):
    """Whether the gradient operators get the arguments of the forward operator; None where none are made."""
    marker = caffe2_pb2.Argument(name="marker", i=1)
    for n_in, n_out in pairs:
        op = caffe2_pb2.OperatorDef(
            type=op_type,
            input=["in%d" % k for k in range(n_in)],
            output=["out%d" % k for k in range(n_out)],
            arg=[*args, marker],
        )
        try:
            made, _ = core.GradientRegistry.GetGradientForOp(op, ["seed%d" % k for k in range(n_out)])
        except Exception:
            continue
        if made:
            return any(arg.name == marker.name for one in made for arg in one.arg)
    return None


def shares(op_type, args, enforced, i, o, n_in, n_out):
    """Whether output o may be input i in an operator of n_in inputs and n_out outputs."""
    if i >= n_in or o >= n_out:
        return False
    inputs = ["in%d" % k for k in range(n_in)]
    outputs = ["out%d" % k for k in range(n_out)]
    for a, b in enforced:
        if a < n_in and b < n_out:
            outputs[b] = inputs[a]
    outputs[o] = inputs[i]
    return len(set(outputs)) == n_out and passes(op_type, args, inputs, outputs)


def in_child(function, *arguments):
    """The JSON of function(*arguments) computed in a child process, None where it dies."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, json.dumps(function(*arguments)).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else "crash"


def main():
    core.GlobalInit(["record_schemas", "--caffe2_log_level=3"])
    lines = []
    for op_type in sorted(name for name in workspace.RegisteredOperators() if "_ENGINE_" not in name):
        found = in_child(facts, op_type)
        if found is not None:
            lines.append("%s: %s" % (json.dumps(op_type), json.dumps(found, separators=(",", ":"))))
        if found == "crash":
            print(op_type, "crashed", file=sys.stderr)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "schemas.json"), "w") as f:
        f.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
