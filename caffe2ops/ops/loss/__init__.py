"""Losses, the operators around them, and Accuracy."""
