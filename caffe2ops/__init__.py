"""caffe2ops runs, checks, differentiates and ports serialized Caffe2 nets, and is a home for operators of one's own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caffe2ops import gradient as gradient
    from caffe2ops import registry as registry
    from caffe2ops.build import Net as Net
    from caffe2ops.defs import Argument as Argument
    from caffe2ops.defs import DataType as DataType
    from caffe2ops.defs import DeviceOption as DeviceOption
    from caffe2ops.defs import DeviceType as DeviceType
    from caffe2ops.defs import ExecutionStep as ExecutionStep
    from caffe2ops.defs import MetaNetDef as MetaNetDef
    from caffe2ops.defs import NetDef as NetDef
    from caffe2ops.defs import OperatorDef as OperatorDef
    from caffe2ops.defs import PlanDef as PlanDef
    from caffe2ops.defs import TensorProto as TensorProto
    from caffe2ops.errors import BlobError as BlobError
    from caffe2ops.errors import GradientError as GradientError
    from caffe2ops.errors import OperatorError as OperatorError
    from caffe2ops.errors import SchemaError as SchemaError
    from caffe2ops.errors import UnknownOperator as UnknownOperator
    from caffe2ops.formats import dump as dump
    from caffe2ops.formats import load as load
    from caffe2ops.gradient import GradientSlice as GradientSlice
    from caffe2ops.gradient import add_gradients as add_gradients
    from caffe2ops.gradient_check import check_gradient as check_gradient
    from caffe2ops.infer import UNKNOWN as UNKNOWN
    from caffe2ops.infer import Cost as Cost
    from caffe2ops.infer import TensorSpec as TensorSpec
    from caffe2ops.infer import infer_shapes as infer_shapes
    from caffe2ops.net import BoundNet as BoundNet
    from caffe2ops.net import Timing as Timing
    from caffe2ops.operator import FORBIDDEN as FORBIDDEN
    from caffe2ops.operator import NO_GRADIENT as NO_GRADIENT
    from caffe2ops.operator import NOT_YET as NOT_YET
    from caffe2ops.operator import Arg as Arg
    from caffe2ops.operator import Operator as Operator
    from caffe2ops.predictor import Predictor as Predictor
    from caffe2ops.qtensor import QTensor as QTensor
    from caffe2ops.workspace import Blob as Blob
    from caffe2ops.workspace import Workspace as Workspace

__version__ = "0.1.0"

# The public names, by the module that defines them; a module is imported when a name of it is first used.
_PUBLIC = {
    "build": "Net",
    "defs": "Argument DataType DeviceOption DeviceType ExecutionStep MetaNetDef NetDef OperatorDef PlanDef TensorProto",
    "errors": "BlobError GradientError OperatorError SchemaError UnknownOperator",
    "formats": "dump load",
    "gradient": "GradientSlice add_gradients",
    "gradient_check": "check_gradient",
    "infer": "UNKNOWN Cost TensorSpec infer_shapes",
    "net": "BoundNet Timing",
    "operator": "FORBIDDEN NOT_YET NO_GRADIENT Arg Operator",
    "predictor": "Predictor",
    "qtensor": "QTensor",
    "workspace": "Blob Workspace",
}
_MODULES = {name: module for module, names in _PUBLIC.items() for name in names.split()}

__all__ = ["__version__", "gradient", "registry", *sorted(_MODULES)]


def __getattr__(name: str) -> Any:
    if name in ("gradient", "registry"):
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
