"""Factories for rows of operators whose outputs are computed element by element from inputs of the same shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np

from caffe2ops.contract import CLASSES, parse
from caffe2ops.cuda import Elementwise as Kernel
from caffe2ops.gradient_rules import parse_line
from caffe2ops.infer import Cost
from caffe2ops.operator import ArgSpec, NonGradient, Operator, Step, row

# Elements that a kernel of several passes works on at a time, so that what lies between stays in the cache.
BLOCK = 1 << 15
FEW = 1 << 12  # elements that a ufunc takes at once
KEYWORD_OUT = (np.maximum, np.minimum)  # NumPy deprecates a positional out for these; elsewhere it saves 150 ns a call


class Elementwise(Operator):
    """Base of the rows.

    `cpu(*inputs, *operands, out=)` is a ufunc, or a function that gets flat arrays and must give the same answer where
    out is one of the inputs allowed in place. `operands` are names of arguments and numbers; floats come as 0-d arrays
    of the first input's dtype (twice as fast as Python's), all else as it is. `kernel` is the CUDA expression in the
    names of inputs and arguments.
    """

    cpu: ClassVar[Callable[..., Any]]
    operands: ClassVar[tuple[str | float, ...]] = ()
    kernel: ClassVar[Kernel | None] = None
    flops_per_element: ClassVar[int] = 1

    def run_cpu(self, *inputs: Any) -> Any:
        out = self.out(0, *self.infer_output(*inputs))
        self.bind(inputs, (out,))()
        return out

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        cpu, (out,) = type(self).cpu, outputs
        operands = [self._operand(name, inputs[0].dtype) for name in self.operands]
        if isinstance(cpu, np.ufunc):
            if cpu in KEYWORD_OUT and operands and out.size >= FEW:
                return partial(extreme, cpu, inputs[0], operands[0], out)
            return call(cpu, *inputs, *operands, out=out)
        flat = [array.reshape(-1) for array in (*inputs, out)]
        if out.size > BLOCK:
            return partial(in_blocks, cpu, flat, operands)
        return partial(cpu, *flat[:-1], *operands, out=flat[-1])

    def _operand(self, name: str | float, dtype: Any) -> Any:
        value = getattr(self, name) if isinstance(name, str) else name
        return np.asarray(value, dtype) if isinstance(value, float) else value

    def infer_output(self, *inputs: Any) -> tuple[tuple[int, ...], Any]:
        """Shape and dtype of the output: those of the first input, unless the contract names a dtype of its own."""
        port = self.parsed.outputs[0]
        bound = {f"dtype {p.name}": x.dtype for p, x in zip(self.parsed.inputs, inputs)}
        return inputs[0].shape, self.parsed.dtype(port, bound, self.arg_value)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(self.flops_per_element * outputs[0].size, moved.bytes_read, moved.bytes_written)


def _run_cuda(self: Elementwise, *inputs: Any) -> Any:
    assert self.kernel is not None
    args = {name: getattr(self, name) for name in self.kernel.scalars}
    return self.kernel(*inputs, out=self.out(0, *self.infer_output(*inputs)), **args)


def call(cpu: Callable[..., Any], *inputs: Any, out: Any) -> Step:
    """A call without arguments of a ufunc, or of a function with the keyword out."""
    if isinstance(cpu, np.ufunc) and cpu not in KEYWORD_OUT:
        return partial(cpu, *inputs, out)
    return partial(cpu, *inputs, out=out)


def in_blocks(cpu: Callable[..., Any], flat: Sequence[Any], operands: Sequence[Any]) -> None:
    """Calls `cpu` on stretches of flat arrays, the last of which is the output."""
    for at in range(0, flat[-1].size, BLOCK):
        *parts, out = (array[at : at + BLOCK] for array in flat)
        cpu(*parts, *operands, out=out)


def extreme(ufunc: np.ufunc, X: Any, bound: Any, out: Any = None) -> Any:
    """np.maximum or np.minimum of a contiguous array and a number, three times as fast.

    NumPy compares two arrays in vector registers, an array and a number one by one.
    """
    out = np.empty_like(X) if out is None else out
    if X.size < FEW:
        return ufunc(X, bound, out=out)
    x, y, row = X.reshape(-1), out.reshape(-1), _row(float(bound), X.dtype)
    whole = x.size - x.size % BLOCK
    if x.size > BLOCK:
        ufunc(x[:whole].reshape(-1, BLOCK), row, out=y[:whole].reshape(-1, BLOCK))
        x, y = x[whole:], y[whole:]
    if x.size:
        ufunc(x, row[: x.size], out=y)
    return out


@lru_cache(maxsize=32)
def _row(value: float, dtype: Any) -> Any:
    """A block of one number."""
    row = np.full(BLOCK, value, dtype)
    row.flags.writeable = False
    return row


def masked(values: Any, mask: Any, out: Any) -> None:
    """The values where the mask holds, 0 elsewhere, also for inf and NaN.

    It is a product of bit patterns, five times faster than a masked copy.
    """
    bits = f"i{values.dtype.itemsize}"
    np.multiply(values.view(bits), mask, out=out.view(bits))


def select(mask: Any, yes: Any, no: Any) -> Any:
    """np.where of floats, without its branches: `no` with the bits flipped in which `yes` differs."""
    bits = f"i{yes.dtype.itemsize}"
    flips = np.multiply(np.bitwise_xor(yes.view(bits), no.view(bits)), mask)
    return np.bitwise_xor(flips, no.view(bits), out=flips).view(yes.dtype)


def elementwise(
    name: str,
    doc: str,
    contract: str,
    cpu: Callable[..., Any],
    cuda: str | None = None,
    *,
    operands: tuple[str | float, ...] | None = None,
    gradient: str | NonGradient | None = None,
    inplace: Any = (),
    args: dict[str, tuple[str, Any]] | None = None,
    docs: dict[str, str] | None = None,
    flops: int = 1,
    depth: int = 1,
    **members: Any,
) -> type[Operator]:
    """Declares one operator.

    `args` maps a name to (type, Arg(...)); `operands` (see Elementwise) are all arguments if not given.
    """
    args = args or {}
    members |= {arg: spec for arg, (_, spec) in args.items()}
    members["__annotations__"] = {arg: kind for arg, (kind, _) in args.items()}
    members |= dict(contract=contract, cpu=staticmethod(cpu), inplace=inplace, docs=docs or {}, flops_per_element=flops)
    members["operands"] = tuple(args) if operands is None else operands
    if gradient is not None:
        members["gradient"] = gradient
    if cuda is not None:
        members |= dict(kernel=kernel(name, contract, cuda, args), run_cuda=_run_cuda)
    return row(name, doc, Elementwise, depth + 1, **members)


def kernel(name: str, contract: str, cuda: str, args: dict[str, tuple[str, Any]] | None = None) -> Kernel:
    """The CUDA kernel of an expression in the names of a contract and of those arguments that stand in it."""
    ports = parse(contract)
    kinds = {arg: kind for arg, (kind, _) in (args or {}).items()}
    whole = [arg for arg, kind in kinds.items() if kind in ("int", "bool")]
    real = [arg for arg in kinds if arg not in whole]
    inputs, outputs = (" ".join(port.name for port in side) for side in (ports.inputs, ports.outputs))
    dtypes = [dtype for part in ports.inputs[0].dtype.split("|") for dtype in CLASSES.get(part, (part,))]
    return Kernel(cuda, inputs, outputs, scalars=" ".join(real), int_scalars=" ".join(whole), dtypes=dtypes, name=name)


def unary(
    name: str,
    doc: str,
    cpu: Callable[..., Any],
    cuda: str | None = None,
    *,
    dtype: str = "float",
    to: str = "",
    ports: tuple[str, str] = ("X", "Y"),
    gradient: str | NonGradient | None = None,
    gradient_cpu: Callable[..., Any] | None = None,
    gradient_cuda: str | None = None,
    gradient_inplace: Any = (),
    inplace: Any = ((0, 0),),
    args: dict[str, tuple[str, Any]] | None = None,
    depth: int = 1,
    **members: Any,
) -> None:
    """Declares Y = f(X) and, where `gradient_cpu` is given, the operator that its gradient line names.

    `ports` are the names of X and Y, `to` is the dtype of Y (X's if not given). The gradient operator's inputs are the
    line's, all of one shape and dtype; its arguments are the forward's, all of them operands.
    """
    x, y = ports
    docs = {
        x: "any tensor",
        y: f"a tensor of the shape of {x}",
        f"d{y}": f"gradient of {y}",
        f"d{x}": f"gradient of {x}",
    }
    elementwise(
        name, doc, f"{x}: {dtype}[...] -> {y}: {to or x}[...]", cpu, cuda, gradient=gradient, inplace=inplace,
        args=args, docs=docs, depth=depth + 1, **members,
    )  # fmt: skip
    if gradient_cpu is None:
        return
    assert isinstance(gradient, str)
    (made,) = parse_line(gradient)
    type_name, names, _, (target,) = made  # type: ignore[misc]
    inputs = ", ".join(f"{n}: {names[0] if i else dtype}[...]" for i, n in enumerate(names))
    contract = f"{inputs} -> {target}: {names[0]}[...]"
    elementwise(
        type_name, f"The gradient of {name}: {target} from {', '.join(names)}.", contract, gradient_cpu, gradient_cuda,
        inplace=gradient_inplace, args=_again(args), docs=docs, depth=depth + 1,
    )  # fmt: skip


def _again(args: dict[str, tuple[str, Any]] | None) -> dict[str, tuple[str, Any]]:
    """The same arguments, declared anew for another class."""
    return {
        name: (kind, ArgSpec(spec.default, spec.choices, spec.doc, spec.bounds))
        for name, (kind, spec) in (args or {}).items()
    }
