"""AliasWithName: a tensor under another name, for the reader of a net."""

from __future__ import annotations

from caffe2ops.operator import Arg
from caffe2ops.ops.elementwise.copy import Alias


class AliasWithName(Alias):
    """Alias whose argument `name` says what the tensor means: output holds the very array of input.

    Caffe2: operators/alias_with_name.
    """

    contract = "input: any -> output: input"
    gradient = None  # type: ignore[assignment]  # Caffe2 registers none
    inplace = ((0, 0),)
    name: str = Arg("", doc="what the tensor means; not read")
    is_backward: bool = Arg(False, doc="whether it belongs to a backward pass; not read")
