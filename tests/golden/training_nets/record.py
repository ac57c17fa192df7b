"""Record whole training nets, built and differentiated by the real Caffe2.

    ~/.cache/caffe2-reference/bin/python tests/golden/training_nets/record.py

Each function below builds a net and names what to differentiate. Written are NAME.pbtxt (the net, forward operators first, then
what Caffe2 appended) and index.json: {NAME: {"forward": operators before, "gradient": operators after, "ys": ..., "skip": ...,
"map": {blob: gradient or [indices, values]}}}, or {"error": first line} where Caffe2 refuses (then NAME.pbtxt has the forward
operators only). Runs under the reference's interpreter (Python 3.9), hence no newer syntax.
"""

import json
import os

from caffe2.proto import caffe2_pb2
from caffe2.python import brew, core, model_helper, optimizer
from google.protobuf import text_format

FOLDER = os.path.dirname(os.path.abspath(__file__))
NETS = {}


def net(**options):
    """Register a builder: it gets an empty core.Net and returns ys (a list of blobs or {blob: gradient blob or None})."""

    def register(build):
        NETS[build.__name__] = (build, options)
        return build

    return register


def slice_of(indices, values):
    return core.GradientSlice(core.BlobReference(indices), core.BlobReference(values))


# One operator after another


@net()
def chain(n):
    n.Sin("in", "hidden")
    n.Sigmoid("hidden", "hidden2")
    n.Tanh("hidden2", "out")
    return ["out"]


@net()
def chain_in_place(n):
    n.FC(["X", "W", "b"], "h")
    n.Scale("h", "h", scale=2.0)
    n.Relu("h", "h")
    n.Tanh("h", "out")
    return ["out"]


@net()
def in_place_twice_with_output(n):
    n.FC(["X", "W", "b"], "h")
    n.Relu("h", "h")
    n.Sigmoid("h", "h")
    n.Tanh("h", "out")
    return ["out"]


@net()
def input_overwritten(n):
    """Sin wants its input back, but Relu has written over it."""
    n.Sin("in", "hidden")
    n.Relu("in", "in")
    n.Sin("hidden", "out")
    return ["out"]


@net()
def output_overwritten(n):
    """Sigmoid wants its output back, but it was computed twice under one name."""
    n.Sigmoid("in", "hidden")
    n.Tanh("hidden", "out")
    n.Sigmoid("in2", "hidden")
    return ["out"]


@net()
def output_overwritten_in_place(n):
    n.Sigmoid("in", "hidden")
    n.Relu("hidden", "hidden")
    n.Sin("hidden", "out")
    return ["out"]


@net()
def gradient_given(n):
    n.Sin("in", "hidden")
    n.Tanh("hidden", "out")
    return {"out": "my_gradient"}


@net()
def gradient_given_for_one_of_two(n):
    n.Sin("in", "a")
    n.Tanh("in", "b")
    return {"a": "a_seed", "b": None}


@net()
def y_in_the_middle(n):
    """A loss that later operators read as well."""
    n.Sin("in", "middle")
    n.Tanh("middle", "out")
    return ["middle", "out"]


@net()
def y_in_the_middle_alone(n):
    n.Sin("in", "middle")
    n.Tanh("middle", "out")
    return ["middle"]


@net()
def y_is_an_input(n):
    n.Sin("in", "out")
    return ["in", "out"]


@net()
def nothing_depends_on_it(n):
    n.Sin("in", "out")
    n.Tanh("other", "unused")
    return ["out"]


@net()
def two_losses(n):
    n.FC(["X", "W", "b"], "h")
    n.Relu("h", "r")
    n.AveragedLoss("r", "loss1")
    n.Sin("h", "s")
    n.AveragedLoss("s", "loss2")
    return ["loss1", "loss2"]


@net(skip=1)
def skip_first(n):
    n.ConstantFill([], "in", shape=[3], value=1.0)
    n.Sin("in", "hidden")
    n.Tanh("hidden", "out")
    return ["out"]


