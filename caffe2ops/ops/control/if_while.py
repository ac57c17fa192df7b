"""If and While, which run nets in the operator's own workspace, and IsEmpty, their usual condition."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import NetDef
from caffe2ops.net import BoundNet
from caffe2ops.operator import FORBIDDEN, Arg, Operator


class IsEmpty(Operator):
    """Whether a tensor has no elements. Caffe2: operators/is_empty_op."""

    contract = "tensor: any -> is_empty: bool[]"
    docs = {"tensor": "any tensor", "is_empty": "True for no elements"}
    gradient = FORBIDDEN

    def run_cpu(self, tensor: np.ndarray) -> Any:
        return np.array(tensor.size == 0)


class RunsNets(Operator):
    """Base: binds the nets that arguments hold when they run first, and keeps them."""

    inplace = "any"
    docs = {
        "condition": "one bool",
        "inputs": "blobs that the nets read; only their names count, for whoever orders operators",
        "outputs": "blobs that the nets write",
    }

    def run_net(self, name: str) -> None:
        """Runs the net in the argument of that name."""
        nets: dict[str, BoundNet] = self.__dict__.setdefault("_nets", {})
        if name not in nets:
            nets[name] = BoundNet(getattr(self, name), self.workspace)
        nets[name].run()

    def holds(self, condition: np.ndarray) -> bool:
        """The condition's value. Raises ValueError for other than one element."""
        if condition.size != 1:
            raise ValueError(f"condition: has {condition.size} elements, wants 1")
        return bool(condition.reshape(-1)[0])

    def written(self) -> tuple[Any, ...]:
        """What the nets left in the outputs."""
        return tuple(blob.value for blob in self.outputs)


class If(RunsNets):
    """Runs `then_net` where the condition holds, else `else_net` where there is one.

    Raises ValueError for a condition of other than one element. Caffe2: operators/if_op.
    """

    contract = "condition: bool, *inputs?: blob -> *outputs?: blob"
    then_net: NetDef = Arg(doc="the net to run where the condition is True")
    else_net: NetDef = Arg(None, doc="the net to run where it is False; none by default")

    def run_cpu(self, condition: np.ndarray, *inputs: Any) -> Any:
        if self.holds(condition):
            self.run_net("then_net")
        elif self.has_arg("else_net"):
            self.run_net("else_net")
        return self.written()


class While(RunsNets):
    """Runs `loop_net` again and again while the condition holds; `cond_net` computes it before each round.

    Raises ValueError for a condition of other than one element. Caffe2: operators/while_op.
    """

    contract = "condition: bool, *inputs?: blob -> *outputs?: blob"
    loop_net: NetDef = Arg(doc="the net to run while the condition is True")
    cond_net: NetDef = Arg(None, doc="the net that writes the condition; none by default")

    def run_cpu(self, condition: np.ndarray, *inputs: Any) -> Any:
        while True:
            if self.has_arg("cond_net"):
                self.run_net("cond_net")
            if not self.holds(self.inputs[0].value):
                return self.written()
            self.run_net("loop_net")
