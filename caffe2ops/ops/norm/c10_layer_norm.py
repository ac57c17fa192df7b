"""C10LayerNorm_DontUseThisOpYet: LayerNorm under the name by which Caffe2 exports PyTorch's registration of it."""

from __future__ import annotations

from caffe2ops.operator import Arg
from caffe2ops.ops.norm.layer_norm import LayerNorm, OfRows


class C10LayerNorm_DontUseThisOpYet(OfRows):
    """LayerNorm, always with all outputs and without a gradient. Caffe2: operators/layer_norm_op."""

    contract, docs, arity = LayerNorm.contract, LayerNorm.docs, LayerNorm.arity
    epsilon: float = Arg(1e-5, ge=0, doc="added to the variance")
    elementwise_affine: bool = Arg(False, doc="whether gamma and beta scale and shift the normalised rows")

    infer = LayerNorm.infer  # type: ignore[assignment]
    run_cpu = LayerNorm.run_cpu
