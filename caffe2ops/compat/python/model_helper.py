"""caffe2.python.model_helper: a net, the net that initialises its parameters, and the list of them."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from caffe2ops.compat.python import caffe2_pb2, scope
from caffe2ops.compat.python.blobs import BlobReference, GradientSlice, ScopedName
from caffe2ops.compat.python.net import Net
from caffe2ops.compat.python.parameters import ParameterInfo, ParameterTags


class ModelHelper:
    """A model under construction: `net`, `param_init_net`, `params`.

    Operators are methods, as of a Net; the functions of `brew` add those with parameters. `param_model` shares the
    parameters of another model; without `init_params` they are expected in the workspace. `arg_scope` are default
    arguments of brew's functions.
    """

    def __init__(
        self,
        name: str | None = None,
        init_params: bool = True,
        allow_not_known_ops: bool = True,
        skip_sparse_optim: bool = False,
        param_model: ModelHelper | None = None,
        arg_scope: Mapping[str, Any] | None = None,
    ):
        self.name = name or "model"
        self.net = Net(self.name)
        shared = param_model
        self.param_init_net: Net = shared.param_init_net if shared else Net(f"{self.name}_init")
        self.params: list[BlobReference] = shared.params if shared else []
        self.param_to_grad: dict[Any, Any] = shared.param_to_grad if shared else {}
        self._computed_params: list[BlobReference] = shared._computed_params if shared else []
        self._parameters_info: dict[str, ParameterInfo] = shared._parameters_info if shared else {}
        self.weights: list[BlobReference] = []
        self.biases: list[BlobReference] = []
        self.grad_map: dict[Any, Any] = {}
        self.gradient_ops_added = False
        self.init_params, self.skip_sparse_optim = init_params, skip_sparse_optim
        self.arg_scope = {"order": "NCHW", "use_cudnn": True, "cudnn_exhaustive_search": False, **(arg_scope or {})}

    def get_name(self) -> str:
        return self.name

    def Proto(self) -> Any:
        return self.net.Proto()

    def InitProto(self) -> Any:
        return self.param_init_net.Proto()

    def __getattr__(self, op_type: str) -> Any:
        if op_type.startswith("_"):
            raise AttributeError(f"ModelHelper has no attribute {op_type!r}")
        return getattr(self.net, op_type)

    # --- parameters ---

    def create_param(self, param_name: Any, shape: Any, initializer: Any, tags: Any = None) -> BlobReference:
        """A parameter, made with the initializer where it isn't there yet; a name given as a string gets the scope."""
        name = str(param_name) if isinstance(param_name, BlobReference) else ScopedName(param_name)
        if name in self._parameters_info:
            known = self._parameters_info[name].shape
            if known != shape:
                raise AssertionError(f"parameter {name!r}: has shape {known}, wants {shape}")
            return self._parameters_info[name].blob
        info: ParameterInfo = initializer.create_param(BlobReference(name), self.param_init_net, shape)
        self._parameters_info[name] = info
        self.AddParameter(info.blob, tags)
        return info.blob

    def get_param_info(self, param: BlobReference) -> ParameterInfo | None:
        return self._parameters_info.get(str(param))

    def AddParameter(self, param: BlobReference, tags: Any = None) -> None:
        """Declares a parameter; its tags say whether it is a weight, a bias, or computed (not learned)."""
        if not isinstance(param, BlobReference):
            raise AssertionError(f"param: wants a BlobReference, got {type(param).__name__}")
        tags = set(tags if isinstance(tags, (list, tuple, set)) else filter(None, [tags]))
        (self._computed_params if ParameterTags.COMPUTED_PARAM in tags else self.params).append(param)
        if ParameterTags.WEIGHT in tags:
            self.weights.append(param)
        if ParameterTags.BIAS in tags:
            self.biases.append(param)

    def GetParams(self, namescope: str | None = None, top_scope: bool = False) -> list[BlobReference]:
        """The learned parameters of a name scope: the current one where none is given, all for ""."""
        return _within(self.params, namescope)

    def GetComputedParams(self, namescope: str | None = None) -> list[BlobReference]:
        """The parameters of a name scope that are computed from data, as running means are."""
        return _within(self._computed_params, namescope)

    def GetAllParams(self, namescope: str | None = None) -> list[BlobReference]:
        return self.GetParams(namescope) + self.GetComputedParams(namescope)

    def Validate(self) -> None:
        """Raises AssertionError for a parameter that is declared twice."""
        names = list(map(str, self.params))
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise AssertionError(f"parameters declared twice: {', '.join(twice)}")

    # --- gradients ---

    def AddGradientOperators(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """Adds the gradient operators of the losses, once; gives the map from blob to gradient."""
        if self.gradient_ops_added:
            raise RuntimeError("AddGradientOperators: the model has its gradient operators already")
        self.Validate()
        self.grad_map = self.net.AddGradientOperators(*args, **kwargs)
        self.gradient_ops_added = True
        self.param_to_grad = self.get_param_to_grad(self.params)
        for param, gradient in self.param_to_grad.items():
            self._parameters_info.setdefault(str(param), ParameterInfo(None, param)).grad = gradient
        return self.grad_map

    def get_param_to_grad(self, params: Iterable[BlobReference]) -> dict[Any, Any]:
        self._check_gradients()
        return {param: self.grad_map[param] for param in params if param in self.grad_map}

    def GetOptimizationParamInfo(self, params: Iterable[BlobReference] | None = None) -> list[ParameterInfo]:
        """What an optimiser has to update: the parameters that have a gradient."""
        self._check_gradients()
        gradients = self.get_param_to_grad(params) if params else self.param_to_grad
        return [
            self._parameters_info[str(param)]
            for param, gradient in gradients.items()
            if not (self.skip_sparse_optim and isinstance(gradient, GradientSlice))
        ]

    def _check_gradients(self) -> None:
        if not self.gradient_ops_added:
            raise RuntimeError("the model has no gradients yet: call AddGradientOperators first")

    # --- data, devices, all of it ---

    def GetCompleteNet(self) -> Net:
        """One net of the init net's operators, whose debug info ends in /param_init_net, and the net's."""
        complete = self.param_init_net.Clone(f"{self.name}_complete_net")
        for op in complete.Proto().op:
            op.debug_info += "/param_init_net"
        complete.AppendNet(self.net)
        if self.net.Proto().HasField("type"):
            complete.Proto().type = self.net.Proto().type
        return complete

    def ConstructInitTrainNetfromNet(self, net: Net) -> None:
        """Takes a net that GetCompleteNet gave apart again, as the model's two nets."""
        masks: dict[bool, list[int]] = {True: [], False: []}
        for index, op in enumerate(net.Proto().op):
            masks[op.debug_info.endswith("/param_init_net")].append(index)
        name = net.Name()
        self.param_init_net = net.Clone(
            f"{name}/generated_param_init_net", op_id_mask=masks[True], update_external_list=True
        )
        self.net = net.Clone(f"{name}/generated_net", op_id_mask=masks[False], update_external_list=True)

    def CreateDB(self, blob_out: Any, db: str, db_type: str, **kwargs: Any) -> BlobReference:
        reader: BlobReference = self.param_init_net.CreateDB([], blob_out, db=db, db_type=db_type, **kwargs)
        return reader

    def TensorProtosDBInput(
        self, unused_blob_in: Any, blob_out: Any, batch_size: int, db: str, db_type: str, **kwargs: Any
    ) -> Any:
        """The batches of a database; its reader is made by the init net."""
        if unused_blob_in:
            raise AssertionError("model.TensorProtosDBInput opens the database itself; with a reader use model.net's")
        reader = self.CreateDB(f"dbreader_{db}", db, db_type)
        return self.net.TensorProtosDBInput(reader, blob_out, batch_size=batch_size, **kwargs)

    def RunAllOnGPU(self, *args: Any, **kwargs: Any) -> None:
        self.param_init_net.RunAllOnGPU(*args, **kwargs)
        self.net.RunAllOnGPU(*args, **kwargs)


def _within(params: list[BlobReference], namescope: str | None) -> list[BlobReference]:
    prefix = scope.CurrentNameScope() if namescope is None else namescope
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    return [param for param in params if param.GetNameScope().startswith(prefix)]


def ExtractPredictorNet(
    net_proto: Any,
    input_blobs: Iterable[Any],
    output_blobs: Iterable[Any],
    device: Any = None,
    renames: Mapping[str, str] | None = None,
    disabled_inputs: Iterable[str] | None = None,
) -> tuple[Net, list[str]]:
    """The part of a training net that computes the outputs from the inputs: (net, its other external inputs).

    Operators whose inputs are not known (gradients, other data) are left out. Raises ValueError where no operator reads
    an input or writes an output, or where one runs in training mode (is_test=0).
    """
    inputs, outputs = {str(b) for b in input_blobs}, {str(b) for b in output_blobs}
    ops = list(net_proto.op)
    reads = [i for i, op in enumerate(ops) if inputs & set(op.input) and op.type != "StopGradient"]
    writes = [i for i, op in enumerate(ops) if outputs & set(op.output)]
    if not reads or not writes:
        raise ValueError(f"no operator {'reads' if not reads else 'writes'} any of {sorted(inputs or outputs)}")
    external = set(net_proto.external_input)
    known = (external | inputs) - set(disabled_inputs or ())
    kept = []
    for op in ops[reads[0] : writes[-1] + 1]:
        if known.issuperset(op.input):
            kept.append(_tested(op))
            known.update(op.output)
    read = {name for op in kept for name in op.input} & external
    written = {name for op in kept for name in op.output} & set(net_proto.external_output)
    names = dict(renames or {})
    proto = caffe2_pb2.NetDef(name=f"{net_proto.name}_predict")
    for op in kept:
        copy = proto.op.add()
        copy.CopyFrom(op)
        copy.input[:] = [names.get(name, name) for name in op.input]
        copy.output[:] = [names.get(name, name) for name in op.output]
        if device is not None:
            copy.device_option.device_type, copy.device_option.device_id = device.device_type, device.device_id
    proto.external_input.extend(names.get(name, name) for name in sorted(inputs | read))
    proto.external_output.extend(names.get(name, name) for name in sorted(outputs | written))
    given = {names.get(name, name) for name in inputs}
    return Net(proto, inplace=True), [name for name in proto.external_input if name not in given]


def _tested(op: Any) -> Any:
    if any(arg.name == "is_test" and arg.i == 0 for arg in op.arg):
        raise ValueError(f"operator {op.type} has is_test=0: extract the predictor from the test model")
    return op
