"""Caffe2 nets as PyTorch source: a core that walks nets, rules for operators, and functions that go into the source."""
