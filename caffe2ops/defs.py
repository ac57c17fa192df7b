"""The in-memory form of nets: frozen pydantic models, one for each message of schemas/caffe2.proto that nets are made
of.

Field names are the messages' own, with one exception: the repeated `arg` of an operator or net is a mapping `args`
from name to
value. A value has the Python type of the field it is stored in (see `Value`), bulk numbers are NumPy arrays. Which
fields were
written explicitly is kept (`model_fields_set`), so that a file can be written back as it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Annotated, Any, Union

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, WithJsonSchema
from typing_extensions import Self

from caffe2ops import values
from caffe2ops.values import BULK as BULK


class DataType(IntEnum):
    """Caffe2's TensorProto.DataType."""

    UNDEFINED = 0
    FLOAT = 1
    INT32 = 2
    BYTE = 3
    STRING = 4
    BOOL = 5
    UINT8 = 6
    INT8 = 7
    UINT16 = 8
    INT16 = 9
    INT64 = 10
    FLOAT16 = 12
    DOUBLE = 13
    ZERO_COLLISION_HASH = 14
    REBATCHING_BUFFER = 15


# fmt: off
DTYPES: dict[DataType, np.dtype[Any]] = {
    DataType.FLOAT: np.dtype(np.float32), DataType.DOUBLE: np.dtype(np.float64), DataType.FLOAT16: np.dtype(np.float16),
    DataType.INT8: np.dtype(np.int8), DataType.INT16: np.dtype(np.int16), DataType.INT32: np.dtype(np.int32),
    DataType.INT64: np.dtype(np.int64), DataType.UINT8: np.dtype(np.uint8), DataType.UINT16: np.dtype(np.uint16),
    DataType.BOOL: np.dtype(np.bool_), DataType.BYTE: np.dtype(np.uint8), DataType.STRING: np.dtype(np.object_),
}
# fmt: on
DATA_TYPES = {dtype: code for code, dtype in DTYPES.items() if code is not DataType.BYTE}


def dtype_of(data_type: int) -> np.dtype[Any]:
    """The NumPy dtype of a TensorProto.DataType number; strings are object arrays of bytes. Raises ValueError."""
    try:
        return DTYPES[DataType(data_type)]
    except (ValueError, KeyError):
        raise ValueError(f"{data_type} is not a tensor data type; known are {_names(DTYPES)}") from None


def data_type_of(dtype: np.dtype[Any] | type) -> DataType:
    """The TensorProto.DataType of a NumPy dtype. Raises TypeError for one that Caffe2 has no tensors of."""
    try:
        return DATA_TYPES[np.dtype(dtype)]
    except KeyError:
        raise TypeError(f"Caffe2 has no tensors of dtype {np.dtype(dtype)}; it has {_names(DTYPES)}") from None


def _names(types: Mapping[DataType, object]) -> str:
    return ", ".join(f"{t.value} ({t.name})" for t in types)


class DeviceType(IntEnum):
    """Caffe2's DeviceTypeProto, as far as nets name it."""

    CPU = 0
    CUDA = 1
    MKLDNN = 2
    OPENGL = 3
    OPENCL = 4
    IDEEP = 5
    HIP = 6


def _converter(dtype: type) -> BeforeValidator:
    def convert(value: Any) -> Any:
        given = np.asarray(values.array_from_json(value) if isinstance(value, dict) else value)
        if given.size and given.dtype.kind not in ("iub" if np.dtype(dtype).kind == "i" else "iubf"):
            raise ValueError(f"{given.dtype} elements, wants {np.dtype(dtype)}")
        return given.astype(dtype, copy=False)

    return BeforeValidator(convert)


_to_json = PlainSerializer(values.array_to_json, when_used="json")
_in_json = WithJsonSchema(values.array_schema())


Array = np.ndarray[Any, np.dtype[Any]]
Floats = Annotated[Array, _converter(np.float32), _to_json, _in_json]
Doubles = Annotated[Array, _converter(np.float64), _to_json, _in_json]
Int32s = Annotated[Array, _converter(np.int32), _to_json, _in_json]
Int64s = Annotated[Array, _converter(np.int64), _to_json, _in_json]


class Def(BaseModel):
    """Base of all definitions: frozen, compared by value (arrays bit by bit), unknown fields refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
        ser_json_inf_nan="strings",
    )

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(_same(value, getattr(other, name)) for name, value in self)

    __hash__ = None  # type: ignore[assignment]

    def replace(self, **changes: Any) -> Self:
        """A copy with other values for some fields (validated)."""
        fields = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**{**fields, **changes})


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        a, b = np.asarray(a), np.asarray(b)
        return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(_same(a[k], b[k]) for k in a)
    return type(a) is type(b) and bool(a == b or (a != a and b != b))


class Segment(Def):
    """The chunk [begin, end) of a tensor's elements that a TensorProto holds."""

    begin: int = 0
    end: int = 0


class DeviceOption(Def):
    """Where an operator runs, and its random seed."""

    device_type: int = DeviceType.CPU
    device_id: int = 0
    random_seed: int = 0
    node_name: str = ""
    numa_node_id: int = 0
    extra_info: tuple[str, ...] = ()


