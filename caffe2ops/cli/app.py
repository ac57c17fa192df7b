"""The commands, put together; each stands in a module of its own."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import typer

import caffe2ops
from caffe2ops.cli.check import check
from caffe2ops.cli.convert import convert
from caffe2ops.cli.draw import draw
from caffe2ops.cli.gradcheck import gradcheck
from caffe2ops.cli.ops import ops
from caffe2ops.cli.port import port
from caffe2ops.cli.report import report
from caffe2ops.cli.run import run
from caffe2ops.cli.show import show


@dataclass
class State:
    """What the options before the command say."""

    traceback: bool = False


state = State()
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(caffe2ops.__version__)
        raise typer.Exit


@app.callback()
def options(
    traceback: bool = typer.Option(False, "--traceback", help="Show where in caffe2ops an error came from."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log what is being done."),
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Runs, checks, shows and converts serialized Caffe2 nets."""
    state.traceback = traceback
    if verbose:
        logging.basicConfig(level=logging.DEBUG)


for command in (run, check, show, draw, report, ops, convert, port, gradcheck):
    app.command()(command)
