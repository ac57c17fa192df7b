"""YellowFin: momentum SGD that tunes its learning rate and momentum (Zhang and Mitliagkas, arXiv 1706.03471)."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import Arg
from caffe2ops.ops.optim.rows import F, Optimizer, one

MEMORY = 5  # means of: norm of the gradient, its square, least and greatest curvature (logarithms), distance


class YellowFin(Optimizer):
    """moment' = mu moment + lr grad and param' = param - moment', then lr and mu are tuned for the next step.

    With nesterov param' = param - (1 + mu) moment' + mu moment. lr and mu are running means of what a quadratic model
    wants, whose curvature is between the least and the greatest squared norm of the last curv_win_width gradients; step
    1 leaves them as they are. Raises ValueError for iter < 1, or a memory that is too short. Caffe2: sgd/yellowfin_op.
    """

    contract = (
        "param: float[...], moment: param[...], lr: param, mu: param, curv_win: param, g_avg: param[...], "
        "g2_avg: param[...], scalars_memory: param, grad: param[...], iter: int64 "
        "-> output_param: param, output_moment: param, output_lr: lr, output_mu: mu, output_curv_win: curv_win, "
        "output_g_avg: param, output_g2_avg: param, output_scalars_memory: scalars_memory"
    )
    docs = {
        "param": "parameters",
        "moment": "momentum so far",
        "lr": "learning rate, one element",
        "mu": "share of the momentum that is kept, one element",
        "curv_win": "logarithms of the last squared norms of the gradient",
        "g_avg": "running mean of the gradient",
        "g2_avg": "running mean of its square",
        "scalars_memory": "five running means",
        "grad": "gradient",
        "iter": "the step, from 1 on",
        "output_param": "new parameters",
        "output_moment": "new momentum",
        "output_lr": "new learning rate",
        "output_mu": "new share",
        "output_curv_win": "new curv_win",
        "output_g_avg": "new mean of the gradient",
        "output_g2_avg": "new mean of its square",
        "output_scalars_memory": "new means",
    }
    input_devices = {"iter": "cpu"}
    inplace = tuple((i, i) for i in range(8))
    curv_win_width: int = Arg(20, ge=1, doc="how many gradients the curvature is taken from")
    nesterov: bool = Arg(False, doc="whether to look ahead as Nesterov does")
    zero_debias: bool = Arg(True, doc="whether running means are corrected for having begun with 0")
    epsilon: float = Arg(1e-6, doc="the least norm, curvature and variance")
    beta: float = Arg(0.999, doc="share of a running mean that is kept")

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        param, moment, lr, mu, curv_win, g_avg, g2_avg, memory, grad, iteration = inputs
        step, rate, share = int(one("iter", iteration)), one("lr", lr), one("mu", mu)
        if step < 1:
            raise ValueError(f"iter: is {step}, wants 1 or more")
        for name, held, least in (("curv_win", curv_win, self.curv_win_width), ("scalars_memory", memory, MEMORY)):
            if held.ndim != 1 or held.size < least:
                raise ValueError(f"{name}: shape is {list(held.shape)}, wants [{least}]")
        moved = share * moment + rate * grad
        moved_param = param - ((1 + share) * moved - share * moment if self.nesterov else moved)
        g, g2 = self._mean(g_avg, grad), self._mean(g2_avg, grad * grad)
        norm2 = max(F(self.epsilon), np.vdot(grad, grad))
        window, means = curv_win.copy(), memory.copy()
        window[(step - 1) % self.curv_win_width] = np.log(norm2)
        valid = window[: min(self.curv_win_width, step)]
        means[:4] = self._mean(memory[:4], np.array([np.sqrt(norm2), norm2, valid.min(), valid.max()], param.dtype))
        means[4] = self._mean(memory[4], means[0] / means[1])
        if step > 1:
            c = param.dtype.type(1 / (1 - float(F(self.beta)) ** step) if self.zero_debias else 1)
            wanted_rate, wanted_share = self._tuned(g * c, means * c)
            rate, share = self._mean(rate, wanted_rate), self._mean(share, wanted_share)
        outputs = [self.out(i, old.shape, old.dtype) for i, old in enumerate(inputs[:8])]
        for out, value in zip(outputs, (moved_param, moved, rate, share, window, g, g2, means)):
            out[...] = value
        return tuple(outputs)

    def _mean(self, old: Any, value: Any) -> Any:
        """The running mean."""
        return F(self.beta) * old + (F(1) - F(self.beta)) * value

    def _tuned(self, g: np.ndarray, means: np.ndarray) -> tuple[Any, Any]:
        """(learning rate, momentum) that fit the model, from running means: the cubic of the paper's appendix."""
        t, least = means.dtype.type, F(self.epsilon)
        _, norm2, low, high, distance = means[:MEMORY]
        low, high = max(least, np.exp(low)), max(least, np.exp(high))
        variance = max(least, norm2 - np.vdot(g, g))
        ratio = np.sqrt(high / low)
        limit = (ratio - t(1)) / (ratio + t(1))
        p = (distance * low) ** 2 / (t(2) * variance)
        w3 = (-np.sqrt(p * p + t(4) / t(27) * p * p * p) - p) / t(2)
        w = np.cbrt(w3)
        with np.errstate(divide="ignore", invalid="ignore"):
            root = w - p / t(3) / w + t(1)
        share = max(root * root, limit * limit)
        return (t(1) - np.sqrt(share)) ** 2 / low, share
