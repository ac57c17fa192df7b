"""caffe2.python.brew: functions that add an operator and its parameters to a model.

Each takes the model first, then the blobs in and out. Arguments that are not given come from `arg_scope` blocks, then
from the model's own `arg_scope`.
"""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caffe2ops.compat.python import caffe2_pb2, scope
from caffe2ops.compat.python.arg_scopes import arg_scope, get_current_scope, helper, helpers
from caffe2ops.compat.python.layers import (
    conv,
    conv_nd,
    conv_transpose,
    elementwise_linear,
    fc,
    group_conv,
    instance_norm,
    layer_norm,
    prelu,
    spatial_bn,
)
from caffe2ops.compat.python.operators import DeviceOption

__all__ = [
    "Register",
    "accuracy",
    "add_weight_decay",
    "arg_min",
    "arg_scope",
    "average_pool",
    "batch_mat_mul",
    "concat",
    "conv",
    "conv_nd",
    "conv_transpose",
    "db_input",
    "dropout",
    "elementwise_linear",
    "fc",
    "get_current_scope",
    "group_conv",
    "has_helper",
    "instance_norm",
    "iter",
    "layer_norm",
    "lrn",
    "mat_mul",
    "max_pool",
    "prelu",
    "reduce_sum",
    "relu",
    "softmax",
    "spatial_bn",
    "sub",
    "sum",
    "tanh",
    "transpose",
]


def Register(function: Callable[..., Any]) -> None:
    """Makes a function of one's own one of this module. Raises AttributeError where its name is taken."""
    if function.__name__ in helpers:
        raise AttributeError(f"brew has a function {function.__name__!r} already: choose another name")
    globals()[function.__name__] = helper(function)


def has_helper(helper_or_helper_name: Any) -> bool:
    return getattr(helper_or_helper_name, "__name__", helper_or_helper_name) in helpers


def _cudnn(use_cudnn: bool) -> dict[str, Any]:
    return {"engine": "CUDNN"} if use_cudnn else {}


# --- layers without parameters ---


def _image_operator(name: str, op_type: str) -> Callable[..., Any]:
    def function(
        model: Any, blob_in: Any, blob_out: Any, use_cudnn: bool = False, order: str = "NCHW", **kwargs: Any
    ) -> Any:
        # What a model's scope offers beyond this goes into the operator as arguments, as Caffe2 does it.
        return getattr(model.net, op_type)(blob_in, blob_out, order=order, **kwargs, **_cudnn(use_cudnn))

    function.__name__, function.__doc__ = name, f"The operator {op_type}."
    return helper(function)


max_pool = _image_operator("max_pool", "MaxPool")
average_pool = _image_operator("average_pool", "AveragePool")
relu = _image_operator("relu", "Relu")
tanh = _image_operator("tanh", "Tanh")


def _plain_operator(name: str, op_type: str) -> Callable[..., Any]:
    def function(model: Any, blob_in: Any, blob_out: Any, **kwargs: Any) -> Any:
        return getattr(model.net, op_type)(blob_in, blob_out, **kwargs)

    function.__name__, function.__doc__ = name, f"The operator {op_type}."
    return helper(function)


sum = _plain_operator("sum", "Sum")
reduce_sum = _plain_operator("reduce_sum", "ReduceSum")
sub = _plain_operator("sub", "Sub")
mat_mul = _plain_operator("mat_mul", "MatMul")
batch_mat_mul = _plain_operator("batch_mat_mul", "BatchMatMul")
arg_min = _plain_operator("arg_min", "ArgMin")


@helper
def softmax(model: Any, blob_in: Any, blob_out: Any = None, use_cudnn: bool = False, **kwargs: Any) -> Any:
    """Softmax."""
    return model.net.Softmax(blob_in, blob_out, **kwargs, **_cudnn(use_cudnn))


@helper
def transpose(model: Any, blob_in: Any, blob_out: Any, use_cudnn: bool = False, **kwargs: Any) -> Any:
    """Transpose."""
    return model.net.Transpose(blob_in, blob_out, **kwargs, **_cudnn(use_cudnn))


@helper
def dropout(model: Any, blob_in: Any, blob_out: Any, use_cudnn: bool = False, **kwargs: Any) -> Any:
    """Dropout; `is_test` must be given."""
    if "is_test" not in kwargs:
        raise AssertionError("dropout: wants is_test")
    kwargs["engine"] = "CUDNN" if use_cudnn else "DEFAULT"
    return model.net.Dropout(blob_in, [blob_out, "_" + blob_out + "_mask"], **kwargs)[0]


@helper
def lrn(model: Any, blob_in: Any, blob_out: Any, order: str = "NCHW", use_cudnn: bool = False, **kwargs: Any) -> Any:
    """Local response normalisation."""
    if use_cudnn and not _on_cpu(kwargs):
        return model.net.LRN(blob_in, blob_out, order=order, **{**kwargs, "engine": "CUDNN"})
    return model.net.LRN(blob_in, [blob_out, "_" + blob_out + "_scale"], order=order, **kwargs)[0]


@helper
def concat(model: Any, blobs_in: Any, blob_out: Any, **kwargs: Any) -> Any:
    """Concat along `axis`, or along the channels of `order`."""
    if kwargs.get("order") and kwargs.get("axis"):
        del kwargs["order"]
    return model.net.Concat(blobs_in, [blob_out, "_" + blob_out + "_concat_dims"], **kwargs)[0]


# --- training and data ---


def _on_cpu(kwargs: dict[str, Any]) -> bool:
    device = kwargs.get("device_option", scope.CurrentDeviceScope())
    return device is None or device.device_type == caffe2_pb2.CPU


@helper
def iter(model: Any, blob_out: Any, **kwargs: Any) -> Any:
    """A counter, int64[1], that goes up by one in every run."""
    kwargs.pop("device_option", None)
    counter = dict(shape=[1], value=0, dtype=caffe2_pb2.TensorProto.INT64)
    model.param_init_net.ConstantFill([], blob_out, **counter, device_option=DeviceOption(caffe2_pb2.CPU), **kwargs)
    return model.net.Iter(blob_out, blob_out, **kwargs)


@helper
def accuracy(model: Any, blob_in: Any, blob_out: Any, **kwargs: Any) -> Any:
    """The share of rows whose label is the greatest score (on a GPU with top_k: among the greatest)."""
    if _on_cpu(kwargs) or kwargs.get("top_k", 1) <= 1:
        return model.net.Accuracy(blob_in, blob_out)
    hosts = [model.net.CopyGPUToCPU(blob, blob + "_host") for blob in blob_in]
    return model.net.Accuracy(hosts, blob_out, **{**kwargs, "device_option": DeviceOption(caffe2_pb2.CPU)})


@helper
def add_weight_decay(model: Any, weight_decay: float) -> None:
    """Adds `weight_decay` times each weight to its gradient."""
    if weight_decay <= 0:
        return
    decay = model.param_init_net.ConstantFill([], "wd", shape=[1], value=weight_decay)
    one = model.param_init_net.ConstantFill([], "ONE", shape=[1], value=1.0)
    prefix = scope.CurrentNameScope()
    for weight in model.weights:
        if not prefix or weight.GetNameScope() == prefix:
            gradient = model.param_to_grad[weight]
            model.net.WeightedSum([gradient, one, weight, decay], gradient)


@helper
def db_input(model: Any, blobs_out: Any, batch_size: int, db: str, db_type: str) -> Any:
    """The batches of a database of TensorProtos, whose reader the init net makes."""
    return model.TensorProtosDBInput([], blobs_out, batch_size, db, db_type)
