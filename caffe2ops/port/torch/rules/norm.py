"""Normalisation: of channels, groups, rows and neighbourhoods; and softmax."""

from __future__ import annotations

from typing import Any

from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.rules.image import back, first
from caffe2ops.port.torch.rules.shape import like, matrix
from caffe2ops.port.torch.text import literal, raised
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Several, Writer
from caffe2ops.port.values import NotPortable


def _flat(a: Any) -> Any:
    return a.reshape(-1)


@rule("Softmax")
def softmax(t: Writer, op: Any, x: Tensor) -> str:
    axis = op.axis % x.rank
    if axis == x.rank - 1:
        return f"F.softmax({x}, {axis})"
    return like(f"F.softmax({matrix(x, axis)}, 1)", x)


@rule("SpatialBN")
def spatial_bn(
    t: Writer, op: Any, X: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor, *sums: Any
) -> Any:
    parameters = (scale, bias, mean, var)
    axis = X.rank - 1 if op.channels_last else 1
    updated = all(v.updated and v.size == X.shape[axis] for v in (mean, var)) and not any(map(t.wanted, range(1, 5)))
    module = scale.owned and bias.owned and (mean.owned and var.owned if op.is_test else updated) and 2 <= X.rank <= 5
    if not op.is_test and (sums or X.rank < 2):
        raise NotPortable("normalises by sums over several batches; set is_test = 1")
    if not (op.is_test or module):
        flat = [f"{v}.flatten()" if v.rank != 1 else str(v) for v in parameters]
        if not all(v.size == X.shape[axis] for v in (mean, var)):
            flat[2:] = [f"torch.zeros_like({v})" for v in flat[:2]]
        t.use("batch_norm")
        return Several(
            f"batch_norm({X}, {', '.join(flat)}, {literal(op.epsilon)}, {literal(op.momentum)}, axis={axis})"
        )
    x = first(t, op, X)
    if module:
        kind = {2: 1, 3: 1, 4: 2, 5: 3}[X.rank]
        eps = "" if op.epsilon == 1e-5 else f", eps={literal(op.epsilon)}"
        momentum = 0.1 if op.is_test else round(1 - op.momentum, 6)
        follow = "" if momentum == 0.1 else f", momentum={literal(momentum)}"
        made = t.module(
            f"nn.BatchNorm{kind}d({scale.size}{eps}{follow})",
            {
                "weight": (scale, _flat), "bias": (bias, _flat), "running_mean": (mean, _flat),
                "running_var": (var, _flat), "num_batches_tracked": (None, 0),
            },
        )  # fmt: skip
        if op.is_test:
            t.note("in training mode batch normalisation follows the statistics of the batch, as nn.BatchNorm does")
        else:
            t.note("SpatialBN (is_test = 0) is compared in training mode; load() gives eval mode")
            t.source.training.append(made.removeprefix("self."))
        return back(op, f"{made}({x})", X.rank)
    scale_, bias_, mean_, var_ = (f"{v}.flatten()" if v.rank != 1 else str(v) for v in parameters)
    if mean.array is not None or var.array is not None:
        mean_, var_ = f"{mean_}.detach()", f"{var_}.detach()"
    return back(op, f"F.batch_norm({x}, {mean_}, {var_}, {scale_}, {bias_}, eps={literal(op.epsilon)})", X.rank)


@rule("LRN")
def local_response(t: Writer, op: Any, X: Tensor) -> tuple[str, str | None]:
    if not t.wanted(1) and op.size % 2 and X.rank > 2:
        x = first(t, op, X)
        text = f"F.local_response_norm({x}, {op.size}, {literal(op.alpha)}, {literal(op.beta)}, {literal(op.bias)})"
        return back(op, text, X.rank), None
    axis = X.rank - 1 if op.channels_last else 1
    scale = t.let("scale_", t.call("local_response", X, op.size, op.alpha, op.bias, axis))
    return f"{X} * {raised(scale, literal(-op.beta))}", str(scale)


