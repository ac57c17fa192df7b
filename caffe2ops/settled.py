"""Operators whose output shapes follow from the input shapes: `infer` says them, `bind` settles views and computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe2ops.operator import Operator, Step


class Settled(Operator):
    """Base of operators that define `infer` (which takes arrays for specs too) and `bind`."""

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step | None:
        """A call that computes these outputs of these inputs anew."""
        raise NotImplementedError

    def run_cpu(self, *inputs: Any) -> tuple[Any, ...]:
        found = self.infer(*inputs)
        specs = found if isinstance(found, tuple) else (found,)
        outputs = tuple(self.out(i, spec.shape, spec.dtype) for i, spec in enumerate(specs[: self.n_outputs]))
        step = self.bind(inputs, outputs)
        assert step is not None
        step()
        return outputs
