"""Training on digits with model_helper and brew, from a database; exported and reloaded with both predictors.

python digits.py RESULTS.npz DIGITS.npz FOLDER    digits: data [N, 1, 8, 8], label [N]; the folder is for files
"""

import os
import sys

import numpy as np
from caffe2.proto import caffe2_pb2
from caffe2.python import brew, core, model_helper, optimizer, utils, workspace
from caffe2.python.predictor import mobile_exporter
from caffe2.python.predictor import predictor_exporter as exporter

results = {}
target, source = map(os.path.abspath, sys.argv[1:3])
os.chdir(sys.argv[3])
core.GlobalInit(["caffe2", "--caffe2_log_level=2"])
workspace.ResetWorkspace()
BATCH = 32

# The data: each digit moved about and made noisy, so that there are enough to learn from.
random = np.random.RandomState(3)
with np.load(source) as digits:
    images, labels = digits["data"].astype(np.float32), digits["label"].astype(np.int32)


def examples(count):
    which = random.randint(0, len(images), count)
    shifts = random.randint(-1, 2, (count, 2))
    moved = [np.roll(images[i], tuple(shift), (1, 2)) for i, shift in zip(which, shifts)]
    noisy = np.clip(np.array(moved) + 0.1 * random.randn(count, 1, 8, 8), 0, 1)
    return np.round(noisy * 255).astype(np.uint8), labels[which]


def write_database(path, count):
    database = workspace.C.create_db("minidb", path, workspace.C.Mode.write)
    transaction = database.new_transaction()
    for i, (image, label) in enumerate(zip(*examples(count))):
        pair = caffe2_pb2.TensorProtos()
        pixels = pair.protos.add(data_type=caffe2_pb2.TensorProto.BYTE, dims=image.shape)
        pixels.byte_data = image.tobytes()
        pair.protos.extend([utils.NumpyArrayToCaffe2Tensor(np.array([label]))])
        pair.protos[1].ClearField("dims")
        pair.protos[1].dims.append(1)
        transaction.put(f"{i:05d}", pair.SerializeToString())
    del transaction, database


write_database("train.minidb", 640)
write_database("test.minidb", 96)


def add_input(model, batch_size, path):
    pixels, label = brew.db_input(model, ["pixels", "raw_label"], batch_size=batch_size, db=path, db_type="minidb")
    data = model.Cast(pixels, "data_raw", to=core.DataType.FLOAT)
    data = model.Scale(data, "data", scale=1.0 / 256)
    label = model.FlattenToVec(label, "label")
    return model.StopGradient(data, data), label


def add_net(model, data, is_test):
    conv1 = brew.conv(model, data, "conv1", dim_in=1, dim_out=8, kernel=3, pad=1)
    bn1 = brew.spatial_bn(model, conv1, "bn1", 8, epsilon=1e-3, momentum=0.9, is_test=is_test)
    relu1 = brew.relu(model, bn1, "relu1")
    pool1 = brew.max_pool(model, relu1, "pool1", kernel=2, stride=2)
    with brew.arg_scope([brew.fc], weight_init=("UniformFill", {"min": -0.1, "max": 0.1})):
        hidden = brew.relu(model, brew.fc(model, pool1, "fc2", dim_in=8 * 4 * 4, dim_out=32), "relu2")
        score = brew.fc(model, hidden, "pred", dim_in=32, dim_out=10)
    return brew.softmax(model, score, "softmax")


def feed_parameters(model):
    """The same parameters wherever this runs: fillers draw differently."""
    numbers = np.random.RandomState(11)
    for param in model.params:
        value = workspace.FetchBlob(param)
        if str(param).endswith("_w"):
            workspace.FeedBlob(param, (numbers.randn(*value.shape) * 0.15).astype(np.float32))


