"""What upstream's tests find around them: hypothesis and SciPy as they were, no torch, threads that take turns soon."""

from __future__ import annotations

import os
import sys
import types
import unittest
from collections.abc import Callable
from typing import Any

SWITCH = 1e-4  # seconds after which a waiting thread goes on; Caffe2's operators let others go on all the time they run
EXAMPLES = int(os.environ.get("CONFORMANCE_EXAMPLES", "6"))  # of each property


def prepare() -> None:
    """To be called before upstream's modules are imported."""
    sys.setswitchinterval(SWITCH)
    torch, jit = _Absent("torch"), _Absent("torch.jit")
    vars(jit).update(ScriptModule=object, script_method=lambda function: function)  # a class statement wants them
    vars(torch).update(jit=jit)
    sys.modules.setdefault("torch", torch)
    _restore_scipy()
    _restore_hypothesis()


class _Absent(types.ModuleType):
    """A package that imports; a test that touches it is skipped."""

    Tensor = type("Tensor", (), {})  # SciPy asks for it where it sees the module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise unittest.SkipTest(f"needs {self.__name__}.{name}")


def _restore_scipy() -> None:
    """interp2d, gone in SciPy 1.14."""
    import scipy.interpolate as si

    def interp2d(x: Any, y: Any, z: Any, kind: str = "linear") -> Callable[[Any, Any], Any]:
        degree = {"linear": 1, "cubic": 3, "quintic": 5}[kind]
        spline = si.RectBivariateSpline(x, y, z.T, kx=degree, ky=degree)
        return lambda a, b: spline(a, b).T

    si.interp2d = interp2d


def _restore_hypothesis() -> None:
    """Empty sampled_from (no GPU) is an error today; the third argument of arrays is keyword-only."""
    import hypothesis.extra.numpy as hnp
    import hypothesis.strategies as st

    sampled_from, arrays = st.sampled_from, hnp.arrays

    def sampled_from_any(elements: Any) -> Any:
        empty = not isinstance(elements, type) and hasattr(elements, "__len__") and len(elements) == 0
        return st.nothing() if empty else sampled_from(elements)

    def arrays_of(dtype: Any, shape: Any, *elements: Any, **kwargs: Any) -> Any:
        return arrays(dtype, shape, **({"elements": elements[0]} if elements else {}), **kwargs)

    st.sampled_from, hnp.arrays = sampled_from_any, arrays_of


def bounded_examples() -> None:
    """The same few examples in every run, no deadlines, no shrinking; after upstream has loaded its own profile."""
    import hypothesis
    from caffe2.python import hypothesis_test_util  # noqa: F401
    from hypothesis import HealthCheck, Phase

    hypothesis.settings.register_profile(
        "conformance",
        hypothesis.settings(),
        phases=[Phase.explicit, Phase.generate],
        database=None,
        print_blob=False,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        max_examples=EXAMPLES,
        derandomize=True,
    )
    hypothesis.settings.load_profile("conformance")


def bound(test: Any) -> None:
    """Cuts the examples that a test asks for by itself."""
    import hypothesis

    own = getattr(test, "_hypothesis_internal_use_settings", None)
    if own is not None and own.max_examples > EXAMPLES:
        test._hypothesis_internal_use_settings = hypothesis.settings(own, max_examples=EXAMPLES)
