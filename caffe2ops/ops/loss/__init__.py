"""Losses, the operators around them, rankings, decoders of sequences, and Accuracy."""
