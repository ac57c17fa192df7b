"""onnxruntime's own operators of quantised tensors (domain com.microsoft), as functions of ONNX's."""

from __future__ import annotations

from typing import Any

from caffe2ops.port.from_onnx.node import Node, onnx, schema_of

DOMAIN = "com.microsoft"
# What each computes between dequantising and quantising; inputs come with a scale and a zero point each.
OPERATORS = {
    "QGemm": "Gemm", "QLinearAdd": "Add", "QLinearMul": "Mul", "QLinearSigmoid": "Sigmoid",
    "QLinearLeakyRelu": "LeakyRelu", "QLinearSoftmax": "Softmax", "QLinearAveragePool": "AveragePool",
    "QLinearGlobalAveragePool": "GlobalAveragePool", "QLinearConcat": "Concat",
    "QuantizeLinear": "QuantizeLinear", "DequantizeLinear": "DequantizeLinear",
}  # fmt: skip


def function(node: Node, opset: int) -> Any:
    """The FunctionProto of such a node, None for one of another kind."""
    if node.domain != DOMAIN or node.type not in OPERATORS or node["channels_last"]:
        return None
    make, kind = onnx.helper.make_node, OPERATORS[node.type]
    names = [f"in{i}" if name else "" for i, name in enumerate(node.inputs)]
    known = schema_of(kind, opset).attributes
    attributes = [a for name, a in node.attributes.items() if name in known]
    if kind == node.type:
        nodes = [make(kind, names, ["out"])]
    else:
        given, ends = names, names[-2:]
        if kind == "Concat":  # has the scale of the output first
            given, ends = names[2:], names[:2]
        elif kind == "Gemm":
            names += [""] * (9 - len(names))
            given, ends = names[:6], names[7:]
        else:
            given = names[:-2]
        nodes = [make("DequantizeLinear", given[i : i + 3], [f"real{i // 3}"]) for i in range(0, len(given), 3)]
        if kind == "Gemm" and node["transB"]:  # a scale for each column of the product
            nodes[1].attribute.append(onnx.helper.make_attribute("axis", 0))
        reals = [n.output[0] for n in nodes]
        if kind == "Gemm" and names[6]:  # in units of the product's scale
            nodes.append(make("Mul", [names[1], names[4]], ["unit"]))
            nodes.append(make("DequantizeLinear", [names[6], "unit"], ["bias"], axis=0))
            reals.append("bias")
        nodes.append(make(kind, reals, ["out" if not ends[0] else "real"]))
        if ends[0]:
            nodes.append(make("QuantizeLinear", ["real", *ends], ["out"]))
    main = next(n for n in nodes if n.op_type == kind)
    main.attribute.extend(attributes)
    imports = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_function(DOMAIN, node.type, [n for n in names if n], ["out"], nodes, imports)
