"""Gradient operators of an operator."""

from __future__ import annotations

from collections.abc import Sequence

from caffe2ops import registry
from caffe2ops.compat.extension.definitions import encode, operator_of, text
from caffe2ops.compat.extension.errors import runtime_errors
from caffe2ops.errors import SchemaError
from caffe2ops.gradient import Gradient, GradientSlice, gradient_of


class GradientWrapper:
    """A gradient: the name of a blob (`dense`), or of one with `indices` and one with `values`, or none."""

    dense: str | bytes = ""
    indices: str | bytes = ""
    values: str | bytes = ""

    def is_dense(self) -> bool:
        return bool(self.dense)

    def is_sparse(self) -> bool:
        return bool(self.indices or self.values)

    def is_empty(self) -> bool:
        return not (self.is_dense() or self.is_sparse())

    def gradient(self) -> Gradient | None:
        """As the engine has it."""
        if self.is_sparse():
            return GradientSlice(text(self.indices), text(self.values))
        return text(self.dense) if self.dense else None

    @classmethod
    def of(cls, gradient: Gradient | None) -> GradientWrapper:
        made = cls()
        if isinstance(gradient, GradientSlice):
            made.indices, made.values = gradient
        elif gradient is not None:
            made.dense = gradient
        return made


@runtime_errors
def get_gradient_defs(op_def: bytes, g_output: Sequence[GradientWrapper]) -> tuple[list[bytes], list[GradientWrapper]]:
    """The serialized gradient operators, and the gradients of the inputs. Raises RuntimeError where none is
    registered."""
    op = operator_of(op_def)
    try:
        registry.get(op.type).schema_of().verify(op)
    except SchemaError as error:
        raise ValueError(f"Operator def did not pass schema checking: {error}") from error
    ops, gradients = gradient_of(op, [wrapper.gradient() for wrapper in g_output])
    return [encode(op) for op in ops], [GradientWrapper.of(gradient) for gradient in gradients]
