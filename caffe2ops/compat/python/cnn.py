"""caffe2.python.cnn: CNNModelHelper, the model with brew's functions as methods that scripts used before brew."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

from functools import partial
from typing import Any

from caffe2ops.compat.python import brew
from caffe2ops.compat.python.model_helper import ModelHelper

_METHODS = {
    "Accuracy": brew.accuracy,
    "AddWeightDecay": brew.add_weight_decay,
    "AveragePool": brew.average_pool,
    "Concat": brew.concat,
    "Conv": brew.conv,
    "ConvNd": brew.conv_nd,
    "ConvTranspose": brew.conv_transpose,
    "Dropout": brew.dropout,
    "FC": brew.fc,
    "GroupConv": brew.group_conv,
    "InstanceNorm": brew.instance_norm,
    "Iter": brew.iter,
    "LRN": brew.lrn,
    "MaxPool": brew.max_pool,
    "PRelu": brew.prelu,
    "Relu": brew.relu,
    "Softmax": brew.softmax,
    "SpatialBN": brew.spatial_bn,
    "Sum": brew.sum,
    "Transpose": brew.transpose,
}


class CNNModelHelper(ModelHelper):
    """A model of image layers: `model.Conv("data", "conv1", 3, 32, 5)` is `brew.conv(model, ...)`."""

    def __init__(
        self,
        order: str = "NCHW",
        name: str | None = None,
        use_cudnn: bool = True,
        cudnn_exhaustive_search: bool = False,
        ws_nbytes_limit: int | None = None,
        init_params: bool = True,
        skip_sparse_optim: bool = False,
        param_model: ModelHelper | None = None,
    ):
        if order not in ("NCHW", "NHWC"):
            raise ValueError(f"order {order!r}: wants NCHW or NHWC")
        scope = {"order": order, "use_cudnn": use_cudnn, "cudnn_exhaustive_search": cudnn_exhaustive_search}
        if ws_nbytes_limit:
            scope["ws_nbytes_limit"] = ws_nbytes_limit
        super().__init__(name or "CNN", init_params, True, skip_sparse_optim, param_model=param_model, arg_scope=scope)
        self.order, self.use_cudnn = order, use_cudnn

    @property
    def XavierInit(self) -> tuple[str, dict[str, Any]]:
        return ("XavierFill", {})

    @property
    def MSRAInit(self) -> tuple[str, dict[str, Any]]:
        return ("MSRAFill", {})

    @property
    def ZeroInit(self) -> tuple[str, dict[str, Any]]:
        return ("ConstantFill", {})

    def ConstantInit(self, value: float, **kwargs: Any) -> tuple[str, dict[str, Any]]:
        return ("ConstantFill", {"value": value, **kwargs})

    def __getattr__(self, op_type: str) -> Any:
        return partial(_METHODS[op_type], self) if op_type in _METHODS else super().__getattr__(op_type)
