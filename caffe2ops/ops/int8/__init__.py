"""Inference on quantised tensors (QTensor): real value = scale * (element - zero point), elements of 8 bits."""
