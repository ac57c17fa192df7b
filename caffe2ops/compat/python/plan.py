"""ExecutionStep and Plan: PlanDefs under construction."""

# ruff: noqa: N802  (names of Caffe2)
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from caffe2ops.compat.python import caffe2_pb2
from caffe2ops.compat.python.blobs import BlobReference, ScopedName, unused
from caffe2ops.compat.python.net import Net

_names_used: set[str] = set()


def get_net_name(netlike: Any) -> str:
    """The name of a Net, a NetDef, or the name itself."""
    proto = netlike.Proto() if isinstance(netlike, Net) else netlike
    return str(proto.name if isinstance(proto, caffe2_pb2.NetDef) else proto)


def _keep(nets: dict[str, Net | None], net: Any) -> bool:
    """Puts a net into a table by its name; tells whether it is new there. Raises AssertionError for another one."""
    name = get_net_name(net)
    if name not in nets:
        nets[name] = net if isinstance(net, Net) else None
        return True
    if nets[name] is not None and nets[name] is not net:
        raise AssertionError(f"there are two nets with name {name!r}")
    return False


class ExecutionStep:
    """A step of a plan: nets or further steps. It can't be changed once it is part of another step or a plan."""

    def __init__(self, name: str | None, nets: Any = None, num_iter: int | None = None):
        self._step = caffe2_pb2.ExecutionStep(name=name or unused("step", _names_used))
        self._nets: dict[str, Net | None] = {}
        self._substeps: list[ExecutionStep] = []
        self._used = False
        for net in [nets] if isinstance(nets, Net) else nets or ():
            if _keep(self._nets, net):
                self._step.network.append(get_net_name(net))
        if num_iter is not None:
            self._step.num_iter = num_iter

    def Name(self) -> str:
        return str(self._step.name)

    __str__ = Name

    def Proto(self) -> Any:
        return self._step

    def Nets(self) -> list[Net | None]:
        return list(self._nets.values())

    def Substeps(self) -> list[ExecutionStep]:
        return self._substeps

    def HasNets(self) -> bool:
        return len(self._step.network) > 0

    def HasSubsteps(self) -> bool:
        return len(self._step.substep) > 0

    def get_net(self, name: str) -> Net | None:
        return self._nets[name]

    def get_all_attributes(self, name: str) -> list[Any]:
        return _attributes(self._nets, name)

    def _set(self, field: str, value: Any) -> None:
        if self._used:
            raise AssertionError(f"step {self.Name()!r} is part of a step or plan already and can't be changed")
        setattr(self._step, field, value)

    def SetIter(self, num_iter: int) -> None:
        self._set("num_iter", num_iter)

    def SetCreateWorkspace(self, create_workspace: bool) -> None:
        self._set("create_workspace", create_workspace)

    def SetNumConcurrentInstances(self, num_concurrent_instances: int) -> None:
        self._set("num_concurrent_instances", num_concurrent_instances)

    def SetOnlyOnce(self, only_once: bool) -> None:
        self._set("only_once", only_once)

    def SetShouldStopBlob(self, should_stop_blob: BlobReference) -> None:
        if not isinstance(should_stop_blob, BlobReference):
            raise AssertionError(f"should_stop_blob: wants a BlobReference, got {type(should_stop_blob).__name__}")
        self._set("should_stop_blob", str(should_stop_blob))

    def RunEveryMillis(self, interval: int) -> None:
        """Runs the step every so many ms for as long as its siblings run, and once more when they are done."""
        self._step.run_every_ms = interval

    def SetReportNet(self, report_net: Any, report_interval: int) -> None:
        self._set("report_interval", report_interval)
        _keep(self._nets, report_net)
        self._step.report_net = get_net_name(report_net)

    def SetConcurrentSubsteps(self, concurrent_substeps: bool) -> None:
        self._refuse(self.HasNets())
        self._set("concurrent_substeps", concurrent_substeps)

    def AddSubstep(self, substep: Any) -> ExecutionStep:
        """Appends a step, or a message of one; an empty step is left out."""
        self._refuse(self.HasNets())
        self._set("name", self.Name())
        if isinstance(substep, ExecutionStep):
            substep._used = True
            if not substep.HasNets() and not substep.HasSubsteps():
                return self
            for net in substep.Nets():
                _keep(self._nets, net)
            self._substeps.append(substep)
            substep = substep.Proto()
        self._step.substep.add().CopyFrom(substep)
        return self

    def AddNet(self, net: Net) -> ExecutionStep:
        self._refuse(self.HasSubsteps())
        self._set("name", self.Name())
        _keep(self._nets, net)
        self._step.network.append(get_net_name(net))
        return self

    def _refuse(self, has_other: bool) -> None:
        if has_other:
            raise AssertionError(f"step {self.Name()!r}: a step has either nets or substeps")


