"""The functions of brew that add a layer with its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe2ops.compat.python.arg_scopes import helper
from caffe2ops.compat.python.parameters import ExternalInitializer, Initializer, ParameterTags, update_initializer

Init = tuple[str, dict[str, Any]]


def _parameter(
    model: Any, name: Any, shape: Sequence[int], init: Init | None, default: Init, tag: Any, initializer: Any = None
) -> Any:
    made = update_initializer(initializer, init, default) if model.init_params else ExternalInitializer()
    return model.create_param(name, list(shape), made, tag)


_WEIGHT: Init = ("XavierFill", {})
_BIAS: Init = ("ConstantFill", {})


@helper
def fc(
    model: Any,
    blob_in: Any,
    blob_out: Any,
    dim_in: int,
    dim_out: int,
    weight_init: Init | None = None,
    bias_init: Init | None = None,
    WeightInitializer: Any = None,
    BiasInitializer: Any = None,
    **kwargs: Any,
) -> Any:
    """FC with weight `<out>_w` of shape [dim_out, dim_in] and bias `<out>_b`."""
    blob_out = blob_out or model.net.NextName()
    W = _parameter(
        model, blob_out + "_w", [dim_out, dim_in], weight_init, _WEIGHT, ParameterTags.WEIGHT, WeightInitializer
    )
    b = _parameter(model, blob_out + "_b", [dim_out], bias_init, _BIAS, ParameterTags.BIAS, BiasInitializer)
    return model.net.FC([blob_in, W, b], blob_out, **kwargs)


def _conv(
    model: Any,
    blob_in: Any,
    blob_out: Any,
    dim_in: int,
    dim_out: int,
    kernels: list[int],
    sizes: dict[str, Any],
    weight_init: Init | None = None,
    bias_init: Init | None = None,
    WeightInitializer: Any = None,
    BiasInitializer: Any = None,
    group: int = 1,
    use_cudnn: bool = False,
    order: str = "NCHW",
    cudnn_exhaustive_search: bool = False,
    ws_nbytes_limit: int | None = None,
    no_bias: bool = False,
    **kwargs: Any,
) -> Any:
    engine = kwargs.get("engine")
    if engine is not None and (engine == "CUDNN") != bool(use_cudnn):
        raise ValueError(f"engine {engine!r}: does not go with use_cudnn={use_cudnn}")
    if use_cudnn:
        kwargs |= {"engine": "CUDNN", "exhaustive_search": cudnn_exhaustive_search}
        if ws_nbytes_limit:
            kwargs["ws_nbytes_limit"] = ws_nbytes_limit
    blob_out = blob_out or model.net.NextName()
    channels = dim_in // group
    shape = [dim_out, channels, *kernels] if order == "NCHW" else [dim_out, *kernels, channels]
    inputs = [
        blob_in,
        _parameter(model, blob_out + "_w", shape, weight_init, _WEIGHT, ParameterTags.WEIGHT, WeightInitializer),
    ]
    if not no_bias:
        inputs.append(
            _parameter(model, blob_out + "_b", [dim_out], bias_init, _BIAS, ParameterTags.BIAS, BiasInitializer)
        )
    if group != 1:
        kwargs["group"] = group
    return model.net.Conv(inputs, blob_out, **sizes, order=order, **kwargs)


@helper
def conv(
    model: Any, blob_in: Any, blob_out: Any, dim_in: int, dim_out: int, kernel: Any, *args: Any, **kwargs: Any
) -> Any:
    """A convolution of images; `kernel` is one size, or [height, width]. Weights are `<out>_w` and `<out>_b`."""
    if not isinstance(kernel, list):
        return _conv(model, blob_in, blob_out, dim_in, dim_out, [kernel] * 2, {"kernel": kernel}, *args, **kwargs)
    if len(kernel) != 2:
        raise AssertionError(f"kernel {kernel}: wants 2 sizes; conv_nd takes any number")
    sizes = {"kernel_h": kernel[0], "kernel_w": kernel[1]}
    return _conv(model, blob_in, blob_out, dim_in, dim_out, kernel, sizes, *args, **kwargs)


@helper
def conv_nd(
    model: Any, blob_in: Any, blob_out: Any, dim_in: int, dim_out: int, kernel: Any, *args: Any, **kwargs: Any
) -> Any:
    """A convolution over as many dimensions as `kernel` has sizes."""
    kernels = kernel if isinstance(kernel, list) else [kernel]
    return _conv(model, blob_in, blob_out, dim_in, dim_out, kernels, {"kernels": kernels}, *args, **kwargs)


@helper
def group_conv(model: Any, *args: Any, **kwargs: Any) -> Any:
    """`conv` with `group` groups of channels."""
    return conv(model, *args, **kwargs)


@helper
def conv_transpose(
    model: Any,
    blob_in: Any,
    blob_out: Any,
    dim_in: int,
    dim_out: int,
    kernel: int,
    weight_init: Init | None = None,
    bias_init: Init | None = None,
    use_cudnn: bool = False,
    order: str = "NCHW",
    cudnn_exhaustive_search: bool = False,
    ws_nbytes_limit: int | None = None,
    **kwargs: Any,
) -> Any:
    """The transposed convolution of images with a square kernel."""
    blob_out = blob_out or model.net.NextName()
    shape = [dim_in, dim_out, kernel, kernel] if order == "NCHW" else [dim_in, kernel, kernel, dim_out]
    W = _parameter(model, blob_out + "_w", shape, weight_init, _WEIGHT, ParameterTags.WEIGHT)
    b = _parameter(model, blob_out + "_b", [dim_out], bias_init, _BIAS, ParameterTags.BIAS)
    if use_cudnn:
        kwargs |= {"engine": "CUDNN", "exhaustive_search": cudnn_exhaustive_search}
        if ws_nbytes_limit:
            kwargs["ws_nbytes_limit"] = ws_nbytes_limit
    return model.net.ConvTranspose([blob_in, W, b], blob_out, kernel=kernel, order=order, **kwargs)


@helper
def spatial_bn(
    model: Any,
    blob_in: Any,
    blob_out: Any,
    dim_in: int,
    init_scale: float = 1.0,
    init_bias: float = 0.0,
    ScaleInitializer: Any = None,
    BiasInitializer: Any = None,
    RunningMeanInitializer: Any = None,
    RunningVarianceInitializer: Any = None,
    order: str = "NCHW",
    **kwargs: Any,
) -> Any:
    """Batch normalisation of images: scale `<out>_s`, bias `<out>_b`, running mean `<out>_rm` and variance
    `<out>_riv`, which are computed parameters."""
    blob_out = blob_out or model.net.NextName()
    table: tuple[tuple[str, float, str, Any], ...] = (
        ("_s", init_scale, ParameterTags.WEIGHT, ScaleInitializer),
        ("_b", init_bias, ParameterTags.BIAS, BiasInitializer),
        ("_rm", 0.0, ParameterTags.COMPUTED_PARAM, RunningMeanInitializer),
        ("_riv", 1.0, ParameterTags.COMPUTED_PARAM, RunningVarianceInitializer),
    )
    made = [
        _parameter(model, blob_out + suffix, [dim_in], ("ConstantFill", {"value": value}), _BIAS, tag, initializer)
        for suffix, value, tag, initializer in table
    ]
    if kwargs.get("is_test"):
        return model.net.SpatialBN([blob_in, *made], [blob_out], order=order, **kwargs)
    outputs = [blob_out, made[2], made[3], blob_out + "_sm", blob_out + "_siv"]
    return model.net.SpatialBN([blob_in, *made], outputs, order=order, **kwargs)[0]


def _scale_and_bias(model: Any, blob_out: Any, dim_in: int) -> tuple[Any, Any]:
    """The parameters `<out>_s` of ones and `<out>_b` of zeros, made whatever the model says."""
    net = model.param_init_net
    scale_ = net.ConstantFill([], blob_out + "_s", shape=[dim_in], value=1.0)
    bias = net.ConstantFill([], blob_out + "_b", shape=[dim_in], value=0.0)
    model.AddParameter(scale_, ParameterTags.WEIGHT)
    model.AddParameter(bias, ParameterTags.BIAS)
    return scale_, bias


@helper
def instance_norm(model: Any, blob_in: Any, blob_out: Any, dim_in: int, order: str = "NCHW", **kwargs: Any) -> Any:
    """Normalisation of each channel of each image."""
    blob_out = blob_out or model.net.NextName()
    inputs = [blob_in, *_scale_and_bias(model, blob_out, dim_in)]
    if kwargs.get("is_test"):
        return model.net.InstanceNorm(inputs, [blob_out], order=order, **kwargs)
    outputs = [blob_out, blob_out + "_sm", blob_out + "_siv"]
    return model.net.InstanceNorm(inputs, outputs, order=order, **kwargs)[0]


@helper
def layer_norm(
    model: Any,
    blob_in: Any,
    blob_out: Any,
    dim_in: Any,
    axis: int = 1,
    epsilon: float = 1e-4,
    initial_scale: float = 1.0,
    initial_bias: float = 0.0,
) -> Any:
    """Normalisation over the dimensions from `axis` on: (normalised, mean, standard deviation)."""
    shape = [dim_in] if isinstance(dim_in, int) else dim_in
    fills = [Initializer("ConstantFill", value=value) for value in (initial_scale, initial_bias)]
    gain = model.create_param(f"{blob_out}_scale", shape, fills[0], ParameterTags.WEIGHT)
    bias = model.create_param(f"{blob_out}_bias", shape, fills[1], ParameterTags.BIAS)
    outputs = [blob_out, blob_out + "_mean", blob_out + "_std"]
    return model.net.LayerNorm([blob_in, gain, bias], outputs, axis=axis, epsilon=epsilon, elementwise_affine=True)


@helper
def prelu(
    model: Any, blob_in: Any, blob_out: Any, num_channels: int = 1, slope_init: Init | None = None, **kwargs: Any
) -> Any:
    """PRelu with the slopes `<out>_slope`."""
    init = slope_init or ("ConstantFill", {"value": 0.25})
    slope = _parameter(model, blob_out + "_slope", [num_channels], init, init, None)
    return model.net.PRelu([blob_in, slope], [blob_out])


@helper
def elementwise_linear(
    model: Any,
    blob_in: Any,
    blob_out: Any,
    dim: int,
    weight_init: Init | None = None,
    bias_init: Init | None = None,
    **kwargs: Any,
) -> Any:
    """A weight and a bias for each column."""
    blob_out = blob_out or model.net.NextName()
    W = _parameter(model, blob_out + "_w", [dim], weight_init, ("ConstantFill", {"value": 1.0}), ParameterTags.WEIGHT)
    b = _parameter(model, blob_out + "_b", [dim], bias_init, ("ConstantFill", {"value": 0.0}), ParameterTags.BIAS)
    return model.net.ElementwiseLinear([blob_in, W, b], blob_out, **kwargs)
