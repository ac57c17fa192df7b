"""Factories for rows of operators whose outputs are computed element by element from inputs of the same shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from caffe2ops.cuda import Elementwise as Kernel
from caffe2ops.gradient import parse_line
from caffe2ops.infer import Cost
from caffe2ops.operator import ArgSpec, NonGradient, Operator, row


class Elementwise(Operator):
    """Base of the rows: `cpu(*inputs, out=, **args)` is a NumPy function, `cuda` an expression in the inputs' names and the arguments."""

    cpu: ClassVar[Callable[..., Any]]
    kernel: ClassVar[Kernel | None] = None
    flops_per_element: ClassVar[int] = 1

    def _args(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.arg_specs}

    def run_cpu(self, *inputs: Any) -> Any:
        spec = self.infer_output(*inputs)
        return type(self).cpu(*inputs, out=self.out(0, *spec), **self._args())

    def infer_output(self, *inputs: Any) -> tuple[tuple[int, ...], Any]:
        """Shape and dtype of the output: those of the first input, unless the contract names a dtype of its own."""
        port = self.parsed.outputs[0]
        bound = {f"dtype {p.name}": x.dtype for p, x in zip(self.parsed.inputs, inputs)}
        return inputs[0].shape, self.parsed.dtype(port, bound, self.arg_value)

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Callable[[], Any]:
        return partial(type(self).cpu, *inputs, out=outputs[0], **self._args())

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(self.flops_per_element * outputs[0].size, moved.bytes_read, moved.bytes_written)


def _run_cuda(self: Elementwise, *inputs: Any) -> Any:
    assert self.kernel is not None
    return self.kernel(*inputs, out=self.out(0, *self.infer_output(*inputs)), **self._args())


def elementwise(
    name: str,
    doc: str,
    contract: str,
    cpu: Callable[..., Any],
    cuda: str | None = None,
    *,
    gradient: str | NonGradient | None = None,
    inplace: Any = (),
    args: dict[str, tuple[str, Any]] | None = None,
    docs: dict[str, str] | None = None,
    flops: int = 1,
    depth: int = 2,
    **members: Any,
) -> type[Operator]:
    """Declares one operator. `args` maps a name to (type, Arg(...)); in the expressions arguments go by their names."""
    args = args or {}
    members |= {arg: spec for arg, (_, spec) in args.items()}
    members["__annotations__"] = {arg: kind for arg, (kind, _) in args.items()}
    members |= dict(contract=contract, cpu=staticmethod(cpu), inplace=inplace, docs=docs or {}, flops_per_element=flops)
    if gradient is not None:
        members["gradient"] = gradient
    if cuda is not None:
        inputs = " ".join(part.split(":")[0].strip() for part in contract.partition("->")[0].split(","))
        output = contract.partition("->")[2].split(":")[0].strip()
        whole = [arg for arg, (kind, _) in args.items() if kind in ("int", "bool")]
        real = [arg for arg in args if arg not in whole]
        members["kernel"] = Kernel(cuda, inputs, output, scalars=" ".join(real), int_scalars=" ".join(whole), name=name)
        members["run_cuda"] = _run_cuda
    return row(name, doc, Elementwise, depth + 1, **members)


def unary(
    name: str,
    doc: str,
    cpu: Callable[..., Any],
    cuda: str | None = None,
    *,
    dtype: str = "float",
    gradient: str | NonGradient | None = None,
    gradient_cpu: Callable[..., Any] | None = None,
    gradient_cuda: str | None = None,
    gradient_inplace: Any = (),
    inplace: Any = ((0, 0),),
    args: dict[str, tuple[str, Any]] | None = None,
    **members: Any,
) -> None:
    """Declares Y = f(X) and, where `gradient_cpu` is given, the operator that its gradient line names.

    The gradient operator's inputs are those of the line, all of one shape and dtype; its arguments are the forward's.
    """
    elementwise(
        name, doc, f"X: {dtype} -> Y: X", cpu, cuda, gradient=gradient, inplace=inplace, args=args,
        docs={"X": "any tensor", "Y": "a tensor like X"}, depth=2, **members,
    )  # fmt: skip
    if gradient_cpu is None:
        return
    assert isinstance(gradient, str)
    call = parse_line(gradient)[0]
    first, *rest = call.inputs  # type: ignore[union-attr]
    inputs = ", ".join([f"{first}: {dtype}[...]", *(f"{other}: {first}[...]" for other in rest)])
    elementwise(
        call.type, f"The gradient of {name}: dX from {', '.join(call.inputs)}.", f"{inputs} -> dX: {first}[...]",  # type: ignore[union-attr]
        gradient_cpu, gradient_cuda, inplace=gradient_inplace, args=_again(args),
        docs={"X": f"input of {name}", "Y": f"output of {name}", "dY": "gradient of Y", "dX": "gradient of X"}, depth=2,
    )  # fmt: skip


def _again(args: dict[str, tuple[str, Any]] | None) -> dict[str, tuple[str, Any]]:
    """The same arguments, declared anew for another class."""
    return {
        name: (kind, ArgSpec(spec.default, spec.choices, spec.doc, spec.bounds)) for name, (kind, spec) in (args or {}).items()
    }
