"""SparseLpRegularizer and EnsureClipped: what is done to rows of parameters after a step."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import Arg
from caffe2ops.ops.index.rows import checked_indices
from caffe2ops.ops.optim.rows import F, Optimizer, rounds, sparse_rows

GREATEST = float(np.finfo(np.float32).max)
DOCS = {
    "param": "parameters",
    "indices": "rows of param that are changed",
    "grad": "their gradient; its values are not read",
    "output_param": "new parameters",
}


class SparseLpRegularizer(Optimizer):
    """Draws rows of param towards 0, in place: p = 2 multiplies with 1 - reg_lambda, p = 1 takes reg_lambda off each
    magnitude, down to 0.

    A row that is named twice is changed twice. Raises IndexError for an index that is no row. Caffe2:
    operators/sparse_lp_regularizer_op.
    """

    gradient = None  # type: ignore[assignment]  # Caffe2 registers none
    contract = "param: float[R, ...], indices: integer, grad?: any -> output_param: param"
    docs = DOCS
    inplace = inplace_enforced = ((0, 0),)
    p: float = Arg(2.0, choices=(1.0, 2.0), doc="which norm of the parameters is kept small")
    reg_lambda: float = Arg(1e-5, doc="how strongly")

    def run_cpu(self, param: np.ndarray, indices: np.ndarray, grad: np.ndarray | None = None) -> np.ndarray:
        strength = F(self.reg_lambda)
        for index, _ in rounds(checked_indices(indices.reshape(-1), len(param), "indices", "param")):
            if self.p == 2:
                param[index] *= F(1) - strength
            else:
                rows = param[index]
                param[index] = np.where(np.abs(rows) > strength, rows - np.copysign(strength, rows), 0)
        return param


class EnsureClipped(Optimizer):
    """Limits parameters to min <= param <= max; with indices only these rows, in place.

    Raises ValueError for indices without grad, or where the output is another blob then; IndexError for an index that
    is no row. Caffe2: operators/ensure_clipped_op.
    """

    contract = "param: float, indices?: integer, grad?: any -> output_param: param"
    docs = DOCS | {"grad": "their gradient, of which only the shape is read"}
    inplace = ((0, 0),)
    min: float = Arg(-GREATEST, doc="the least value, the least finite float32 if not given")
    max: float = Arg(GREATEST, doc="the greatest value, the greatest finite float32 if not given")

    def run_cpu(
        self, param: np.ndarray, indices: np.ndarray | None = None, grad: np.ndarray | None = None
    ) -> np.ndarray:
        out = self.out(0, param.shape, param.dtype)
        if indices is None:
            return self._clip(param, out)
        if grad is None:
            raise ValueError("grad: is missing, wants it where there are indices")
        if self.op_def.output[0] != self.op_def.input[0]:
            raise ValueError("output_param: is not param, wants it in place where there are indices")
        flat, _ = sparse_rows(param, indices, grad)
        param[flat] = self._clip(param[flat])
        return param

    def _clip(self, values: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        return np.minimum(np.maximum(values, F(self.min), out=out), F(self.max), out=out)