@net()
def sqr(n):
    """Sqr scales the gradient that comes in, in place, whoever else reads it."""
    n.Tanh("in", "a")
    n.Sqr("in", "b")
    n.Sum(["a", "b"], "out")
    return ["out"]


# Several readers: the gradient is split, and summed


@net()
def two_readers(n):
    n.Tanh("in", "h1")
    n.Sin("in", "h2")
    n.Mul(["h1", "h2"], "out")
    return ["out"]


@net()
def three_readers(n):
    n.Tanh("in", "a")
    n.Sin("in", "b")
    n.Sigmoid("in", "c")
    n.Sum(["a", "b", "c"], "out")
    return ["out"]


@net()
def both_inputs_the_same(n):
    n.Mul(["in", "in"], "out")
    return ["out"]


@net()
def both_inputs_the_same_twice(n):
    n.Mul(["in", "in"], "hidden")
    n.Mul(["hidden", "hidden"], "out")
    return ["out"]


@net()
def add_both_inputs_the_same(n):
    n.Add(["in", "in"], "out")
    return ["out"]


@net()
def sum_passes_its_gradient(n):
    """Sum emits no operator: the gradients are the output's own."""
    n.Sum(["a", "b"], "h")
    n.Sin("h", "out")
    return ["out"]


@net()
def sum_of_the_same_three_times(n):
    n.Sum(["in", "in", "in"], "h")
    n.Sin("h", "out")
    return ["out"]


@net()
def sum_and_another_reader(n):
    n.Sum(["in", "b"], "h")
    n.Sin("in", "s")
    n.Mul(["h", "s"], "out")
    return ["out"]


@net()
def sum_of_sums(n):
    n.Sum(["in", "a"], "h1")
    n.Sum(["in", "b"], "h2")
    n.Sum(["h1", "h2"], "h")
    n.AveragedLoss("h", "loss")
    return ["loss"]


@net()
def sum_in_place(n):
    n.Sin("in", "a")
    n.Tanh("in", "b")
    n.Sum(["a", "b"], "a")
    n.Sigmoid("a", "out")
    return ["out"]


@net()
def read_before_and_after_in_place(n):
    """Two versions of one blob, each with readers of its own."""
    n.FC(["X", "W", "b"], "h")
    n.Scale("h", "s", scale=3.0)
    n.Scale("h", "h", scale=0.5)
    n.Scale("h", "t", scale=5.0)
    n.Sin("t", "u")
    n.Mul(["s", "u"], "out")
    return ["out"]


@net()
def sum_in_place_of_a_read_blob(n):
    """Sum passes its output gradient on, under the name of the overwritten blob."""
    n.FC(["X", "W", "b"], "h")
    n.Scale("h", "s", scale=3.0)
    n.Sum(["h", "in2"], "h")
    n.Scale("h", "t", scale=5.0)
    n.Sin("t", "u")
    n.Mul(["s", "u"], "out")
    return ["out"]


@net()
def residual(n):
    n.FC(["X", "W1", "b1"], "h1")
    n.Relu("h1", "h1")
    n.FC(["h1", "W2", "b2"], "h2")
    n.Sum(["h2", "h1"], "h3")
    n.Relu("h3", "h3")
    n.FC(["h3", "W2", "b2"], "out")
    n.AveragedLoss("out", "loss")
    return ["loss"]


@net()
def shared_weights(n):
    n.FC(["X1", "W", "b"], "h1")
    n.FC(["X2", "W", "b"], "h2")
    n.FC(["X3", "W", "b"], "h3")
    n.Sum(["h1", "h2", "h3"], "h")
    n.AveragedLoss("h", "loss")
    return ["loss"]


@net()
def reader_without_gradient(n):
    """One of two readers has an integer output and passes nothing back."""
    n.Tanh("in", "h")
    n.ArgMax("h", "index")
    n.Sin("h", "out")
    return ["out"]


