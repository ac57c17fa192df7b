"""`python -m caffe2ops` is the command line."""

from caffe2ops.cli import main

main()
