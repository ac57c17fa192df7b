"""Recurrent networks: a net run once a time step, and the units that its cells are made of."""
