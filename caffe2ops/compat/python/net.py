"""Net: a NetDef under construction, with every operator as a method."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from caffe2ops import registry
from caffe2ops.compat.python import caffe2_pb2
from caffe2ops.compat.python.blobs import (
    BlobReference,
    GradientSlice,
    ScopedBlobReference,
    ScopedName,
    check_operator,
    references,
    unused,
)
from caffe2ops.compat.python.messages import MakeArgument
from caffe2ops.compat.python.operators import CreateOperator, GradientRegistry, register_python
from caffe2ops.compat.python.ssa import ends

_CONSTANT_FILLS = {"i4": "GivenTensorIntFill", "i8": "GivenTensorInt64Fill", "b1": "GivenTensorBoolFill"}
_names_used: set[str] = set()


class Net:
    """A net under construction. Every registered operator type is a method:

        Y = net.FC([X, "W", b], "Y")      # a BlobReference; a tuple of them for several outputs

    Outputs are a name, a list of names, how many (they get generated names), or left out for one. Names given as
    strings get the current name scope. Blobs that are read and not written before become external inputs. The name of
    the net gets a number where another net of this process has it.
    """

    def __init__(self, name_or_proto: Any, inplace: bool = False):
        if isinstance(name_or_proto, caffe2_pb2.NetDef):
            self._net = name_or_proto
            if not inplace:
                self._net = caffe2_pb2.NetDef()
                self._net.CopyFrom(name_or_proto)
        else:
            self._net = caffe2_pb2.NetDef(name=str(name_or_proto))
        self._net.name = unused(self._net.name, _names_used)
        self._written = {name for op in self._net.op for name in op.output}
        self._inputs = set(self._net.external_input)
        self._given_names: set[str] = set()
        self._next_index: dict[str, int] = defaultdict(lambda: 2)
        self._unnamed = 0
        self._attributes: dict[str, list[Any]] = defaultdict(list)

    def Name(self) -> str:
        return str(self._net.name)

    __str__ = Name

    def Proto(self) -> Any:
        """The NetDef itself, to read and to change."""
        return self._net

    # --- operators ---

    def __getattr__(self, op_type: str) -> Any:
        if op_type.startswith("_"):
            raise AttributeError(f"Net has no attribute {op_type!r}")
        check_operator(op_type)
        return partial(self._create, op_type)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *registry.types()]

    def _create(self, op_type: str, inputs: Any, outputs: Any = None, **kwargs: Any) -> Any:
        inputs = references(inputs)
        for blob in inputs:
            if not self.BlobIsDefined(blob):
                if blob.Net() is self:
                    raise AssertionError(f"blob {str(blob)!r} is of net {self.Name()!r}, which does not write it")
                self.AddExternalInput(blob)
        if outputs is None:
            outputs = self.NextName(op_type)
        elif isinstance(outputs, int):
            outputs = [self.NextName(op_type, i) for i in range(outputs)]
        op = CreateOperator(op_type, inputs, references(outputs, net=self), **kwargs)
        self.extend_ops([op])
        made = tuple(BlobReference(name, self) for name in op.output)
        return made if len(made) > 1 else made[0] if made else None

    def Python(
        self,
        f: Any,
        grad_f: Any = None,
        python_func_type: Any = None,
        pass_workspace: bool = False,
        grad_output_indices: Sequence[int] | None = None,
        grad_input_indices: Sequence[int] | None = None,
    ) -> Any:
        """A method that adds an operator calling `f(inputs, outputs)`; see `register_python`."""
        return partial(
            self._create,
            "Python",
            token=register_python(f, grad_f, python_func_type, pass_workspace),
            grad_output_indices=grad_output_indices or [],
            grad_input_indices=grad_input_indices or [],
        )

    def Const(self, array: Any, blob_out: Any = None, dtype: Any = None) -> Any:
        """Adds an operator that writes the given constant: int32, int64, bool, strings, else float32."""
        if isinstance(array, bool):
            return self.ConstantFill([], blob_out or 1, dtype=caffe2_pb2.TensorProto.BOOL, value=array)
        array = np.array(array, dtype)
        fill = "GivenTensorStringFill" if array.dtype.kind in "SU" else "GivenTensorFill"
        fill = _CONSTANT_FILLS.get(array.dtype.str[1:], fill)
        return self._create(fill, [], blob_out or 1, shape=array.shape, values=array.ravel().tolist())

    def extend_ops(self, new_ops: Iterable[Any]) -> None:
        """Appends operators as they are."""
        new_ops = list(new_ops)
        self._net.op.extend(new_ops)
        self._written.update(name for op in new_ops for name in op.output)

    def AddGradientOperators(self, ys: Any, skip: int = 0) -> dict[Any, Any]:
        """Appends the gradient operators of `ys`, those of the first `skip` operators left out.

        Gives the map from blob to its gradient, see GradientRegistry.GetBackwardPass.
        """
        ops, gradients = GradientRegistry.GetBackwardPass(self._net.op[skip:], ys)
        self.extend_ops(ops)
        return gradients

    def DeduplicateGradientSlices(self, g: GradientSlice, aggregator: str = "sum") -> GradientSlice:
        """Adds operators that add up, or average, the rows of a sparse gradient which go to the same place."""
        reducers = {"sum": "UnsortedSegmentSum", "mean": "UnsortedSegmentMean"}
        if aggregator.lower() not in reducers:
            raise ValueError(f"aggregator {aggregator!r}: wants sum or mean")
        unique, places = self.Unique([g.indices], 2, engine="SparseHash")
        return GradientSlice(unique, self._create(reducers[aggregator.lower()], [g.values, places], 1))

    # --- names ---

    def NextName(self, prefix: str | None = None, output_id: int | None = None) -> str:
        """A name that no blob of the net has: net/prefix, net/prefix_2, ... with `:output_id`, or net_blob_N."""
        if not prefix:
            self._unnamed += 1
            return f"{self.Name()}_blob_{self._unnamed - 1}"
        base = f"{self.Name()}/{prefix}"
        tail = "" if output_id is None else f":{output_id}"
        name = key = base + tail
        while self.BlobIsDefined(ScopedName(name)):
            name = f"{base}_{self._next_index[key]}{tail}"
            self._next_index[key] += 1
        return name

    def NextBlob(self, prefix: str = "unnamed") -> BlobReference:
        """A reference that neither a blob of the net nor an earlier call has: prefix, prefix_auto_0, ..."""
        name, index = prefix, 0
        while name in self._given_names or self.BlobIsDefined(name):
            name = f"{prefix}_auto_{index}"
            index += 1
        self._given_names.add(name)
        return BlobReference(name)

    def NextScopedBlob(self, prefix: str = "unnamed") -> BlobReference:
        return self.NextBlob(ScopedName(prefix))

    def BlobIsDefined(self, blob: Any) -> bool:
        """Whether an operator of the net writes the blob, or it is an external input."""
        return str(blob) in self._written or str(blob) in self._inputs

    def UsesBlob(self, blob: Any) -> bool:
        return self.is_external_input(blob) or any(str(blob) in op.input for op in self._net.op)

    def UsedBlobNames(self) -> set[str]:
        names = {name for op in self._net.op for name in (*op.input, *op.output)}
        return names | set(self._net.external_input) | set(self._net.external_output)

    def GetBlobRef(self, blob_name: Any) -> BlobReference:
        """The reference of a blob that the net defines. Raises KeyError."""
        if not self.BlobIsDefined(blob_name):
            raise KeyError(f"net {self.Name()!r} defines no blob {str(blob_name)!r}")
        return BlobReference(str(blob_name), self)

    # --- external inputs and outputs ---

    def is_external_input(self, blob: Any) -> bool:
        return str(blob) in self._inputs

    def AddExternalInput(self, *inputs: Any) -> Any:
        """Declares blobs that come from outside; gives their references. Raises AssertionError for known ones."""
        names = [str(blob) for blob in inputs]
        if not names:
            raise AssertionError("wants at least one input")
        for index, name in enumerate(names):
            if name in self._inputs or name in names[:index]:
                raise AssertionError(f"net {self.Name()!r} has the external input {name!r} already")
        self._net.external_input.extend(names)
        self._inputs.update(names)
        made = [BlobReference(name) for name in names]
        return made[0] if len(made) == 1 else made

    AddExternalInputs = AddExternalInput

    def AddExternalOutput(self, *outputs: Any) -> None:
        """Declares blobs of the net as its results. Raises AssertionError for one that it does not define."""
        for blob in outputs:
            if not isinstance(blob, BlobReference) or not self.BlobIsDefined(blob):
                raise AssertionError(f"external output {str(blob)!r}: wants a BlobReference that the net defines")
        self._net.external_output.extend(map(str, outputs))

    AddExternalOutputs = AddExternalOutput

    def AddScopedExternalInputs(self, *inputs: str) -> list[BlobReference]:
        made = self.AddExternalInput(*map(ScopedBlobReference, inputs))
        return made if isinstance(made, list) else [made]

    def AddScopedExternalOutputs(self, *outputs: str) -> None:
        self.AddExternalOutput(*map(ScopedBlobReference, outputs))

    @property
    def external_inputs(self) -> list[BlobReference]:
        return [BlobReference(name) for name in self._net.external_input]

    @property
    def external_outputs(self) -> list[BlobReference]:
        return [BlobReference(name) for name in self._net.external_output]

    # --- whole nets ---

    def AppendNet(self, net: Net, device_option: Any = None) -> Net:
        """Appends the operators, external inputs and outputs of another net, on `device_option` where it is given."""
        for name in net.Proto().external_input:
            if not self.BlobIsDefined(name):
                self.AddExternalInput(name)
        known = set(self._net.external_output)
        self._net.external_output.extend(name for name in net.Proto().external_output if name not in known)
        ops = []
        for op in net.Proto().op:
            copy = caffe2_pb2.OperatorDef()
            copy.CopyFrom(op)
            if device_option is not None:
                copy.device_option.CopyFrom(device_option)
            ops.append(copy)
        self.extend_ops(ops)
        return self

    def Clone(
        self,
        name: str,
        blob_remap: Mapping[Any, Any] | None = None,
        op_id_mask: Sequence[int] | None = None,
        keep_schema: bool = True,
        update_external_list: bool = False,
    ) -> Net:
        """A copy with another name.

        `blob_remap` renames blobs; `op_id_mask` says which operators to take; `update_external_list` finds external
        inputs (read before written) and outputs (written and not read) anew. Records are not kept here.
        """
        renamed = {str(old): str(new) for old, new in (blob_remap or {}).items()}
        proto = caffe2_pb2.NetDef()
        proto.CopyFrom(self._net)
        proto.name = name
        if op_id_mask is not None:
            kept = [self._net.op[i] for i in op_id_mask]
            del proto.op[:]
            proto.op.extend(kept)
        lists = [proto.external_input, proto.external_output]
        for names in [*lists, *(field for op in proto.op for field in (op.input, op.output))]:
            names[:] = [renamed.get(blob, blob) for blob in names]
        if update_external_list:
            proto.external_input[:], proto.external_output[:] = ends(proto.op)
        net = Net(proto, inplace=True)
        net._attributes.update(self._attributes)
        return net

    def AddArgument(self, arg_name: str, arg_value: Any) -> None:
        self._net.arg.append(MakeArgument(arg_name, arg_value))

    def add_attribute(self, name: str, obj: Any) -> None:
        """Keeps an object of the user's with the net, under a name that several may share."""
        self._attributes[name].append(obj)

    def get_attributes(self, name: str) -> list[Any]:
        return self._attributes.get(name, [])

    def set_rand_seed(self, seed: int = 100, sequence_seed: bool = True) -> None:
        """Gives every operator a random seed: `seed`, counted up from operator to operator unless told otherwise."""
        for index, op in enumerate(self._net.op):
            op.device_option.random_seed = seed + index if sequence_seed else seed

    def RunAllOnGPU(self, gpu_id: int = 0, use_cudnn: bool = False) -> None:
        """Puts the net on a GPU."""
        self._net.device_option.CopyFrom(caffe2_pb2.DeviceOption(device_type=caffe2_pb2.CUDA, device_id=gpu_id))
        if use_cudnn:
            for op in self._net.op:
                op.engine = "CUDNN"
