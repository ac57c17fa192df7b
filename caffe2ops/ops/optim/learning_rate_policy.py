"""The learning rate policies: factor on the base rate as a function of the iteration.

A policy takes the iteration (int), the base rate, and its arguments by name, with their defaults; it answers in
float32. The names of the arguments are those of the operator LearningRate. Which steps are float32 (F) and which
float64 (D) is as in Caffe2: the rates agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

F, D = np.float32, np.float64
Policy = Callable[..., np.float32]


def _power(base: float, exponent: float) -> np.float32:
    """A power as C computes it: nan and inf instead of exceptions."""
    return F(D(base) ** D(exponent))


def fixed(it: int, base_lr: float) -> np.float32:
    """Always 1."""
    return F(1)


def alter(
    it: int, base_lr: float, *, active_first: bool = True, active_period: int = -1, inactive_period: int = -1
) -> np.float32:
    """1 for `active_period` iterations and 0 for `inactive_period`, in turns."""
    period = active_period + inactive_period
    if period == 0:
        raise ValueError("active_period + inactive_period: is 0, wants a period")
    first = active_period if active_first else inactive_period
    return F((it % abs(period) < first) == active_first)


def step(it: int, base_lr: float, *, stepsize: int = 0, gamma: float = 0.0) -> np.float32:
    """gamma to the number of whole steps done."""
    if stepsize == 0:
        raise ValueError("stepsize: is 0, wants the iterations of a step")
    return _power(F(gamma), int(it / stepsize))


def exp(it: int, base_lr: float, *, gamma: float = 0.0) -> np.float32:
    """gamma to the iteration."""
    return _power(F(gamma), it)


def gate(
    it: int, base_lr: float, *, num_iter: int = 0, multiplier_1: float = 1.0, multiplier_2: float = 1.0
) -> np.float32:
    """One factor before iteration `num_iter`, another from there on."""
    return F(multiplier_1 if it < num_iter else multiplier_2)


def inv(it: int, base_lr: float, *, gamma: float = 0.0, power: float = 0.0) -> np.float32:
    """(1 + gamma * iteration) to -power."""
    return _power(F(1) + F(gamma) * F(it), -F(power))


def poly(it: int, base_lr: float, *, power: float = 0.0, max_iter: int = -1) -> np.float32:
    """(1 - iteration / max_iter) to `power`; not a number beyond max_iter for a broken power. A max_iter below 0 is
    without end."""
    return _power(F(1) - F(it) / F(max_iter % 2**64), F(power))


def linearWarmup(it: int, base_lr: float, *, start_multiplier: float = 0.0, num_iter: int = 0) -> np.float32:
    """From `start_multiplier` to 1 along a line of `num_iter` iterations."""
    if it >= num_iter:
        return F(1)
    start = D(F(start_multiplier))
    return F(start + (1 - start) * it / num_iter)


def constantWarmup(it: int, base_lr: float, *, multiplier: float = 0.5, num_iter: int = 0) -> np.float32:
    """`multiplier` for `num_iter` iterations, then 1."""
    return F(1 if it >= num_iter else multiplier)


def pieceWarmup(
    it: int, base_lr: float, *, m1: float = 0.5, n1: int = 0, m2: float = 0.5, n2: int = 0, m3: float = 0.5
) -> np.float32:
    """m1 before iteration n1, m2 before n2, then m3."""
    return F(m1 if it < n1 else m2 if it < n2 else m3)


def hill(
    it: int,
    base_lr: float,
    *,
    num_iter: int = 0,
    start_multiplier: float = 0.0,
    gamma: float = 0.0,
    power: float = 0.0,
    end_multiplier: float = 0.0,
) -> np.float32:
    """linearWarmup for `num_iter` iterations, then inv, not below `end_multiplier`."""
    if it < num_iter:
        return linearWarmup(it, base_lr, start_multiplier=start_multiplier, num_iter=num_iter)
    return np.fmax(F(end_multiplier), inv(it - num_iter, base_lr, gamma=gamma, power=power))


def slope(
    it: int,
    base_lr: float,
    *,
    num_iter_1: int = 0,
    multiplier_1: float = 0.0,
    num_iter_2: int = 0,
    multiplier_2: float = 0.0,
) -> np.float32:
    """multiplier_1 before iteration num_iter_1, then along a line that reaches multiplier_2 at num_iter_2, and not
    below it."""
    if it < num_iter_1:
        return F(multiplier_1)
    rise = F(it - num_iter_1) * (F(multiplier_2) - F(multiplier_1)) / F(num_iter_2 - num_iter_1)
    return np.fmax(F(multiplier_2), F(multiplier_1) + rise)


def cyclical(it: int, base_lr: float, *, max_lr: float = 0.005, stepsize: int = 0, decay: float = 1.0) -> np.float32:
    """From 1 to max_lr / base_lr and back along lines of `stepsize` iterations; each cycle is `decay` times as high."""
    if stepsize == 0:
        raise ValueError("stepsize: is 0, wants the iterations from the base rate to max_lr")
    cycle = int(it / (2 * stepsize))
    x = abs(F(it) / F(stepsize) - F(2 * (cycle + 1)) + F(1))
    height = abs(F(max_lr)) / abs(F(base_lr)) - F(1)
    return F(1 + D(height * max(F(0), F(1) - x)) * D(F(decay)) ** cycle)


def constantThenLinearWarmup(
    it: int,
    base_lr: float,
    *,
    start_warmup_multiplier: float = 0.1,
    constant_warmup_num_iter: int = 10000000,
    linear_warmup_num_iter: int = 10000000,
) -> np.float32:
    """A constant for some iterations, from there to 1 along a line, then 1."""
    if it < constant_warmup_num_iter:
        return F(start_warmup_multiplier)
    return linearWarmup(
        it - constant_warmup_num_iter,
        base_lr,
        start_multiplier=start_warmup_multiplier,
        num_iter=linear_warmup_num_iter,
    )


def compositeCyclical(
    it: int,
    base_lr: float,
    *,
    start_warmup_multiplier: float = 0.1,
    constant_warmup_num_iter: int = 10000000,
    linear_warmup_num_iter: int = 10000000,
    cyclical_max_lr: float = 0.05,
    cyclical_step_size: int = 1000000,
    cyclical_decay: float = 1.0,
) -> np.float32:
    """constantThenLinearWarmup, then cyclical."""
    rest = it - constant_warmup_num_iter - linear_warmup_num_iter
    if rest < 0:
        return constantThenLinearWarmup(
            it,
            base_lr,
            start_warmup_multiplier=start_warmup_multiplier,
            constant_warmup_num_iter=constant_warmup_num_iter,
            linear_warmup_num_iter=linear_warmup_num_iter,
        )
    return cyclical(rest, base_lr, max_lr=cyclical_max_lr, stepsize=cyclical_step_size, decay=cyclical_decay)


def cosine(
    it: int,
    base_lr: float,
    *,
    max_lr: float = 0.5,
    min_lr: float = 0.1,
    period: int = 50,
    t_mult: float = 1.0,
    lr_shrink: float = 0.99,
) -> np.float32:
    """Half a cosine from max_lr to min_lr each period; a period is t_mult times the one before, its rates lr_shrink
    times."""
    if t_mult == 1.0:
        cycle = np.floor(F(it) / F(period))
        length, at = D(period), F(it) - F(period) * cycle
    else:
        grown = F(1) - F(t_mult)
        cycle = np.floor(F(np.log(D(F(1) - F(it) / F(period) * grown))) / F(np.log(D(F(t_mult)))))
        growth = D(F(t_mult)) ** D(cycle)
        length, at = D(F(growth * period)), F(it - (1 - growth) / grown * period)
    shrink = _power(F(lr_shrink), cycle)
    high, low = F(max_lr) * shrink, F(min_lr) * shrink
    return F(low + 0.5 * D(high - low) * (1 + np.cos(np.pi * D(at) / length)))


def compositeCosine(
    it: int,
    base_lr: float,
    *,
    start_warmup_multiplier: float = 0.1,
    constant_warmup_num_iter: int = 10000000,
    linear_warmup_num_iter: int = 10000000,
    cosine_max_lr: float = 0.5,
    cosine_min_lr: float = 0.1,
    cosine_period: int = 50,
    cosine_t_mult: float = 1.0,
    cosine_lr_shrink: float = 0.99,
) -> np.float32:
    """constantThenLinearWarmup, then cosine."""
    rest = it - constant_warmup_num_iter - linear_warmup_num_iter
    if rest < 0:
        return constantThenLinearWarmup(
            it,
            base_lr,
            start_warmup_multiplier=start_warmup_multiplier,
            constant_warmup_num_iter=constant_warmup_num_iter,
            linear_warmup_num_iter=linear_warmup_num_iter,
        )
    return cosine(
        rest,
        base_lr,
        max_lr=cosine_max_lr,
        min_lr=cosine_min_lr,
        period=cosine_period,
        t_mult=cosine_t_mult,
        lr_shrink=cosine_lr_shrink,
    )


POLICIES: dict[str, Policy] = {
    policy.__name__: policy
    for policy in (
        fixed,
        alter,
        hill,
        slope,
        step,
        cosine,
        exp,
        gate,
        inv,
        poly,
        linearWarmup,
        constantWarmup,
        pieceWarmup,
        cyclical,
        constantThenLinearWarmup,
        compositeCyclical,
        compositeCosine,
    )
}