@net()
def unused_output_of_split(n):
    n.Split("in", ["a", "b"], axis=1)
    n.Tanh("a", "out")
    return ["out"]


@net()
def split_both_outputs(n):
    n.Split("in", ["a", "b"], axis=1)
    n.Mul(["a", "b"], "out")
    return ["out"]


@net()
def concat(n):
    n.Tanh("x", "a")
    n.Sin("x", "b")
    n.Concat(["a", "b", "x"], ["c", "c_dims"], axis=1)
    n.AveragedLoss("c", "loss")
    return ["loss"]


@net()
def y_read_twice_with_own_gradient(n):
    n.Sin("in", "y")
    n.Tanh("y", "a")
    n.Sigmoid("y", "b")
    return {"y": "y_seed", "a": "a_seed", "b": None}


# Where the gradient stops


@net()
def stop_gradient_in_place(n):
    n.Sin("in", "h")
    n.StopGradient("h", "h")
    n.Tanh("h", "out")
    return ["out"]


@net()
def stop_gradient_on_one_path(n):
    n.Sin("in", "h")
    n.StopGradient("h", "stopped")
    n.Tanh("stopped", "a")
    n.Sigmoid("h", "b")
    n.Mul(["a", "b"], "out")
    return ["out"]


@net()
def stop_gradient_orphan(n):
    n.Sin("in", "h")
    n.StopGradient("h", "h_stopped")
    n.Tanh("h", "out")
    return ["out"]


@net()
def stop_gradient_of_an_input(n):
    n.StopGradient("X", "X")
    n.FC(["X", "W", "b"], "h")
    n.AveragedLoss("h", "loss")
    return ["loss"]


@net()
def zero_gradient(n):
    n.Tanh("in", "h")
    n.ZeroGradient("h", [])
    n.Sin("h", "out")
    return ["out"]


@net()
def zero_gradient_alone(n):
    n.Tanh("in", "h")
    n.Sin("in", "out")
    n.ZeroGradient("h", [])
    return ["out"]


@net()
def forbidden(n):
    n.Tanh("in", "h")
    n.Accuracy(["h", "label"], "accuracy")
    return ["accuracy"]


@net()
def no_maker(n):
    n.Tanh("in", "h")
    n.SigmoidGradient(["h", "dh"], "out")
    return ["out"]


@net()
def not_implemented(n):
    n.BatchBoxCox(["X", "l1", "l2"], "h")
    n.AveragedLoss("h", "loss")
    return ["loss"]


# Sparse gradients


@net()
def gather_one(n):
    n.Gather(["table", "indices"], "rows")
    n.AveragedLoss("rows", "loss")
    return ["loss"]


@net()
def gather_twice_from_one_table(n):
    n.Gather(["table", "indices1"], "rows1")
    n.Gather(["table", "indices2"], "rows2")
    n.Mul(["rows1", "rows2"], "product")
    n.AveragedLoss("product", "loss")
    return ["loss"]


@net()
def gather_three_times_sharing_indices(n):
    n.Gather(["table", "indices"], "rows1")
    n.Gather(["table", "indices"], "rows2")
    n.Gather(["table", "others"], "rows3")
    n.Sum(["rows1", "rows2", "rows3"], "rows")
    n.Sin("rows", "squares")
    n.AveragedLoss("squares", "loss")
    return ["loss"]


@net()
def gather_of_a_computed_table(n):
    """The sparse gradient meets an operator that wants a dense one."""
    n.Tanh("raw", "table")
    n.Gather(["table", "indices"], "rows")
    n.AveragedLoss("rows", "loss")
    return ["loss"]


@net()
def dense_and_sparse_reader(n):
    n.Gather(["table", "indices"], "rows")
    n.MatMul(["rows", "table"], "scores", trans_b=1)
    n.AveragedLoss("scores", "loss")
    return ["loss"]


