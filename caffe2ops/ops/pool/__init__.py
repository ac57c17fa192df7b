"""Pooling: maxima, averages and Lp norms of sliding windows."""
