"""Weights in few bits: matrices whose rows have a scale and bias of their own, code books, halves."""
