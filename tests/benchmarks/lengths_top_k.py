"""LengthsTopK and its gradient (NumPy, and numba where it is installed) against the real Caffe2.

python -m tests.benchmarks.lengths_top_k [A B ...] [--rounds 5] [--seconds 0.1] [--threads 1]
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from caffe2ops import NetDef, OperatorDef, Workspace
from tests.benchmarks.lengths_top_k_reference import CASES, case

HERE = Path(__file__).parent


def operator(name: str, gradient: bool, engine: str = "") -> Callable[[], None]:
    """The same net as the reference's."""
    data, lengths, k = case(name)
    workspace = Workspace()
    workspace.feed("X", data)
    workspace.feed("L", lengths)
    workspace.feed("dV", np.random.RandomState(1).randn(len(lengths), k).astype(np.float32))
    forward = OperatorDef(type="LengthsTopK", input=("X", "L"), output=("V", "I"), args={"k": k}, engine=engine)
    workspace.run(forward)
    back = OperatorDef(type="LengthsTopKGradient", input=("L", "I", "dV"), output=("dX",), args={"k": k}, engine=engine)
    return workspace.create(NetDef(name="bench", op=(back if gradient else forward,))).run


def main() -> None:
    from tests.benchmarks.rounds import Contender, compare, table

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES), help=", ".join(f"{k}: {v}" for k, v in CASES.items()))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each contender's turn in a round")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    engines = {"NumPy": ""} | ({"numba": "NUMBA"} if importlib.util.find_spec("numba") else {})
    for gradient in (False, True):
        rows = {}
        for name in options.cases:
            kwargs = {"name": name, "gradient": gradient}
            contenders = [
                Contender("Caffe2", HERE / "lengths_top_k_reference.py", "operator", kwargs, reference=True),
                *(
                    Contender(
                        title,
                        HERE / "lengths_top_k.py",
                        "operator",
                        kwargs | {"engine": engine},
                        threads=options.threads,
                    )
                    for title, engine in engines.items()
                ),
            ]
            rows[f"{name}: {CASES[name]}"] = compare(contenders, options.rounds, options.seconds)
        print(table("LengthsTopKGradient" if gradient else "LengthsTopK", rows, "Caffe2"), flush=True)


if __name__ == "__main__":
    main()
