"""Sets of features merged into one, example by example."""

from __future__ import annotations

from typing import Any

from caffe2ops.ops.feature_map.merge import KINDS
from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Writer


@rule(*(f"Merge{kind}FeatureTensors" for kind in KINDS))
def merge(t: Writer, op: Any, *inputs: Tensor) -> list[str]:
    """Each group of inputs has features of the same examples; `owners` are the examples of its features."""
    kind, names = op.kind, op.kind.tensors
    groups = [dict(zip(names, map(_flat, inputs[i:]))) for i in range(0, len(inputs), len(names))]
    if kind.single:
        owners = [f"{group['presence']}.nonzero().flatten()" for group in groups]
    else:
        owners = [t.call("segment_ids", group["lengths"]) for group in groups]
    own = t.let("owners", _list(owners))
    if kind.single:
        keys = [f"torch.full_like({own}[{i}], {number})" for i, number in zip(range(len(groups)), op.feature_ids)]
    else:
        keys = [group["keys"] for group in groups]
    lengths = f"torch.bincount(torch.cat({own}), minlength={inputs[0]}.numel()).int()"
    results = [lengths, t.call("merged", own, _list(keys))]
    chosen = "[{presence}]" if kind.single else ""
    if kind.sizes:
        sizes = t.let("sizes", _list(f"{g[kind.sizes]}{chosen.format(**g)}" for g in groups))
        results.append(t.call("merged", own, sizes))
        elements = [f"{own}[{i}].repeat_interleave({sizes}[{i}])" for i in range(len(groups))]
        own, chosen = t.let("elements", _list(elements)), ""
    for column in kind.columns:
        results.append(t.call("merged", own, _list(f"{g[column]}{chosen.format(**g)}" for g in groups)))
    return results


def _flat(x: Tensor) -> str:
    return str(x) if x.rank == 1 else f"{x}.flatten()"


def _list(texts: Any) -> str:
    return f"[{', '.join(texts)}]"


@rule("MergeDenseFeatureTensors")
def merge_dense(t: Writer, op: Any, data: Tensor, presence: Tensor) -> list[str]:
    ids = f"torch.tensor({list(op.feature_ids)}, device={data}.device)"
    return [
        f"{presence}.sum(1, dtype=torch.int32)",
        f"{ids}[{presence}.nonzero()[:, 1]]",
        f"{data}[{presence}]",
    ]
