"""Pictures of nets, and the report page."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from caffe2ops import Net, NetDef, OperatorDef, add_gradients, dump, infer_shapes, load
from caffe2ops.cli.app import app
from caffe2ops.draw import BACKWARD, FORWARD, draw, svg
from caffe2ops.qtensor import QTensor
from caffe2ops.report import Report

DIGITS = Path(__file__).parents[1] / "examples" / "digits"
DOT = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not on the path")


def small() -> NetDef:
    net = Net("small")
    net.FC(["x", "w", "b"], "h")
    net.Relu("h", "h")
    net.Softmax("h", "y")
    return net.definition


def nodes(source: str) -> dict[str, str]:
    found = re.findall(r'^\t*"?([\w ]+)"? \[label=(?:"([^"]*)"|(\S+)) ', source, re.M)
    return {name: quoted or plain for name, quoted, plain in found}


def test_operators_shapes_and_parameters() -> None:
    found = infer_shapes(small(), {"x": (2, 3), "w": (4, 3), "b": (4,)})
    source = draw(small(), found, {"w", "b"}).source
    assert nodes(source) == {
        "op0": r"FC\nw 4×3\nb 4",
        "op1": "Relu",
        "op2": "Softmax",
        "in0": r"x\n2×3",
        "out0": r"y\n2×4",
    }
    assert source.count(r"h\n2×4") == 2  # h is written twice: an arrow each
    assert "in1" not in source


def test_the_backward_pass_has_its_colour() -> None:
    net = add_gradients(small(), ["y"])[0]
    source = draw(net).source
    backward = sum(op.type.endswith("Gradient") or "_grad" in op.output[0] for op in net.op)
    assert source.count(f'fillcolor="{BACKWARD}"') == backward > 0
    assert source.count(f'fillcolor="{FORWARD}"') == 3
    forward = Net("forward")
    forward.StopGradient("x", "y")
    forward.Relu("y", "neg_gradients")
    assert BACKWARD not in draw(forward.definition).source


def test_scopes_of_big_nets_are_groups() -> None:
    net = Net("big")
    for i in range(21):
        net.Relu("x" if i == 0 else f"a/b{i - 1}/y", f"a/b{i}/h")
        net.Relu(f"a/b{i}/h", f"a/b{i}/y")
    net.Relu("a/b20/y", "a/alone/y")
    source = draw(net.definition).source
    assert source.count("subgraph") == 22
    assert 'subgraph "cluster a/b7"' in source
    assert "alone" not in source.split("->")[0]
    backward = draw(add_gradients(net.definition, ["a/alone/y"])[0]).source
    assert backward.count("subgraph") == 22
    assert backward.rindex("[label=ReluGradient") < backward.index("subgraph")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('a"b', 'a"b'),
        ("data:0", "data:0"),  # a port, where dot reads the name of a node
        ("<b>x</b>", "<b>x</b>"),  # a label of HTML
        ("<script>", "<script>"),
        ("&lt;", "&lt;"),
        ("a\\", "a\\"),
        (r"c\n<d>", r"c\n<d>"),
        ("\x00\x1f", "\ufffd\ufffd"),
        ("in0", "in0"),
        ("é漢", "é漢"),
        (70 * "x" + "/end", 20 * "x" + "…" + 36 * "x" + "/end"),
    ],
)
@DOT
def test_names_that_dot_would_read_otherwise(name: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caffe2ops.draw.GROUPED", 0)
    op = OperatorDef(type=name, input=(name, "p" + name), output=name + "/y")
    net = NetDef(name=name, op=(op, OperatorDef(type="Relu", input=name + "/y", output=name)), external_output=(name,))
    picture = ElementTree.fromstring(svg(draw(net, parameters={"p" + name})))
    kinds = [part.get("class") for part in picture.iter()]
    assert [kinds.count(kind) for kind in ("node", "edge")] == [4, 3]
    texts = [part.text for part in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count(shown) >= 3  # an operator, what comes, what leaves


def test_long_complaints_of_dot_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "dot", stderr="Error: trouble\n\t%0 12\n")

    graph = draw(small())
    monkeypatch.setattr(graph, "pipe", fails)
    with pytest.raises(RuntimeError, match=r"failed: Error: trouble$"):
        svg(graph)


@DOT
def test_arrows_that_leave_a_group_and_come_back(shared: Path) -> None:
    net = load(next((shared / "models" / "pinn_transixor_train_net").glob("*train_net_proto.txt")))
    assert svg(draw(net)).count('class="edge"') == 413


@DOT
def test_svg() -> None:
    picture = svg(draw(small()))
    assert picture.count('class="node"') == 7
    assert "Softmax" in picture


class Page(HTMLParser):
    """Rows of the tables, and addresses that the page names."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.addresses: list[str] = []
        self.cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        if tag == "tr":
            self.rows.append([])
        self.cell = tag in ("td", "th") or (self.cell and tag in ("span", "br"))
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.cell:
            self.rows[-1][-1] += data


