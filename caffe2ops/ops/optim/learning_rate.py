"""LearningRate: the rate of an iteration, by one of the policies of learning_rate_policy.py."""

from __future__ import annotations

import inspect
import re
from typing import Any, ClassVar

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.operator import NO_GRADIENT, Arg, Array, Operator
from caffe2ops.ops.optim.learning_rate_policy import POLICIES, Policy

PART = re.compile(r"sub_policy_\d+_")


class LearningRate(Operator):
    """The learning rate of an iteration: base_lr times the factor that a policy gives for it.

    input: int64, of which the first element is the iteration -> float32 scalar. An argument that is not given has the
    default of the policy at hand (see learning_rate_policy.py). `composite` runs several policies one after the other:
    `sub_policy_num_iters` has their iterations, and policy i takes its arguments as `sub_policy_<i>_<argument>`, with
    `sub_policy_<i>_policy` and `sub_policy_<i>_lr_scale`, a factor; the iteration is counted from the start, and the
    last policy goes on for ever (in iteration 0 Caffe2 reads past its table; here the first policy has it). ValueError
    for an unknown policy and for a period or step of 0. Caffe2: sgd/learning_rate_op.
    """

    contract = "input: int64 -> output: float32[]"
    docs = {"input": "the iteration, its first element", "output": "the learning rate"}
    gradient = NO_GRADIENT
    input_devices: ClassVar[Any] = {"input": "any"}
    # fmt: off
    base_lr: float = Arg(doc="base learning rate")
    policy: str = Arg(choices=(*POLICIES, "composite"), doc="how the rate changes")
    power: float = Arg(None, doc="exponent (inv, poly, hill)")
    gamma: float = Arg(None, doc="base of the power (step, exp), slope (inv, hill)")
    stepsize: int = Arg(None, doc="iterations of a step (step) or of half a cycle (cyclical)")
    max_lr: float = Arg(None, doc="greatest rate (cyclical, cosine)")
    active_first: bool = Arg(None, doc="whether the active period comes first (alter)")
    active_period: int = Arg(None, doc="iterations with the base rate (alter)")
    inactive_period: int = Arg(None, doc="iterations with rate 0 (alter)")
    max_iter: int = Arg(None, doc="iteration of rate 0 (poly)")
    num_iter: int = Arg(None, doc="iterations of the first part (gate, hill, linearWarmup, constantWarmup)")
    start_multiplier: float = Arg(None, doc="factor at the start (linearWarmup, hill)")
    end_multiplier: float = Arg(None, doc="least factor at the end (hill)")
    multiplier: float = Arg(None, doc="factor of the first part (constantWarmup)")
    multiplier_1: float = Arg(None, doc="factor of the first part (gate, slope)")
    multiplier_2: float = Arg(None, doc="factor of the last part (gate, slope)")
    num_iter_1: int = Arg(None, doc="where the slope begins (slope)")
    num_iter_2: int = Arg(None, doc="where the slope ends (slope)")
    sub_policy_num_iters: list[int] = Arg((), gt=0, doc="iterations of each policy (composite)")
    m1: float = Arg(None, doc="factor before n1 (pieceWarmup)")
    n1: int = Arg(None, doc="where the first piece ends (pieceWarmup)")
    m2: float = Arg(None, doc="factor before n2 (pieceWarmup)")
    n2: int = Arg(None, doc="where the second piece ends (pieceWarmup)")
    m3: float = Arg(None, doc="factor from n2 on (pieceWarmup)")
    decay: float = Arg(None, doc="factor of the height from one cycle to the next (cyclical)")
    min_lr: float = Arg(None, doc="least rate (cosine)")
    period: int = Arg(None, doc="iterations of the first period (cosine)")
    t_mult: float = Arg(None, doc="factor of the length from one period to the next (cosine)")
    lr_shrink: float = Arg(None, doc="factor of the rates from one period to the next (cosine)")
    start_warmup_multiplier: float = Arg(None, doc="factor at the start (the last three policies)")
    constant_warmup_num_iter: int = Arg(None, doc="iterations with that factor")
    linear_warmup_num_iter: int = Arg(None, doc="iterations from that factor to 1")
    cyclical_max_lr: float = Arg(None, doc="max_lr of the cyclical part (compositeCyclical)")
    cyclical_step_size: int = Arg(None, doc="stepsize of the cyclical part (compositeCyclical)")
    cyclical_decay: float = Arg(None, doc="decay of the cyclical part (compositeCyclical)")
    cosine_min_lr: float = Arg(None, doc="min_lr of the cosine part (compositeCosine)")
    cosine_max_lr: float = Arg(None, doc="max_lr of the cosine part (compositeCosine)")
    cosine_period: int = Arg(None, doc="period of the cosine part (compositeCosine)")
    cosine_t_mult: float = Arg(None, doc="t_mult of the cosine part (compositeCosine)")
    cosine_lr_shrink: float = Arg(None, doc="lr_shrink of the cosine part (compositeCosine)")
    lr_scale: float = Arg(1.0, doc="factor on the policy's (only as sub_policy_<i>_lr_scale)")
    # fmt: on

    def __init__(self, op_def: OperatorDef, *args: Any, strict: bool = False, **kwargs: Any):
        own = {name: value for name, value in op_def.args.items() if not PART.match(name)}
        super().__init__(op_def.replace(args=own), *args, strict=strict, **kwargs)
        self.op_def, self._strict = op_def, strict
        self._parts: list[tuple[int, LearningRate]] = []
        if self.policy != "composite":
            policy: Policy = POLICIES[self.policy]
            names = inspect.getfullargspec(policy).kwonlyargs
            self._args = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
            self._policy = policy
            return
        if not self.sub_policy_num_iters:
            raise ValueError("sub_policy_num_iters: is empty, wants the iterations of each policy")
        start = 0
        for i, count in enumerate(self.sub_policy_num_iters):
            self._parts.append((start, self._part(f"sub_policy_{i}_")))
            start += count

    def _part(self, prefix: str) -> LearningRate:
        """The policy whose arguments have this prefix."""
        given = {name[len(prefix) :]: value for name, value in self.op_def.args.items() if name.startswith(prefix)}
        if given.get("policy", "composite") == "composite":
            raise ValueError(f"{prefix}policy: is {given.get('policy', 'missing')!r}, wants {' or '.join(POLICIES)}")
        return LearningRate(self.op_def.replace(args={"base_lr": self.base_lr, **given}), strict=self._strict)

    def factor(self, it: int) -> np.float32:
        """What the base rate is multiplied with in iteration `it`."""
        if not self._parts:
            return self._policy(it, self.base_lr, **self._args)
        part = next((part for start, part in reversed(self._parts) if start < it), self._parts[0][1])
        return part.factor(it) * np.float32(part.lr_scale)

    def run_cpu(self, iteration: Array) -> Array:
        if not iteration.size:
            raise ValueError("input: is empty, wants an iteration")
        out = self.out(0, (), np.float32)
        out[...] = np.float32(self.base_lr) * self.factor(int(iteration.reshape(-1)[0]))
        return out

    run_cuda = run_cpu
