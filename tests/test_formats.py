"""Files of Caffe2: read, written, round trips, broken ones."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import struct
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2

from caffe2ops import defs, formats
from caffe2ops.defs import (
    Argument,
    BlobProto,
    MetaNetDef,
    NetDef,
    OperatorDef,
    PlanDef,
    QTensorProto,
    TensorProto,
    TensorProtos,
)
from caffe2ops.formats import FormatError, compile_proto, messages, numbers, pbtxt, schemas, wire
from caffe2ops.formats.messages import message_class
from caffe2ops.workspace import QTensor
from tests.kit import shared as shared_material

GOLDEN = Path(__file__).parent / "golden"
DESCRIPTOR = json.loads((GOLDEN / "descriptor.json").read_text())
BLOBS = {name: base64.b64decode(text) for name, text in json.loads((GOLDEN / "blobs.json").read_text()).items()}
FORMS = ("binary", "text", "json")


def net_with_everything() -> NetDef:
    small = NetDef(name="inner", op=[OperatorDef(type="Relu", input="X", output="Y")])
    tensor = TensorProto(dims=(2,), float_data=[1.5, np.nan], name="t", data_type=1)
    args = {
        "i": -1,
        "f": 0.5,
        "nan": float("nan"),
        "s": "NCHW",
        "utf8": "ä\n\"'",
        "bytes": b"\xff\x00",
        "ints": (1, -(2**63), 2**63 - 1),
        "floats": (1.0, float("inf"), -0.0),
        "strings": ("a", b"\xff"),
        "empty": (),
        "bulk_floats": np.linspace(-1, 1, 1000, dtype=np.float32),
        "bulk_ints": np.arange(-500, 500) ** 3,
        "net": small,
        "nets": (small, small),
        "tensor": tensor,
        "tensors": (tensor, TensorProto(dims=(100,), int32_data=np.arange(100), data_type=2)),
        "qtensors": (QTensorProto(dims=(2,), precision=8, scale=0.1, bias=3.0, is_signed=False, data=[1, 2]),),
        "several": Argument(i=0, f=0.0),
        "twice": (Argument(i=1), Argument(floats=np.arange(200))),
    }
    device = defs.DeviceOption(device_type=1, device_id=0, extra_info=("x",))
    op = OperatorDef(
        type="Everything", input=("a", "b"), output="c", name="", args=args, device_option=device, is_gradient_op=False
    )
    return NetDef(
        name="", op=(op, OperatorDef()), type="dag", args={"n": 1}, external_input=("a", "b"), external_output=("c",)
    )


# ------------------------------------------------------------------------------------------------------ the wire format


def test_schema_has_the_fields_of_the_reference() -> None:
    assert {"messages": dict(_messages()), "enums": dict(_enums())} == DESCRIPTOR


def _own_files() -> Any:
    return messages.file_set().file


def _enums() -> Iterator[tuple[str, dict[str, int]]]:
    for file in _own_files():
        for enum in file.enum_type:
            yield f"caffe2.{enum.name}", {value.name: value.number for value in enum.value}


def _messages() -> Iterator[tuple[str, Any]]:
    def below(message: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        full = f"{prefix}.{message.name}"
        enums = {f"{full}.{e.name}": {v.name: v.number for v in e.value} for e in message.enum_type}
        fields = message_class(full.removeprefix("caffe2.")).DESCRIPTOR.fields_by_name
        found = {}
        for f in message.field:
            default = fields[f.name].default_value if f.HasField("default_value") else None
            found[f.name] = [f.number, f.label, f.type, f.type_name.removeprefix("."), f.options.packed, default]
        yield full, {"fields": found, "enums": enums}
        for inner in message.nested_type:
            yield from below(inner, full)

    for file in _own_files():
        for message in file.message_type:
            yield from below(message, "caffe2")


def test_compiled_schema_is_current() -> None:
    pytest.importorskip("grpc_tools")
    new = descriptor_pb2.FileDescriptorSet.FromString(compile_proto.compile_proto())
    assert new == messages.file_set(), "run python -m caffe2ops.formats.compile_proto"


def test_every_field_has_its_place_in_the_models() -> None:
    for model in vars(defs).values():
        if isinstance(model, type) and issubclass(model, defs.Def) and model is not defs.Def:
            names = {field.attribute for field in messages.fields(model).values()}
            assert names - set(model.model_fields) <= ({"name"} if model is Argument else set()), model
            assert set(model.model_fields) <= names, model


def test_lives_beside_another_caffe2_proto() -> None:
    script = """
        from google.protobuf import descriptor_pb2, descriptor_pool
        other = descriptor_pb2.FileDescriptorProto(name="caffe2/proto/caffe2.proto", package="caffe2", syntax="proto2")
        for name in ("NetDef", "OperatorDef", "TensorProto"):
            field = other.message_type.add(name=name).field.add(name="other", number=1, label=1, type=5)
        descriptor_pool.Default().Add(other)
        other.name = "caffe2.proto"
        for message in other.message_type:
            message.name += "2"
        descriptor_pool.Default().Add(other)
        assert descriptor_pool.Default().FindMessageTypeByName("caffe2.NetDef").fields_by_name["other"].number == 1
        from caffe2ops import formats
        assert formats.loads('name: "x" op { type: "Relu" }').op[0].type == "Relu"
        assert descriptor_pool.Default().FindMessageTypeByName("caffe2.NetDef").fields_by_name["other"].number == 1
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def test_importing_caffe2ops_leaves_protobuf_alone() -> None:
    subprocess.run(
        [sys.executable, "-c", "import sys, caffe2ops.formats; assert 'google.protobuf' not in sys.modules"], check=True
    )


