"""Vectors of tensors, which keep some of those that come by, at random."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.data.opaque import held
from caffe2ops.ops.fill.mt19937 import Generator, generator_of


class TensorVector(list[np.ndarray]):
    """Tensors of any dtype and shape. Caffe2: operators/dataset_ops."""


def vector_of(value: Any, name: str = "tensor_vector") -> TensorVector:
    """The vector that an input holds."""
    return held(name, value, TensorVector, "CreateTensorVector")


class CreateTensorVector(Operator):
    """Makes a vector without tensors. Caffe2: operators/dataset_ops."""

    contract = "-> tensor_vector: blob"
    docs = {"tensor_vector": "the vector"}
    gradient = FORBIDDEN

    def run_cpu(self) -> tuple[TensorVector]:
        return (TensorVector(),)


class TensorVectorSize(Operator):
    """How many tensors a vector has: int32 scalar. Caffe2: operators/dataset_ops."""

    contract = "tensor_vector: blob -> size: int32[]"
    docs = {"tensor_vector": "from CreateTensorVector", "size": "the number of tensors"}
    gradient = FORBIDDEN

    def run_cpu(self, vector: Any) -> np.ndarray:
        return np.array(len(vector_of(vector)), np.int32)


class ConcatTensorVector(Operator):
    """The tensors of a vector, one behind the other along the first dim.

    Raises ValueError for a vector without tensors, for scalars, and where tensors differ in dtype or shape of rows.
    Caffe2: operators/dataset_ops.
    """

    contract = "tensor_vector: blob -> tensor: any[?]"
    docs = {"tensor_vector": "from CreateTensorVector", "tensor": "all rows"}
    gradient = FORBIDDEN

    def infer(self, vector: Any) -> Any:
        return self.parsed.infer({}, 1, self.arg_value)

    def run_cpu(self, vector: Any) -> np.ndarray:
        tensors = vector_of(vector)
        if not tensors:
            raise ValueError("tensor_vector: is empty, wants a tensor")
        like = tensors[0]
        for i, tensor in enumerate(tensors):
            if not tensor.ndim or (tensor.dtype, tensor.shape[1:]) != (like.dtype, like.shape[1:]):
                raise ValueError(
                    f"tensor_vector: tensor {i} is {tensor.dtype}{list(tensor.shape)}, wants rows of {like.dtype}"
                    f"{list(like.shape[1:])}"
                )
        return np.concatenate(tensors)


class CollectTensor(Operator):
    """Keeps `num_to_collect` of all tensors that come by, each as likely as any other, in vectors.

    Inputs are vectors, then a tensor for each; the vectors are updated in place. All tensors of a run are kept, at the
    same place of their vectors, or none. Random as Caffe2's for the same seed. Raises ValueError where a vector has
    been changed meanwhile. Caffe2: operators/dataset_ops.
    """

    contract = "*tensor_vector: blob -> *tensor_vector: blob"
    docs = {"tensor_vector": "vectors from CreateTensorVector, then (as inputs only) a tensor for each"}
    arity = "inputs == 2 * outputs"
    inplace = inplace_enforced = "input == output"
    gradient = FORBIDDEN
    num_to_collect: int = Arg(gt=0, doc="tensors to keep")
    _visited = 0

    @cached_property
    def generator(self) -> Generator:
        return generator_of(self)

    def run_cpu(self, *inputs: Any) -> tuple[TensorVector, ...]:
        vectors = [vector_of(vector, f"input {i}") for i, vector in enumerate(inputs[: self.n_outputs])]
        tensors = inputs[self.n_outputs :]
        kept = min(self._visited, self.num_to_collect)
        for i, (vector, tensor) in enumerate(zip(vectors, tensors)):
            if not isinstance(tensor, np.ndarray):
                raise TypeError(f"input {self.n_outputs + i}: holds {type(tensor).__name__}, wants a tensor")
            if kept == self.num_to_collect and len(vector) != kept:
                raise ValueError(f"input {i}: TensorVector size = {len(vector)} is different from {kept}")
        place = self._visited
        if kept == self.num_to_collect:
            place = int(self.generator.integers(1, 0, self._visited)[0])
        if place < self.num_to_collect:
            for vector, tensor in zip(vectors, tensors):
                vector[place : place + 1] = [tensor.copy()]
        self._visited += 1
        return tuple(vectors)
