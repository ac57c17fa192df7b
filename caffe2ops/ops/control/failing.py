"""Operators that fail: always, or where a tensor has a zero."""

from __future__ import annotations

from typing import Any, ClassVar

from caffe2ops.operator import FORBIDDEN, Arg, Operator


class Assert(Operator):
    """Raises ValueError where an element of X is zero or False. Caffe2: operators/assert_op."""

    contract = "X: int64|int32|bool ->"
    docs = {"X": "what is to hold"}
    error_msg: str = Arg("", doc="added to the error")

    def run_cpu(self, x: Any) -> None:
        if not x.all():
            flat = x.reshape(-1)
            index = int((flat == 0).argmax())
            more = f"\nError message: {self.error_msg}" if self.error_msg else ""
            raise ValueError(f"X: Assert failed for element {index} in tensor, value: {int(flat[index])}{more}")

    run_cuda = run_cpu


class Fails(Operator):
    """Base: raises RuntimeError in every run."""

    gradient: ClassVar[Any] = FORBIDDEN
    says: ClassVar[str]
    message: str = Arg("", doc="what the error says; by default a sentence of the operator's own")

    def run_cpu(self) -> None:
        raise RuntimeError(self.message or self.says)


class Fail(Fails):
    """Fails. Caffe2: operators/utility_ops."""

    contract = "->"
    says = "the operator Fail fails"


class ThrowException(Fails):
    """Fails with a message. Caffe2: operators/utility_ops."""

    contract = "->"
    says = "Exception from ThrowExceptionOp"


class ThrowChildThreadException(Fails):
    """Fails with a message. Caffe2: operators/utility_ops; there on a thread of its own, which ends the process."""

    contract = "->"
    says = "Exception from ThrowChildThreadExceptionOp"


class LogFatal(Fails):
    """Fails with a message. Caffe2: operators/utility_ops; there it ends the process."""

    contract = "->"
    says = "Logging from LogFatalOp"


class Crash(Fails):
    """Fails. Caffe2: operators/crash_op; there it ends the process."""

    contract = "->"
    gradient = None
    says = "the operator Crash fails"
