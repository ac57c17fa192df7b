"""Images in another layout: channels elsewhere, blocks, bytes."""

from __future__ import annotations

from typing import Any

from caffe2ops.ops.conv.stylizer import NOISE_BLOB
from caffe2ops.ops.fill.mt19937 import generator_of
from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.rules.image import padded, to_first, to_last
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Writer


@rule("NCHW2NHWC")
def channels_last(t: Writer, op: Any, x: Tensor) -> str:
    return to_last(x, x.rank)


@rule("NHWC2NCHW")
def channels_first(t: Writer, op: Any, x: Tensor) -> str:
    return to_first(x, x.rank)


@rule("ChannelShuffle")
def channel_shuffle(t: Writer, op: Any, x: Tensor) -> str:
    if not op.channels_last:
        return f"F.channel_shuffle({x}, {op.group})" if x.rank > 2 else t.call("channel_shuffle", x, op.group)
    return t.call("channel_shuffle", x, op.group, x.rank - 1)


@rule("SpaceToBatch")
def space_to_batch(t: Writer, op: Any, x: Tensor) -> str:
    top, left, bottom, right = op.pads()
    cells = padded(t, str(x), [top, left], [bottom, right])
    return t.call("space_to_batch", cells, op.block_size)


@rule("BatchToSpace")
def batch_to_space(t: Writer, op: Any, x: Tensor) -> str:
    top, left, bottom, right = op.pads()
    whole = t.call("batch_to_space", x, op.block_size)
    if not any(op.pads()):
        return whole
    return padded(t, str(t.let("whole", whole)), [-top, -left], [-bottom, -right])


@rule("PackedInt8BGRANHWCToNCHWCStylizerPreprocess")
def stylizer_preprocess(t: Writer, op: Any, X: Tensor, mean: Tensor) -> str:
    plain = f"{X}[..., :3].movedim(-1, 1) - {mean}.reshape(3, 1, 1)"
    if not op.noise_std:
        return plain
    t.note(f"{op.type} adds noise, which Caffe2 draws once for a workspace; the port has it among its weights")
    noise = t.drawn(NOISE_BLOB, op.noise_size, lambda size: generator_of(op).normal(size, 0.0, op.noise_std))
    return f"{plain} + {t.call('tiled_noise', noise, f'{X}.shape[1]', f'{X}.shape[2]')}"


@rule("BRGNCHWCToPackedInt8BGRAStylizerDeprocess")
def stylizer_deprocess(t: Writer, op: Any, X: Tensor, mean: Tensor) -> str:
    levels = t.let("levels", f"({X} + {mean}.reshape(3, 1, 1)).nan_to_num(0.0)")
    colours = t.let("colours", f"{levels}.clamp(0, 255).to(torch.uint8)")
    colours = t.let("last", f"{colours}.movedim(1, -1)")
    return f"F.pad({colours}, (0, 1), value=255)"
