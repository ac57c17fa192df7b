"""caffe2.python.predictor_constants: the names of roles in a predictor's database."""

from __future__ import annotations

from caffe2ops.compat.python import caffe2_pb2

predictor_constants = caffe2_pb2.PredictorConsts()
