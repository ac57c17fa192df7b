"""Matrix products: fully connected layers, MatMul, BatchMatMul, DotProduct."""
