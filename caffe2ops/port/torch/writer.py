"""What rules write with: statements of `forward`, submodules and parameters of the module, functions of the source."""

from __future__ import annotations

import ast
import keyword
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops.defs import NetDef
from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Operator
from caffe2ops.port import nets
from caffe2ops.port.torch.text import TAKEN, Names, class_name, fold, identifier, literal, snake
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.values import NotPortable
from caffe2ops.workspace import Workspace

Change = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
WORD = re.compile(r"(?<![\w.\"])[A-Za-z_]\w*")
FUNCTIONS = Path(__file__).parent / "functions"
# Endings by which parameters tell what they are to their operator.
ENDINGS = re.compile(
    r"[_./](w|b|W|B|s|scale|bias|weight|weights|gamma|beta|riv|rm|rv|running_mean|slope|filter)(_\d+)?$"
)
OF_MODULES = ("training", "T_destination", "dump_patches", "call_super_init")


@dataclass(frozen=True)
class Several:
    """An expression that gives all outputs of an operator as a tuple."""

    text: str


@dataclass
class State:
    """One entry of the weights file: the blob it comes from (or none), and how its array follows from the blob's."""

    blob: str
    array: np.ndarray[Any, Any]
    change: Change


@dataclass
class Source:
    """What has been written so far."""

    buffers: list[str] = field(default_factory=list)  # their names
    init: list[str] = field(default_factory=list)
    statements: list[tuple[int, str]] = field(default_factory=list)  # of forward: how far indented, and the text
    functions: dict[str, str] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    training: list[str] = field(default_factory=list)  # submodules that do as the net did in training mode alone

    def forward(self, results: Sequence[str]) -> list[str]:
        """The lines of forward, without locals that nobody reads."""
        kept, before = list(self.statements), None
        while before != len(kept):
            before = len(kept)
            uses = Counter(name for _, text in kept for name in set(WORD.findall(text)))
            uses.update(name for text in results for name in WORD.findall(text))
            kept = [(depth, text) for depth, text in kept if not _unread(text, uses)]
        return [line for depth, text in kept for line in (fold(text, depth) if text else ("",))]


def _unread(text: str, uses: Mapping[str, int]) -> bool:
    """Whether a statement sets a local that stands nowhere else; checks are kept."""
    target, sign, value = text.partition(" = ")
    return bool(sign) and target.isidentifier() and uses[target] == 1 and not value.startswith("finite(")


