"""Folding axes or whole tensors: sums, means, extremes, norms, and where the extremes are."""
