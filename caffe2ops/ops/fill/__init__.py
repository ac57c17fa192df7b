"""Operators that make tensors out of nothing: constants, given values, ranges, random numbers."""
