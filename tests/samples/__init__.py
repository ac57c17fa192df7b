"""Samples per family: every module here defines `samples: list[Sample]`."""
