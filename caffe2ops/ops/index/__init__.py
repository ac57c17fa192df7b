"""Rows by index: Gather, the Scatter operators, TopK."""
