"""Layers and updates that the tutorials leave out: definitions of all of brew, sparse gradients, shared parameters.

python layers.py RESULTS.npz    writes the definitions made, and what the nets with sparse gradients learn
"""

import sys

import numpy as np
from caffe2.proto import caffe2_pb2
from caffe2.python import brew, cnn, core, model_helper, optimizer, workspace

results = {}


def keep(name, net):
    results[name + " proto"] = np.frombuffer(net.Proto().SerializeToString(), np.uint8)


# A layer of each kind.
model = model_helper.ModelHelper(name="layers", arg_scope={"order": "NCHW", "use_cudnn": False})
with core.NameScope("block"):
    conv = brew.conv(model, "data", "conv", 4, 8, 3, pad=1, group=2, weight_init=("MSRAFill", {}))
    brew.conv(model, conv, "tall", 8, 8, [3, 1], no_bias=1)
    brew.conv_nd(model, conv, "cube", 8, 8, [3, 3], stride=2)
    brew.conv_transpose(model, conv, "up", 8, 4, 2, stride=2)
    brew.group_conv(model, conv, "grouped", 8, 8, 1, group=4)
    bn = brew.spatial_bn(model, conv, "bn", 8, init_scale=0.5, is_test=False)
with brew.arg_scope([brew.relu, brew.max_pool], order="NHWC"):
    relu = brew.relu(model, bn, bn)
    brew.max_pool(model, relu, "max", kernel=2, stride=2)
pool = brew.average_pool(model, relu, "average", global_pooling=1)
brew.lrn(model, relu, "lrn", size=3, alpha=0.1, beta=0.75)
brew.dropout(model, pool, "dropped", ratio=0.4, is_test=0)
brew.concat(model, [relu, conv], "both", axis=1)
brew.concat(model, [relu, conv], "depth")
brew.sum(model, [relu, conv], "total")
brew.transpose(model, relu, "turned", axes=[0, 2, 3, 1])
brew.prelu(model, relu, "prelu", num_channels=8)
brew.tanh(model, relu, "tanh")
brew.mat_mul(model, ["A", "B"], "AB", trans_b=1)
fc = brew.fc(model, pool, None, 8, 3, bias_init=("ConstantFill", {"value": 0.1}), axis=1)
brew.softmax(model, fc)
softmax = brew.softmax(model, fc, "softmax")
brew.accuracy(model, [softmax, "label"], "accuracy")
brew.iter(model, "iterations")
xent = model.net.LabelCrossEntropy([softmax, "label"], "xent")
model.AddGradientOperators([model.net.AveragedLoss(xent, "loss")])
keep("layers", model.net)
keep("layers init", model.param_init_net)
results["weights"] = np.array([str(w) for w in model.weights])
results["scoped"] = np.array([str(w) for w in model.GetParams("block")])

shared = model_helper.ModelHelper(name="shared", param_model=model, init_params=False)
brew.fc(shared, "data", "again", 8, 3)
keep("shared", shared.net)
predict, others = model_helper.ExtractPredictorNet(model.net.Proto(), ["block/data"], ["block/cube"])
predict.Proto().external_input[:] = sorted(predict.Proto().external_input)
keep("extracted", predict)
results["extracted inputs"] = np.array(sorted(others))

decayed = model_helper.ModelHelper(name="decayed")
score = brew.fc(decayed, "data", "score", 4, 1)
decayed.AddGradientOperators({score: None})
brew.add_weight_decay(decayed, 0.01)
keep("decayed", decayed.net)

old = cnn.CNNModelHelper(name="old", order="NCHW", use_cudnn=False)
hidden = old.Relu(old.Conv("data", "conv1", 3, 6, 5, pad=2, stride=2), "relu1")
old.Softmax(old.FC(old.MaxPool(hidden, "pool1", kernel=2, stride=2), "fc1", 24, 5), "softmax")
keep("old", old.net)
keep("old init", old.param_init_net)

# Sparse gradients: only the rows of the table that a batch looks up are updated.
BUILDERS = {
    "sgd": lambda m: optimizer.build_sgd(m, 0.5),
    "momentum": lambda m: optimizer.build_sgd(m, 0.1, momentum=0.5),
    "adagrad": lambda m: optimizer.build_adagrad(m, 0.5),
    "rowwise": lambda m: optimizer.build_adagrad(m, 0.5, rowWise=True, weight_decay=0.01),
    "adam": lambda m: optimizer.build_adam(m, 0.1),
    "rowwise adam": lambda m: optimizer.build_adam(m, 0.1, rowWise=True),
}
for name, build in BUILDERS.items():
    workspace.ResetWorkspace()
    model = model_helper.ModelHelper(name="sparse " + name)
    table = model.param_init_net.GivenTensorFill([], "table", shape=[5, 2], values=np.linspace(-1, 1, 10))
    model.AddParameter(table)
    rows = model.net.Gather([table, "rows"], "looked_up")
    loss = model.net.AveragedLoss(model.net.SquaredL2Distance([rows, "wanted"]), "loss")
    model.AddGradientOperators([loss])
    results[name + " gradient"] = np.array([str(blob) for blob in model.param_to_grad[table]])
    build(model)
    keep(name, model.net)
    keep(name + " init", model.param_init_net)
    workspace.RunNetOnce(model.param_init_net)
    workspace.FeedBlob("rows", np.array([0, 3], np.int32))
    workspace.FeedBlob("wanted", np.ones((2, 2), np.float32))
    workspace.CreateNet(model.net)
    workspace.RunNet(model.net, 20)
    results[name + " table"], results[name + " loss"] = workspace.FetchBlobs(["table", "loss"])

assert caffe2_pb2.CPU == 0
np.savez(sys.argv[1], **results)
