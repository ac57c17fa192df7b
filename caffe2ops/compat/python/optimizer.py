"""caffe2.python.optimizer: update operators for the parameters of a model that has its gradient operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.compat.python import caffe2_pb2, core, workspace
from caffe2ops.compat.python.blobs import BlobReference, GradientSlice
from caffe2ops.compat.python.optimizers import (
    AdagradOptimizer,
    AdamOptimizer,
    AuxOptimizerParams,
    Optimizer,
    RmsPropOptimizer,
    SgdOptimizer,
    one_blob,
    reset_optimizer_instance_count,
)
from caffe2ops.compat.python.parameters import ParameterInfo

__all__ = [
    "AdagradOptimizer",
    "AdamOptimizer",
    "AuxOptimizerParams",
    "Optimizer",
    "RmsPropOptimizer",
    "SgdOptimizer",
    "WeightDecayBuilder",
    "add_weight_decay",
    "build_adagrad",
    "build_adam",
    "build_rms_prop",
    "build_sgd",
    "get_lr_injection",
    "get_param_device",
    "reset_optimizer_instance_count",
    "set_lr_injection",
]

_LR_INJECTION = "lr_injection"


class WeightDecayBuilder(Optimizer):
    """Adds a multiple of the parameter to its gradient."""

    def __init__(self, weight_decay: float):
        super().__init__()
        self.weight_decay = weight_decay

    def _run(self, net: Any, param_init_net: Any, param_info: ParameterInfo) -> None:
        if isinstance(param_info.grad, GradientSlice):
            raise ValueError(f"parameter {param_info}: weight decay wants a dense gradient")
        one = one_blob(param_init_net, with_node=False)
        decay = param_init_net.ConstantFill([], str(one).replace("ONE", "wd"), shape=[1], value=self.weight_decay)
        net.WeightedSum([param_info.grad, one, param_info.blob, decay], param_info.grad)


def get_param_device(param_name: str, grad: Any, param_to_device: dict[str, Any] | None = None) -> Any:
    """The device of the operator that makes a parameter, else of its gradient. Raises AssertionError for neither."""
    names = [param_name, *map(str, reversed(grad) if isinstance(grad, GradientSlice) else [grad])]
    for name in names:
        if name in (param_to_device or {}):
            return (param_to_device or {})[name]
    raise AssertionError(f"parameter {param_name!r}: no operator makes it or its gradient, so its device is not known")


def _build(
    model: Any,
    optimizer: Optimizer,
    weights_only: bool = False,
    use_param_info_optim: bool = True,
    max_gradient_norm: float | None = None,
    allow_lr_injection: bool = False,
) -> Optimizer:
    devices = {**core.InferBlobDevices(model.net), **core.InferBlobDevices(model.param_init_net)}
    model.Validate()
    infos = [info for info in model.GetOptimizationParamInfo() if not weights_only or info.blob in model.weights]
    multiplier: Any = None
    if max_gradient_norm is not None:
        multiplier = _norm_ratio(model, infos, devices, max_gradient_norm)
    if allow_lr_injection:
        injected: Any = _LR_INJECTION
        if not model.net.BlobIsDefined(injected):
            injected = model.param_init_net.ConstantFill([], injected, shape=[1], value=1.0)
        both = multiplier is not None
        multiplier = model.net.Mul([multiplier, injected], "lr_multiplier", broadcast=1) if both else injected
    optimizer.add_lr_multiplier(multiplier)
    for info in infos:
        with core.DeviceScope(get_param_device(info.name, info.grad, devices)):
            chosen = info.optimizer if info.optimizer and use_param_info_optim else optimizer
            chosen(model.net, model.param_init_net, info)
    return optimizer


def _norm_ratio(model: Any, infos: Sequence[ParameterInfo], devices: dict[str, Any], max_norm: float) -> BlobReference:
    """What gradients are multiplied with so that all together have at most this norm."""
    net, sums = model.net, []
    with core.NameScope("norm_clipped_grad_update"):
        for index, info in enumerate(infos):
            with core.DeviceScope(get_param_device(info.name, info.grad, devices)):
                grad = info.grad.values if isinstance(info.grad, GradientSlice) else info.grad
                sums.append(net.EnsureCPUOutput(net.SumSqrElements(grad, f"grad_{index}_squared_sum")))
        with core.DeviceScope(core.DeviceOption(caffe2_pb2.CPU)):
            norm = net.Pow(net.Sum(sums, "grad_squared_full_sum"), "global_norm", exponent=0.5)
            limit = model.param_init_net.ConstantFill([], "clip_norm", shape=[], value=float(max_norm))
            ratio: BlobReference = net.Div([limit, net.Max([norm, limit], "max_norm")], "norm_ratio")
            return ratio


def get_lr_injection() -> Any:
    """The factor on all learning rates of models built with allow_lr_injection."""
    return workspace.FetchBlob(_LR_INJECTION)


def set_lr_injection(lr_injection_value: float) -> None:
    workspace.FeedBlob(_LR_INJECTION, np.array([lr_injection_value], np.float32))


def add_weight_decay(model: Any, weight_decay: float) -> None:
    """Adds a multiple of each weight to its gradient; before the optimiser is built."""
    _build(model, WeightDecayBuilder(weight_decay), weights_only=True, use_param_info_optim=False)


def build_sgd(
    model: Any,
    base_learning_rate: float,
    max_gradient_norm: float | None = None,
    allow_lr_injection: bool = False,
    **kwargs: Any,
) -> Optimizer:
    """Adds gradient descent for all parameters; `kwargs` are those of SgdOptimizer."""
    return _build(
        model,
        SgdOptimizer(base_learning_rate, **kwargs),
        max_gradient_norm=max_gradient_norm,
        allow_lr_injection=allow_lr_injection,
    )


def _builder(optimizer: type[Optimizer]) -> Any:
    def build(
        model: Any,
        base_learning_rate: float,
        max_gradient_norm: float | None = None,
        allow_lr_injection: bool = False,
        **kwargs: Any,
    ) -> Optimizer:
        made = optimizer(alpha=base_learning_rate, **kwargs)
        return _build(model, made, max_gradient_norm=max_gradient_norm, allow_lr_injection=allow_lr_injection)

    build.__doc__ = f"Adds the updates of {optimizer.__name__} for all parameters; `kwargs` are those of that class."
    return build


build_adagrad = _builder(AdagradOptimizer)
build_adam = _builder(AdamOptimizer)
build_rms_prop = _builder(RmsPropOptimizer)