# ---------------------------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("form", FORMS)
def test_everything_survives(form: str) -> None:
    net = net_with_everything()
    again = formats.loads(formats.dumps(net, form))
    assert again == net
    assert again.model_fields_set == net.model_fields_set
    assert again.op[0].model_fields_set == net.op[0].model_fields_set
    assert formats.dumps(again) == formats.dumps(net)


def test_own_bytes_are_protobufs_bytes() -> None:
    data = formats.dumps(net_with_everything())
    message = message_class("NetDef").FromString(data)
    assert message.SerializeToString() == data
    values = {arg.name: arg for arg in message.op[0].arg}
    assert list(values["bulk_ints"].ints) == (np.arange(-500, 500) ** 3).tolist()
    assert list(values["bulk_floats"].floats) == np.linspace(-1, 1, 1000, dtype=np.float32).tolist()


def test_presence_survives() -> None:
    for net in (NetDef(), NetDef(name=""), NetDef(num_workers=0), NetDef(device_option=defs.DeviceOption())):
        for form in FORMS:
            assert formats.loads(formats.dumps(net, form), NetDef).model_fields_set == net.model_fields_set
    assert formats.dumps(NetDef()) == b""
    assert formats.dumps(NetDef(name="")) == b"\n\x00"


def test_numbers_become_lists_or_arrays() -> None:
    op = OperatorDef(type="X", args={"short": [1.0] * 64, "long": [1.0] * 65, "ids": list(range(65))})
    args = formats.loads(formats.dumps(NetDef(op=[op]))).op[0].args
    assert args["short"] == (1.0,) * 64
    assert args["long"].dtype == np.float32
    assert args["ids"].dtype == np.int64
    assert args["ids"].tolist() == list(range(65))


MODEL_FILES = (
    sorted(
        p for p in (shared_material.FOLDER / "models").rglob("*") if p.is_file() and p.suffix not in (".npz", ".json")
    )
    if shared_material.FOLDER.is_dir()
    else []
)


