"""python -m caffe2ops.compat [--upstream FOLDER] script.py [args]: runs a Caffe2 script over caffe2ops."""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

from caffe2ops.compat import install


def main() -> None:
    parser = argparse.ArgumentParser("python -m caffe2ops.compat", description="Runs a Caffe2 script over caffe2ops.")
    parser.add_argument(
        "--upstream", metavar="FOLDER", help="take caffe2.python from an unpacked Caffe2 (a torch wheel)"
    )
    parser.add_argument("script", help="the script")
    parser.add_argument("args", nargs=argparse.REMAINDER, help="its arguments")
    given = parser.parse_args()
    install(given.upstream)
    sys.argv = [given.script, *given.args]
    sys.path[0] = str(Path(given.script).resolve().parent)
    runpy.run_path(given.script, run_name="__main__")


if __name__ == "__main__":
    main()