def test_report_of_the_shipped_net(tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", str(DIGITS), "--shape", "data=2,1,8,8", "-o", str(output), "--runs", "1"])
    assert done.exit_code == 0, done.output
    page = Page()
    page.feed(output.read_text(encoding="utf-8"))
    operators = {row[0]: row for row in page.rows if row[0].isdigit()}
    assert len(operators) == 9
    assert operators["0"][1] == "Conv" + "kernel=3, pad=1"
    assert "float32[2, 16, 8, 8]" in operators["0"][3]
    assert operators["0"][4].endswith(" ms")
    convs = next(row for row in page.rows if row[0] == "Conv")
    assert convs[-1] == "2"
    facts = dict(re.findall("<span class=soft>([^<]*)</span><b>([^<]*)</b>", output.read_text(encoding="utf-8")))
    assert facts["input data"] == "float32[2, 1, 8, 8]"
    assert facts["output probability"] == "float32[2, 10]"
    assert "mean of 1 run" in facts["time of all operators"]
    assert {row[0] for row in page.rows if row[0].startswith("conv")} == {"conv1_w", "conv1_b", "conv2_w", "conv2_b"}
    assert all(address.startswith("#") for address in page.addresses)
    assert ("<svg" in output.read_text()) or shutil.which("dot") is None


def test_report_says_what_is_wrong_and_what_it_lacks() -> None:
    net = Net("n")
    net.Relu("<x>", "y")
    values = np.array([0.0, 1.0, np.nan], np.float32)
    report = Report(
        "a <b>",
        net.definition,
        infer_shapes(net.definition),
        parameters={"p": values, "names": np.array([b"s"], object)},
        errors=["bad & worse"],
        notes=["No times: x."],
    )
    page = report.html()
    assert "a &lt;b&gt;" in page
    assert "bad &amp; worse" in page
    assert "No times: x." in page
    assert "1 not finite" in page
    assert "&lt;x&gt;" in page
    assert page.count("<path") == 1


F4, F8 = np.float32, np.float64


@pytest.mark.parametrize(
    ("values", "told", "bins"),
    [
        (np.array([0, 1, np.nan, -np.inf], F4), "2 not finite|4|0|0.5|1|0.5|25.0%", [0, 23]),
        (np.full(5, 7.0, F4), "5|7|7|7|0|0.0%", [12]),
        (np.array([1.0, np.nextafter(1.0, 2.0)]), "2|1|1|1|1.57e-16|0.0%", [0, 23]),  # too narrow for 24 edges
        (np.array([-1.7e308, 1.7e308]), "2|-1.7e+308|0|1.7e+308|inf|0.0%", [0, 23]),
        (np.array([True, False, True]), "3|0|0.6667|1|0.4714|33.3%", [0, 23]),
        (np.arange(4, dtype=np.int64), "4|0|1.5|3|1.118|25.0%", [0, 8, 16, 23]),
        (np.array([[1, 2]], np.float16), "2|1|1.5|2|0.5|0.0%", [0, 23]),
        (np.arange(7.0)[::2], "4|0|3|6|2.236|25.0%", [0, 8, 16, 23]),
        (np.array(3.0), "1|3|3|3|0|0.0%", [12]),
        (QTensor(np.array([0, 255], np.uint8), 0.5, 128), "2|-64|-0.25|63.5|63.75|0.0%", [0, 23]),
        (np.full(2, np.nan, F4), "2 not finite|2", []),
        (np.zeros((0, 3), F4), "0", []),
        (np.array([b"s"], object), "1", []),
        ({}, "", []),
    ],
)
def test_parameters_of_all_kinds(values: object, told: str, bins: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caffe2ops.report.PIECE", 2)
    html = Report("t", NetDef(), infer_shapes(NetDef()), parameters={"p": values}).html()
    page = Page()
    page.feed(html)
    name, _, *numbers = page.rows[-1]
    assert "|".join(filter(None, map(str.strip, (name[1:], *numbers)))) == told
    assert [int(at) // 4 for at in re.findall(r"M(\d+) 20v", html)] == bins


def test_report_tells_of_nets_within_and_of_8_bits(tmp_path: Path) -> None:
    inner = NetDef(name="body", op=(OperatorDef(type="Copy", input="<w>", output="y"),))
    init = OperatorDef(
        type="Int8GivenTensorFill",
        output="<w>",
        args={"shape": (2, 3), "values": b"abcdef", "Y_scale": 0.5, "Y_zero_point": 3},
    )
    dump(NetDef(op=(init,)), tmp_path / "init_net.pb")
    net = NetDef(op=(OperatorDef(type="If", input="c", output="y", args={"then_net": inner}),))
    dump(net, tmp_path / "predict_net.pb")
    done = CliRunner().invoke(app, ["report", str(tmp_path), "-o", str(tmp_path / "r.html"), "--shape", "c=1:bool"])
    assert done.exit_code == 0, done.output
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Operators of body: then_net of operator 0 (If)" in html
    assert "quantised uint8[2, 3]" in html
    assert "6 in 1 blobs" in html
    assert "never read" not in html  # the net within reads it


def test_report_of_a_net_whose_parameters_cannot_be_made(tmp_path: Path) -> None:
    dump(NetDef(name="i", op=(OperatorDef(type="Nope", output="w"),)), tmp_path / "init_net.pb")
    dump(small(), tmp_path / "predict_net.pb")
    done = CliRunner().invoke(app, ["report", str(tmp_path), "-o", str(tmp_path / "r.html")])
    assert done.exit_code == 0, done.output
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No parameters: net &#x27;i&#x27;, operator 0" in html
    assert html.count("of unknown type &#x27;Nope&#x27;") == 1


def test_draw_writes_the_source(tmp_path: Path) -> None:
    output = tmp_path / "net.gv"
    done = CliRunner().invoke(app, ["draw", str(DIGITS), "-o", str(output)])
    assert done.exit_code == 0, done.output
    assert output.read_text(encoding="utf-8").startswith("digraph digits {")
    refused = CliRunner().invoke(app, ["draw", str(DIGITS), "-o", str(tmp_path / "net.bmp")])
    assert refused.exit_code != 0
    assert not (tmp_path / "net.bmp").exists()
