"""caffe2ops ops"""

from __future__ import annotations

import typer
from rich.markup import escape

from caffe2ops import registry
from caffe2ops.cli import nets
from caffe2ops.cli.nets import console
from caffe2ops.schema import OpSchema


def ops(name: str = typer.Argument("", help="An operator type; without one all are listed.")) -> None:
    """Print the catalogue of operators, or all about one of them."""
    if name:
        _one(registry.get(name).schema_of(), str(registry.get(name).declared))
        return
    table = nets.table(f"{len(registry.types())} operators", "type", "summary", "devices", "gradient")
    for cls in registry.classes():
        schema = cls.schema_of()
        summary = escape(schema.doc.split("\n")[0])
        table.add_row(schema.type, summary, " ".join(schema.devices), "yes" if _has_gradient(schema) else "")
    console.print(table)


def _has_gradient(schema: OpSchema) -> bool:
    return schema.gradient not in (None, "NO_GRADIENT", "FORBIDDEN", "NOT_YET")


def _one(schema: OpSchema, declared: str) -> None:
    console.print(f"[bold]{schema.type}[/]{'  (of caffe2ops, not of Caffe2)' if schema.extension else ''}")
    console.print(escape(schema.doc), highlight=False)
    console.print(f"\ncontract   {escape(schema.contract)}", highlight=False)
    console.print(f"gradient   {escape(schema.gradient or 'none registered')}", highlight=False)
    if schema.inplace or schema.inplace_enforced:
        console.print(
            f"in place   {schema.inplace or ''} {f'enforced {schema.inplace_enforced}' * bool(schema.inplace_enforced)}"
        )
    console.print(
        f"devices    {' '.join(schema.devices)}   engines {' '.join(schema.engines) or 'default only'}", highlight=False
    )
    console.print(f"declared   {declared}\n", highlight=False)
    ports = nets.table("", "", "name", "dtype", "dims", "")
    for what, group in (("input", schema.inputs), ("output", schema.outputs)):
        for port in group:
            kind = "any number" if port.variadic else "optional" if port.optional else ""
            dims = "" if port.dims is None else escape(f"[{', '.join(port.dims)}]")
            ports.add_row(what, port.name, port.dtype, dims, " ".join(filter(None, (kind, port.doc))))
    console.print(ports)
    if schema.args:
        args = nets.table("", "argument", "type", "default", "")
        for arg in schema.args:
            bounds = [
                f"{sign} {limit:g}"
                for sign, limit in ((">=", arg.ge), (">", arg.gt), ("<=", arg.le), ("<", arg.lt))
                if limit is not None
            ]
            bounds += [f"one of {', '.join(map(str, arg.choices))}"] * bool(arg.choices)
            args.add_row(
                arg.name,
                arg.type,
                "required" if arg.required else repr(arg.default),
                escape("; ".join([arg.doc, *bounds])),
            )
        console.print(args)
