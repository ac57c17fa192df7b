"""Normalisation of groups of channels, image by image: GroupNorm, InstanceNorm, and their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from caffe2ops.errors import GradientError
from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Arg, Step
from caffe2ops.ops.conv.geometry import Image, grouped
from caffe2ops.ops.norm.layer_norm import mean_of, mean_square
from caffe2ops.ops.shape.axes import differ

GROUP = (2, 3)  # the axes of a group of images [N, group, channels of a group, positions]


class ByGroup(Image):
    """Base: every group of channels of every image is normalised by its own mean and variance."""

    epsilon: float = Arg(1e-5, ge=0, doc="added to the variance")

    def groups(self, channels: Any) -> Any:
        """How many groups there are."""
        raise NotImplementedError

    def check_parameters(self, X: Any, **parameters: Any) -> tuple[Any, Any]:
        """Batch and number of groups. Raises ValueError for a parameter that has not one number for each channel."""
        batch, channels, _ = self.split("X", X.shape)
        for name, value in parameters.items():
            if differ(value.size, channels):
                raise ValueError(f"{name}: has {value.size} elements, X has {channels} channels")
        return batch, self.groups(channels)

    def check_moments(self, count: Any, dY: Any, X: Any, **moments: Any) -> None:
        """Raises ValueError where dY is not like X or a moment has not one number for each group of each image."""
        if len(dY.shape) != len(X.shape) or any(map(differ, dY.shape, X.shape)):
            raise ValueError(f"dY: shape is {list(dY.shape)}, wants that of X, {list(X.shape)}")
        for name, value in moments.items():
            if differ(value.size, count):
                raise ValueError(f"{name}: has {value.size} elements, wants {count}, one for each group of each image")

    def view(self, images: np.ndarray, count: int) -> np.ndarray:
        return grouped(images, count, self.channels_last)

    def by_channel(self, parameter: np.ndarray, count: int) -> np.ndarray:
        """A vector [C] as [group, channels of a group, 1]."""
        return parameter.reshape(count, -1, 1)

    def moments(self, x: np.ndarray) -> tuple[Any, Any]:
        """Mean and 1 / sqrt(variance + epsilon) of each group."""
        mean = mean_of(x, GROUP)
        return mean, 1 / np.sqrt(mean_square(x, GROUP, mean) + x.dtype.type(self.epsilon))

    def forward(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        X, gamma, beta = inputs
        count = self.groups(self.split("X", X.shape)[1])
        x, y = (self.view(images, count) for images in (X, outputs[0]))
        scale, shift = (self.by_channel(parameter, count) for parameter in (gamma, beta))

        def run() -> None:
            mean, rstd = self.moments(x)
            factor = rstd * scale
            np.multiply(x, factor, out=y)
            np.add(y, shift - mean * factor, out=y)
            for output, value in zip(outputs[1:], (mean, rstd)):
                output[...] = value.reshape(output.shape)

        return run

    def backward(
        self,
        dY: np.ndarray,
        X: np.ndarray,
        gamma: np.ndarray,
        mean: np.ndarray | None,
        rstd: np.ndarray | None,
        outputs: Sequence[np.ndarray],
    ) -> Step:
        count = self.groups(self.split("X", X.shape)[1])
        x, dy, dx = (self.view(images, count) for images in (X, dY, outputs[0]))
        scale = self.by_channel(gamma, count)
        given = [None if moment is None else moment.reshape(len(X), count, 1, 1) for moment in (mean, rstd)]

        def run() -> None:
            mu, r = given
            if mu is None or r is None:
                computed = self.moments(x)
                mu, r = (computed[i] if moment is None else moment for i, moment in enumerate((mu, r)))
            xhat = (x - mu) * r
            g = dy * scale
            dscale = np.add.reduce(dy * xhat, axis=(0, 3))
            dshift = np.add.reduce(dy, axis=(0, 3))
            dx[...] = (g - mean_of(g, GROUP) - xhat * mean_of(g * xhat, GROUP)) * r
            for output, value in zip(outputs[1:], (dscale, dshift)):
                output[...] = value.reshape(output.shape)

        return run

    def forward_cuda(self, X: Any, gamma: Any, beta: Any) -> tuple[Any, ...]:
        """Y, and mean and 1 / deviation of each group where they are outputs."""
        from caffe2ops.ops.norm import moments_cuda as cuda

        specs = self.infer(X, gamma, beta)
        outputs = tuple(self.out(i, spec.shape, X.dtype) for i, spec in enumerate(specs[: self.n_outputs]))
        count = self.groups(self.split("X", X.shape)[1])
        x = self._grouped(X, count)
        mean, variance = cuda.moments(x)
        rstd = cuda.RSTD(variance, out=variance, epsilon=self.epsilon)
        scale, shift = (self.by_channel(parameter, count) for parameter in (gamma, beta))
        self._ungrouped(partial(cuda.apply, x, mean, rstd, scale, shift), outputs[0], count)
        for output, value in zip(outputs[1:], (mean, rstd)):
            output[...] = value.reshape(output.shape)
        return outputs

    def backward_cuda(self, dY: Any, X: Any, gamma: Any, mean: Any, rstd: Any) -> tuple[Any, ...]:
        """Gradients of X, gamma and beta; moments that are None are computed anew."""
        from caffe2ops.ops.norm import moments_cuda as cuda

        outputs = tuple(self.out(i, a.shape, X.dtype) for i, a in enumerate((X, gamma, gamma)))
        count = self.groups(self.split("X", X.shape)[1])
        x, dy = self._grouped(X, count), self._grouped(dY, count)
        mu, r = (None if moment is None else moment.reshape(len(X), count, 1, 1) for moment in (mean, rstd))
        if mu is None or r is None:
            computed, variance = cuda.moments(x)
            mu = computed if mu is None else mu
            r = cuda.RSTD(variance, out=variance, epsilon=self.epsilon) if r is None else r
        scale, (dgamma, dbeta) = self.by_channel(gamma, count), outputs[1:]
        back = partial(cuda.backward, dy, x, mu, r, scale, dgamma=dgamma, dbeta=dbeta)
        self._ungrouped(lambda dx: back(dx=dx), outputs[0], count)
        return outputs

    def _grouped(self, images: Any, count: int) -> Any:
        """Images as [N, group, channels of a group, positions], C-contiguous."""
        import cupy

        return cupy.ascontiguousarray(self.view(images, count))

    def _ungrouped(self, write: Callable[[Any], Any], images: Any, count: int) -> None:
        """Has the images written as `_grouped` gives them."""
        import cupy

        view = self.view(images, count)
        if view.flags.c_contiguous:
            write(view)
        else:
            whole = cupy.empty(view.shape, view.dtype)
            write(whole)
            view[...] = whole

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        return Cost(9 * inputs[0].size, sum(s.nbytes for s in inputs), sum(s.nbytes for s in outputs))


class Groups(ByGroup):
    """Base of GroupNorm and its gradient: `group` groups of neighbouring channels."""

    group: int = Arg(32, ge=1, doc="how many groups the channels are cut into")
    num_groups: int = Arg(32, doc="the name in Caffe2's documentation; neither Caffe2 nor caffe2ops reads it")

    def groups(self, channels: Any) -> Any:
        if differ(channels % self.group, 0):
            raise ValueError(f"group = {self.group} does not divide the {channels} channels of X")
        return self.group


class GroupNorm(Groups):
    """Normalises every group of channels of every image to mean 0 and variance 1, then scales and shifts each channel.

    Y = (X - mean) * std * gamma + beta, std = 1 / sqrt(variance + epsilon). Raises ValueError where `group` does not
    divide the channels or a parameter does not fit them. Caffe2: operators/group_norm_op.
    """

    contract = "X: float, gamma: X, beta: X -> Y: X, mean?: X[?], std?: X[?]"
    docs = {
        "X": "images, in the order that `order` names, or a matrix [N, C]",
        "gamma": "one factor for each channel",
        "beta": "one number to add for each channel",
        "Y": "X normalised",
        "mean": "mean of each group of each image, [N, group]",
        "std": "1 / sqrt(variance + epsilon) of each group of each image, [N, group]",
    }
    arity = ((3, 1), (3, 3))

    @classmethod
    def make_gradient(cls, g: Any) -> list[Any]:
        if len(g.def_.output) < 3:
            raise GradientError("GroupNorm: its gradient reads outputs mean and std, which are not named")
        inputs = [g.GO(0), g.I(0), g.I(1), g.I(2), g.O(1), g.O(2)]
        return [g.op("GroupNormGradient", inputs, [g.GI(0), g.GI(1), g.GI(2)])]

    def infer(self, X: Any, gamma: Any, beta: Any) -> tuple[TensorSpec, ...]:
        moments = TensorSpec(self.check_parameters(X, gamma=gamma, beta=beta), X.dtype)
        return TensorSpec(X.shape, X.dtype), moments, moments

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        return self.forward(inputs, outputs)

    def run_cuda(self, X: Any, gamma: Any, beta: Any) -> Any:
        return self.forward_cuda(X, gamma, beta)


class GroupNormGradient(Groups):
    """Gradient of GroupNorm, from its mean and std.

    Raises ValueError where shapes do not fit. Caffe2: operators/group_norm_op.
    """

    contract = "dY: float, X: dY, gamma: dY, beta: dY, mean: dY, std: dY -> dX: X, dgamma: gamma, dbeta: gamma"

    def infer(self, dY: Any, X: Any, gamma: Any, beta: Any, mean: Any, std: Any) -> tuple[TensorSpec, ...]:
        batch, count = self.check_parameters(X, gamma=gamma)
        self.check_moments(batch * count, dY, X, mean=mean, std=std)
        return tuple(TensorSpec(a.shape, X.dtype) for a in (X, gamma, gamma))

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        dY, X, gamma, _, mean, std = inputs
        return self.backward(dY, X, gamma, mean, std, outputs)

    def run_cuda(self, dY: Any, X: Any, gamma: Any, beta: Any, mean: Any, std: Any) -> Any:
        self.infer(dY, X, gamma, beta, mean, std)
        return self.backward_cuda(dY, X, gamma, mean, std)


class Instances(ByGroup):
    """Base of InstanceNorm and its gradient: each channel is a group."""

    def groups(self, channels: Any) -> Any:
        return channels


class InstanceNorm(Instances):
    """Normalises every channel of every image to mean 0 and variance 1, then scales and shifts it.

    output = (input - mean) * inv_stdev * scale + bias, inv_stdev = 1 / sqrt(variance + epsilon). Raises ValueError
    where a parameter does not fit the channels. Caffe2: operators/instance_norm_op.
    """

    contract = """input: float, scale: input, bias: input
        -> output: input, saved_mean?: input[?], saved_inv_stdev?: input[?]"""
    docs = {
        "input": "images, in the order that `order` names",
        "scale": "one factor for each channel",
        "bias": "one number to add for each channel",
        "output": "input normalised",
        "saved_mean": "mean of each channel of each image, [N, C]",
        "saved_inv_stdev": "1 / sqrt(variance + epsilon) of each channel of each image, [N, C]",
    }
    inplace = ((0, 0),)
    gradient = """InstanceNormGradient(input, scale, bias, doutput, saved_mean?, saved_inv_stdev?)
        -> dinput, dscale, dbias"""

    def infer(self, X: Any, scale: Any, bias: Any) -> tuple[TensorSpec, ...]:
        moments = TensorSpec(self.check_parameters(X, scale=scale, bias=bias), X.dtype)
        return TensorSpec(X.shape, X.dtype), moments, moments

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        return self.forward(inputs, outputs)

    def run_cuda(self, X: Any, gamma: Any, beta: Any) -> Any:
        return self.forward_cuda(X, gamma, beta)


class InstanceNormGradient(Instances):
    """Gradient of InstanceNorm; mean and inverse standard deviation are computed anew where they are not given.

    Raises ValueError where shapes do not fit. Caffe2: operators/instance_norm_gradient_op.
    """

    contract = """input: float, scale: input, bias: input, doutput: input, mean?: input, inv_stdev?: input
        -> dinput: input, dscale: scale, dbias: scale"""

    def infer(self, X: Any, scale: Any, bias: Any, dY: Any, *moments: Any) -> tuple[TensorSpec, ...]:
        batch, count = self.check_parameters(X, scale=scale)
        self.check_moments(batch * count, dY, X, **dict(zip(("mean", "inv_stdev"), moments)))
        return tuple(TensorSpec(a.shape, X.dtype) for a in (X, scale, scale))

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        X, scale, _, dY, *moments = inputs
        mean, inv_stdev = (*moments, None, None)[:2]
        return self.backward(dY, X, scale, mean, inv_stdev, outputs)

    def run_cuda(self, X: Any, scale: Any, bias: Any, dY: Any, mean: Any = None, inv_stdev: Any = None) -> Any:
        self.infer(X, scale, bias, dY, *(moment for moment in (mean, inv_stdev) if moment is not None))
        return self.backward_cuda(dY, X, scale, mean, inv_stdev)
