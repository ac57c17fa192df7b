"""The process: start-up flags, what was built in, NUMA nodes, and functions of Python operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from caffe2ops.one_operator import FLOATING_POINT
from caffe2ops.ops.stats.counters import registry_of

has_cuda_support = has_gpu_support = has_hip_support = False
has_fbgemm = True  # its operators are there, whatever computes them
has_mkldnn = use_mkldnn = use_trt = use_rocm = is_asan = False
define_caffe2_no_operator_schema = False

_FLAGS = ("caffe2_", "torch_", "onnxifi_", "logtostderr", "minloglevel", "v=", "vmodule", "stderrthreshold")

# Flags that make floating point errors raise -> which, as np.errstate names them.
_RAISING = {
    "caffe2_operator_throw_if_fp_exceptions": ("divide", "invalid"),
    "caffe2_operator_throw_if_fp_overflow_exceptions": ("over",),
}


def global_init(args: Sequence[str | bytes]) -> None:
    """Takes the flags of the original; those that make floating point errors raise do so, the others have no effect.

    Raises RuntimeError for what is no flag of the original.
    """
    for arg in list(args)[1:]:
        flag = arg.decode() if isinstance(arg, bytes) else arg
        if flag.startswith("--") and not flag[2:].startswith(_FLAGS):
            raise RuntimeError(f"flag {flag!r} is not known")
        name, _, value = flag[2:].partition("=")
        for error in _RAISING.get(name, ()):
            FLOATING_POINT[error] = "ignore" if value in ("0", "false") else "raise"


def on_module_exit() -> None:
    """Nothing to be torn down."""


def get_build_options() -> dict[str, str]:
    return {"ENGINE": "caffe2ops"}


def get_stats() -> dict[str, int]:
    """Counters of the current workspace; each has its own, where the original has one registry in the process."""
    from caffe2ops.compat.extension.workspaces import Workspace

    return {key: value for key, value, _ in registry_of(Workspace.current.engine).export()}


def builtin_cpu_supports_avx2() -> bool:
    """Whether operators that the original has for AVX2 only are there: they need no such processor."""
    return True


def is_numa_enabled() -> bool:
    return False


def get_num_numa_nodes() -> int:
    return 1


def get_blob_numa_node(name: str) -> int:
    return 0


def transform_exists(name: str) -> bool:
    """No: graph transforms are not offered."""
    return False


workspace_transform_exists = transform_exists


def register_python_op(function: Callable[..., Any], pass_workspace: bool, name: str) -> str:
    """Makes a function the work of Python operators whose argument `token` is the one returned."""
    from caffe2ops.compat.extension import python_operators

    return python_operators.add(function, pass_workspace, name)


def register_python_gradient_op(token: str, function: Callable[..., Any]) -> None:
    """Gives a registered function its gradient."""
    from caffe2ops.compat.extension import python_operators

    python_operators.add_gradient(token, function)
