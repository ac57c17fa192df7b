"""The files that are generated from the registry and the models, and committed: a change of a contract shows as a diff.

    python -m caffe2ops.generated           says which are not current; exit status 1 if any
    python -m caffe2ops.generated write     writes them

schemas/operators/<family>.json, the JSON Schemas of nets, docs/operators/<family>.md, the table of families in
README.md, and methods.pyi for editors.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from itertools import chain
from pathlib import Path

from caffe2ops import registry
from caffe2ops.formats import schemas as json_schemas
from caffe2ops.operator import Operator
from caffe2ops.schema import ArgSchema, OpSchema

PACKAGE = Path(__file__).parent
ROOT = PACKAGE.parent
BEGIN, END = "<!-- families: generated -->", "<!-- families: end -->"


def families() -> dict[str, list[type[Operator]]]:
    """The operators of caffe2ops itself by family, the folder of ops/ that they stand in."""
    found: dict[str, list[type[Operator]]] = defaultdict(list)
    for cls in registry.classes():
        parts = cls.__module__.split(".")
        if parts[:2] == ["caffe2ops", "ops"]:
            found[parts[2]].append(cls)
    return dict(sorted(found.items()))


def files() -> dict[Path, str]:
    """Every generated file with its text."""
    made = {ROOT / "schemas" / name: text for name, text in json_schemas.files().items()}
    for family, members in families().items():
        schemas = [cls.schema_of() for cls in members]
        dumped = {s.type: s.model_dump(mode="json", exclude_defaults=True) for s in schemas}
        made[ROOT / "schemas" / "operators" / f"{family}.json"] = (
            json.dumps(dumped, indent=1, ensure_ascii=False) + "\n"
        )
        made[ROOT / "docs" / "operators" / f"{family}.md"] = catalogue(family, schemas)
    made[PACKAGE / "methods.pyi"] = stubs()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    head, _, rest = readme.partition(BEGIN)
    made[ROOT / "README.md"] = f"{head}{BEGIN}\n{coverage()}{END}{rest.partition(END)[2]}"
    return made


def coverage() -> str:
    """A Markdown table: how many operators each family has, and how many of them run on CUDA or have a gradient."""
    lines = ["| family | operators | on CUDA | with gradient |", "| --- | ---: | ---: | ---: |"]
    totals = [0, 0, 0]
    for family, members in families().items():
        schemas = [cls.schema_of() for cls in members]
        row = [len(schemas), sum("cuda" in s.devices for s in schemas), sum(_differentiable(s) for s in schemas)]
        totals = [a + b for a, b in zip(totals, row)]
        lines.append(f"| [{family}](docs/operators/{family}.md) | {row[0]} | {row[1]} | {row[2]} |")
    lines.append(f"| all | {totals[0]} | {totals[1]} | {totals[2]} |")
    return "\n".join(lines) + "\n"


def catalogue(family: str, schemas: list[OpSchema]) -> str:
    """The Markdown page of a family."""
    lines = [
        f"# {family}",
        "",
        "Generated from the registry; see [how to read a contract](../adding-an-operator.md).",
        "",
    ]
    lines += [" · ".join(f"[{s.type}](#{s.type.lower()})" for s in schemas), ""]
    for schema in schemas:
        lines += [f"## {schema.type}", "", schema.doc, "", f"    {schema.contract}", ""]
        if schema.extension:
            lines += ["An operator of caffe2ops, not of Caffe2.", ""]
        lines += [f"- gradient: `{schema.gradient}`" if schema.gradient else "- no gradient registered"]
        if schema.inplace or schema.inplace_enforced:
            enforced = "; enforced: " + _pairs(schema.inplace_enforced) if schema.inplace_enforced else ""
            lines += [f"- in place (input, output): {_pairs(schema.inplace) or 'none'}{enforced}"]
        lines += [
            f"- devices: {', '.join(schema.devices)}"
            + (f"; engines: {', '.join(schema.engines)}" if schema.engines else "")
        ]
        lines += [f"- declared in `{schema.source}`", ""]
        ports = [("in", p) for p in schema.inputs] + [("out", p) for p in schema.outputs]
        documented = [f"| {way} | `{p.name}` | {_cell(p.doc)} |" for way, p in ports if p.doc]
        if documented:
            lines += ["| | blob | |", "| --- | --- | --- |", *documented, ""]
        if schema.args:
            lines += ["| argument | type | default | |", "| --- | --- | --- | --- |"]
            lines += [
                f"| `{a.name}` | {a.type} | {_default(a)} | {_cell(a.doc)}{_bounds(a)} |" for a in schema.args
            ] + [""]
    return "\n".join(lines).rstrip() + "\n"


def stubs() -> str:
    """The type stub of the builder's operator methods."""
    lines = [
        "# Generated from the registry by python -m caffe2ops.generated write.",
        "from collections.abc import Sequence",
        "from typing import Any",
        "",
        "import numpy as np",
        "",
        "from caffe2ops.defs import DeviceOption, NetDef, TensorProto",
        "",
        "class BlobRef(str): ...",
        "",
        "class OperatorMethods:",
    ]
    common = "name: str = ..., device_option: DeviceOption | None = ..., engine: str = ..."
    for cls in sorted(chain(*families().values()), key=lambda cls: cls.type):
        schema = cls.schema_of()
        args = "".join(
            f", {a.name}: {_annotation(a.type)}{'' if a.required else ' = ...'}"
            for a in schema.args
            if a.name != "name"
        )
        one = schema.min_output == schema.max_output == 1
        result = "BlobRef" if one else "tuple[BlobRef, ...]" if schema.min_output > 1 else "Any"
        lines.append(
            f"    def {schema.type}(self, inputs: str | Sequence[str] = ..., "
            f"outputs: str | Sequence[str] | int | None = ..., *{args}, {common}) -> {result}: ..."
        )
    return "\n".join(lines) + "\n"


def _annotation(kind: str) -> str:
    """The type of an argument as a stub writes it."""
    return {"Value": "Any", "list": "Sequence[Any]"}.get(kind, kind.replace("list[", "Sequence["))


def _differentiable(schema: OpSchema) -> bool:
    return schema.gradient not in (None, "NO_GRADIENT", "FORBIDDEN", "NOT_YET")


def _pairs(pairs: object) -> str:
    return pairs if isinstance(pairs, str) else ", ".join(map(str, pairs))  # type: ignore[call-overload]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _default(arg: ArgSchema) -> str:
    return "required" if arg.required else f"`{arg.default!r}`".replace("|", "\\|")


def _bounds(arg: ArgSchema) -> str:
    limits = [
        f"{sign} {limit:g}"
        for sign, limit in ((">=", arg.ge), (">", arg.gt), ("<=", arg.le), ("<", arg.lt))
        if limit is not None
    ]
    limits += [" or ".join(f"`{c}`" for c in arg.choices)] if arg.choices else []
    return f" ({', '.join(limits)})" if limits else ""


def stale() -> list[Path]:
    """The generated files that are not as they should be, and those of families that are gone."""
    made = files()
    wrong = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    folders = (ROOT / "schemas" / "operators", ROOT / "docs" / "operators")
    return wrong + [path for folder in folders if folder.is_dir() for path in folder.iterdir() if path not in made]


def main(argv: list[str]) -> int:
    """The command; gives the exit status."""
    if argv == ["write"]:
        made = files()
        for path in stale():
            if path in made:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(made[path], encoding="utf-8", newline="\n")
            else:
                path.unlink()
        return 0
    wrong = stale()
    for path in wrong:
        print(f"not current: {path.relative_to(ROOT)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