@pytest.mark.parametrize("path", MODEL_FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_files_from_the_wild(path: Path) -> None:
    definition = formats.load(path)
    if isinstance(definition, formats.PredictorExport):
        definition = definition.meta
        with formats.open_db("minidb", path) as db:
            original = next(bytes(v) for k, v in db.cursor() if k == b"!!META_NET_DEF")
        message = message_class("MetaNetDef").FromString(message_class("BlobProto").FromString(original).content)
    elif isinstance(definition, dict):
        with formats.open_db("minidb", path) as db:
            for key, value in db.cursor():
                assert formats.dumps(definition[key.decode()]) == value
        return
    elif path.suffix in (".pbtxt", ".prototxt", ".txt") and b"\n" in path.read_bytes()[:200]:
        from google.protobuf import text_format

        text = path.read_text().replace("cuda_gpu_id", "device_id")
        message = text_format.Parse(text, message_class(type(definition).__name__)())
    elif path.stat().st_size == 0:
        message = message_class("NetDef")()
    else:
        message = message_class(type(definition).__name__).FromString(path.read_bytes())
    assert message_class(type(definition).__name__).FromString(formats.dumps(definition)) == message
    for form in FORMS:
        one = shortened(definition) if form == "text" else definition
        assert formats.loads(formats.dumps(one, form), type(one)) == one, form


def shortened(definition: Any) -> Any:
    """Large nets with a tenth of their numbers: protobuf reads text slowly."""
    if (
        not isinstance(definition, NetDef)
        or sum(v.size for op in definition.op for v in op.args.values() if isinstance(v, np.ndarray)) < 30_000
    ):
        return definition
    ops = []
    for op in definition.op:
        args = {name: v[:200] if isinstance(v, np.ndarray) else v for name, v in op.args.items()}
        ops.append(op.replace(args=args))
    return definition.replace(op=ops)


# ---------------------------------------------------------------------------------------------------- told from content


def test_format_and_kind_are_told_from_the_content(tmp_path: Path) -> None:
    step = defs.ExecutionStep(name="s", network=("n",), num_iter=3)
    relu = OperatorDef(type="Relu", input="X", output="Y")
    tensor = formats.array_to_tensor(np.arange(3, dtype=np.float32), "t")
    cases = [
        NetDef(name="n", op=[relu]),
        NetDef(op=[OperatorDef(type="ConstantFill", output="Y", args={"shape": (1,)})]),
        NetDef(name="only a name"),
        PlanDef(name="p", network=[NetDef(name="n", op=[relu])], execution_step=[step]),
        PlanDef(execution_step=[step]),
        MetaNetDef(
            nets=[defs.NetsMap(key="k", value=NetDef(name="n", op=[relu]))],
            blobs=[defs.BlobsMap(key="b", value=("x",))],
        ),
        TensorProtos(protos=[tensor, tensor]),
        BlobProto(name="b", type="Tensor", tensor=tensor),
        tensor,
    ]
    for definition in cases:
        for form in FORMS:
            path = tmp_path / "misnamed.pbtxt"
            path.write_bytes(formats.dumps(definition, form))
            assert formats.load(path) == definition, form
            assert formats.load(path, type(definition)) == definition


def test_dump_chooses_the_form_by_name(tmp_path: Path) -> None:
    net = NetDef(name="n", op=[OperatorDef(type="Relu")])
    for name, start in (("a.pb", b"\n\x01n"), ("a.pbtxt", b'name: "n"'), ("a.json", b"{")):
        formats.dump(net, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
        assert formats.load(tmp_path / name) == net
    with pytest.raises(ValueError, match="form 'yaml', wants one of binary, text, json"):
        formats.dumps(net, "yaml")


def test_old_words_in_text() -> None:
    text = """
        name: "cuda_gpu_id: 7"  # cuda_gpu_id
        op { type: "X" device_option { device_type: CUDA cuda_gpu_id: 3 } arg { name: 'cuda_gpu_id' i: 1 } }
    """
    net = formats.loads(text)
    assert net.name == "cuda_gpu_id: 7"
    assert net.op[0].device_option == defs.DeviceOption(device_type=1, device_id=3)
    assert net.op[0].args == {"cuda_gpu_id": 1}


# ------------------------------------------------------------------------------------------------------- broken content


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('name: "n" op { typ: "X" }', r"as NetDef: 1:16 .*typ"),
        ('name: "n" op {', r"as NetDef: 1"),
        ('{"op": [{"typ": 1}]}', r"as NetDef: op.0.typ: Extra inputs"),
        ('{"op": [{"args": {"a": {"x": 1}}}]}', r"as NetDef: op.0.args: .*no form of an argument value"),
        ('{"op": ', "as NetDef: Invalid JSON"),
        ('{"op": [{"args": {"a": null}}]}', r"op.0.args: .*argument 'a': None: arguments hold float, int"),
        ('{"op": [{"args": {"a": {"base64": 3}}}]}', "op.0.args: .*argument 'a': .*not 'int'"),
        ('{"op": [{"args": {"a": [{"float": [1]}]}}]}', "op.0.args: .*argument 'a': .*not 'list'"),
        ('{"op": [{"args": [1]}]}', r"op.0.args: .*\[1\], wants a mapping"),
        ('{"external_input": 3}', "external_input: .*3, wants the name of a blob or a list of names"),
        ('{"dims": [2], "int32_data": [1, 2.5]}', "int32_data: .*float64 elements, wants int32"),
        ('{"dims": [1], "float_data": [null]}', "float_data: .*object elements, wants float32"),
        ('{"dims": [1], "float_data": {"dtype": "float32", "base64": 3}}', "not 'int'"),
        ('layer { name: "data" type: "Data" }', 'as NetDef: 1:1 .*no field named "layer"'),
        (formats.dumps(TensorProto(dims=(1,), data_type=1, segment=defs.Segment(end=1))), "missing .*segment.begin"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(64)), "no message of Caffe2's|wire type|wants"),
        (b"\x0a\x02\xff\xfe", "name: .* is not UTF-8"),
        (b"\x12\x05\x22\x02\xff\xfe\x12", r"op\[0\].*"),
    ],
)
def test_errors_say_where(data: Any, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        formats.loads(data)


def test_a_cut_file_is_named_with_byte_and_path(tmp_path: Path) -> None:
    values = np.arange(2000, dtype=np.float32)
    ops = [
        OperatorDef(type="GivenTensorFill", output=f"w{i}", args={"shape": (2000,), "values": values}) for i in range(3)
    ]
    data = bytearray(formats.dumps(NetDef(op=ops)))
    path = tmp_path / "init_net.pb"
    path.write_bytes(data[:-5000])
    with pytest.raises(
        FormatError, match=rf"init_net.pb: byte \d+: field 2 wants \d+ bytes, {len(data) // 3 - 5003} are left"
    ):
        formats.load(path)
    data[-5 * 1000] ^= 0xFF  # the tag before a value in the middle of the last run
    with pytest.raises(FormatError, match=rf"op\[2\]\.arg\[1\].* at byte {len(data) - 5000}"):
        formats.loads(bytes(data), NetDef)


def test_no_input_does_worse_than_a_format_error() -> None:
    """Truncations at every byte, and random changes, of nets small and with bulk."""
    rng = np.random.default_rng(0)
    op = OperatorDef(
        type="X", output="w", args={"values": np.arange(300, dtype=np.float32), "ids": np.arange(400) * 1000}
    )
    plan = PlanDef(
        name="p", network=[NetDef(op=[op])], execution_step=[defs.ExecutionStep(substep=[defs.ExecutionStep()])]
    )
    small = NetDef(op=[OperatorDef(type="X", output="w", args={"values": np.arange(70, dtype=np.float32), "k": 3})])
    for definition in (small, net_with_everything(), NetDef(op=[op]), plan):
        data = formats.dumps(definition)
        step = max(1, len(data) // 1500)
        for stop in range(0, len(data), step):
            attempt(data[:stop], type(definition))
        for _ in range(600):
            broken = bytearray(data)
            for at in rng.integers(0, len(data), rng.integers(1, 4)):
                broken[at] = rng.integers(0, 256)
            attempt(bytes(broken), type(definition))
    text = formats.dumps(net_with_everything(), "text")[:1500]
    for form in (text, formats.dumps(plan, "json")[:1500]):
        for stop in range(0, len(form), 7):
            attempt(form[:stop], None)
    for _ in range(300):
        attempt(rng.integers(0, 256, rng.integers(0, 64), np.uint8).tobytes(), None)


def attempt(data: bytes, model: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(FormatError):
            formats.dumps(formats.loads(data, model))


def test_bombs_are_bounded() -> None:
    deep = b""
    for number in (8, 5, 2) * 100:
        deep = bytes([number << 3 | 2]) + wire.write_varint(len(deep)) + deep
    with pytest.raises(FormatError, match="nested more than 100 deep"):
        formats.loads(deep, NetDef)
    with pytest.raises(FormatError):
        formats.loads("op { arg { n { " * 2000, NetDef)
    with pytest.raises(FormatError):
        formats.loads('{"op":[{"args":{"n":{"NetDef":' * 2000, NetDef)
    with pytest.raises(FormatError, match=r"op\[0\] at byte 3: .*|byte \d+: field 2 wants"):
        formats.loads(b"\x12\xff\xff\xff\xff\x0f\x0a", NetDef)
    alternating = (b"\x2d" + bytes(4)) * 70 + (b"\x2d" + bytes(4) + b"\x30\x01") * 20_000
    started = time.perf_counter()
    with pytest.raises(FormatError, match="numbers in more than 10000 pieces"):
        wire.Scan(np.frombuffer(alternating, np.uint8)).message(Argument, 0, len(alternating))
    assert time.perf_counter() - started < 60


def test_fields_of_later_versions_are_dropped_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="NetDef: 3 bytes of fields that Caffe2 1.10.2 does not know"):
        assert formats.loads(b"\x0a\x01n\xa0\x06\x01", NetDef) == NetDef(name="n")


def test_values_that_the_wire_cannot_hold() -> None:
    with pytest.raises(FormatError, match=r"op\[0\].arg 'k': .*[Oo]ut of range|op\[0\].*arg 'k'"):
        formats.dumps(NetDef(op=[OperatorDef(type="X", args={"k": 2**70})]))


# -------------------------------------------------------------------------------------------------------------- numbers


def test_varints_of_all_lengths() -> None:
    ints = np.array([0, 1, -1, 127, 128, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), *(2**k for k in range(63))])
    for repeat in (1, 40, 5000):
        values = np.tile(ints, repeat)
        data = np.frombuffer(numbers.encode_varints(values, b"\x30"), np.uint8)
        read, stop = numbers.varints_unpacked(data, 0, len(data), np.dtype("<i8"))
        assert stop == len(data)
        assert (read == values).all()
        packed = np.frombuffer(numbers.encode_varints(values), np.uint8)
        assert (numbers.varints_packed(packed, 0, len(packed), np.dtype("<i8")) == values).all()
        assert (numbers.varints_packed(packed, 0, len(packed), np.dtype("<i4")) == values.astype(np.int32)).all()


def test_runs_in_pieces_are_joined_in_order() -> None:
    message = message_class("Argument")
    runs = [3, 100, 5, 70, 1]
    data, at = b"\x0a\x01x", 0
    for index, run in enumerate(runs):
        part = message(floats=range(at, at + run), ints=range(at, at + run))
        chunk = part.SerializeToString()
        if index == 3:  # packed, as other writers have it
            chunk = b"\x2a" + wire.write_varint(run * 4) + np.arange(at, at + run, dtype="<f4").tobytes()
            chunk += message(ints=range(at, at + run)).SerializeToString()
        data, at = data + chunk, at + run
    whole = (
        b"\x12"
        + wire.write_varint(len(data) + len(wire.write_varint(len(data))) + 1)
        + b"\x2a"
        + wire.write_varint(len(data))
        + data
    )
    value = formats.loads(whole, NetDef).op[0].args["x"]
    assert value.floats.tolist() == value.ints.tolist() == list(range(sum(runs)))


def test_slabs_do_not_overlap() -> None:
    slabs = numbers.Slabs(1 << 30)
    arrays = [
        slabs.empty(n, np.dtype("<f4"))
        for n in (10, 100_000, 2_000_000, 900_000, 900_000, 900_000, 900_000, 900_000, 900_000, 0)
    ]
    for value, array in enumerate(arrays):
        array[:] = value
    for value, array in enumerate(arrays):
        assert (array == value).all()


# -------------------------------------------------------------------------------------------------------------- tensors

NUMBERS = [[1, 0, 3], [100, -1, 0]]
DTYPES = ("float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "int64", "bool")
VALUES: dict[str, Any] = {
    **{dtype: np.array(NUMBERS).astype(dtype) for dtype in DTYPES},
    "scalar": np.array(2.5, np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "nonfinite": np.array([np.nan, np.inf, -np.inf, -0.0], np.float32),
    "strings": np.array([b"a", b"", b"\xff\x00"], dtype=object),
    "string": b"bytes",
    "int8_uint8": QTensor(np.array([1, 2, 250], np.uint8), 0.5, 3),
    "int8_int32": QTensor(np.array([1, -2, 300000], np.int32), 0.5, 3),
}


def same(a: Any, b: Any) -> bool:
    if isinstance(a, QTensor):
        return same(a.data, b.data) and (a.scale, a.zero_point) == (b.scale, b.zero_point)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and (a.tolist() == b.tolist() or a.tobytes() == b.tobytes())
    return bool(a == b)


@pytest.mark.parametrize("name", sorted(BLOBS))
def test_blobs_as_the_reference_writes_them(name: str) -> None:
    value = formats.blob_to_value(formats.loads(BLOBS[name], BlobProto))
    assert same(value, VALUES[name])
    (written,) = formats.value_to_blobs(name, VALUES[name])
    assert formats.dumps(written) == BLOBS[name]


def tensor(data_type: int, dims: Any = (2,), **data: Any) -> TensorProto:
    return TensorProto(dims=dims, data_type=data_type, **data)


@pytest.mark.parametrize(
    ("proto", "expected"),
    [
        (tensor(3, byte_data=b"ab"), np.array([97, 98], np.uint8)),
        (tensor(6, byte_data=b"\xff\x01"), np.array([255, 1], np.uint8)),
        (tensor(7, byte_data=b"\xff\x01"), np.array([-1, 1], np.int8)),
        (tensor(5, byte_data=b"\x02\x00"), np.array([True, False])),
        (tensor(7, int32_data=[300, -1]), np.array([44, -1], np.int8)),
        (tensor(8, int32_data=[-1, 1]), np.array([65535, 1], np.uint16)),
        (tensor(5, int32_data=[7, 0]), np.array([True, False])),
        (tensor(1, raw_data=np.array([1, 2], "<f4").tobytes()), np.array([1, 2], np.float32)),
        (tensor(1, raw_data=b"\x80\x3f\x00\x40", data_format=1), np.array([1, 2], np.float32)),
        (tensor(12, raw_data=np.array([1, 2], "<f2").tobytes()), np.array([1, 2], np.float16)),
        (tensor(10, raw_data=np.array([1, 2], "<i8").tobytes()), np.array([1, 2], np.int64)),
        (tensor(5, raw_data=b"\x01\x00"), np.array([True, False])),
        (tensor(4, string_data=(b"a", b"b")), np.array([b"a", b"b"], object)),
        (tensor(13, (), double_data=[2.0]), np.array(2.0)),
    ],
)
def test_tensors_read(proto: TensorProto, expected: np.ndarray) -> None:
    assert same(formats.tensor_to_array(proto), expected)


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (tensor(1, (3,), float_data=[1.0], name="w"), "'w': dims and segment say 3 elements, float_data has 1"),
        (tensor(1, (-1,)), r"dims \(-1,\)"),
        (tensor(1, (2**62, 2**62)), "elements, float_data has 0"),
        (tensor(1, (2**62, 2**62, 0)), r"dims \(4611686018427387904, 4611686018427387904, 0\)"),
        (tensor(1, (1,) * 70, float_data=[1.0]), r"dims \(1, .*70"),
        (tensor(0, (1,)), "0 is not a tensor data type"),
        (tensor(99, (1,)), "99 is not a tensor data type"),
        (tensor(1, raw_data=b"abc"), "3 bytes is no multiple of 4"),
        (tensor(1, raw_data=b"abcd", data_format=9), "data_format 9"),
        (tensor(1, (4,), float_data=[1.0], segment=defs.Segment(begin=1, end=2)), "elements 1 to 2 of 4 only"),
    ],
)
def test_tensors_refused(proto: TensorProto, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        formats.tensor_to_array(proto)


def test_chunks() -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 12)
    chunks = [formats.array_to_tensor(array, "x", (at, min(at + 7, 24))) for at in range(0, 24, 7)]
    assert same(formats.tensors_to_array(reversed(chunks)), array)
    for broken, message in (
        (chunks[1:], "follows element 0"),
        (chunks[:-1], "end at element 21"),
        (chunks[:1] * 2 + chunks[1:], "follows"),
    ):
        with pytest.raises(FormatError, match=message):
            formats.tensors_to_array(broken)


def test_bfloat16() -> None:
    array = np.array([1.0, 2.5, 3.14159], np.float32)
    proto = formats.array_to_tensor(array, bfloat16=True)
    np.testing.assert_allclose(formats.tensor_to_array(proto), array, rtol=2**-7)


def test_quantised_tensors_refused() -> None:
    good = formats.value_to_qtensor(QTensor(np.array([1, 2], np.uint8), 0.5, 3))
    for change, message in (
        ({"data_type": 7}, "data_type 7"),
        ({"dims": (3,)}, "3 elements, data has 2"),
        ({"bias": np.nan}, "bias nan"),
    ):
        with pytest.raises(FormatError, match=message):
            formats.qtensor_to_value(good.replace(**change))
    with pytest.raises(TypeError, match="float32"):
        formats.value_to_qtensor(QTensor(np.zeros(2, np.float32)))
    with pytest.raises(TypeError, match="complex"):
        formats.array_to_tensor(np.zeros(2, complex))


# ------------------------------------------------------------------------------------------------ databases, predictors


@pytest.mark.parametrize("kind", ["minidb", "lmdb"])
def test_databases(kind: str, tmp_path: Path) -> None:
    if kind == "lmdb":
        pytest.importorskip("lmdb")
    path = tmp_path / "db"
    with formats.open_db(kind, path, "new") as db, db.transaction() as transaction:
        transaction.put("b", b"2")
        transaction.put(b"a", b"1")
    with formats.open_db(kind, path, "write") as db, db.transaction() as transaction:
        transaction.put("c", b"3")
    with formats.open_db(kind, path) as db:
        cursor = db.cursor()
        records = [(key, bytes(value)) for key, value in cursor]
        assert sorted(records) == [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]
        assert not cursor.valid()
        cursor.seek_to_first()
        assert (cursor.key(), bytes(cursor.value())) == records[0]
        with pytest.raises(ValueError, match="opened to read"):
            db.transaction()
    with formats.open_db(kind, path, "new"):
        pass
    with formats.open_db(kind, path) as db:
        assert not db.cursor().valid()


def test_databases_refused(tmp_path: Path) -> None:
    for kind, message in (("leveldb", "LevelDB"), ("zmqdb", "ZeroMQ"), ("rocksdb", "RocksDB"), ("x", "not known")):
        with pytest.raises(ValueError, match=message):
            formats.open_db(kind, tmp_path)
    with pytest.raises(ValueError, match="mode 'rw'"):
        formats.open_db("minidb", tmp_path / "x", "rw")
    with pytest.raises(FileNotFoundError):
        formats.open_db("minidb", tmp_path / "x")
    good = struct.pack("<ii", 1, 1) + b"kv"
    for tail, message in (
        (struct.pack("<ii", 1, 100), "byte 10: a record of 1 bytes of key and 100"),
        (b"12345", "byte 10: cut off"),
    ):
        (tmp_path / "broken").write_bytes(good + tail)
        with formats.open_db("minidb", tmp_path / "broken") as db, pytest.raises(FormatError, match=message):
            list(db.cursor())
    with formats.open_db("minidb", tmp_path / "new", "new") as db, pytest.raises(ValueError, match="holds no empty"):
        db.transaction().put("k", b"")


def test_predictor_export(tmp_path: Path) -> None:
    op = OperatorDef(type="FC", input=("X", "W", "b"), output="Y")
    parameters = {
        "W": np.arange(1_200_000, dtype=np.float32).reshape(-1, 3),
        "b": np.zeros(3, np.float32),
        "note": b"text",
    }
    export = formats.export_predictor(NetDef(name="fc", op=[op]), parameters, ["X"], ["Y"], {"X": (1, 3)})
    path = tmp_path / "model"
    formats.dump(export, path)
    with formats.open_db("minidb", path) as db:
        assert [key for key, _ in db.cursor()] == [b"!!META_NET_DEF", b"W#%0", b"W#%1", b"b#%0", b"note"]
    again = formats.load(path)
    assert again.meta == export.meta
    assert (again.inputs, again.outputs, again.parameters) == (("X",), ("Y",), ("W", "b", "note"))
    assert again.net().op[0] == op
    assert again.net().external_input == ("X", "W", "b", "note")
    assert list(again.blobs) == list(parameters)
    assert all(same(again.blobs[name], parameters[name]) for name in parameters)
    with pytest.raises(KeyError, match="no net 'X' in the predictor; it has"):
        again.net("X")
    pytest.importorskip("lmdb")
    formats.save_predictor(tmp_path / "folder", export, "lmdb")
    assert formats.load(tmp_path / "folder").meta == export.meta
    formats.save_blobs(tmp_path / "blobs", parameters)
    assert same(formats.load(tmp_path / "blobs")["b"], parameters["b"])
    with pytest.raises(FormatError, match="no predictor export"):
        formats.load_predictor(tmp_path / "blobs")


# --------------------------------------------------------------------------------------------------------- JSON Schemas


def test_json_schemas_are_current() -> None:
    for name, text in schemas.files().items():
        assert (schemas.FOLDER / name).read_text() == text, "run python -m caffe2ops.formats.schemas"


def test_json_fits_its_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    form = json.loads(formats.dumps(net_with_everything(), "json"))
    jsonschema.validate(form, formats.json_schema(NetDef))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"op": [{"typ": "X"}]}, formats.json_schema(NetDef))


def test_text_is_as_protobuf_writes_it() -> None:
    net = NetDef(name="n", op=[OperatorDef(type="X", args={"f": 0.1, "s": b"\xff"})])
    s = r'arg { name: "f" f: 0.1 } arg { name: "s" s: "\377" }'
    assert " ".join(pbtxt.write(net).split()) == f'name: "n" op {{ type: "X" {s} }}'


DOCS = Path(__file__).parents[1] / "docs" / "formats.md"


def test_examples_of_the_guide_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(examples) == 4
    for example in examples:
        exec(compile(example, str(DOCS), "exec"), {})