@net()
def sparse_lengths_sums(n):
    n.SparseLengthsSum(["table", "indices1", "lengths1"], "pooled1")
    n.SparseLengthsSum(["table", "indices2", "lengths2"], "pooled2")
    n.Concat(["pooled1", "pooled2"], ["pooled", "dims"], axis=1)
    n.FC(["pooled", "W", "b"], "h")
    n.AveragedLoss("h", "loss")
    return ["loss"]


@net()
def sparse_lengths_weighted_sum(n):
    n.SparseLengthsWeightedSum(["table", "weights", "indices", "lengths"], "pooled", grad_on_weights=1)
    n.AveragedLoss("pooled", "loss")
    return ["loss"]


@net()
def sparse_y(n):
    n.Gather(["table", "indices"], "rows")
    return {"rows": "rows_seed"}


@net()
def sparse_y_given_as_slice(n):
    n.Alias("table", "same")
    n.Gather(["same", "indices"], "rows")
    return {"same": slice_of("seed_indices", "seed_values")}


@net()
def slice_through_a_sum(n):
    n.Sum(["table1", "table2"], "table")
    n.Gather(["table", "indices"], "rows")
    n.AveragedLoss("rows", "loss")
    return ["loss"]


@net()
def lengths_top_k(n):
    n.LengthsTopK(["scores", "lengths"], ["values", "indices"], k=3)
    n.FC(["values", "W", "b"], "h")
    n.AveragedLoss("h", "loss")
    return ["loss"]


@net()
def embedding_tower(n):
    """Two towers over one table, tied by a dot product, as in a two-tower recommender."""
    for side in ("user", "item"):
        n.Gather(["table", side + "_ids"], side + "_rows")
        n.LengthsSum([side + "_rows", side + "_lengths"], side + "_pooled")
        n.FC([side + "_pooled", "W", "b"], side + "_h")
        n.Relu(side + "_h", side + "_h")
    n.DotProduct(["user_h", "item_h"], "scores")
    n.SigmoidCrossEntropyWithLogits(["scores", "label"], "xent")
    n.AveragedLoss("xent", "loss")
    return ["loss"]


# Names, devices, arguments


@net()
def names_in_scopes(n):
    with core.NameScope("left"):
        n.Sin("in", "h")
        with core.NameScope("deeper"):
            n.Tanh("in", "h")
    n.Mul(["left/h", "left/deeper/h"], "out")
    return ["out"]


@net()
def names_that_end_in_grad(n):
    n.Sin("x_grad", "h")
    n.Tanh("x_grad", "h_grad")
    n.Mul(["h", "h_grad"], "out")
    return ["out"]


@net()
def device_and_engine(n):
    with core.DeviceScope(core.DeviceOption(caffe2_pb2.CUDA, 1)):
        n.Conv(["X", "w", "b"], "c", kernel=3, pad=1, order="NCHW", engine="CUDNN", name="first")
        n.Sigmoid("c", "s", engine="CUDNN")
        n.Tanh("c", "t")
        n.Mul(["s", "t"], "out")
    return ["out"]


@net()
def split_gradients_on_a_device(n):
    with core.DeviceScope(core.DeviceOption(caffe2_pb2.CUDA, 0)):
        n.Tanh("in", "a")
        n.Sin("in", "b")
        n.Sum(["a", "b"], "out")
    return ["out"]


@net()
def arguments_are_copied(n):
    n.LeakyRelu("x", "a", alpha=0.2)
    n.Dropout("a", ["d", "mask"], ratio=0.3, is_test=0)
    n.LRN("d", ["l", "scale"], size=5, alpha=1e-4, beta=0.75, bias=1.0, order="NCHW")
    n.Transpose("l", "t", axes=[0, 2, 3, 1])
    n.Reshape("t", ["r", "old"], shape=[0, -1])
    n.Softmax("r", "p", axis=1)
    n.LabelCrossEntropy(["p", "label"], "xent")
    n.AveragedLoss("xent", "loss")
    return ["loss"]


