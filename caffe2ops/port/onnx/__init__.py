"""Caffe2 nets as ONNX models: a core that walks nets, and rules for operators, family by family."""
