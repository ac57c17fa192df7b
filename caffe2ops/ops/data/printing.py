"""Showing what a blob holds: its values, or their statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.data.files import inside_root, on_host

# What Caffe2 calls the dtypes here.
NAMES = {"float32": "float", "float64": "double", "int32": "int", "int64": "long int", "uint8": "unsigned char"}
NAMES |= {"object": "std::basic_string<char>"}


class Reporter(Operator):
    """Base: text about a blob, to a file named after it or to standard output."""

    gradient = FORBIDDEN
    suffix = ""
    _path: Path | None = None

    def append(self, line: str) -> None:
        """Adds a line to the file in the workspace's root folder, which is emptied first by the first line."""
        mode = "a"
        if self._path is None:
            self._path, mode = inside_root(self, self.op_def.input[0] + self.suffix), "w"
        with self._path.open(mode, encoding="utf-8") as file:
            file.write(line + "\n")


class Print(Reporter):
    """Prints a tensor: name, dtype, dims and values, to standard output or into a file.

    tensor: any tensor; of other blobs the type is printed. The file is `<name of the blob>.log` in the workspace's root
    folder. Caffe2: operators/utility_ops.
    """

    contract = "tensor: blob ->"
    docs = {"tensor": "what is printed"}
    suffix = ".log"
    to_file: bool = Arg(False, doc="whether to write into a file")
    limit: int = Arg(0, ge=0, doc="how many values to print at most; 0: all")
    every_n: int = Arg(1, ge=1, doc="print in every n-th run, from the first on")
    _runs = 0

    def run_cpu(self, tensor: Any) -> None:
        self._runs += 1
        if (self._runs - 1) % self.every_n == 0:
            text = self._text(on_host(tensor))
            if self.to_file:
                self.append(text)
            else:
                print(text)

    run_cuda = run_cpu

    def _text(self, tensor: Any) -> str:
        if not isinstance(tensor, np.ndarray):
            return f"Blob of type: {type(tensor).__name__}"
        values = tensor.reshape(-1)[: self.limit or None].tolist()
        kind = NAMES.get(tensor.dtype.name, tensor.dtype.name)
        dims = "".join(f"{dim}," for dim in tensor.shape)
        return f"Tensor {self.op_def.input[0]} of type {kind}. Dims: ({dims}): {','.join(map(shown, values))}"


class Summarize(Reporter):
    """Least value, greatest value, mean and standard deviation (of the sample) of a tensor: float32[4].

    data: float[...], not empty. With to_file they are also added as a line to `<name of the blob>.summary` in the
    workspace's root folder. Caffe2: operators/summarize_op.
    """

    contract = "data: float -> output?: data[4]"
    docs = {"data": "what is summarized", "output": "min, max, mean, standard deviation"}
    suffix = ".summary"
    to_file: bool = Arg(False, doc="whether to write into a file too")

    def run_cpu(self, data: Any) -> Any:
        if not data.size:
            raise ValueError("data: is empty, wants an element")
        mean, deviation = data.mean(dtype=np.float64), data.std(dtype=np.float64, ddof=int(data.size > 1))
        output = self.out(0, (4,), data.dtype)
        for i, value in enumerate((data.min(), data.max(), mean, deviation)):
            output[i] = value
        if self.to_file:
            self.append(" ".join(shown(value) for value in on_host(output).tolist()))
        return output

    run_cuda = run_cpu


def shown(value: Any) -> str:
    """A value as C++ streams print it: floats with 6 digits."""
    if isinstance(value, float):
        return f"{value:g}"
    return value.decode(errors="replace") if isinstance(value, bytes) else str(int(value))
