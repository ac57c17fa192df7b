"""DepthConcat and DepthSplit: the old names of Concat and Split, with the same arguments."""

from __future__ import annotations

from caffe2ops.ops.shape.concat_split import Concat, Split


class DepthConcat(Concat):
    """Joins tensors along an axis, by default that of the channels: Concat under its old name.

    Raises ValueError for other shapes, TypeError for unlike dtypes. Caffe2: operators/concat_split_op.
    """


class DepthSplit(Split):
    """Cuts a tensor along an axis, by default that of the channels: Split under its old name.

    Raises ValueError where the parts don't add up. Caffe2: operators/concat_split_op.
    """
