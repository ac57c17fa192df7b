"""caffe2.python.predictor.predictor_exporter: a model in one database, its nets and its parameters."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from caffe2ops.compat.python import caffe2_pb2, core, scope, workspace
from caffe2ops.compat.python.predictor_constants import predictor_constants


@dataclass
class PredictorExportMeta:
    """What goes into the database.

    `predict_net` is a Net, NetDef, Plan or PlanDef; `parameters`, `inputs` and `outputs` are blobs, and distinct;
    `shapes` are those of inputs and outputs that the workspace doesn't have. `name` tells several models in one
    database apart; the extra nets are appended to the init nets. Raises AssertionError for blobs in two roles.
    """

    predict_net: Any
    parameters: Sequence[Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    shapes: Mapping[str, Sequence[int]] | None = None
    name: str = ""
    extra_init_net: Any = None
    global_init_net: Any = None
    net_type: str | None = None
    num_workers: int | None = None

    def __post_init__(self) -> None:
        self.parameters, self.inputs, self.outputs = (
            list(map(str, blobs)) for blobs in (self.parameters, self.inputs, self.outputs)
        )
        self.shapes = dict(self.shapes or {})
        if len(set(self.inputs)) < len(self.inputs):
            raise AssertionError(f"inputs {self.inputs}: wants each once")
        for role, blobs in (("inputs", self.inputs), ("outputs", self.outputs)):
            both = sorted(set(self.parameters) & set(blobs))
            if both:
                raise AssertionError(f"{', '.join(both)}: among the parameters and the {role}, wants them apart")
        if isinstance(self.predict_net, (core.Net, core.Plan)):
            self.predict_net = self.predict_net.Proto()

    def _key(self, role: str) -> str:
        return f"{role}_{self.name}" if self.name else role

    def inputs_name(self) -> str:
        return self._key(predictor_constants.INPUTS_BLOB_TYPE)

    def outputs_name(self) -> str:
        return self._key(predictor_constants.OUTPUTS_BLOB_TYPE)

    def parameters_name(self) -> str:
        return self._key(predictor_constants.PARAMETERS_BLOB_TYPE)

    def global_init_name(self) -> str:
        return self._key(predictor_constants.GLOBAL_INIT_NET_TYPE)

    def predict_init_name(self) -> str:
        return self._key(predictor_constants.PREDICT_INIT_NET_TYPE)

    def predict_net_name(self) -> str:
        return self._key(predictor_constants.PREDICT_NET_TYPE)


def _predict_init_net(meta: PredictorExportMeta) -> Any:
    """Fills inputs and outputs with zeros of their shapes."""
    net = core.Net("predict-init")
    blobs = [*meta.inputs, *meta.outputs]
    with scope.EmptyDeviceScope():
        for blob in blobs:
            shape = (meta.shapes or {}).get(blob)
            if shape is None:
                if blob not in workspace.blobs:
                    raise ValueError(f"blob {blob!r}: its shape is wanted, in `shapes` or by a blob of the workspace")
                shape = workspace.FetchBlob(blob).shape
            net.ConstantFill([], core.BlobReference(blob), shape=shape, value=0.0)
    net.Proto().external_input.extend(blobs)
    if meta.extra_init_net:
        net.AppendNet(meta.extra_init_net)
    return net.Proto()


def _global_init_net(meta: PredictorExportMeta) -> Any:
    """Loads the parameters from the database."""
    net = core.Net("global-init")
    reader = core.BlobReference(predictor_constants.PREDICTOR_DBREADER)
    net.Load([reader], [core.BlobReference(name) for name in meta.parameters])
    net.Proto().external_output.extend(meta.parameters)
    if meta.global_init_net:
        net.AppendNet(meta.global_init_net)
    return net.Proto()


def _predict_net(meta: PredictorExportMeta) -> Any:
    given = meta.predict_net
    proto = core.Net(given.name or "predict").Proto()
    proto.op.extend(given.op)
    proto.arg.extend(given.arg)
    proto.partition_info.extend(given.partition_info)
    proto.external_input.extend([*meta.inputs, *meta.parameters])
    proto.external_output.extend(meta.outputs)
    if meta.net_type is not None:
        proto.type = meta.net_type
    if meta.num_workers is not None:
        proto.num_workers = meta.num_workers
    return proto


def get_meta_net_def(predictor_export_meta: PredictorExportMeta, ws: Any = None, db_type: str | None = None) -> Any:
    """The MetaNetDef: init nets, predict net and lists of blobs by role. Shapes come from the current workspace."""
    meta = predictor_export_meta
    message = caffe2_pb2.MetaNetDef()
    AddNet(message, meta.predict_init_name(), _predict_init_net(meta))
    AddNet(message, meta.global_init_name(), _global_init_net(meta))
    AddNet(message, meta.predict_net_name(), _predict_net(meta))
    AddBlobs(message, meta.parameters_name(), meta.parameters)
    AddBlobs(message, meta.inputs_name(), meta.inputs)
    AddBlobs(message, meta.outputs_name(), meta.outputs)
    return message


def save_to_db(db_type: str, db_destination: str, predictor_export_meta: PredictorExportMeta, **kwargs: Any) -> None:
    """Writes the nets and the parameters, from the current workspace, into a new database."""
    meta = predictor_export_meta
    with scope.EmptyNameScope(), core.DeviceScope(core.DeviceOption(caffe2_pb2.CPU)):
        workspace.FeedBlob(
            predictor_constants.META_NET_DEF, get_meta_net_def(meta, db_type=db_type).SerializeToString()
        )
        blobs = [predictor_constants.META_NET_DEF, *meta.parameters]
        kwargs |= {"absolute_path": True, "db": db_destination, "db_type": db_type}
        workspace.RunOperatorOnce(core.CreateOperator("Save", blobs, [], **kwargs))


def load_from_db(filename: str, db_type: str, device_option: Any = None) -> Any:
    """The MetaNetDef of a database, which stays open for the parameters. Operators go to `device_option`, else to the
    device of the current scope."""
    reader, content = predictor_constants.PREDICTOR_DBREADER, predictor_constants.META_NET_DEF
    device = device_option if device_option is not None else scope.CurrentDeviceScope()
    with scope.EmptyNameScope():
        workspace.RunOperatorOnce(core.CreateOperator("CreateDB", [], [reader], db=filename, db_type=db_type))
        workspace.RunOperatorOnce(core.CreateOperator("Load", [reader], [content]))
    message = caffe2_pb2.MetaNetDef.FromString(workspace.FetchBlob(content))
    if device is not None:
        for entry in message.nets:
            for op in entry.value.op:
                op.device_option.CopyFrom(device)
    return message


def _entry(entries: Any, key: str) -> Any:
    return next((entry for entry in entries if entry.key == key), None)


def AddNet(meta_net_def: Any, net_name: str, net_def: Any) -> None:
    """Puts in a net under its role."""
    meta_net_def.nets.add(key=net_name, value=net_def)


def GetNet(meta_net_def: Any, key: str) -> Any:
    """The net of a role, None where there is none."""
    entry = _entry(meta_net_def.nets, key)
    return None if entry is None else entry.value


def AddBlobs(meta_net_def: Any, blob_name: str, blob_def: Iterable[str]) -> None:
    """Puts in blobs under their role, after those that are there."""
    entry = _entry(meta_net_def.blobs, blob_name) or meta_net_def.blobs.add(key=blob_name)
    entry.value.extend(blob_def)


def ReplaceBlobs(meta_net_def: Any, blob_name: str, blob_def: Iterable[str]) -> None:
    """Puts in blobs in place of those of a role. Raises AssertionError where there is no such role."""
    entry = _entry(meta_net_def.blobs, blob_name)
    if entry is None:
        raise AssertionError(f"no blobs {blob_name!r} in the definition")
    entry.value[:] = blob_def


def GetBlobs(meta_net_def: Any, key: str) -> list[str]:
    """The blobs of a role."""
    entry = _entry(meta_net_def.blobs, key)
    return [] if entry is None else list(entry.value)


def prepare_prediction_net(filename: str, db_type: str, device_option: Any = None) -> core.Net:
    """Loads a model into the current workspace: gives its predict net, created and ready to run."""
    message = load_from_db(filename, db_type, device_option)
    workspace.RunNetOnce(GetNet(message, predictor_constants.GLOBAL_INIT_NET_TYPE))
    workspace.RunNetOnce(GetNet(message, predictor_constants.PREDICT_INIT_NET_TYPE))
    net = core.Net(GetNet(message, predictor_constants.PREDICT_NET_TYPE))
    workspace.CreateNet(net)
    return net
