"""Rows by index or key: Gather, the Scatter operators, TopK, one-hot rows, partitions, vocabularies, hashes."""
