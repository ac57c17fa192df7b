"""A net as a picture: operators as boxes, blobs with their shapes on the arrows between them.

    graph = draw(net, infer_shapes(net, {"data": (1, 3, 224, 224)}), parameters={"w", "b"})
    graph.render("net", format="svg")        # wants Graphviz's `dot`
    graph.source                             # the graph in the dot language, which wants nothing

Parameters stand inside the operators that read them, operators of the backward pass have another colour, and a net of
more than `GROUPED` operators is drawn in the groups that the scopes of its blobs make.
"""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from caffe2ops.defs import NetDef, OperatorDef
from caffe2ops.infer import Inference, TensorSpec
from caffe2ops.predictor import last_written

GROUPED = 40  # operators from which scopes are drawn
LONGEST = 60  # characters of a line in a box
FORWARD, BACKWARD, OUTSIDE = "#dbe9ff", "#ffe3cc", "#d9f2e1"
GRAPH = {"rankdir": "TB", "nodesep": "0.25", "ranksep": "0.35", "bgcolor": "transparent", "fontname": "Helvetica"}
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


@dataclass
class Group:
    """The operators of a scope, and the scopes within it."""

    operators: list[int] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)


def is_backward(op: OperatorDef) -> bool:
    """Whether an operator belongs to the backward pass."""
    return op.is_gradient_op or op.type.endswith("Gradient") or any("_grad" in name for name in op.output)


def draw(net: NetDef, found: Inference | None = None, parameters: Collection[str] = ()) -> Any:
    """The graph, a graphviz.Digraph. `found`: what is known of the shapes; `parameters`: blobs to put into the boxes.

    Raises ModuleNotFoundError where the package graphviz is not installed.
    """
    try:
        import graphviz
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("drawing wants the package graphviz: pip install 'caffe2ops[draw]'") from error
    graph = graphviz.Digraph(net.name or "net", graph_attr=GRAPH, node_attr=NODE, edge_attr=EDGE)
    specs = found.specs if found else {}
    parameters = set(parameters)
    root = Group()
    for index, op in enumerate(net.op):
        group = root
        for name in _scope(op) if len(net.op) > GROUPED else ():
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
        raise RuntimeError(f"Graphviz's dot failed: {error.stderr}") from error
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
        told = ", ".join(f"{name}={_brief(value)}" for name, value in op.args.items())
        label = "\n".join(_cut(line) for line in (kind, *held))
        colour = BACKWARD if is_backward(op) else FORWARD
        graph.node(
            f"op{index}", _plain(label), fillcolor=colour, tooltip=_plain(f"{index} {op.name or op.type} {told}")
        )
    for name, inner in group.groups.items():
        within = f"{path}/{name}" if path else name
        with graph.subgraph(name=f"cluster {within}", graph_attr={**CLUSTER, "label": _plain(name)}) as cluster:
            _draw_group(cluster, inner, within, net, specs, parameters)


def _draw_blobs(graph: Any, net: NetDef, specs: Mapping[str, TensorSpec], parameters: set[str]) -> None:
    """Arrows, the first of each blob with its name and shape, and what comes from outside and leaves."""
    writer: dict[str, str] = {}
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
                graph.node(f"in {name}", _plain(_named(name, specs, "\n")), fillcolor=OUTSIDE, shape="ellipse")
                graph.edge(f"in {name}", f"op{index}")
        for name in op.output:
            writer[name] = f"op{index}"
            told.discard(name)  # a blob written anew
    for name in net.external_output or last_written(net):
        if name in writer:
            graph.node(f"out {name}", _plain(_named(name, specs, "\n")), fillcolor=OUTSIDE, shape="ellipse")
            graph.edge(writer[name], f"out {name}")


def _named(name: str, specs: Mapping[str, TensorSpec], between: str = " ") -> str:
    """A blob's name and shape, and its dtype where that is not float32."""
    spec = specs.get(name)
    if spec is None or not spec.has_rank:
        return name
    dims = "×".join(map(str, spec.shape)) or "scalar"
    return f"{name}{between}{dims}{'' if spec.dtype is None or spec.dtype == 'float32' else f' {spec.dtype}'}"


def _brief(value: Any) -> str:
    text = f"net of {len(value.op)} operators" if isinstance(value, NetDef) else repr(value)
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _plain(text: str) -> str:
    """Text that the dot language takes as it is."""
    import graphviz

    escaped: str = graphviz.escape(text)
    return escaped.replace("\n", "\\n")
