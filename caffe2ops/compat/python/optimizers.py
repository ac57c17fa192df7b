"""The optimisers: each adds the operators that update one parameter."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from caffe2ops import registry
from caffe2ops.compat.python import caffe2_pb2, core, scope, workspace
from caffe2ops.compat.python.blobs import BlobReference, GradientSlice
from caffe2ops.compat.python.messages import BuildUniqueMutexIter
from caffe2ops.compat.python.parameters import ParameterInfo

_instances: Counter[str] = Counter()


class AuxOptimizerParams(NamedTuple):
    """Blobs that an optimiser keeps: those of single parameters, and those that they share."""

    local: list[BlobReference]
    shared: list[BlobReference]


def reset_optimizer_instance_count() -> None:
    """Starts the numbers in the names of the optimisers' blobs from 0 again."""
    _instances.clear()


class Optimizer:
    """Adds the operators that update a parameter: `optimizer(net, param_init_net, param, grad)`, or with a
    ParameterInfo that has its gradient. Arguments beyond a class's own are those of the LearningRate operator."""

    def __init__(self, policy: str = "fixed", sparse_dedup_aggregator: str | None = None, **learning_rate: Any):
        known = {"iter_val", "learning_rate_blob", *registry.get("LearningRate").arg_specs}
        given = [name for name, value in learning_rate.items() if value is not None]
        unknown = [name for name in given if name not in known and not name.startswith("sub_policy_")]
        if unknown:
            raise TypeError(f"{type(self).__name__} and the LearningRate operator have no option {', '.join(unknown)}")
        self.policy, self.sparse_dedup_aggregator, self.init_kwargs = policy, sparse_dedup_aggregator, learning_rate
        self._aux_params = AuxOptimizerParams([], [])
        self._instance_num = _instances[type(self).__name__]
        _instances[type(self).__name__] += 1
        self._lr_multiplier: Any = None

    def __call__(self, net: Any, param_init_net: Any, param: Any, grad: Any = None) -> None:
        if not isinstance(param, ParameterInfo):
            blob = param if isinstance(param, BlobReference) else BlobReference(param)
            param = ParameterInfo(None, blob, grad=grad)
        if param.grad is None:
            raise AssertionError(f"parameter {param}: has no gradient")
        self._run(net, param_init_net, param)

    def _run(self, net: Any, param_init_net: Any, param_info: ParameterInfo) -> None:
        raise NotImplementedError

    def get_auxiliary_parameters(self) -> AuxOptimizerParams:
        return self._aux_params

    def add_lr_multiplier(self, lr_multiplier: Any) -> None:
        """A blob that the learning rates of later calls are multiplied with; None for none."""
        self._lr_multiplier = lr_multiplier

    def make_unique_blob_name(self, base_str: str) -> str:
        """A name that only this optimiser uses on the current device."""
        device = scope.CurrentDeviceScope()
        node = "" if device is None else device.node_name
        on_gpu = device is not None and core.IsGPUDeviceType(device.device_type)
        place = f"gpu{device.device_id}" if on_gpu else "cpu"
        return f"{type(self).__name__}_{self._instance_num}_{base_str}{node}_{place}"

    def build_lr(
        self,
        net: Any,
        param_init_net: Any,
        base_learning_rate: float,
        learning_rate_blob: Any = None,
        policy: str = "fixed",
        iter_val: int = 0,
        **kwargs: Any,
    ) -> tuple[BlobReference, BlobReference]:
        """(learning rate, iteration), made where they aren't there yet. The rate is negative: updates add it."""
        name = learning_rate_blob or self.make_unique_blob_name("lr")
        iteration = BuildUniqueMutexIter(param_init_net, net, iter_val=iter_val)
        if net.BlobIsDefined(name):
            rate = net.GetBlobRef(name)
        else:
            rate = net.LearningRate([iteration], name, base_lr=-base_learning_rate, policy=policy, **kwargs)
        if self._lr_multiplier is not None:
            multiplier = net.CopyFromCPUInput(self._lr_multiplier, self.make_unique_blob_name("lr_multiplier"))
            rate = net.Mul([rate, multiplier], self.make_unique_blob_name("scaled_lr"), broadcast=1)
        return rate, iteration

    def _dedup(self, net: Any, grad: GradientSlice) -> GradientSlice:
        if not self.sparse_dedup_aggregator:
            return grad
        deduplicated: GradientSlice = net.DeduplicateGradientSlices(grad, aggregator=self.sparse_dedup_aggregator)
        return deduplicated

    def _state(self, param_init_net: Any, param: BlobReference, suffix: str, **fill: Any) -> BlobReference:
        """A blob of zeros beside a parameter, of its shape unless `fill` says otherwise."""
        inputs = [] if "shape" in fill else [param]
        blob: BlobReference = param_init_net.ConstantFill(inputs, f"{param}_{suffix}", **{**fill, "value": 0.0})
        self._aux_params.local.append(blob)
        return blob


