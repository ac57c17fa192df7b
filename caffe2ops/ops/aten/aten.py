"""The operator ATen."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import Value
from caffe2ops.errors import SchemaError
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.aten import elementwise, indexing, neural, reduction  # noqa: F401  they fill the table
from caffe2ops.ops.aten.functions import FUNCTIONS


class ATen(Operator):
    """Calls the function of PyTorch's tensor library that `operator` names, by what PyTorch 1.10 makes of it.

    Further arguments are attributes of the function; the number of tensors and the names of the attributes say which
    of the functions of that name is meant. Outputs are what it returns; later ones may be left out. Raises SchemaError
    for an unknown function or another configuration, and says which there are. Caffe2: contrib/aten/aten_op.
    """

    contract = "*tensors?: any -> *results?: any[?]"
    docs = {"tensors": "the tensors of the function, `self` first", "results": "what it returns"}
    operator: str = Arg(choices=tuple(sorted(FUNCTIONS)), doc="the function")
    accumulate: bool = Arg(False, doc="whether values are added to what is there")
    alpha: Value = Arg(1, doc="a factor of the second tensor, of the product, or of what elu makes of negative numbers")
    beta: Value = Arg(1, doc="a factor of the first tensor, or of what softplus is taken of")
    chunks: int = Arg(1, doc="how many pieces")
    cudnn_enable: bool = Arg(True, doc="not heeded")
    cudnn_enabled: bool = Arg(True, doc="not heeded")
    descending: bool = Arg(False, doc="whether the greatest comes first")
    diagonal: int = Arg(0, doc="which diagonal, 0 for the main one, above it positive")
    dim: Value = Arg(0, doc="the dim, or the list of dims where the function folds several")
    dim0: int = Arg(0, doc="a dim")
    dim1: int = Arg(0, doc="another dim")
    dims: list[int] = Arg((), doc="dims in order")
    end_dim: int = Arg(-1, doc="the last dim")
    eps: float = Arg(1e-5, doc="added to the variance")
    exponent: Value = Arg(1, doc="the power")
    include_last_offset: bool = Arg(False, doc="whether the end of the last bag comes at the end")
    index: int = Arg(0, doc="a place along the dim")
    input_scale: float = Arg(1, doc="a factor of negative numbers")
    k: int = Arg(1, doc="how many")
    keepdim: bool = Arg(False, doc="whether folded dims stay, of size 1")
    largest: bool = Arg(True, doc="whether the greatest are wanted, not the least")
    length: int = Arg(0, doc="how many elements along the dim")
    max: Value = Arg(0, doc="the greatest value")
    max_val: float = Arg(1, doc="the greatest value")
    min: Value = Arg(0, doc="the least value")
    min_val: float = Arg(-1, doc="the least value")
    mode: int = Arg(0, ge=0, le=2, doc="0 for sums, 1 for means, 2 for the greatest")
    negative_slope: float = Arg(0.01, doc="a factor of negative elements")
    normalized_shape: list[int] = Arg((), doc="the last dims, which are normalised together")
    num_classes: int = Arg(-1, doc="how many classes, negative: the greatest number says")
    num_groups: int = Arg(1, doc="how many groups of channels")
    other: Value = Arg(0, doc="a number in place of the second tensor")
    p: Value = Arg(2, doc="which norm")
    repeats: list[int] = Arg((), doc="how often, for each dim")
    return_counts: bool = Arg(False, doc="whether it is wanted how often each value occurs")
    return_inverse: bool = Arg(False, doc="whether the place of each element is wanted")
    scale: float = Arg(1, doc="a factor of the result")
    scale_grad_by_freq: bool = Arg(False, doc="not heeded: it is about gradients")
    shape: list[int] = Arg((), doc="a shape, -1 for what is left")
    size: list[int] = Arg((), doc="a shape, -1 for what is left or stays")
    sorted: bool = Arg(True, doc="whether results are in order; they are anyway")
    sparse: bool = Arg(False, doc="not heeded: it is about gradients")
    split_size: int = Arg(1, doc="the size of a piece")
    start: int = Arg(0, doc="the first place along the dim")
    start_dim: int = Arg(0, doc="the first dim")
    threshold: float = Arg(20, doc="from where on softplus is linear")
    unbiased: bool = Arg(True, doc="whether to divide by one less than the number of elements")
    value: Value = Arg(1, doc="the value, or a factor of what is added")
    weight: Value = Arg(0, doc="the share of the second tensor")

    def __init__(self, *given: Any, **more: Any):
        super().__init__(*given, **more)
        names = self.op_def.args.keys() & self.arg_specs.keys() - {"operator"}
        found = [one for one in FUNCTIONS[self.operator] if one.takes(self.n_inputs, names)]
        if not found:
            raise SchemaError(
                f"ATen: {self.operator} of {self.n_inputs} tensors with {', '.join(sorted(names)) or 'no attributes'}, "
                f"wants one of: {'; '.join(one.line for one in FUNCTIONS[self.operator])}"
            )
        self._call, self._attributes = found[0].call, {name: getattr(self, name) for name in names}

    def run_cpu(self, *tensors: np.ndarray) -> Any:
        for i, tensor in enumerate(tensors):
            if tensor.dtype == object:
                raise TypeError(f"tensor {i}: holds strings, wants numbers")
        with np.errstate(all="ignore"):
            found = self._call(*tensors, **self._attributes)
        results = found if isinstance(found, (tuple, list)) else (found,)
        if len(results) < self.n_outputs:
            raise ValueError(
                f"results: {self.operator} gives {len(results)}, the operator has {self.n_outputs} outputs"
            )
        return tuple(_own(np.asarray(result), tensors) for result in results[: self.n_outputs])


def _own(result: np.ndarray, tensors: tuple[np.ndarray, ...]) -> np.ndarray:
    """The result, copied where it may lie in a tensor's memory."""
    return result.copy() if any(np.may_share_memory(result, tensor) for tensor in tensors) else result
