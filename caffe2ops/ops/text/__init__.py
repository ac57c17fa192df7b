"""Strings, and tables of text read from files."""