arg_scope = {"order": "NCHW"}
train = model_helper.ModelHelper(name="train", arg_scope=arg_scope)
data, label = add_input(train, BATCH, "train.minidb")
softmax = add_net(train, data, is_test=False)
xent = train.LabelCrossEntropy([softmax, label], "xent")
loss = train.AveragedLoss(xent, "loss")
brew.accuracy(train, [softmax, label], "accuracy")
train.AddGradientOperators([loss])
optimizer.add_weight_decay(train, 1e-4)
optimizer.build_sgd(train, base_learning_rate=0.1, momentum=0.9, policy="step", stepsize=50, gamma=0.5)
results["train proto"] = np.frombuffer(train.net.Proto().SerializeToString(), np.uint8)
results["init proto"] = np.frombuffer(train.param_init_net.Proto().SerializeToString(), np.uint8)
results["params"] = np.array([str(p) for p in train.params])
results["computed"] = np.array([str(p) for p in train.GetComputedParams()])

workspace.RunNetOnce(train.param_init_net)
feed_parameters(train)
workspace.CreateNet(train.net, overwrite=True)
losses, accuracies = [], []
for _ in range(60):
    workspace.RunNet(train.net)
    losses.append(workspace.FetchBlob("loss"))
    accuracies.append(workspace.FetchBlob("accuracy"))
results["losses"], results["accuracies"] = np.array(losses), np.array(accuracies)
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, accuracy {np.mean(accuracies[-10:]):.3f}")

# Testing: the same parameters, other data.
test = model_helper.ModelHelper(name="test", arg_scope=arg_scope, init_params=False)
data, label = add_input(test, 96, "test.minidb")
softmax = add_net(test, data, is_test=True)
brew.accuracy(test, [softmax, label], "accuracy")
results["test proto"] = np.frombuffer(test.net.Proto().SerializeToString(), np.uint8)
workspace.RunNetOnce(test.param_init_net)
workspace.CreateNet(test.net, overwrite=True)
workspace.RunNet(test.net)
results["test accuracy"] = workspace.FetchBlob("accuracy")
print("test accuracy", results["test accuracy"])
assert results["test accuracy"] > 0.9

# Export: the net without its input, and the parameters, computed ones too.
deploy = model_helper.ModelHelper(name="deploy", arg_scope=arg_scope, init_params=False)
add_net(deploy, "data", is_test=True)
parameters = deploy.params + deploy.GetComputedParams()
image = workspace.FetchBlob("data")[:5]
expected = workspace.FetchBlob("softmax")[:5]
results["softmax"] = expected

init_net, predict_net = mobile_exporter.Export(workspace, deploy.net, parameters)
results["exported init"] = np.array([f"{op.type} {op.output[0]}" for op in init_net.op])
results["exported predict proto"] = np.frombuffer(predict_net.SerializeToString(), np.uint8)
for name, net in (("init_net.pb", init_net), ("predict_net.pb", predict_net)):
    with open(name, "wb") as file:
        file.write(net.SerializeToString())

meta = exporter.PredictorExportMeta(
    predict_net=deploy.net.Proto(), parameters=[str(p) for p in parameters], inputs=["data"], outputs=["softmax"]
)
exporter.save_to_db("minidb", "digits.minidb", meta)

# Reload: in a fresh workspace, from the files alone.
workspace.ResetWorkspace()
assert workspace.Blobs() == []
net = exporter.prepare_prediction_net("digits.minidb", "minidb")
workspace.FeedBlob("data", image)
workspace.RunNet(net)
results["reloaded"] = workspace.FetchBlob("softmax")
np.testing.assert_allclose(results["reloaded"], expected, atol=1e-5)

workspace.ResetWorkspace()
nets = []
for name in ("init_net.pb", "predict_net.pb"):
    nets.append(caffe2_pb2.NetDef())
    with open(name, "rb") as file:
        nets[-1].ParseFromString(file.read())
predictor = workspace.Predictor(*nets)
results["predicted"] = predictor.run({"data": image})[0]
np.testing.assert_allclose(results["predicted"], expected, atol=1e-5)
results["answers"] = results["predicted"].argmax(1)

np.savez(target, **results)