@net()
def many_shapes(n):
    n.Squeeze("x", "a", dims=[0])
    n.ExpandDims("a", "b", dims=[1])
    n.Flatten("b", "c", axis=1)
    n.Slice("c", "d", starts=[0, 1], ends=[-1, -1])
    n.PadImage("img", "padded", pad=1)
    n.Scale("d", "e", scale=2.0)
    n.Cast("e", "f", to=1, from_type=1)
    n.Clip("f", "g", min=0.0, max=1.0)
    n.Pow("g", "h", exponent=3.0)
    n.SumElements("h", "loss", average=True)
    return ["loss"]


@net()
def broadcasting_binary(n):
    n.Add(["x", "b"], "s", broadcast=1, axis=1)
    n.Sub(["s", "c"], "d", broadcast=1)
    n.Mul(["d", "e"], "m")
    n.Div(["m", "f"], "q")
    n.AveragedLoss("q", "loss")
    return ["loss"]


@net()
def spatial_bn(n):
    n.SpatialBN(["x", "scale", "bias", "mean", "var"], ["y", "mean", "var", "saved_mean", "saved_var"], is_test=0)
    n.Relu("y", "y")
    n.AveragePool("y", "p", kernel=2, stride=2)
    n.MaxPool("p", "q", kernel=2, stride=2)
    n.PRelu(["q", "slope"], "r")
    n.AveragedLoss("r", "loss")
    return ["loss"]


@net()
def losses(n):
    n.FC(["X", "W", "b"], "h")
    n.SoftmaxWithLoss(["h", "label"], ["softmax", "loss1"])
    n.SquaredL2Distance(["h", "target"], "distance")
    n.AveragedLoss("distance", "loss2")
    n.MSRAFill([], "unused", shape=[2])
    return {"loss1": None, "loss2": "half"}


# Whole models, as people wrote them


def mlp_model():
    model = model_helper.ModelHelper("mlp")
    h = brew.fc(model, "data", "fc1", 8, 6)
    h = brew.relu(model, h, h)
    h = brew.fc(model, h, "fc2", 6, 4)
    h = brew.tanh(model, h, "tanh2")
    h = brew.fc(model, h, "fc3", 4, 3)
    _, loss = model.net.SoftmaxWithLoss([h, "label"], ["softmax", "loss"])
    return model, loss


def lenet_model():
    model = model_helper.ModelHelper("lenet", arg_scope={"order": "NCHW"})
    h = brew.conv(model, "data", "conv1", dim_in=1, dim_out=20, kernel=5)
    h = brew.max_pool(model, h, "pool1", kernel=2, stride=2)
    h = brew.conv(model, h, "conv2", dim_in=20, dim_out=50, kernel=5)
    h = brew.max_pool(model, h, "pool2", kernel=2, stride=2)
    h = brew.fc(model, h, "fc3", 50 * 4 * 4, 500)
    h = brew.relu(model, h, h)
    h = brew.fc(model, h, "pred", 500, 10)
    softmax = brew.softmax(model, h, "softmax")
    xent = model.LabelCrossEntropy([softmax, "label"], "xent")
    loss = model.AveragedLoss(xent, "loss")
    brew.accuracy(model, [softmax, "label"], "accuracy")
    return model, loss


def resnet_model():
    model = model_helper.ModelHelper("resnet", arg_scope={"order": "NCHW"})
    h = brew.conv(model, "data", "conv1", 3, 8, kernel=3, pad=1, no_bias=1)
    h = brew.spatial_bn(model, h, "bn1", 8, is_test=False)
    h = brew.relu(model, h, h)
    for i in (2, 3):
        shortcut = h
        h = brew.conv(model, h, "conv%d" % i, 8, 8, kernel=3, pad=1, no_bias=1)
        h = brew.spatial_bn(model, h, "bn%d" % i, 8, is_test=False)
        h = brew.sum(model, [h, shortcut], "sum%d" % i)
        h = brew.relu(model, h, h)
    h = brew.average_pool(model, h, "pool", kernel=4)
    h = brew.fc(model, h, "last", 8, 5)
    _, loss = model.net.SoftmaxWithLoss([h, "label"], ["softmax", "loss"])
    return model, loss