class Plan:
    """Steps, and the nets that they run."""

    def __init__(self, name_or_step: Any):
        if not isinstance(name_or_step, (str, ExecutionStep)):
            raise ValueError(f"name_or_step: wants a name or an ExecutionStep, got {type(name_or_step).__name__}")
        self._plan = caffe2_pb2.PlanDef(name=str(name_or_step))
        self._nets: dict[str, Net | None] = {}
        self._steps: list[ExecutionStep] = []
        if isinstance(name_or_step, ExecutionStep):
            self.AddStep(name_or_step)

    def __str__(self) -> str:
        return str(self._plan.name)

    def Proto(self) -> Any:
        return self._plan

    def Nets(self) -> list[Net | None]:
        return list(self._nets.values())

    def Steps(self) -> list[ExecutionStep]:
        return self._steps

    def get_all_attributes(self, name: str) -> list[Any]:
        return _attributes(self._nets, name)

    def AddNets(self, nets: Iterable[Any]) -> None:
        for net in nets:
            if _keep(self._nets, net):
                self._plan.network.add().CopyFrom(net.Proto())

    def AddStep(self, step: ExecutionStep) -> None:
        """Appends a step and the nets that it and its substeps run; an empty one is left out."""
        step._used = True
        if step.HasNets() or step.HasSubsteps():
            self._plan.execution_step.add().CopyFrom(step.Proto())
            self._steps.append(step)
            self.AddNets(step.get_net(name) for name in dict.fromkeys(_networks(step)))


def _networks(step: ExecutionStep) -> list[str]:
    """The nets of a step in the order of their runs, those of its substeps first."""
    names = [name for substep in step.Substeps() for name in _networks(substep)]
    return [*names, *step.Proto().network, *filter(None, [step.Proto().report_net])]


def _attributes(nets: dict[str, Net | None], name: str) -> list[Any]:
    return [attribute for net in nets.values() if net is not None for attribute in net.get_attributes(name)]


def to_execution_step(step_or_nets: Any, default_name: str | None = None) -> ExecutionStep:
    return step_or_nets if isinstance(step_or_nets, ExecutionStep) else execution_step(default_name, step_or_nets)


def execution_step(
    default_name: str | None,
    steps_or_nets: Any,
    num_iter: int | None = None,
    report_net: Any = None,
    report_interval: int | None = None,
    concurrent_substeps: bool | None = None,
    should_stop_blob: BlobReference | None = None,
    only_once: bool | None = None,
    num_concurrent_instances: int | None = None,
    create_workspace: bool = False,
    run_every_ms: int | None = None,
) -> ExecutionStep:
    """A step of nets or steps, one or a list of them.

    It runs `num_iter` times, or until `should_stop_blob` holds true after one of them; with neither, once. Raises
    AssertionError for both, ValueError for steps_or_nets that are neither.
    """
    if should_stop_blob is not None and num_iter is not None:
        raise AssertionError("should_stop_blob and num_iter: wants one of them")
    step = ExecutionStep(default_name)
    if should_stop_blob is not None:
        step.SetShouldStopBlob(should_stop_blob)
    else:
        step.SetIter(1 if num_iter is None else num_iter)
    if only_once is not None:
        step.SetOnlyOnce(only_once)
    if concurrent_substeps is not None:
        step.SetConcurrentSubsteps(concurrent_substeps)
    if report_net is not None:
        if report_interval is None:
            raise AssertionError("report_interval: wanted with a report_net")
        step.SetReportNet(report_net, report_interval)
    if num_concurrent_instances is not None:
        step.SetNumConcurrentInstances(num_concurrent_instances)
    if create_workspace:
        step.SetCreateWorkspace(True)
    if run_every_ms:
        step.RunEveryMillis(run_every_ms)
    _fill(step, steps_or_nets)
    return step


def _fill(step: ExecutionStep, steps_or_nets: Any) -> None:
    if isinstance(steps_or_nets, (ExecutionStep, Net)):
        steps_or_nets = [steps_or_nets]
    elif steps_or_nets and not isinstance(steps_or_nets, list):
        raise ValueError(f"wants a step, a net or a list of them, got {type(steps_or_nets).__name__}")
    items = steps_or_nets or []
    if all(isinstance(item, Net) for item in items):
        for net in items:
            step.AddNet(net)
    else:
        for item in items:
            step.AddSubstep(to_execution_step(item))


def scoped_execution_step(name: str | None, *args: Any, **kwargs: Any) -> ExecutionStep:
    """`execution_step` with the current scope before the name."""
    return execution_step(ScopedName(name) if name else name, *args, **kwargs)