class Writer:
    """Writes the source of one module. `op` is the operator whose rule is being called."""

    def __init__(self, parameters: dict[str, Any], workspace: Workspace) -> None:
        self.parameters, self.workspace = parameters, workspace
        self.random: dict[str, str] = {}
        self.source = Source()
        self.locals = Names([*TAKEN, *functions()])
        self.attributes = Names([*keyword.kwlist, *OF_MODULES, *_attributes()])
        self.op: Operator
        self.scope = ""
        self.depth = 2  # how far statements are indented
        self.walk: Callable[[NetDef, dict[str, Tensor]], None]  # writes the operators of a net
        self.env: dict[str, Tensor] = {}  # what blobs are now
        self.wanted_outputs: frozenset[int] = frozenset()

    # --- statements ---

    def wanted(self, output: int) -> bool:
        """Whether anybody reads this output of the operator; where not, a rule may give None for it."""
        return output in self.wanted_outputs

    def line(self, text: str) -> None:
        """A statement of forward."""
        self.source.statements.append((self.depth, text))

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """A compound statement of forward; what is written within is its body."""
        self.line(head)
        self.depth += 1
        yield
        self.depth -= 1

    def let(self, name: str, text: str, spec: TensorSpec | None = None) -> Tensor:
        """A local of that name, named after the operator's first output; gives what stands for it."""
        local = self.locals.unique(f"{self.scope}_{name}" if self.scope else name)
        self.line(f"{local} = {text}")
        return Tensor(local, spec or TensorSpec())

    def note(self, text: str) -> None:
        """Tells the user what the source cannot do as Caffe2 did."""
        if text not in self.source.notes:
            self.source.notes.append(text)

    def call(self, name: str, *args: Any, **named: Any) -> str:
        """A call of one of the functions that go into the source with it."""
        self.use(name)
        given = [_argument(a) for a in args] + [f"{k}={_argument(v)}" for k, v in named.items()]
        return f"{name}({', '.join(given)})"

    def use(self, name: str) -> None:
        text, needs = functions()[name]
        if name not in self.source.functions:
            for other in needs:
                self.use(other)
            self.source.functions[name] = text

    # --- the module ---

    def module(self, text: str, states: Mapping[str, tuple[Tensor | None, Any]], name: str = "") -> str:
        """A submodule with this constructor call; `states`: entry -> (parameter or None, change of its array, or the
        array itself). Gives the expression that stands for it."""
        first = next((p for p, _ in states.values() if p is not None), None)
        stem = name or (ENDINGS.sub("", first.blob) if first is not None else self.op.op_def.output[0])
        attribute = self.attributes.unique(identifier(stem))
        self.source.init += fold(f"self.{attribute} = {text}", 2)
        for entry, (parameter, change) in states.items():
            key = f"{attribute}.{entry}"
            if parameter is None:
                self.source.states[key] = State("", np.asarray(change), lambda a: a)
            else:
                array = parameter.constant(entry)
                self.source.states[key] = State(parameter.blob, np.ascontiguousarray(change(array)), change)
        return f"self.{attribute}"

    def parameter(self, blob: str, array: np.ndarray[Any, Any]) -> str:
        """A parameter or, where it holds no floats, a buffer of the module."""
        if array.dtype.kind != "f":
            return self.buffer(blob, array)
        attribute = self.attributes.unique(identifier(blob))
        empty = f"torch.empty({literal(tuple(array.shape))}{_dtype_argument(array.dtype)})"
        self.source.init += fold(f"self.{attribute} = nn.Parameter({empty})", 2)
        self.source.states[attribute] = State(blob, array, lambda a: a)
        return f"self.{attribute}"

    def drawn(self, blob: str, size: int, draw: Callable[[int], np.ndarray[Any, Any]]) -> str:
        """A buffer of random numbers that stay; see `nets.drawn`."""
        if blob not in self.random:
            self.random[blob] = self.buffer(blob, nets.drawn(self.parameters, self.workspace, blob, size, draw))
        return self.random[blob]

    def buffer(self, blob: str, array: np.ndarray[Any, Any]) -> str:
        """A buffer whose elements stand in the weights file."""
        empty = f"torch.empty({literal(tuple(array.shape))}{_dtype_argument(array.dtype)})"
        attribute = self._registered(blob, empty)
        self.source.states[attribute] = State("" if array.dtype.kind == "f" else blob, array, lambda a: a)
        return f"self.{attribute}"

    def constant(self, blob: str, array: np.ndarray[Any, Any]) -> str:
        """A buffer with these elements: in the source where they are few, or all the same, else in the weights file."""
        flat = array.reshape(-1)
        dims = literal(tuple(array.shape))
        if array.size > 1 and (flat == flat[0]).all():
            text = f"torch.full({dims}, {literal(flat[0].item())}{_dtype_argument(array.dtype)})"
        elif array.size == 0:
            text = f"torch.empty({dims}{_dtype_argument(array.dtype)})"
        elif array.size <= 8:
            text = f"torch.tensor({literal(array.tolist())}{_dtype_argument(array.dtype)})"
        else:
            return self.buffer(blob, array)
        return f"self.{self._registered(blob, f'{text}, persistent=False')}"

    def _registered(self, blob: str, text: str) -> str:
        """The name of a buffer that is registered with these arguments."""
        attribute = self.attributes.unique(identifier(blob))
        self.source.buffers.append(attribute)
        self.source.init += fold(f'self.register_buffer("{attribute}", {text})', 2)
        return attribute


def dtype_name(dtype: Any) -> str:
    """torch's name of a dtype. Raises NotPortable for one that it does not have."""
    name = np.dtype(dtype).name
    if name not in (
        "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool",
    ):  # fmt: skip
        raise NotPortable(f"holds {'strings' if name == 'object' else name}, which PyTorch has no tensors of")
    return f"torch.{name}"


def _dtype_argument(dtype: Any) -> str:
    return "" if np.dtype(dtype) == np.float32 else f", dtype={dtype_name(dtype)}"


def _argument(value: Any) -> str:
    return str(value) if isinstance(value, (str, Tensor)) else literal(value)


@cache
def functions() -> dict[str, tuple[str, tuple[str, ...]]]:
    """The functions that go into the source: name -> (text, the other ones that it calls)."""
    found: dict[str, tuple[str, set[str]]] = {}
    for path in sorted(FUNCTIONS.glob("[a-z]*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef):
                names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                found[node.name] = (ast.get_source_segment(text, node) or "", names - {node.name})
    return {
        name: (text, tuple(n for n in found if n in names)) for name, (text, names) in found.items()
    }  # in the order in which they are defined


@cache
def _attributes() -> tuple[str, ...]:
    """What nn.Module has for itself."""
    return (
        "add_module", "apply", "bfloat16", "buffers", "children", "compile", "cpu", "cuda", "double", "eval",
        "extra_repr", "float", "forward", "get_buffer", "get_extra_state", "get_parameter", "get_submodule",
        "half", "ipu", "load_state_dict", "modules", "mtia", "named_buffers", "named_children", "named_modules",
        "named_parameters", "parameters", "register_buffer", "register_module", "register_parameter",
        "requires_grad_", "set_extra_state", "set_submodule", "share_memory", "state_dict", "to", "to_empty",
        "train", "type", "xpu", "zero_grad",
    )  # fmt: skip


__all__ = ["Several", "Source", "State", "Writer", "class_name", "dtype_name", "functions", "snake"]
