"""Deformable convolution, whose taps are moved by offsets from place to place, and its gradient."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from caffe2ops.infer import UNKNOWN, Cost, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.conv.bilinear import corners
from caffe2ops.ops.conv.geometry import ConvPoolArgs, stacked
from caffe2ops.ops.shape.axes import differ


class Taps(NamedTuple):
    """Where the taps of one image lie, [groups, 4 corners, taps x positions] each: elements, weights, and how the
    value grows with the offset downwards and to the right.
    """

    elements: np.ndarray
    weights: np.ndarray
    downwards: np.ndarray
    rightwards: np.ndarray


class Deformable(ConvPoolArgs):
    """Base of deformable convolution and its gradient."""

    bind = Operator.bind  # where the taps lie follows from values
    order: str = Arg("NCHW", choices=("NCHW",), doc="where the channels stand: axis 1")
    group: int = Arg(1, choices=(1,), doc="1; Caffe2 writes past its buffers for more groups")
    deformable_group: int = Arg(1, ge=1, doc="channels are cut into this many groups, each with offsets of its own")
    no_bias: bool = Arg(False, doc="there is no bias; the gradient then has no dbias among its outputs")

    def outputs_of(self, X: Any, offset: Any, filter: Any) -> tuple[Any, ...]:
        """The shape of the output. Raises ValueError where inputs do not fit."""
        batch, channels, spatial = self.split("X", X.shape)
        kernel = tuple(self.spelled("kernels", 2, 0))
        wanted = (filter.shape[0], channels, *kernel)
        if any(map(differ, filter.shape, wanted)):
            raise ValueError(f"filter: shape is {list(filter.shape)}, wants {list(wanted)}")
        pads = self.explicit_pads(2)
        if pads[:2] != pads[2:] or self.legacy_pad or self.global_pooling:
            raise ValueError(f"padding {pads}, wants as much before as after, given as numbers")
        for name, count in (("channels", channels), ("filters", filter.shape[0])):
            if differ(count % self.deformable_group, 0):
                raise ValueError(f"deformable_group = {self.deformable_group} does not divide the {count} {name}")
        dims = self.out_dims(spatial)
        wanted = (batch, 2 * prod(kernel) * self.deformable_group, *dims)
        if any(map(differ, offset.shape, wanted)):
            raise ValueError(f"offset: shape is {list(offset.shape)}, wants {list(wanted)}")
        return (batch, filter.shape[0], *dims)

    def taps(self, X: np.ndarray, offset: np.ndarray) -> Taps:
        """Where the taps lie for the offsets of one image, [2 taps groups, places...]."""
        height, width = X.shape[2:]
        moves = offset.reshape(self.deformable_group, -1, 2, prod(offset.shape[1:]))
        windows = self.windows((height, width))
        shape = (*(w.kernel for w in windows), *(w.out for w in windows))
        at = []
        for axis, w in enumerate(windows):
            grid = np.arange(w.kernel)[:, None] * w.dilation + np.arange(w.out) * w.stride - w.head
            plain = np.broadcast_to(np.expand_dims(grid, (1 - axis, 3 - axis)), shape)
            at.append((plain.reshape(-1, moves.shape[3]) + moves[:, :, axis]).astype(X.dtype))
        y, x = (side.reshape(self.deformable_group, -1) for side in at)
        inside = (y >= 0) & (x >= 0) & (y < height) & (x < width)
        found = corners(np.where(inside, y, 0), np.where(inside, x, 0), height, width)
        across, down = found.across, found.down
        slopes = (
            np.stack([across - 1, -across, 1 - across, across]) * (found.rows[0] != found.rows[2]),
            np.stack([down - 1, 1 - down, -down, down]) * (found.columns[0] != found.columns[1]),
        )
        elements = np.where(inside, found.rows * width + found.columns, 0).swapaxes(0, 1)
        return Taps(elements, *((part * inside).swapaxes(0, 1) for part in (found.weights, *slopes)))

    def around(self, image: np.ndarray, taps: Taps) -> np.ndarray:
        """The elements around the taps, [groups, channels of a group, 4, taps x positions]."""
        flat = image.reshape(self.deformable_group, -1, prod(image.shape[1:]))
        found = np.take_along_axis(flat, taps.elements.reshape(self.deformable_group, 1, -1), axis=2)
        return found.reshape(*flat.shape[:2], *taps.elements.shape[1:])


class DeformConv(Deformable):
    """Convolution of images whose taps are moved: the offset of each tap at each place is added to where it lies.

    A tap between elements is interpolated between the four around it, one outside the image counts as 0. Offsets come
    as (down, right) of each tap of each deformable group. Raises ValueError where shapes do not fit, for padding that
    differs before and after, and for groups. Caffe2: operators/deform_conv_op.
    """

    contract = """X: float[N, C, H, W], offset: X[N, ?, ?, ?], filter: X[M, C, ?, ?], bias?: X[M]
        -> Y: X[?]"""
    docs = {
        "X": "images",
        "offset": "[N, 2 * taps * deformable_group, places...]: how far down and to the right each tap is moved",
        "filter": "weights [M, C, kernel...]",
        "bias": "one number for each of the M output channels",
        "Y": "images of M channels",
    }

    @classmethod
    def make_gradient(cls, g: Any) -> list[Any]:
        inputs, biases = [g.I(0), g.I(1), g.I(2), g.GO(0)], range(3, len(g.def_.input))
        no_bias = {} if biases else {"no_bias": 1}
        return [g.op("DeformConvGradient", inputs, [g.GI(i) for i in (1, 2, *biases, 0)], **no_bias)]

    def infer(self, X: Any, offset: Any, filter: Any, bias: Any = None) -> TensorSpec:
        return TensorSpec(self.outputs_of(X, offset, filter), X.dtype)

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        flops: Any = 2 * outputs[0].size * prod(inputs[2].shape[1:]) if inputs[2].known else UNKNOWN
        return Cost(flops, sum(s.nbytes for s in inputs), outputs[0].nbytes)

    def run_cpu(self, X: np.ndarray, offset: np.ndarray, filter: np.ndarray, bias: np.ndarray | None = None) -> Any:
        Y = self.out(0, self.outputs_of(X, offset, filter), X.dtype)
        W = stacked(filter, 1)[0]
        for image, moves, y in zip(X, offset, Y):
            taps = self.taps(X, moves)
            columns = np.einsum("gcip,gip->gcp", self.around(image, taps), taps.weights)
            np.matmul(W, columns.reshape(W.shape[1], -1), out=y.reshape(len(W), -1))
        if bias is not None:
            np.add(Y, bias[:, None, None], out=Y)
        return Y


class DeformConvGradient(Deformable):
    """Gradients of DeformConv: of offset, filter, bias (unless `no_bias`), and X where one more output is asked for.

    Raises ValueError where dY has not the shape of the output. Caffe2: operators/deform_conv_gradient_op.
    """

    contract = """X: float[N, C, H, W], offset: X[N, ?, ?, ?], filter: X[M, C, ?, ?], dY: X
        -> doffset: offset, dfilter: filter, dbias_or_dX?: X[?], dX?: X"""
    docs = {
        "X": "the images that went in",
        "offset": "the offsets",
        "filter": "the weights",
        "dY": "gradient of the output",
        "doffset": "gradient of the offsets",
        "dfilter": "gradient of the weights",
        "dbias_or_dX": "gradient of the bias; with no_bias that of X",
        "dX": "gradient of X",
    }

    def infer(self, X: Any, offset: Any, filter: Any, dY: Any) -> tuple[TensorSpec, ...]:
        least, most = (2, 3) if self.no_bias else (3, 4)
        if not least <= self.n_outputs <= most:
            raise ValueError(f"{self.n_outputs} outputs with no_bias = {int(self.no_bias)}, wants {least} or {most}")
        shape = self.outputs_of(X, offset, filter)
        if len(dY.shape) != len(shape) or any(map(differ, dY.shape, shape)):
            raise ValueError(f"dY: shape is {list(dY.shape)}, the output has {list(shape)}")
        shapes = (offset.shape, filter.shape, *([] if self.no_bias else [filter.shape[:1]]), X.shape)
        return tuple(TensorSpec(shape, X.dtype) for shape in shapes)

    def run_cpu(self, X: np.ndarray, offset: np.ndarray, filter: np.ndarray, dY: np.ndarray) -> Any:
        specs = self.infer(X, offset, filter, dY)
        outputs = [self.out(i, spec.shape, X.dtype) for i, spec in enumerate(specs[: self.n_outputs])]
        doffset, dfilter, *rest = outputs
        if not self.no_bias:
            np.sum(dY, axis=(0, 2, 3), out=rest.pop(0))
        W, dW = stacked(filter, 1)[0], stacked(dfilter, 1)[0]
        dW[...] = 0
        for i, dy in enumerate(dY.reshape(*dY.shape[:2], prod(dY.shape[2:]))):
            taps = self.taps(X, offset[i])
            around = self.around(X[i], taps)
            columns = np.einsum("gcip,gip->gcp", around, taps.weights)
            dW += dy @ columns.reshape(W.shape[1], -1).T
            sent = (W.T @ dy).reshape(columns.shape)
            moves = [np.einsum("gcp,gcip,gip->gp", sent, around, slope) for slope in (taps.downwards, taps.rightwards)]
            shape = (self.deformable_group, 2, -1, *offset.shape[2:])
            doffset[i] = np.stack(moves, axis=1).reshape(shape).swapaxes(1, 2).reshape(offset.shape[1:])
            for dX in rest:
                dX[i] = self._spread(sent, taps, X.shape[1:])
        return tuple(outputs)

    def _spread(self, sent: np.ndarray, taps: Taps, shape: tuple[int, ...]) -> np.ndarray:
        """What the taps of an image send back to its elements."""
        channels, size = shape[0], prod(shape[1:])
        values = sent[:, :, None] * taps.weights[:, None]
        at = np.arange(channels).reshape(*sent.shape[:2], 1, 1) * size + taps.elements[:, None]
        return np.bincount(at.reshape(-1), values.reshape(-1), channels * size).reshape(shape)
