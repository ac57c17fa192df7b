"""Activations: rows that bend a tensor element by element, and the ones with a slope or a sum per row."""