class TensorProto(Def):
    """A serialized tensor; `formats.tensor_to_array` makes an array of it."""

    dims: tuple[int, ...] = ()
    data_type: int = DataType.FLOAT
    data_format: int = 0
    float_data: Floats = Field(default_factory=lambda: np.empty(0, np.float32))
    int32_data: Int32s = Field(default_factory=lambda: np.empty(0, np.int32))
    byte_data: bytes = b""
    string_data: tuple[bytes, ...] = ()
    double_data: Doubles = Field(default_factory=lambda: np.empty(0, np.float64))
    int64_data: Int64s = Field(default_factory=lambda: np.empty(0, np.int64))
    raw_data: bytes = b""
    name: str = ""
    device_detail: DeviceOption | None = None
    segment: Segment | None = None


class QTensorProto(Def):
    """A serialized quantised tensor: real value = scale * (stored - bias)."""

    dims: tuple[int, ...] = ()
    precision: int = 0
    scale: float = 0.0
    bias: float = 0.0
    is_signed: bool = False
    data: Int32s = Field(default_factory=lambda: np.empty(0, np.int32))
    name: str = ""
    data_type: int = DataType.INT32
    scales: Doubles = Field(default_factory=lambda: np.empty(0, np.float64))
    biases: Doubles = Field(default_factory=lambda: np.empty(0, np.float64))
    axis: int = 0
    is_multiparam: bool = False


class TensorProtos(Def):
    protos: tuple[TensorProto, ...] = ()


class TensorShape(Def):
    """A shape as Caffe2 writes it; `unknown_dims` are positions in `dims`."""

    dims: tuple[int, ...] = ()
    data_type: int = DataType.FLOAT
    unknown_dims: tuple[int, ...] = ()
    unknown_shape: bool = False
    name: str = ""


class TensorShapes(Def):
    shapes: tuple[TensorShape, ...] = ()


class TensorBoundShape(Def):
    shape: TensorShape | None = None
    dim_type: tuple[int, ...] = ()
    name: str = ""
    shape_is_final: bool = False


class TensorBoundShapes(Def):
    shapes: tuple[TensorBoundShape, ...] = ()
    max_batch_size: int = 0
    max_feature_len: int = 0


class BlobProto(Def):
    """A serialized blob: a tensor, a quantised tensor, or content of another type."""

    name: str = ""
    type: str = ""
    tensor: TensorProto | None = None
    content: bytes = b""
    qtensor: QTensorProto | None = None
    content_num_chunks: int = 0
    content_chunk_id: int = 0


class DBReaderProto(Def):
    name: str = ""
    source: str = ""
    db_type: str = ""
    key: str = ""


class Argument(Def):
    """An argument in full, for the rare one whose value alone would not say how it was written: several fields set at
    once."""

    f: float | None = None
    i: int | None = None
    s: bytes | None = None
    t: TensorProto | None = None
    n: NetDef | None = None
    floats: Floats = Field(default_factory=lambda: np.empty(0, np.float32))
    ints: Int64s = Field(default_factory=lambda: np.empty(0, np.int64))
    strings: tuple[bytes, ...] = ()
    tensors: tuple[TensorProto, ...] = ()
    nets: tuple[NetDef, ...] = ()
    qtensors: tuple[QTensorProto, ...] = ()


def _value(value: Any) -> Any:
    """A value as the models keep it: bool and NumPy scalars as int or float, lists as tuples, arrays float32 or
    int64."""
    if isinstance(value, (bool, np.bool_, np.integer)):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.ndarray):
        if value.ndim != 1:
            raise ValueError(f"an array of shape {value.shape}: arguments hold flat lists, give values and shape apart")
        if value.dtype.kind == "f":
            return np.ascontiguousarray(value, np.float32)
        if value.dtype == np.uint64 and value.max(initial=0) > np.iinfo(np.int64).max:
            raise ValueError(f"an array with {value.max()}, which is beyond int64")
        if value.dtype.kind in "iub":
            return np.ascontiguousarray(value, np.int64)
        raise ValueError(f"an array of dtype {value.dtype}: arguments hold float, int, str, bytes, nets, tensors")
    if isinstance(value, (list, tuple)):
        items = tuple(_value(item) for item in value)
        if any(isinstance(item, (tuple, np.ndarray)) for item in items):
            raise ValueError("wants a flat list, give values and shape apart")
        return items
    if isinstance(value, dict):
        return values.value_from_json(value, _IN_ARGUMENTS.get)
    if not isinstance(value, (int, float, str, bytes, *_IN_ARGUMENTS.values())):
        raise ValueError(f"{value!r}: arguments hold float, int, str, bytes, nets, tensors, and lists of one of these")
    return value


def _args(args: Any) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    if not isinstance(args, Mapping):
        raise ValueError(f"{args!r}, wants a mapping from name to value")
    for name, value in args.items():
        try:
            found[name] = _value(value)
        except ValidationError:
            raise
        except (TypeError, ValueError) as error:
            raise ValueError(f"argument {name!r}: {error}") from None
    return found


