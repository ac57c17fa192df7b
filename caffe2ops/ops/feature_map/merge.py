"""Features merged into one set, and the gradients of the values, taken apart again.

Single features become a set, sets of features a larger one: example by example what the first group of inputs has, then
the second, and so on. `KINDS` says of what tensors the groups are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Arg, Operator, row
from caffe2ops.ops.feature_map.groups import VALUES, Group, Kind, by_example, groups_of, port
from caffe2ops.ops.shape.axes import show

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker

KINDS = {
    "SingleScalar": Kind(("", "presence"), ("",)),
    "SingleList": Kind(("lengths", "values", "presence"), ("values",), "lengths"),
    "SingleMap": Kind(("lengths", "keys", "values", "presence"), ("keys", "values"), "lengths"),
    "MultiScalar": Kind(("lengths", "keys", "values"), ("values",)),
    "MultiList": Kind(("lengths", "keys", "values_lengths", "values_values"), ("values_values",), "values_lengths"),
    "MultiMap": Kind(
        ("lengths", "keys", "values_lengths", "values_keys", "values_values"),
        ("values_keys", "values_values"),
        "values_lengths",
    ),
}
SAYS = {
    "": "the values",
    "lengths": "how many elements, or for a set how many features, each example has",
    "keys": "keys of a map, or for a set the ids of the features",
    "values": "the values",
    "presence": "which examples have the feature",
    "values_lengths": "how many elements each feature has",
    "values_keys": "keys of the maps",
    "values_values": "the values",
}


class Merge(Operator):
    """Base of the operators that merge."""

    kind: ClassVar[Kind]

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        names = cls.kind.tensors
        starts = range(0, len(g.def_.input), len(names))
        given = [g.I(start + names.index(name)) for start in starts for name in cls.kind.layout]
        made = [g.GI(start + names.index(cls.kind.columns[-1])) for start in starts]
        return [g.op(f"{cls.type}Gradient", [*given, g.GO(len(cls.parsed.outputs) - 1)], made)]

    def infer(self, *inputs: TensorSpec) -> list[TensorSpec]:
        first = dict(zip(self.kind.tensors, inputs))
        specs = [TensorSpec((inputs[0].size,), np.int32), TensorSpec((UNKNOWN,), np.int64)]
        specs += [TensorSpec((UNKNOWN,), np.int32)] if self.kind.sizes else []
        return specs + [TensorSpec((UNKNOWN,), first[name].dtype) for name in self.kind.columns]

    def keys(self, groups: list[Group]) -> list[np.ndarray]:
        """The id of each feature of the groups."""
        return [group.tensors["keys"] for group in groups]

    def run_cpu(self, *inputs: np.ndarray) -> list[np.ndarray]:
        groups = groups_of(self.kind, self.kind.tensors, inputs)
        features = np.concatenate([group.features for group in groups])
        order = np.argsort(features, kind="stable")
        lengths = np.bincount(features, minlength=inputs[0].size).astype(np.int32)
        outputs = [lengths, np.concatenate(self.keys(groups))[order]]
        if self.kind.sizes:
            outputs.append(np.concatenate([group.sizes for group in groups])[order])
            order = by_example([group.elements for group in groups])
        return outputs + [np.concatenate([g.column(name) for g in groups])[order] for name in self.kind.columns]


class MergeSingle(Merge):
    """Base: each group is one feature; its id is an argument."""

    feature_ids: list[int] = Arg(doc="ids of the features, one for each")

    def keys(self, groups: list[Group]) -> list[np.ndarray]:
        if len(self.feature_ids) < len(groups):
            raise ValueError(f"feature_ids: are {len(self.feature_ids)}, there are {len(groups)} features")
        return [np.full(len(g.features), i, np.int64) for g, i in zip(groups, self.feature_ids)]


class MergeGradient(Operator):
    """Base of the gradients: inputs are the layouts of the groups and the gradient of the merged values."""

    kind: ClassVar[Kind]

    @property
    def spreads(self) -> bool:
        """Whether the gradient of a group has an element for examples without the feature too: 0."""
        return self.kind.single and not self.kind.sizes

    def infer(self, *inputs: TensorSpec) -> list[TensorSpec]:
        layouts, dtype = inputs[: -1 : len(self.kind.layout)], inputs[-1].dtype
        return [TensorSpec(x.shape if self.spreads else (UNKNOWN,), dtype) for x in layouts]

    def run_cpu(self, *inputs: np.ndarray) -> list[np.ndarray]:
        *layouts, grad = inputs
        groups = groups_of(self.kind, self.kind.layout, layouts)
        order = by_example([group.elements for group in groups])
        if grad.size != len(order):
            raise ValueError(f"{self.parsed.inputs[-1].name}: has {grad.size} elements, wants {len(order)}")
        apart = np.empty(len(order), grad.dtype)
        apart[order] = grad.reshape(-1)
        parts = np.split(apart, np.cumsum([len(group.elements) for group in groups])[:-1])
        if not self.spreads:
            return parts
        outputs = [np.full(x.shape, b"" if grad.dtype == object else 0, grad.dtype) for x in layouts]
        for presence, part, output in zip(layouts, parts, outputs):
            output[presence] = part
        return outputs


def _declare(name: str, kind: Kind) -> None:
    type_name, more = f"Merge{name}FeatureTensors", f"of the next {'features' if kind.single else 'sets'}"
    values = [column if kind.sizes and not kind.single else f"values_{column}" for column in kind.columns]
    outputs = ["lengths", "keys", *(["values_lengths", *values] if kind.sizes else ["values"])]
    dtypes = ["int32", "int64", *["int32"] * bool(kind.sizes), *(port(1, column) for column in kind.columns)]
    group = ", ".join(f"{port(1, tensor)}: {kind.dtype(tensor)}" for tensor in kind.tensors)
    made = ", ".join(f"out_{output}: {dtype}[?]" for output, dtype in zip(outputs, dtypes))
    docs = {port(1, tensor): SAYS[tensor] for tensor in kind.tensors} | {"more": f"the tensors {more}"}
    docs |= {f"out_{output}": f"of the set: {SAYS[output]}" for output in outputs}
    what = {"Scalar": "scalars", "List": "lists", "Map": "maps"}[name.removeprefix("Single").removeprefix("Multi")]
    row(
        type_name,
        f"One set of features out of {'single features' if kind.single else 'several sets'}, all {what}. ValueError "
        "for tensors whose sizes do not fit together. Caffe2: operators/feature_maps_ops.",
        MergeSingle if kind.single else Merge,
        2,
        kind=kind,
        contract=f"{group}, *more?: any -> {made}",
        docs=docs,
        arity=f"inputs % {len(kind.tensors)} == 0",
    )
    layout = ", ".join(f"{port(1, tensor)}: {kind.dtype(tensor)}" for tensor in kind.layout)
    grad = f"out_{outputs[-1]}_grad"
    row(
        f"{type_name}Gradient",
        f"The gradient of {type_name}: that of the merged values, taken apart.",
        MergeGradient,
        2,
        kind=kind,
        contract=f"{layout}, *more?: any, {grad}: {VALUES} -> *{port(1, kind.columns[-1])}_grad: {grad}[?]",
        docs={**docs, grad: "gradient of the merged values"},
        arity=f"inputs == {len(kind.layout)} * outputs + 1",
    )


for _name, _kind in KINDS.items():
    _declare(_name, _kind)


class MergeDenseFeatureTensors(Operator):
    """One set of features out of a matrix of scalars, a column for each feature.

    ValueError for fewer feature_ids than columns. Caffe2: operators/feature_maps_ops.
    """

    contract = (
        f"in1: {VALUES}[N, D], in1_presence: bool[N, D] "
        "-> out_lengths: int32[N], out_keys: int64[?], out_values: in1[?]"
    )
    docs = {
        "in1": "the values",
        "in1_presence": "which example has which feature",
        "out_lengths": "how many features each example has",
        "out_keys": "their ids",
        "out_values": "their values",
    }
    feature_ids: list[int] = Arg(doc="ids of the features, one for each column")

    def infer(self, data: TensorSpec, presence: TensorSpec) -> list[TensorSpec]:
        return [TensorSpec(data.shape[:1], np.int32), *(TensorSpec((UNKNOWN,), d) for d in (np.int64, data.dtype))]

    def run_cpu(self, data: np.ndarray, presence: np.ndarray) -> list[np.ndarray]:
        if len(self.feature_ids) < data.shape[1]:
            raise ValueError(f"feature_ids: are {len(self.feature_ids)}, in1 is {show(data.shape)}")
        ids = np.asarray(self.feature_ids, np.int64)
        return [presence.sum(axis=1, dtype=np.int32), ids[np.nonzero(presence)[1]], data[presence]]