@rule("GroupNorm", "InstanceNorm")
def group_norm(t: Writer, op: Any, X: Tensor, gamma: Tensor, beta: Tensor) -> tuple[str, ...]:
    x = first(t, op, X)
    channels = X.static(-1 if op.channels_last else 1)
    groups = op.groups(channels)
    if gamma.owned and beta.owned:
        eps = "" if op.epsilon == 1e-5 else f", eps={literal(op.epsilon)}"
        states = {"weight": (gamma, _flat), "bias": (beta, _flat)}
        text = f"{t.module(f'nn.GroupNorm({groups}, {channels}{eps})', states)}({x})"
    else:
        scale, shift = (f"{v}.flatten()" if v.rank != 1 else str(v) for v in (gamma, beta))
        text = f"F.group_norm({x}, {groups}, {scale}, {shift}, {literal(op.epsilon)})"
    if not (t.wanted(1) or t.wanted(2)):
        return back(op, text, X.rank), "", ""
    parts = t.let("parts", f"{x}.unflatten(1, ({groups}, -1)).flatten(2)")
    spread = f"({parts}.var(2, correction=0) + {literal(op.epsilon)}).rsqrt()"
    return back(op, text, X.rank), f"{parts}.mean(2)", spread


@rule("LayerNorm", "C10LayerNorm_DontUseThisOpYet")
def layer_norm(
    t: Writer, op: Any, X: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None
) -> tuple[str, ...]:
    axis = op.axis % X.rank
    dims = ", ".join(X.dim(i) for i in range(axis, X.rank)) + ("," if axis == X.rank - 1 else "")
    shape = X.shape[axis:]
    given = op.elementwise_affine and gamma is not None and beta is not None
    if given and gamma is not None and beta is not None and gamma.owned and beta.owned and None not in shape:
        size = literal(shape[0] if len(shape) == 1 else tuple(shape))
        states = {"weight": (gamma, lambda a: a.reshape(shape)), "bias": (beta, lambda a: a.reshape(shape))}
        text = f"{t.module(f'nn.LayerNorm({size}, eps={literal(op.epsilon)})', states)}({X})"
    else:
        affine = "".join(f", {v}.reshape(({dims}))" for v in (gamma, beta)) if given else ""
        text = f"F.layer_norm({X}, ({dims}){affine}, eps={literal(op.epsilon)})"
    if not (t.wanted(1) or t.wanted(2)):
        return text, "", ""
    rows = t.let("rows", f"{X}.flatten({axis})")
    return (
        text, f"{rows}.mean(-1, keepdim=True)",
        f"({rows}.var(-1, correction=0, keepdim=True) + {literal(op.epsilon)}).sqrt()",
    )  # fmt: skip


@rule("RMSNorm")
def rms_norm(t: Writer, op: Any, X: Tensor, gamma: Tensor, beta: Tensor) -> tuple[str, str]:
    axis = op.axis % X.rank
    rows = t.let("rows", f"{X}.flatten({axis})")
    rrms = t.let("rrms_", f"({rows}.square().mean(-1, keepdim=True) + {literal(op.eps)}).rsqrt()")
    scaled = f"({rows} * {rrms} * {gamma}.flatten() + {beta}.flatten())"
    return like(scaled, X), f"{rrms}.squeeze(-1)"


@rule("Normalize")
def normalize(t: Writer, op: Any, X: Tensor) -> str:
    return f"F.normalize({X}, dim={op.axis % X.rank})"


@rule("NormalizeL1")
def normalize_l1(t: Writer, op: Any, X: Tensor) -> str:
    norm = t.let("norm", f"{X}.abs().sum({op.axis % X.rank}, keepdim=True)")
    return f"{X} / torch.where({norm} == 0, 1, {norm})"


@rule("LpNorm")
def lp_norm(t: Writer, op: Any, X: Tensor) -> str:
    total = f"{X}.{'abs' if op.p == 1 else 'square'}().sum().reshape(1)"
    return f"{total} / max({X}.numel(), 1)" if op.average else total


@rule("BatchMoments")
def batch_moments(t: Writer, op: Any, X: Tensor) -> tuple[str, str]:
    axes = literal(tuple(i for i in range(X.rank) if i != (X.rank - 1 if op.order == "NHWC" else 1)))
    return f"{X}.mean({axes})", f"{X}.square().mean({axes})"


@rule("ChannelStats")
def channel_stats(t: Writer, op: Any, X: Tensor) -> tuple[str, str]:
    axes = literal(tuple(i for i in range(X.rank) if i != (X.rank - 1 if op.channels_last else 1)))
    return f"{X}.sum({axes})", f"{X}.square().sum({axes})"


@rule("Moments")
def tensor_moments(t: Writer, op: Any, X: Tensor) -> tuple[str, str]:
    axes = tuple(sorted({a % X.rank for a in op.axes}) if op.axes else range(X.rank))
    given = f"{literal(axes)}{', keepdim=True' if op.keepdims else ''}"
    if not axes:
        return str(X), f"torch.zeros_like({X})"
    return f"{X}.mean({given})", f"{X}.var({literal(axes)}, correction=0{', keepdim=True' if op.keepdims else ''})"