# What an argument can be: field f, i, s (str where it is UTF-8, else bytes), n, t; their lists (an empty list sets no
# field);
# floats and ints in bulk as arrays; an Argument where one field does not say it all, several where the name stands
# twice.
Value = Annotated[
    Union[
        np.ndarray,  # first: else each of its numbers is looked at
        int,
        float,
        str,
        bytes,
        "NetDef",
        TensorProto,
        QTensorProto,
        Argument,
        tuple[Union[int, float, str, bytes, "NetDef", TensorProto, QTensorProto, Argument], ...],
    ],
    Field(union_mode="smart"),
    PlainSerializer(values.value_to_json, when_used="json"),
    WithJsonSchema(values.value_schema(("NetDef", "TensorProto", "QTensorProto", "Argument"))),
]
Args = Annotated[dict[str, Value], BeforeValidator(_args)]


def _names_tuple(value: Any) -> Any:
    if isinstance(value, str):
        return (str(value),)
    if not isinstance(value, Iterable):
        raise ValueError(f"{value!r}, wants the name of a blob or a list of names")
    return tuple(str(name) for name in value)


Names = Annotated[tuple[str, ...], BeforeValidator(_names_tuple)]


class OperatorDef(Def):
    """One operator of a net: type, blobs, arguments, device."""

    input: Names = ()
    output: Names = ()
    name: str = ""
    type: str = ""
    args: Args = Field(default_factory=dict)
    device_option: DeviceOption | None = None
    engine: str = ""
    control_input: Names = ()
    is_gradient_op: bool = False
    debug_info: str = ""
    domain: str = ""
    op_version: int = 0


class MapFieldEntry(Def):
    key: str = ""
    val: str = ""


class BackendOptions(Def):
    backend_name: str = ""
    option: tuple[MapFieldEntry, ...] = ()


class PartitionInfo(Def):
    name: str = ""
    device_id: tuple[int, ...] = ()
    extra_info: str = ""
    backend_options: tuple[BackendOptions, ...] = ()


class NetDef(Def):
    """A net: operators in the order in which they run, and the blobs that come in and go out."""

    name: str = ""
    op: tuple[OperatorDef, ...] = ()
    type: str = ""
    num_workers: int = 0
    device_option: DeviceOption | None = None
    args: Args = Field(default_factory=dict)
    external_input: Names = ()
    external_output: Names = ()
    partition_info: tuple[PartitionInfo, ...] = ()


class ExecutionStep(Def):
    """A step of a plan: nets or further steps, run once or several times."""

    name: str = ""
    substep: tuple[ExecutionStep, ...] = ()
    network: Names = ()
    num_iter: int = 0
    criteria_network: str = ""
    report_net: str = ""
    report_interval: int = 0
    run_every_ms: int = 0
    concurrent_substeps: bool = False
    should_stop_blob: str = ""
    only_once: bool = False
    create_workspace: bool = False
    num_concurrent_instances: int = 0


class PlanDef(Def):
    """Nets and the steps that run them."""

    name: str = ""
    network: tuple[NetDef, ...] = ()
    execution_step: tuple[ExecutionStep, ...] = ()


class ModelInfo(Def):
    project: str = ""
    modelClass: str = ""
    version: str = ""
    predictorType: str = "SINGLE_PREDICTOR"
    modelId: str = ""


class BlobsMap(Def):
    key: str = ""
    value: tuple[str, ...] = ()


class NetsMap(Def):
    key: str = ""
    value: NetDef = Field(default_factory=NetDef)


class PlansMap(Def):
    key: str = ""
    value: PlanDef = Field(default_factory=PlanDef)


class StringMap(Def):
    key: str = ""
    value: str = ""


class AOTConfig(Def):
    max_batch_size: int = 0
    max_seq_size: int = 0
    in_batch_broadcast: bool = False
    onnxifi_blacklist_ops: str = ""
    onnxifi_min_ops: int = 0


class MetaNetDef(Def):
    """What a predictor export holds beside its blobs: nets and blob lists by role."""

    blobs: tuple[BlobsMap, ...] = ()
    nets: tuple[NetsMap, ...] = ()
    modelInfo: ModelInfo | None = None
    plans: tuple[PlansMap, ...] = ()
    applicationSpecificInfo: tuple[StringMap, ...] = ()
    blobsOrder: tuple[str, ...] = ()
    preLoadBlobs: tuple[str, ...] = ()
    tensorBoundShapes: TensorBoundShapes | None = None
    requestOnlyEmbeddings: tuple[str, ...] = ()
    aotConfig: AOTConfig | None = None


for _model in (Argument, OperatorDef, NetDef, ExecutionStep, PlanDef, NetsMap, PlansMap, MetaNetDef):
    _model.model_rebuild()

_IN_ARGUMENTS: dict[str, type[Def]] = {model.__name__: model for model in (NetDef, TensorProto, QTensorProto, Argument)}
