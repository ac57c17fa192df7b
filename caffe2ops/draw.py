"""A net as a picture: operators as boxes, blobs with their shapes on the arrows between them.

    graph = draw(net, infer_shapes(net, {"data": (1, 3, 224, 224)}), parameters={"w", "b"})
    graph.render("net", format="svg")        # wants Graphviz's `dot`
    graph.source                             # the graph in the dot language, which wants nothing

Parameters stand inside the operators that read them, operators of the backward pass have another colour, and those
of the forward pass of a net of more than `GROUPED` operators stand in the groups that the scopes of its blobs make.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from caffe2ops.dataflow import last_written
from caffe2ops.defs import NetDef, OperatorDef
from caffe2ops.infer import Inference, TensorSpec

GROUPED = 40  # operators from which scopes are drawn
LONGEST = 60  # characters of a name
FORWARD, BACKWARD, OUTSIDE = "#dbe9ff", "#ffe3cc", "#d9f2e1"
# Without newrank dot fails on some nets whose arrows leave a group and come back ("trouble in init_rank"); without
# nslimit training nets take it a minute for pictures that are no smaller.
GRAPH = {"newrank": "true", "nslimit": "0.1", "nodesep": "0.25", "ranksep": "0.35", "bgcolor": "transparent"}
NODE = {"shape": "box", "style": "filled,rounded", "color": "#8a94a6", "fontname": "Helvetica", "fontsize": "11"}
EDGE = {"color": "#8a94a6", "fontname": "Helvetica", "fontsize": "9", "fontcolor": "#4a5361", "arrowsize": "0.6"}
CLUSTER = {
    "style": "rounded",
    "labeljust": "l",
    "color": "#c3cad5",
    "fontname": "Helvetica",
    "fontsize": "10",
    "fontcolor": "#6b7585",
}
_GRADIENT = re.compile(r"_grad(_|$)")  # in the name of a blob
_NOT_OF_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass
class Group:
    """The operators of a scope, and the scopes within it."""

    operators: list[int] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.operators) + sum(group.size for group in self.groups.values())


def is_backward(op: OperatorDef) -> bool:
    """Whether an operator belongs to the backward pass."""
    kind = op.type.endswith("Gradient") and op.type != "StopGradient"
    return op.is_gradient_op or kind or any(_GRADIENT.search(name) for name in op.output)


def arguments(op: OperatorDef) -> str:
    """The arguments of an operator as one line; long values are cut."""
    return ", ".join(f"{name}={_brief(value)}" for name, value in op.args.items())


def draw(net: NetDef, found: Inference | None = None, parameters: Collection[str] = ()) -> Any:
    """The graph, a graphviz.Digraph. `found`: what is known of the shapes; `parameters`: blobs to put into the boxes.

    Raises ModuleNotFoundError where the package graphviz is not installed.
    """
    try:
        import graphviz
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("drawing wants the package graphviz: pip install 'caffe2ops[draw]'") from error
    graph = graphviz.Digraph(_plain(net.name or "net"), graph_attr=GRAPH, node_attr=NODE, edge_attr=EDGE)
    specs = found.specs if found else {}
    parameters = set(parameters)
    root = Group()
    for index, op in enumerate(net.op):
        group = root
        for name in _scope(op) if len(net.op) > GROUPED and not is_backward(op) else ():
            group = group.groups.setdefault(name, Group())
        group.operators.append(index)
    _draw_group(graph, root, "", net, specs, parameters)
    _draw_blobs(graph, net, specs, parameters)
    return graph


def svg(graph: Any) -> str:
    """The drawn graph. Raises RuntimeError where Graphviz itself is not installed."""
    import graphviz

    try:
        drawn: str = graph.pipe(format="svg", encoding="utf-8")
    except graphviz.ExecutableNotFound as error:
        raise RuntimeError(
            "drawing wants Graphviz's program dot on the path (package graphviz of most systems); "
            "a file named .gv gets the graph as text"
        ) from error
    except subprocess.CalledProcessError as error:
        first = error.stderr.strip().partition("\n")[0]  # dot may print pages
        raise RuntimeError(f"Graphviz's dot failed: {first}") from error
    return drawn


def _scope(op: OperatorDef) -> list[str]:
    return (op.output or op.input or ("",))[0].split("/")[:-1]


def _draw_group(
    graph: Any, group: Group, path: str, net: NetDef, specs: Mapping[str, TensorSpec], parameters: set[str]
) -> None:
    for index in group.operators:
        op = net.op[index]
        held = [_named(name, specs) for name in dict.fromkeys(op.input) if name in parameters]
        kind = f"{op.type} ({op.engine})" if op.engine else op.type
        colour = BACKWARD if is_backward(op) else FORWARD
        tooltip = _plain(f"{index} {op.name or op.type} {arguments(op)}")
        graph.node(f"op{index}", _plain("\n".join((_cut(kind), *held))), fillcolor=colour, tooltip=tooltip)
    for name, inner in group.groups.items():
        if inner.size == 1:  # a frame around a single box tells nothing
            _draw_group(graph, inner, path, net, specs, parameters)
            continue
        within = f"{path}/{name}" if path else name
        attributes = {**CLUSTER, "label": _plain(_cut(name))}
        with graph.subgraph(name=f"cluster {_plain(within)}", graph_attr=attributes) as cluster:
            _draw_group(cluster, inner, within, net, specs, parameters)


def _draw_blobs(graph: Any, net: NetDef, specs: Mapping[str, TensorSpec], parameters: set[str]) -> None:
    """Arrows, the first of each blob with its name and shape, and what comes from outside and leaves."""
    writer: dict[str, str] = {}
    outside: dict[str, str] = {}
    told: set[str] = set()

    def label(name: str) -> str:
        first = name not in told
        told.add(name)
        return _plain(_named(name, specs, "\n")) if first else ""

    for index, op in enumerate(net.op):
        for name in dict.fromkeys(op.input):
            if name in writer:
                graph.edge(writer[name], f"op{index}", label(name), tooltip=_plain(name))
            elif name not in parameters:
                if name not in outside:
                    outside[name] = f"in{len(outside)}"
                    graph.node(outside[name], _plain(_named(name, specs, "\n")), fillcolor=OUTSIDE, shape="ellipse")
                graph.edge(outside[name], f"op{index}")
        for name in op.output:
            writer[name] = f"op{index}"
            told.discard(name)  # a blob written anew
    for index, name in enumerate(dict.fromkeys(net.external_output or last_written(net))):
        if name in writer:
            graph.node(f"out{index}", _plain(_named(name, specs, "\n")), fillcolor=OUTSIDE, shape="ellipse")
            graph.edge(writer[name], f"out{index}")


def _named(name: str, specs: Mapping[str, TensorSpec], between: str = " ") -> str:
    """A blob's name and shape, and its dtype where that is not float32."""
    spec = specs.get(name)
    if spec is None or not spec.has_rank:
        return _cut(name)
    dims = "×".join(map(str, spec.shape)) or "scalar"
    dtype = "" if spec.dtype is None or spec.dtype == "float32" else f" {spec.dtype}"
    return f"{_cut(name)}{between}{dims}{dtype}"


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{len(value)} numbers>"
    if isinstance(value, NetDef):
        return f"<net of {len(value.op)} operators>"
    return f"{value:.7g}" if isinstance(value, float) else _cut(repr(value))


def _cut(text: str) -> str:
    """Long text without its middle: names differ at their ends."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 3]}…{text[-2 * LONGEST // 3 :]}"


def _plain(text: str) -> str:
    """Text that the dot language takes as it is: dot reads backslashes and entities, SVG has no control characters."""
    return escape(_NOT_OF_XML.sub("\ufffd", text), quote=False).replace("\\", "\\\\").replace("\n", "\\n")
