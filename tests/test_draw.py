"""Pictures of nets, and the report page."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from caffe2ops import Net, NetDef, add_gradients, infer_shapes
from caffe2ops.cli.app import app
from caffe2ops.draw import BACKWARD, FORWARD, draw, svg
from caffe2ops.report import BINS, Report

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
        "in x": r"x\n2×3",
        "out y": r"y\n2×4",
    }
    assert source.count(r"h\n2×4") == 2  # h is written twice: an arrow each
    assert "in w" not in source


def test_the_backward_pass_has_its_colour() -> None:
    net = add_gradients(small(), ["y"])[0]
    source = draw(net).source
    backward = sum(op.type.endswith("Gradient") or "_grad" in op.output[0] for op in net.op)
    assert source.count(f'fillcolor="{BACKWARD}"') == backward > 0
    assert source.count(f'fillcolor="{FORWARD}"') == 3


def test_scopes_of_big_nets_are_groups() -> None:
    net = Net("big")
    for i in range(41):
        net.Relu("x" if i == 0 else f"a/b{i - 1}/y", f"a/b{i}/y")
    source = draw(net.definition).source
    assert source.count("subgraph") == 42
    assert 'subgraph "cluster a/b7"' in source


def test_names_that_dot_would_read_otherwise() -> None:
    net = Net("odd")
    net.Relu('a"b', r"c\n<d>")
    source = draw(net.definition).source
    assert r"a\"b" in source
    assert r"c\\n<d>" in source


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
    assert operators["0"][1] == "Conv"
    assert "float32[2, 16, 8, 8]" in operators["0"][3]
    assert operators["0"][6].endswith(" ms")
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
    assert len(re.findall(r"M\d+ 20v", page)) == 2 <= BINS  # 0 and 1 fill a bin each


def test_draw_writes_the_source(tmp_path: Path) -> None:
    output = tmp_path / "net.gv"
    done = CliRunner().invoke(app, ["draw", str(DIGITS), "-o", str(output)])
    assert done.exit_code == 0, done.output
    assert output.read_text(encoding="utf-8").startswith("digraph digits {")
    refused = CliRunner().invoke(app, ["draw", str(DIGITS), "-o", str(tmp_path / "net.bmp")])
    assert refused.exit_code != 0
    assert not (tmp_path / "net.bmp").exists()
