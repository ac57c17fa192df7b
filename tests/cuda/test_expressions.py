"""Kernels made from expressions, and the checks before a launch, in the emulator."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from caffe2ops.cuda import Elementwise, Reduction, Source, record

RELU = Elementwise("x > T(0) ? x : T(0)", inputs="x", name="relu")
BOTH = Elementwise("s = x + T(a) * y; d = x - y;", inputs="x y", outputs="s d", scalars="a", name="both")
RANGE = Elementwise("T(start) + i", int_scalars="start", name="range")
MEAN = Reduction(combine="a + b", identity="A(0)", finish="a / A(n)", name="mean")
MAX = Reduction(combine="a > b ? a : b", identity="-A(1) / A(0)", name="maximum")
NORM = Reduction(
    map="x * x", combine="a + b", identity="A(0)", finish="A(scale) * sqrt(a)", scalars="scale", name="norm"
)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 500)])
def test_same_shape(emulated_cuda: ModuleType, shape: tuple[int, ...], dtype: str) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    on_device = emulated_cuda.asarray(x)
    out = emulated_cuda.empty(shape, dtype)
    assert RELU(on_device, out=out) is out
    np.testing.assert_array_equal(emulated_cuda.asnumpy(out), np.maximum(x, 0))
    RELU(on_device, out=on_device)
    np.testing.assert_array_equal(emulated_cuda.asnumpy(on_device), np.maximum(x, 0))


@pytest.mark.parametrize(
    "shapes", [((4, 3), (3,)), ((2, 3, 4), (3, 1)), ((1,), (5,)), ((2, 1, 2, 1, 2), (1, 3, 1, 3, 1)), ((3, 0), (1,))]
)
def test_broadcast_and_two_outputs(emulated_cuda: ModuleType, shapes: tuple[tuple[int, ...], ...]) -> None:
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    shape = np.broadcast_shapes(*shapes)
    out = emulated_cuda.empty(shape, np.float32), emulated_cuda.empty(shape, np.float64)
    BOTH(emulated_cuda.asarray(x), emulated_cuda.asarray(y), out=out, a=2)
    np.testing.assert_allclose(emulated_cuda.asnumpy(out[0]), x + 2 * y, rtol=1e-6)
    np.testing.assert_allclose(emulated_cuda.asnumpy(out[1]), x - y, rtol=1e-6)


def test_without_inputs(emulated_cuda: ModuleType) -> None:
    got = RANGE(out=emulated_cuda.empty((2, 2), np.int64), start=2**40)
    assert emulated_cuda.asnumpy(got).tolist() == [[2**40, 2**40 + 1], [2**40 + 2, 2**40 + 3]]


def test_elementwise_refuses(emulated_cuda: ModuleType) -> None:
    x = emulated_cuda.zeros((2, 3), np.float32)
    with pytest.raises(TypeError, match="takes 1 inputs and 1 outputs, got 2 and 1"):
        RELU(x, x, out=x)
    with pytest.raises(TypeError, match="wanted the scalars and tables"):
        BOTH(x, x, out=(x, x))
    with pytest.raises(ValueError, match=r"shape \(2, 3\) does not broadcast to \(3,\)"):
        RELU(x, out=emulated_cuda.zeros(3, np.float32))
    with pytest.raises(ValueError, match="x_in is not C-contiguous"):
        RELU(x.T, out=emulated_cuda.zeros((3, 2), np.float32))
    with pytest.raises(TypeError, match="wanted an array on the device"):
        RELU(np.zeros((2, 3), np.float32), out=x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((3, 5), (1,)),
        ((3, 5), (0,)),
        ((2, 3, 4, 5), (1, 2)),
        ((2, 70000), (-1,)),
        ((2, 40000), None),
        ((0, 3), (1,)),
        ((), None),
    ],
)
def test_reductions(
    emulated_cuda: ModuleType, shape: tuple[int, ...], axes: tuple[int, ...] | None, dtype: str
) -> None:
    x = np.random.default_rng(3).standard_normal(shape).astype(dtype)
    wide = x.astype(np.float64)
    tolerance = {"float16": 2e-3, "float32": 2e-5, "float64": 1e-12}[dtype]
    for reduction, wanted, scalars in (
        (MEAN, wide.mean(axes), {}),
        (MAX, wide.max(axes, initial=-np.inf), {}),
        (NORM, 2 * np.sqrt((wide**2).sum(axes)), {"scale": 2}),
    ):
        out = emulated_cuda.empty(np.shape(wanted), dtype)
        reduction(emulated_cuda.asarray(x), out, axes=axes, **scalars)
        np.testing.assert_allclose(emulated_cuda.asnumpy(out), wanted, rtol=tolerance, atol=tolerance)


def test_reduction_refuses(emulated_cuda: ModuleType) -> None:
    x = emulated_cuda.zeros((2, 3, 4), np.float32)
    with pytest.raises(ValueError, match="not neighbours"):
        MEAN(x, x, axes=(0, 2))
    with pytest.raises(ValueError, match="out has 24 elements, wanted 6"):
        MEAN(x, x, axes=(2,))


SHIFT = Source(
    """// compiled for: T = float32, int32
struct Pair { const T* x; int by; };
extern "C" __global__ void shift(const Pair pair, T* __restrict__ y, const int n, float scale) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;  // (a comment, with a comma)
  if (i < n) y[i] = pair.x[i] * T(scale) + pair.by;
}
""",
    "shift.cu",
)


def test_struct_and_scalars(emulated_cuda: ModuleType) -> None:
    x = emulated_cuda.asarray(np.arange(4, dtype=np.float32))
    y = emulated_cuda.empty_like(x)
    kernel = SHIFT(T=x.dtype).shift
    kernel((1,), (32,), record(x=x, by=np.int32(3)), y, 4, 2)
    assert emulated_cuda.asnumpy(y).tolist() == [3, 5, 7, 9]
    kernel((0,), (32,), record(x=x, by=np.int32(5)), y, 4, 2)
    assert emulated_cuda.asnumpy(y).tolist() == [3, 5, 7, 9]


def test_launch_refuses(emulated_cuda: ModuleType) -> None:
    x = emulated_cuda.zeros(4, np.float32)
    pair = record(x=x, by=np.int32(0))
    kernel = SHIFT(T=np.float32).shift
    with pytest.raises(TypeError, match=r"shift: takes 4 arguments \(pair, y, n, scale\), got 2"):
        kernel((1,), (32,), pair, x)
    with pytest.raises(TypeError, match="shift: y has dtype int32, wanted float32"):
        kernel((1,), (32,), pair, x.astype(np.int32), 4, 1)
    with pytest.raises(ValueError, match="shift: n is 4294967296, which int32 cannot hold"):
        kernel((1,), (32,), pair, x, 2**32, 1)
    with pytest.raises(TypeError, match="pair is a struct, got int"):
        kernel((1,), (32,), 0, x, 4, 1)
    with pytest.raises(AttributeError, match=r"shift.cu has no kernel shaft; it has shift"):
        SHIFT(T=np.float32).shaft  # noqa: B018
    with pytest.raises(TypeError, match="T is float64, wanted one of float32, int32"):
        SHIFT(T=np.float64)
    with pytest.raises(TypeError, match=r"wanted the types \['T'\]"):
        SHIFT()
