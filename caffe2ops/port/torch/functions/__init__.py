"""Functions that the generated source takes along: what PyTorch has no call for.

They are copied as text, with the others that they call, so each is complete in itself: torch, F and math are all that
they may use. Lines are at most 88 wide, as the source is formatted.
"""
