"""Runs Caffe2's own tests and recorded cases over caffe2ops and compares with passing.txt.

    python -m tests.conformance.run             prints the tables; fails where passing.txt no longer says what passes
    python -m tests.conformance.run --accept    writes passing.txt anew

Two suites: the operator tests, and the tests of the Python front end. Nothing but the tests' outcome is kept. The
scripts of tests/compat run over upstream's files, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from fnmatch import fnmatchcase
from pathlib import Path

from tests.conformance import goldens
from tests.conformance.fetch import VARIABLE, NotFetched, fetch

HERE = Path(__file__).parent
PASSING = HERE / "passing.txt"
OPERATORS, FRONT, GOLDEN = "operator_test", "python", "golden"
PROCESSES = 2
Outcomes = dict[str, dict[str, str]]


def rows(name: str) -> list[list[str]]:
    """The rows of a tab-separated file here, without its heading and comments."""
    lines = (HERE / name).read_text().splitlines()[1:]
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def run_suite(folder: Path, suite: str) -> Outcomes:
    """The outcome of every test of a suite."""
    home = folder / "caffe2/python"
    elsewhere = {row[0] for row in rows("elsewhere.tsv")}
    paths = sorted(home.glob("operator_test/*_test.py" if suite == OPERATORS else "*_test.py"))
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / "results.json"
        env = os.environ | {
            "CONFORMANCE_RESULTS": str(results),
            "PYTHONPATH": str(HERE.parents[1]),
            "PYTHONHASHSEED": "0",
            "PY_IGNORE_IMPORTMISMATCH": "1",
            "CAFFE2_ASSERT_SHAPEINFERENCE": "1",
            "CAFFE2_FULL_GRAD_CHECK": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        # fmt: off
        command = [
            sys.executable, "-m", "pytest", "-p", "tests.conformance.plugin", "-c", str(HERE / "pytest.ini"),
            "--rootdir", str(folder), "--tb=short", "-q", "-n", str(PROCESSES), "--dist", "worksteal",
            *(str(path) for path in paths if path.name not in elsewhere),
        ]
        # fmt: on
        done = subprocess.run(command, cwd=scratch, env=env, capture_output=True, text=True, check=False)
        if not results.exists():
            raise SystemExit(f"the {suite} suite did not run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return json.loads(results.read_text())


def run_scripts(folder: Path) -> bool:
    """Whether the scripts of tests/compat give over upstream's files what they give in the real Caffe2."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-k", "upstream", "tests/compat/test_scripts.py"]
    done = subprocess.run(command, cwd=HERE.parents[1], env=os.environ | {VARIABLE: str(folder)}, check=False)
    return done.returncode == 0


def family_table(outcomes: Outcomes) -> str:
    """Per family of operators: what passes, and what passes in the real Caffe2."""
    lines = ["| family | passed | skipped | failed | operator missing | real Caffe2 passes |"]
    lines.append("|---|--:|--:|--:|--:|--:|")
    by_file: dict[str, Counter[str]] = defaultdict(Counter)
    for name, outcome in outcomes.items():
        by_file[name.partition("::")[0]][outcome["outcome"]] += 1
        by_file[name.partition("::")[0]]["missing"] += bool(outcome["operator"])
    families: dict[str, Counter[str]] = defaultdict(Counter)
    for family, file, _, _, _, _, real, *_ in rows("families.tsv"):
        families[family].update(by_file.get(file, {}))
        families[family]["real"] += int(real or 0)
    total: Counter[str] = Counter()
    for family, counts in sorted(families.items()):
        total.update(counts)
        lines.append(_line(family, counts))
    return "\n".join([*lines, _line("all", total)])


def _line(name: str, counts: Counter[str]) -> str:
    cells = (counts[key] for key in ("passed", "skipped", "failed", "missing", "real"))
    return f"| {name} | {' | '.join(map(str, cells))} |"


def missing_operators(*several: Outcomes) -> str:
    """The operators that tests failed for want of, the ones that block most first."""
    counts = Counter(o["operator"] for outcomes in several for o in outcomes.values() if o["operator"])
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def differences(outcomes: Outcomes, passing: set[str]) -> list[str]:
    """What is not as the files here say; empty where all is well."""
    explained = [row[0] for row in rows("explained.tsv")]
    found = []
    for name in sorted(passing & set(outcomes)):
        if outcomes[name]["outcome"] != "passed":
            found.append(f"no longer passes: {name}: {outcomes[name]['message']}")
    found += [f"is in passing.txt, but there is no such test: {name}" for name in sorted(passing - set(outcomes))]
    for name, outcome in sorted(outcomes.items()):
        if outcome["outcome"] == "passed" and name not in passing:
            found.append(f"passes, and is not in passing.txt: {name}")
        if outcome["outcome"] == "passed" and name in explained:
            found.append(f"passes, take it off explained.tsv: {name}")
        known = any(fnmatchcase(name, pattern) for pattern in explained)
        if outcome["outcome"] == "failed" and not outcome["operator"] and not known:
            found.append(f"fails for no reason that explained.tsv gives: {name}: {outcome['message']}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Caffe2's own tests over caffe2ops")
    parser.add_argument("--accept", action="store_true", help="write passing.txt anew")
    parser.add_argument("--required", action="store_true", help="fail where upstream's files cannot be fetched")
    options = parser.parse_args()
    try:
        folder = fetch()
    except NotFetched as error:
        print(f"conformance suite skipped: {error}")
        sys.exit(1 if options.required else 0)
    scripts = run_scripts(folder)
    operators, front, recorded = run_suite(folder, OPERATORS), run_suite(folder, FRONT), goldens.replay(folder)
    passed = {suite: _passed(found) for suite, found in zip((OPERATORS, FRONT, GOLDEN), (operators, front, recorded))}
    vacuous = {row[0] for row in rows("vacuous.tsv")}
    print(family_table(operators))
    proven = len(set(passed[OPERATORS]) - vacuous)
    print(f"\noperator tests: {proven} of {len(operators)} pass, {len(passed[OPERATORS]) - proven} more prove nothing")
    print(f"front end tests: {len(passed[FRONT])} of {len(front)} pass, {_count(front, 'skipped')} skipped")
    print(f"recorded cases: {len(passed[GOLDEN])} of {len(recorded)} pass")
    print(f"\nmissing operators, and how many tests each blocks: {missing_operators(operators, front)}")
    everything = {**operators, **front, **recorded}
    if options.accept:
        PASSING.write_text("\n".join(sorted(_passed(everything))) + "\n")
    wrong = differences(everything, set(PASSING.read_text().split()))
    print("\n" + ("\n".join(wrong) or "all as passing.txt and explained.tsv say"))
    sys.exit(bool(wrong) or not scripts)


def _passed(outcomes: Outcomes) -> list[str]:
    return [name for name, outcome in outcomes.items() if outcome["outcome"] == "passed"]


def _count(outcomes: Outcomes, outcome: str) -> int:
    return sum(o["outcome"] == outcome for o in outcomes.values())


if __name__ == "__main__":
    main()
