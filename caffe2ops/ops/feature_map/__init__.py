"""Sparse features of examples: single ones, and many in one set of tensors."""
