"""Matrices whose rows are quantised to 8, 4 or 2 bits, each with a scale and bias of its own."""
