"""Follow the regularised leader: Ftrl, SparseFtrl, and GFtrl, whose columns become 0 as a whole."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import Arg, Array
from caffe2ops.ops.optim.rows import F, Optimizer, one, rounds, sparse_rows


class FtrlBase(Optimizer):
    """Base. n_z holds n, the sum of squared gradients, and z, the sum of adjusted ones, behind each other in pairs."""

    docs = {
        "var": "parameters",
        "n_z": "param's shape and 2: pairs (n, z)",
        "indices": "rows of var that grad belongs to",
        "grad": "gradient",
        "alpha": "instead of the argument, one element",
        "output_var": "new parameters",
        "output_n_z": "new pairs",
    }
    alpha: float = Arg(0.005, gt=0, doc="learning rate")
    beta: float = Arg(1.0, doc="what is added to the root of n")
    lambda1: float = Arg(0.001, doc="weight of the absolute values of parameters")
    lambda2: float = Arg(0.001, doc="weight of their squares")

    def inverse(self, alpha: Array | None) -> Array:
        """1 / alpha. Raises ValueError where it is given both as argument and as input."""
        if alpha is not None and self.has_arg("alpha"):
            raise ValueError("alpha: is given both as argument and as input, wants to be one of them")
        return F(1) / (F(self.alpha) if alpha is None else one("alpha", alpha))

    def sums(self, var: Array, n_z: Array, grad: Array, inverse: Array) -> tuple[Array, Array, Array]:
        """New n and z, and what z is divided by."""
        n = n_z[..., 0] + grad * grad
        root = np.sqrt(n)
        z = n_z[..., 1] + grad - (root - np.sqrt(n_z[..., 0])) * inverse * var
        return n, z, (F(self.beta) + root) * inverse + F(self.lambda2)

    def step(self, var: Array, n_z: Array, grad: Array, inverse: Array) -> tuple[Array, Array]:
        """New parameters and pairs."""
        n, z, divisor = self.sums(var, n_z, grad, inverse)
        limit = F(self.lambda1)
        return np.where(abs(z) > limit, (np.sign(z) * limit - z) / divisor, z * 0), np.stack([n, z], axis=-1)


class Ftrl(FtrlBase):
    """n' = n + g^2, z' = z + g - (sqrt(n') - sqrt(n)) var / alpha; var' = 0 where |z'| <= lambda1, else (sign(z')
    lambda1 - z') / ((beta + sqrt(n')) / alpha + lambda2).

    Caffe2: sgd/ftrl_op.
    """

    contract = "var: float[...], n_z: var[..., 2], grad: var[...], alpha?: var -> output_var: var, output_n_z: n_z"
    inplace = ((0, 0), (1, 1))

    def run_cpu(self, var: Array, n_z: Array, grad: Array, alpha: Array | None = None) -> tuple[Array, ...]:
        outs = self.out(0, var.shape, var.dtype), self.out(1, n_z.shape, n_z.dtype)
        for out, value in zip(outs, self.step(var, n_z, grad, self.inverse(alpha))):
            out[...] = value
        return outs

    run_cuda = run_cpu


class SparseFtrl(FtrlBase):
    """Ftrl of the rows that a sparse gradient has, in place; an index that occurs twice is updated twice.

    IndexError for an index that is no row. Caffe2: sgd/ftrl_op.
    """

    contract = (
        "var: float[R, ...], n_z: var[R, ..., 2], indices: integer, grad: var, alpha?: var "
        "-> output_var: var, output_n_z: n_z"
    )
    inplace = inplace_enforced = ((0, 0), (1, 1))

    def run_cpu(
        self, var: np.ndarray, n_z: np.ndarray, indices: np.ndarray, grad: np.ndarray, alpha: np.ndarray | None = None
    ) -> tuple[np.ndarray, ...]:
        flat, rows = sparse_rows(var, indices, grad)
        for index, at in rounds(flat):
            var[index], n_z[index] = self.step(var[index], n_z[index], rows[at], self.inverse(alpha))
        return var, n_z

    def run_cuda(
        self, var: Array, n_z: Array, indices: Array, grad: Array, alpha: Array | None = None
    ) -> tuple[Array, ...]:
        import cupy

        from caffe2ops.ops.optim import sparse_cuda as cuda

        flat, rows = sparse_rows(var, indices, grad)
        inverse = cupy.asarray(self.inverse(alpha), var.dtype).reshape(1)
        numbers = {name: float(F(getattr(self, name))) for name in ("beta", "lambda1", "lambda2")}
        cuda.FTRL(flat, cuda.width_of(var), p=var, nz=n_z, g=rows, inverse=inverse, **numbers)
        return var, n_z


class GFtrl(FtrlBase):
    """Ftrl whose lambda1 works on columns: one becomes 0 where the norm of its z' is at most lambda1 sqrt(rows), else
    its var' is z' (lambda1 sqrt(rows) / norm - 1) / ((beta + sqrt(n')) / alpha + lambda2).

    Caffe2: sgd/gftrl_op.
    """

    contract = (
        "var: float[R, ...], n_z: var[R, ..., 2], grad: var[R, ...], alpha?: var -> output_var: var, output_n_z: n_z"
    )
    inplace = ((0, 0), (1, 1))

    def run_cpu(self, var: Array, n_z: Array, grad: Array, alpha: Array | None = None) -> tuple[Array, ...]:
        n, z, divisor = self.sums(var, n_z, grad, self.inverse(alpha))
        norm = np.sqrt((z * z).sum(axis=0))
        limit = F(self.lambda1) * np.sqrt(F(len(var)))
        inside = norm <= limit
        share = np.where(inside, 0, limit / np.where(inside, 1, norm) - 1)
        outs = self.out(0, var.shape, var.dtype), self.out(1, n_z.shape, n_z.dtype)
        outs[0][...] = z * share / divisor
        outs[1][..., 0], outs[1][..., 1] = n, z
        return outs

    run_cuda = run_cpu