def one_blob(param_init_net: Any, with_node: bool = True) -> BlobReference:
    device = scope.CurrentDeviceScope() or caffe2_pb2.DeviceOption()
    name = f"ONE_{device.device_type}_{device.device_id}{device.node_name if with_node else ''}"
    one: BlobReference = param_init_net.ConstantFill([], name, shape=[1], value=1.0)
    return one


def _shape(param_init_net: Any, param: BlobReference) -> list[int]:
    shapes, _ = workspace.InferShapesAndTypes([param_init_net])
    if str(param) not in shapes:
        raise AssertionError(f"parameter {param}: its shape is wanted, and the init net does not tell it")
    return shapes[str(param)]


class SgdOptimizer(Optimizer):
    """Gradient descent, with (Nesterov) momentum where it is not 0."""

    def __init__(
        self,
        base_learning_rate: float = 0.01,
        policy: str = "fixed",
        momentum: float = 0.0,
        nesterov: bool = True,
        sparse_dedup_aggregator: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(policy, sparse_dedup_aggregator, **kwargs)
        self.base_learning_rate, self.momentum, self.nesterov = base_learning_rate, momentum, nesterov

    def _run(self, net: Any, param_init_net: Any, param_info: ParameterInfo) -> None:
        param, grad = param_info.blob, param_info.grad
        if self.base_learning_rate == 0:
            return
        if self.base_learning_rate < 0:
            raise AssertionError(f"base_learning_rate {self.base_learning_rate}: wants a positive one")
        base = -self.base_learning_rate if self.momentum else self.base_learning_rate
        rate, _ = self.build_lr(net, param_init_net, base, policy=self.policy, **self.init_kwargs)
        one = one_blob(param_init_net)
        self._aux_params.shared.append(one)
        momentum = self._state(param_init_net, param, "momentum") if self.momentum > 0 else None
        sparse = isinstance(grad, GradientSlice)
        if sparse:
            grad = self._dedup(net, grad)
        if momentum is None:
            if sparse:
                net.ScatterWeightedSum([param, one, grad.indices, grad.values, rate], param)
            else:
                net.WeightedSum([param, one, grad, rate], param)
            return
        how = dict(momentum=self.momentum, nesterov=self.nesterov)
        if sparse:
            inputs = [grad.values, momentum, rate, param, grad.indices]
            net.SparseMomentumSGDUpdate(inputs, [grad.values, momentum, param], **how)
        else:
            net.MomentumSGDUpdate([grad, momentum, rate, param], [grad, momentum, param], **how)

    def scale_learning_rate(self, scale: float) -> None:
        self.base_learning_rate *= scale


class _AlphaOptimizer(Optimizer):
    """An optimiser whose learning rate is called alpha."""

    alpha: float

    def scale_learning_rate(self, scale: float) -> None:
        self.alpha *= scale


class AdagradOptimizer(_AlphaOptimizer):
    """Adagrad; with `rowWise` one squared sum for each row of a parameter that has sparse gradients. `weight_decay`
    is for parameters of two dimensions and more."""

    def __init__(
        self,
        alpha: float = 0.01,
        epsilon: float = 1e-4,
        decay: float = 1,
        weight_decay: float = 0.0,
        policy: str = "fixed",
        sparse_dedup_aggregator: str | None = None,
        rowWise: bool = False,
        engine: str = "",
        **kwargs: Any,
    ):
        super().__init__(policy, sparse_dedup_aggregator, **kwargs)
        self.alpha, self.epsilon, self.decay, self.weight_decay = alpha, epsilon, decay, weight_decay
        self.rowWise, self.engine = rowWise, engine

    def _run(self, net: Any, param_init_net: Any, param_info: ParameterInfo) -> None:
        param, grad = param_info.blob, param_info.grad
        if self.alpha <= 0:
            return
        rate, _ = self.build_lr(net, param_init_net, self.alpha, policy=self.policy, **self.init_kwargs)
        if self.rowWise:
            squares = self._state(param_init_net, param, "avg_squared_sum", shape=_shape(param_init_net, param)[:1])
        else:
            squares = self._state(param_init_net, param, "squared_sum")
        how: dict[str, Any] = dict(epsilon=self.epsilon)
        decays = self.weight_decay > 0 and len(_shape(param_init_net, param)) > 1
        more = dict(weight_decay=float(self.weight_decay)) if decays else {}
        if isinstance(grad, GradientSlice):
            grad = self._dedup(net, grad)
            update = net.RowWiseSparseAdagrad if self.rowWise else net.SparseAdagrad
            inputs = [param, squares, grad.indices, grad.values, rate]
            update(inputs, [param, squares], **how, **more, engine=self.engine)
            return
        if self.rowWise:
            raise AssertionError(f"parameter {param}: rowWise wants a sparse gradient")
        how |= dict(decay=float(self.decay), **more, engine=self.engine)
        net.Adagrad([param, squares, grad, rate], [param, squares], **how)


class AdamOptimizer(_AlphaOptimizer):
    """Adam; with `rowWise` one second moment for each row of a parameter that has sparse gradients."""

    def __init__(
        self,
        alpha: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        policy: str = "fixed",
        sparse_dedup_aggregator: str | None = None,
        rowWise: bool = False,
        engine: str = "",
        enableRAdam: bool = False,
        **kwargs: Any,
    ):
        super().__init__(policy, sparse_dedup_aggregator, **kwargs)
        self.alpha, self.beta1, self.beta2, self.epsilon = alpha, beta1, beta2, epsilon
        self.rowWise, self.engine, self.enableRAdam = rowWise, engine, enableRAdam

    def _run(self, net: Any, param_init_net: Any, param_info: ParameterInfo) -> None:
        param, grad = param_info.blob, param_info.grad
        if self.alpha <= 0:
            return
        rate, iteration = self.build_lr(net, param_init_net, self.alpha, policy=self.policy, **self.init_kwargs)
        self._aux_params.shared.append(iteration)
        state = [param, self._state(param_init_net, param, "first_moment")]
        if self.rowWise:
            rows = _shape(param_init_net, param)[:1]
            state.append(self._state(param_init_net, param, "avg_second_moment", shape=rows))
        else:
            state.append(self._state(param_init_net, param, "second_moment"))
        how: dict[str, Any] = dict(beta1=self.beta1, beta2=self.beta2, epsilon=self.epsilon)
        if not isinstance(grad, GradientSlice):
            if self.rowWise:
                raise AssertionError(f"parameter {param}: rowWise wants a sparse gradient")
            net.Adam([*state, grad, rate, iteration], state, **how)
            return
        grad = self._dedup(net, grad)
        inputs = [*state, grad.indices, grad.values, rate, iteration]
        if self.rowWise:
            net.RowWiseSparseAdam(inputs, state, **how)
        else:
            net.SparseAdam(inputs, state, **how, enableRAdam=self.enableRAdam)


class RmsPropOptimizer(_AlphaOptimizer):
    """RMSProp, with momentum; for dense gradients."""

    def __init__(
        self,
        alpha: float = 0.01,
        decay: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-5,
        policy: str = "fixed",
        engine: str = "",
        **kwargs: Any,
    ):
        super().__init__(policy, **kwargs)
        self.alpha, self.decay, self.momentum, self.epsilon, self.engine = alpha, decay, momentum, epsilon, engine

    def _run(self, net: Any, param_init_net: Any, param_info: ParameterInfo) -> None:
        param, grad = param_info.blob, param_info.grad
        if self.alpha <= 0 or isinstance(grad, GradientSlice):
            raise AssertionError(f"parameter {param}: RMSProp wants alpha > 0 and a dense gradient")
        one = one_blob(param_init_net, with_node=False)
        rate, _ = self.build_lr(net, param_init_net, -self.alpha, policy=self.policy, **self.init_kwargs)
        step = param_init_net.ConstantFill([param], f"{param}_grad_o", value=0.0)
        squares = self._state(param_init_net, param, "mean_squares")
        momentum = self._state(param_init_net, param, "momentum")
        how = dict(decay=self.decay, momentum=self.momentum, epsilon=self.epsilon, engine=self.engine)
        net.RmsProp([grad, squares, momentum, one], [step, squares, momentum], **how)
        net.MomentumSGDUpdate([step, momentum, rate, param], [step, momentum, param])
