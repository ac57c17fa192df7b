"""A toy regression: a linear model finds the weights that its data was made with.

python regression.py RESULTS.npz    writes the losses, the weights found and the definitions made
"""

import sys

import numpy as np
from caffe2.python import core, model_helper, optimizer, workspace

results = {}
random = np.random.RandomState(7)
W_TRUE, B_TRUE = np.array([[2.0, 1.5]], np.float32), np.array([0.5], np.float32)


def batch():
    X = random.randn(64, 2).astype(np.float32)
    return X, X.dot(W_TRUE.T) + B_TRUE + 0.01 * random.randn(64, 1).astype(np.float32)


# By hand: an operator for each part of the update.
init = core.Net("init")
one = init.ConstantFill([], "ONE", shape=[1], value=1.0)
ITER = init.ConstantFill([], "ITER", shape=[1], value=0, dtype=core.DataType.INT64)
W = init.GivenTensorFill([], "W", shape=[1, 2], values=[-0.5, 0.25])
B = init.ConstantFill([], "B", shape=[1], value=0.0)

train = core.Net("train")
ground_truth = train.StopGradient("truth", "ground_truth")
prediction = train.FC(["X", W, B], "prediction")
distance = train.SquaredL2Distance([ground_truth, prediction], "distance")
loss = distance.AveragedLoss([], ["loss"])
gradients = train.AddGradientOperators([loss])
train.Iter(ITER, ITER)
rate = train.LearningRate(ITER, "rate", base_lr=-0.1, policy="step", stepsize=20, gamma=0.9)
train.WeightedSum([W, one, gradients[W], rate], W)
train.WeightedSum([B, one, gradients[B], rate], B)
results["init proto"] = np.frombuffer(init.Proto().SerializeToString(), np.uint8)
results["train proto"] = np.frombuffer(train.Proto().SerializeToString(), np.uint8)

workspace.RunNetOnce(init)
workspace.FeedBlob("X", np.zeros((1, 2), np.float32))
workspace.FeedBlob("truth", np.zeros((1, 1), np.float32))
workspace.CreateNet(train)
losses = []
for _ in range(60):
    X, truth = batch()
    workspace.FeedBlob("X", X)
    workspace.FeedBlob("truth", truth)
    workspace.RunNet(train.Proto().name)
    losses.append(workspace.FetchBlob("loss"))
results["losses"], results["W"], results["B"] = np.array(losses), workspace.FetchBlob("W"), workspace.FetchBlob("B")
print("found", results["W"], results["B"], "for", W_TRUE, B_TRUE)
np.testing.assert_allclose(results["W"], W_TRUE, atol=0.05)

# With the optimisers: the same model, its updates made for it.
BUILDERS = {
    "sgd": lambda m: optimizer.build_sgd(m, 0.1, policy="step", stepsize=20, gamma=0.9),
    "momentum": lambda m: optimizer.build_sgd(m, 0.05, momentum=0.9, policy="fixed", nesterov=False),
    "adagrad": lambda m: optimizer.build_adagrad(m, 0.5),
    "decaying": lambda m: optimizer.build_adagrad(m, 0.5, weight_decay=0.01, decay=0.9),
    "adam": lambda m: optimizer.build_adam(m, 0.1, beta1=0.8, policy="inv", gamma=0.001, power=0.75),
    "rmsprop": lambda m: optimizer.build_rms_prop(m, 0.05, decay=0.9, momentum=0.5),
    "clipped": lambda m: optimizer.build_sgd(m, 0.2, max_gradient_norm=1.0, allow_lr_injection=True),
}
for name, build in BUILDERS.items():
    workspace.ResetWorkspace()
    model = model_helper.ModelHelper(name=name)
    W = model.param_init_net.GivenTensorFill([], "W", shape=[1, 2], values=[-0.5, 0.25])
    B = model.param_init_net.ConstantFill([], "B", shape=[1], value=0.0)
    model.AddParameter(W)
    model.AddParameter(B)
    prediction = model.net.FC(["X", W, B], "prediction")
    loss = model.net.AveragedLoss(model.net.SquaredL2Distance([prediction, "truth"]), "loss")
    model.AddGradientOperators([loss])
    build(model)
    results[name + " init proto"] = np.frombuffer(model.param_init_net.Proto().SerializeToString(), np.uint8)
    results[name + " proto"] = np.frombuffer(model.net.Proto().SerializeToString(), np.uint8)
    workspace.RunNetOnce(model.param_init_net)
    X, truth = batch()
    workspace.FeedBlob("X", X)
    workspace.FeedBlob("truth", truth)
    workspace.CreateNet(model.net)
    losses = []
    for _ in range(40):
        workspace.RunNet(model.net)
        losses.append(workspace.FetchBlob("loss"))
    results[name + " losses"], results[name + " W"] = np.array(losses), workspace.FetchBlob("W")
    print(name, losses[0], "->", losses[-1], results[name + " W"])
    assert losses[-1] < losses[0]

np.savez(sys.argv[1], **results)
