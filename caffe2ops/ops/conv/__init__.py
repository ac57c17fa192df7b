"""Convolution, its transpose, and the switch between channel orders."""
