"""Caffe2's own operator tests and recorded cases, run over caffe2ops; see README.md."""
