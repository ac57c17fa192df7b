"""Records what the real Caffe2 says about the wire format: descriptor.json and blobs.json, beside this file.

Run with an interpreter that has Caffe2 (torch 1.10.2):   python tests/golden/record_formats.py
"""

import base64
import json
import os

import numpy as np
from caffe2.proto import caffe2_legacy_pb2, caffe2_pb2, hsm_pb2, metanet_pb2, predictor_consts_pb2, prof_dag_pb2
from caffe2.python import core, workspace

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = (caffe2_pb2, metanet_pb2, predictor_consts_pb2, hsm_pb2, prof_dag_pb2, caffe2_legacy_pb2)


def enum(descriptor):
    return {value.name: value.number for value in descriptor.values}


def message(descriptor):
    fields = {}
    for field in descriptor.fields:
        kind = field.message_type or field.enum_type
        packed = field.GetOptions().packed
        default = field.default_value if field.has_default_value else None
        fields[field.name] = [field.number, field.label, field.type, kind.full_name if kind else "", bool(packed), default]
    found = {descriptor.full_name: {"fields": fields, "enums": {e.full_name: enum(e) for e in descriptor.enum_types}}}
    for inner in descriptor.nested_types:
        found.update(message(inner))
    return found


def descriptors():
    messages, enums = {}, {}
    for module in MODULES:
        for descriptor in module.DESCRIPTOR.message_types_by_name.values():
            messages.update(message(descriptor))
        for descriptor in module.DESCRIPTOR.enum_types_by_name.values():
            enums[descriptor.full_name] = enum(descriptor)
    return {"messages": messages, "enums": enums}


def blobs():
    """SerializeBlob of a small tensor of every dtype, of a scalar, an empty tensor, strings, Int8 tensors and a string."""
    numbers = [[1, 0, 3], [100, -1, 0]]
    found = {}

    def keep(name):
        found[name] = base64.b64encode(workspace.SerializeBlob(name)).decode()

    for dtype in ("float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "int64", "bool"):
        workspace.FeedBlob(dtype, np.array(numbers).astype(dtype))
        keep(dtype)
    workspace.FeedBlob("scalar", np.array(2.5, np.float32))
    workspace.FeedBlob("empty", np.zeros((0, 3), np.float32))
    workspace.FeedBlob("nonfinite", np.array([np.nan, np.inf, -np.inf, -0.0], np.float32))
    workspace.FeedBlob("strings", np.array([b"a", b"", b"\xff\x00"], dtype=object))
    workspace.FeedBlob("string", b"bytes")
    fills = (("Int8GivenTensorFill", "int8_uint8", bytes([1, 2, 250])), ("Int8GivenIntTensorFill", "int8_int32", [1, -2, 300000]))
    for type_, name, values in fills:
        op = core.CreateOperator(type_, [], [name], shape=[3], values=values, Y_scale=0.5, Y_zero_point=3)
        workspace.RunOperatorOnce(op)
    for name in ("scalar", "empty", "nonfinite", "strings", "string", "int8_uint8", "int8_int32"):
        keep(name)
    return found


if __name__ == "__main__":
    for name, content in (("descriptor", descriptors()), ("blobs", blobs())):
        with open(os.path.join(HERE, name + ".json"), "w") as file:
            json.dump(content, file, indent=1, sort_keys=True)
            file.write("\n")
