"""The basics: workspaces and blobs, single operators, nets, gradients, scopes, plans, the predictor.

python basics.py RESULTS.npz    writes what it computed, and the definitions that it made
"""

import sys

import numpy as np
from caffe2.proto import caffe2_pb2
from caffe2.python import core, model_helper, net_drawer, scope, utils, workspace

results = {}


def keep(name, proto):
    results[name] = np.frombuffer(proto.SerializeToString(), np.uint8)


core.GlobalInit(["caffe2", "--caffe2_log_level=2"])

# Workspaces: a blob is in the one that is current.
workspace.ResetWorkspace()
print("blobs at the start:", workspace.Blobs())
X = np.random.RandomState(1).randn(2, 3).astype(np.float32)
workspace.FeedBlob("X", X)
assert workspace.Blobs() == ["X"]
assert workspace.HasBlob("X")
assert not workspace.HasBlob("Y")
np.testing.assert_array_equal(workspace.FetchBlob("X"), X)
print("current workspace:", workspace.CurrentWorkspace())
workspace.SwitchWorkspace("other", True)
assert workspace.Blobs() == []
workspace.FeedBlob("X", X[:1])
workspace.SwitchWorkspace("default")
assert workspace.FetchBlob("X").shape == (2, 3)
assert workspace.Workspaces() == ["default", "other"]
try:
    workspace.FetchBlob("nothing")
except Exception as error:
    print("no such blob:", type(error).__name__)
else:
    raise AssertionError("a missing blob was fetched")
workspace.FeedBlob("text", "caffe")
results["text"] = np.array(workspace.FetchBlob("text"))
workspace.blobs["Z"] = X * 2
assert "Z" in workspace.blobs

# Single operators.
op = core.CreateOperator("Relu", ["X"], ["Y"])
print(op)
keep("relu", op)
workspace.RunOperatorOnce(op)
results["Y"] = workspace.FetchBlob("Y")
fill = core.CreateOperator(
    "ConstantFill", [], ["filled"], shape=[2, 2], value=1.5, name="fill", engine="", random_seed=3
)
keep("fill", fill)
concat = core.CreateOperator("Concat", ["X", "Z"], ["XZ", "split"], axis=1, control_input=["Y"], debug_info="both")
keep("concat", concat)
workspace.RunOperatorsOnce([fill, concat])
results["filled"], results["XZ"], results["split"] = workspace.FetchBlobs(["filled", "XZ", "split"])
for value in (1, 1.5, True, "text", b"bytes", [1, 2], [1.5, 2.0], ["a", "b"], np.arange(3), np.ones(2)):
    print(utils.MakeArgument("value", value))
arguments = [utils.MakeArgument(str(i), v) for i, v in enumerate([1, 1.5, True, "s", [1, 2], [1.5], ["a"], np.ones(2)])]
keep("arguments", caffe2_pb2.OperatorDef(arg=arguments))
tensors = [utils.NumpyArrayToCaffe2Tensor(a, "t") for a in (X, X.astype(np.int32), X.astype(np.int64))]
for i, tensor in enumerate(tensors):
    keep(f"tensor{i}", tensor)
results["tensor"] = utils.Caffe2TensorToNumpyArray(tensors[0])

# Nets: every operator is a method.
net = core.Net("first")
W = net.GivenTensorFill([], "W", shape=[4, 3], values=np.linspace(-1, 1, 12))
b = net.ConstantFill([], ["b"], shape=[4], value=0.25)
hidden = net.Sigmoid(net.FC(["X", W, b]))
top = net.Softmax(hidden, "top")
parts = net.Split(top, 2, axis=1)
W.Relu([], "W_relu")
loss = net.AveragedLoss(net.Mul(parts), "loss")
net.AddExternalOutput(loss)
gradients = net.AddGradientOperators([loss], skip=2)
print(net.Proto())
keep("net", net.Proto())
results["gradients"] = np.array(sorted(f"{k}={v}" for k, v in gradients.items()))
workspace.CreateNet(net)
workspace.RunNet(net.Proto().name, 2)
for name in ("top", "loss", gradients["X"], gradients[W]):
    results["net/" + str(name)] = workspace.FetchBlob(name)
