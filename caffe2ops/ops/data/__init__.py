"""Operators that move data in and out: databases, saved blobs, printing."""
