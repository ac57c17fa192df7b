"""Record the real Caffe2's answers to the samples: python -m tests.golden.record [--family NAME]... [--all]

Asks only what is not recorded yet (`--all`: everything), and drops answers that no sample asks for any more. Writes one
tests/golden/FAMILY.npz per module of tests/samples. The reference is the interpreter that has Caffe2 of torch 1.10.2, named by
CAFFE2OPS_REFERENCE (default ~/.cache/caffe2-reference/bin/python). It runs in a process of its own; a case that
aborts it or hangs is recorded as "crashed".
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops import registry

from tests.kit import golden, sample
from tests.kit.call import feeds_of

REFERENCE = os.environ.get("CAFFE2OPS_REFERENCE", str(Path("~/.cache/caffe2-reference/bin/python").expanduser()))
TIMEOUT = 120  # seconds for all cases of a family


def ask(samples: list[sample.Sample]) -> dict[str, dict[str, np.ndarray]]:
    """{digest: answers} from the reference for all samples."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arrays = {
            f"{i}/{blob}": np.asarray(value)
            for i, one in enumerate(samples)
            for blob, value in feeds_of(one).items()
            if np.asarray(value).dtype != object
        }
        np.savez(folder / "arrays.npz", **arrays)
        (folder / "cases.json").write_text(json.dumps([golden.case_of(one) for one in samples]))
        todo = list(range(len(samples)))
        while todo:
            _run(folder, todo)
            todo = [i for i in todo if not (folder / f"{i}.gradient.npz").exists()]
            if todo:  # the reference died on the first of them: note it and go on behind it
                forward = folder / f"{todo[0]}.forward.npz"
                if not forward.exists():
                    np.savez(forward, **{"!error": np.array("crashed")})
                    np.savez(folder / f"{todo[0]}.gradient.npz")
                else:
                    np.savez(folder / f"{todo[0]}.gradient.npz", **{"!gradient_error": np.array("crashed")})
                todo = todo[1:]
        return {golden.digest(one): _answers(folder, i) for i, one in enumerate(samples)}


def _run(folder: Path, indices: list[int]) -> None:
    program = Path(__file__).with_name("reference.py")
    command = [REFERENCE, str(program), str(folder), *map(str, indices)]
    try:
        done = subprocess.run(command, cwd=folder, timeout=TIMEOUT, capture_output=True, text=True, check=False)
    except subprocess.TimeoutExpired:
        print(f"the reference hung for {TIMEOUT} s")
    else:
        if done.returncode > 0:  # not killed by a signal: reference.py itself is wrong
            raise RuntimeError(done.stderr)


def _answers(folder: Path, index: int) -> dict[str, np.ndarray]:
    found: dict[str, Any] = {}
    for part in ("forward", "gradient"):
        with np.load(folder / f"{index}.{part}.npz", allow_pickle=False) as archive:
            found.update(archive)
    return found


def record(family: str, samples: list[sample.Sample], everything: bool) -> None:
    asked = [one for one in samples if golden.is_asked(one)]
    known = {} if everything else golden.load(family)
    missing = {golden.digest(one): one for one in asked if golden.digest(one) not in known}
    answers = {**known, **ask(list(missing.values()))} if missing else known
    wanted = {golden.digest(one) for one in asked}
    path = golden.FOLDER / f"{family}.npz"
    flat = {f"{case}/{name}": array for case in sorted(wanted) for name, array in answers[case].items()}
    if missing or wanted != set(known):
        fresh = path.with_suffix(f".{os.getpid()}.npz")
        np.savez_compressed(fresh, **flat)
        fresh.replace(path)
    size = path.stat().st_size if path.exists() else 0
    print(f"{family}: {len(wanted)} cases, {len(missing)} asked, {size:,} bytes{' (too large)' * (size > golden.SIZE_LIMIT)}")
    for case, one in missing.items():
        for key in ("!error", "!gradient_error"):
            if key in answers[case] and (one.error is None or str(answers[case][key]) == "crashed"):
                print(f"  {one.id}: {key[1:]}: {answers[case][key]}")
        if one.error is not None and "!error" not in answers[case]:
            print(f"  {one.id}: Caffe2 does not refuse this")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", action="append", help="a module of tests/samples (default: all)")
    parser.add_argument("--all", action="store_true", help="ask again what is recorded already")
    options = parser.parse_args()
    families: dict[str, list[sample.Sample]] = {}
    for one in sample.collect():
        if one.op in registry.types():
            families.setdefault(one.family, []).append(one)
        else:
            print(f"{one.id}: {one.op} is not registered")
    for family, samples in families.items():
        if not options.family or family in options.family:
            record(family, samples, options.all)


if __name__ == "__main__":
    main()
