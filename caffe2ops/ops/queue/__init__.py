"""Queues between nets that run at the same time."""
