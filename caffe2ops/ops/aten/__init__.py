"""ATen: one operator that calls a function of PyTorch's tensor library by name."""
