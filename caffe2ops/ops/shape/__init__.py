"""Operators that rearrange, cut and join tensors, or tell their shape."""
