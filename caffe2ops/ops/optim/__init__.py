"""Optimizers and what they need: learning rates, iteration counters, weighted sums."""