def recommender_model():
    model = model_helper.ModelHelper("recommender")
    table = model.param_init_net.UniformFill([], "table", shape=[50, 8])
    model.AddParameter(table)
    clicks = model.net.SparseLengthsSum([table, "click_ids", "click_lengths"], "clicks")
    views = model.net.SparseLengthsSum([table, "view_ids", "view_lengths"], "views")
    pooled, _ = model.net.Concat([clicks, views], ["pooled", "pooled_dims"], axis=1)
    h = brew.fc(model, pooled, "fc1", 16, 4)
    h = brew.relu(model, h, h)
    h = brew.fc(model, h, "logit", 4, 1)
    xent = model.net.SigmoidCrossEntropyWithLogits([h, "label"], "xent")
    return model, model.net.AveragedLoss(xent, "loss")


MODELS = {
    "model_mlp_sgd": (mlp_model, lambda m: optimizer.build_sgd(m, base_learning_rate=0.1)),
    "model_mlp_adam": (mlp_model, lambda m: optimizer.build_adam(m, base_learning_rate=0.01)),
    "model_lenet_momentum": (
        lenet_model,
        lambda m: optimizer.build_sgd(m, 0.1, policy="step", stepsize=1, gamma=0.999, momentum=0.9),
    ),
    "model_resnet_sgd": (resnet_model, lambda m: optimizer.build_sgd(m, base_learning_rate=0.1)),
    "model_recommender_adagrad": (recommender_model, lambda m: optimizer.build_adagrad(m, base_learning_rate=0.1)),
}


def plain(gradient):
    if isinstance(gradient, core.GradientSlice):
        return [str(gradient.indices), str(gradient.values)]
    return None if gradient is None else str(gradient)


def write(name, proto):
    with open(os.path.join(FOLDER, name + ".pbtxt"), "w") as f:
        f.write(text_format.MessageToString(proto))


def record_net(name, build, skip=0):
    n = core.Net(name)
    n.Proto().name = name  # without Caffe2's counter
    ys = build(n)
    entry = {"forward": len(n.Proto().op), "skip": skip}
    entry["ys"] = ys if isinstance(ys, list) else {y: plain(g) for y, g in ys.items()}
    try:
        gradients = n.AddGradientOperators(ys, skip=skip)
        entry["gradient"] = len(n.Proto().op) - entry["forward"]
        entry["map"] = {str(blob): plain(g) for blob, g in gradients.items()}
    except Exception as error:
        entry["error"] = str(error).splitlines()[0]
    write(name, n.Proto())
    return entry


def record_model(name, build, optimise):
    model, loss = build()
    entry = {"forward": len(model.net.Proto().op), "skip": 0, "ys": [str(loss)]}
    model.AddGradientOperators([loss])
    entry["gradient"] = len(model.net.Proto().op) - entry["forward"]
    entry["map"] = {str(blob): plain(g) for blob, g in model.param_to_grad.items()}
    entry["map_of"] = "parameters"
    optimise(model)
    model.net.Proto().name = name
    model.param_init_net.Proto().name = name + "_init"
    write(name, model.net.Proto())
    write(name + ".init", model.param_init_net.Proto())
    return entry


def main():
    core.GlobalInit(["record", "--caffe2_log_level=3"])
    index = {name: record_net(name, build, **options) for name, (build, options) in sorted(NETS.items())}
    index.update({name: record_model(name, *parts) for name, parts in MODELS.items()})
    with open(os.path.join(FOLDER, "index.json"), "w") as f:
        json.dump(index, f, indent=1)  # the order of ys counts
        f.write("\n")
    for name, entry in index.items():
        print("%-40s %3d + %3s %s" % (name, entry["forward"], entry.get("gradient", "-"), entry.get("error", "")[:90]))


if __name__ == "__main__":
    main()
