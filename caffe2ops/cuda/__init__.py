"""CUDA kernels: loading the `.cu` beside a `.py`, launching with checked arguments, and kernels made from expressions.

    kernels = Source.beside(__file__)                       # lengths_top_k_cuda.py -> lengths_top_k.cu; touches no GPU
    kernels(T=x.dtype).segment_sum((n,), (128,), x, offsets, n, out)

    relu = Elementwise("x > T(0) ? x : T(0)", inputs="x")
    relu(x, out=y)

cupy is imported when the first kernel is compiled, never by importing this package.
"""

from .elementwise import Elementwise
from .launch import Kernel, multiprocessors, record
from .reduction import Reduction
from .row_updates import RowUpdate
from .segments import SegmentFold
from .source import Module, Source

__all__ = [
    "Elementwise",
    "Kernel",
    "Module",
    "Reduction",
    "RowUpdate",
    "SegmentFold",
    "Source",
    "multiprocessors",
    "record",
]
