"""Trains the net of this folder with caffe2ops, on scikit-learn's handwritten digits, and writes it as Caffe2 would.

    pip install 'caffe2ops[examples]'
    python examples/digits/train.py

Writes init_net.pb (parameters), predict_net.pb and digits.npz (one test image of each class and two hard ones) beside
this file, and
prints the accuracy on the test images, a fifth of all, which are not trained on. The seed is fixed: a second run
gives the same net.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caffe2ops import Net, NetDef, OperatorDef, Workspace, dump

HERE = Path(__file__).parent
EPOCHS, BATCH = 40, 64


def lenet(net: Net, data: str) -> str:
    """Two convolutions, a pooling, two fully connected layers: data [N, 1, 8, 8] to scores [N, 10]."""
    conv1 = net.Relu(net.Conv([data, "conv1_w", "conv1_b"], "conv1", kernel=3, pad=1), "conv1")
    conv2 = net.Relu(net.Conv([conv1, "conv2_w", "conv2_b"], "conv2", kernel=3, pad=1), "conv2")
    pool = net.MaxPool(conv2, "pool", kernel=2, stride=2)
    hidden = net.Relu(net.FC([pool, "fc1_w", "fc1_b"], "fc1"), "fc1")
    return str(net.FC([hidden, "fc2_w", "fc2_b"], "scores"))


def initial(shapes: dict[str, list[int]]) -> Net:
    """The net that makes the parameters: He's filling for weights, zeros for biases and the optimiser's moments."""
    net = Net("digits_init")
    for name, shape in shapes.items():
        if name.endswith("_b"):
            net.ConstantFill([], name, shape=shape)
        else:
            net.MSRAFill([], name, shape=shape)
        for moment in ("m1", "m2"):
            net.ConstantFill([], f"{name}_{moment}", shape=shape)
    net.ConstantFill([], "iter", shape=[1], value=0, dtype=10)
    return net


def training(parameters: list[str]) -> Net:
    """Forward pass, loss, generated gradients, and Adam on every parameter."""
    net = Net("digits_train")
    scores = lenet(net, "data")
    _, loss = net.SoftmaxWithLoss([scores, "label"], ["probability", "loss"])
    gradients = net.add_gradients([loss])
    net.Iter("iter", "iter")
    rate = net.LearningRate("iter", "rate", base_lr=-0.002, policy="step", stepsize=300, gamma=0.7)
    for name in parameters:
        blobs = [name, f"{name}_m1", f"{name}_m2"]
        net.Adam([*blobs, gradients[name], rate, "iter"], blobs)
    return net


def shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every image moved by up to one pixel each way: eight times as many examples for nothing."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows, columns = rng.integers(0, 3, (2, len(images)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (8, 8), axis=(2, 3))
    return windows[np.arange(len(images)), 0, rows, columns][:, None]


def main() -> None:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images, labels = (digits.images / 16).astype(np.float32)[:, None], digits.target.astype(np.int32)
    x, x_test, y, y_test = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)

    shapes = {
        "conv1_w": [16, 1, 3, 3], "conv1_b": [16], "conv2_w": [32, 16, 3, 3], "conv2_b": [32],
        "fc1_w": [64, 32 * 4 * 4], "fc1_b": [64], "fc2_w": [10, 64], "fc2_b": [10],
    }  # fmt: skip
    workspace = Workspace(seed=0)
    workspace.run(initial(shapes))
    workspace.feed("data", x[:BATCH])
    workspace.feed("label", y[:BATCH])
    train = workspace.create(training(list(shapes)))
    rng = np.random.default_rng(0)
    for epoch in range(EPOCHS):
        order, losses = rng.permutation(len(x)), []
        for start in range(0, len(x) - BATCH + 1, BATCH):
            batch = order[start : start + BATCH]
            workspace.feed("data", shifted(x[batch], rng))
            workspace.feed("label", y[batch])
            train.run()
            losses.append(float(workspace.fetch("loss")))
        print(f"epoch {epoch + 1:2}: loss {np.mean(losses):.4f}")

    predict = Net("digits")
    predict.add_input("data", *shapes)
    predict.Softmax(lenet(predict, "data"), "probability")
    predict.add_output("probability")
    workspace.feed("data", x_test)
    workspace.run(predict)
    probability = workspace.fetch("probability")
    right = probability.argmax(1) == y_test
    print(f"test accuracy: {right.mean():.2%} of {len(y_test)}")

    chosen = [int(np.flatnonzero(y_test == digit)[0]) for digit in range(10)]
    chosen += [int(i) for i in probability.max(1).argsort() if i not in chosen][:2]
    fills = [
        OperatorDef(type="GivenTensorFill", output=name, args={"shape": shape, "values": workspace.fetch(name).ravel()})
        for name, shape in shapes.items()
    ]
    dump(NetDef(name="digits_init", op=fills), HERE / "init_net.pb")
    dump(predict.definition, HERE / "predict_net.pb")
    np.savez_compressed(HERE / "digits.npz", data=x_test[chosen], label=y_test[chosen])


if __name__ == "__main__":
    main()