shapes, types = workspace.InferShapesAndTypes([net])
results["shapes"] = np.array(sorted(f"{name} {shapes[name]} {types[name]}" for name in ("top", "loss", "W")))
text = net_drawer.GetPydotGraph(net, rankdir="TB").to_string()
assert "Softmax" in text
copy = net.Clone("copy", {"X": "Z"})
assert copy.Name() == "copy"
keep("copy", copy.Proto())
copy.Proto().type = "dag"
workspace.RunNetOnce(copy)
results["copy/top"] = workspace.FetchBlob("top")

# Scopes for names and devices; names that are made up.
scoped = core.Net("scoped")
with core.NameScope("outer"), core.DeviceScope(core.DeviceOption(caffe2_pb2.CPU, 0, node_name="node")):
    A = scoped.ConstantFill([], "A", shape=[2, 2], value=3.0)
    with core.NameScope("inner"):
        assert scope.CurrentNameScope() == "outer/inner/"
        B = scoped.Copy(A)
        C = scoped.Copy("D")
    with core.NameScope("", reset=True):
        scoped.Add([B, A], 1)
assert str(A) == "outer/A"
assert A.GetUnscopedName() == "A"
assert A == "outer/A"
names = [scoped.NextName(), scoped.NextName("Copy"), scoped.NextBlob("A"), scoped.NextBlob("A")]
results["names"] = np.array([str(name) for name in names])
scoped.Const(np.array([1, 2], np.int64), "numbers")
keep("scoped", scoped.Proto())
results["net name"] = np.array([core.Net("first").Name(), core.Net("first").Name()])
try:
    net.NoSuchOperator("X")
except AttributeError as error:
    print(error)

# Plans: nets in steps, some of them several times.
init, count, double = core.Net("plan_init"), core.Net("count"), core.Net("double")
total = init.ConstantFill([], "total", shape=[1], value=1.0)
one = init.ConstantFill([], "one", shape=[1], value=1.0)
stop = init.ConstantFill([], "stop", shape=[], value=False, dtype=core.DataType.BOOL)
count.Add([total, one], total)
double.Add([total, total], total)
limit = core.Net("limit")
bound = limit.ConstantFill([], "bound", shape=[1], value=100.0)
limit.Reshape([limit.GT([total, bound])], [stop, "old_shape"], shape=[1])
plan = core.Plan("plan")
plan.AddStep(core.execution_step("init", init))
plan.AddStep(core.execution_step("count", [count], num_iter=3))
plan.AddStep(core.execution_step("until", [double, limit], should_stop_blob=stop))
keep("plan", plan.Proto())
workspace.RunPlan(plan)
results["total"] = workspace.FetchBlob("total")
workspace.RunPlan(core.execution_step("again", [count], num_iter=2))
results["total again"] = workspace.FetchBlob("total")

# A model: a net and the net that makes its parameters.
model = model_helper.ModelHelper(name="classify")
fc_w = model.param_init_net.GivenTensorFill([], "fc_w", shape=[2, 3], values=np.arange(6) / 10.0)
fc_b = model.param_init_net.ConstantFill([], "fc_b", shape=[2])
score = model.net.FC(["data", fc_w, fc_b], "score")
softmax, xent = model.net.SoftmaxWithLoss([score, "label"], ["softmax", "xent"])
model.AddGradientOperators([xent])
keep("model", model.net.Proto())
keep("model init", model.param_init_net.Proto())
workspace.FeedBlob("data", X)
workspace.FeedBlob("label", np.array([0, 1], np.int32))
workspace.RunNetOnce(model.param_init_net)
workspace.CreateNet(model.net)
workspace.RunNet(model.name, 5)
results["softmax"], results["fc_w_grad"] = workspace.FetchBlobs(["softmax", "fc_w_grad"])

# The predictor: an init net and a predict net.
predict = core.Net("predict")
predict.Proto().external_input.extend(["data", "fc_w", "fc_b"])
predict.FC(["data", "fc_w", "fc_b"], "score")
predict.Proto().external_output.append("score")
predictor = workspace.Predictor(model.param_init_net.Proto(), predict.Proto())
results["predicted"] = predictor.run([X])[0]
results["predicted by name"] = predictor.run({"data": X[:1]})[0]

np.savez(sys.argv[1], **results)
