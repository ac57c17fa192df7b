"""Object detection: boxes, proposals, regions of interest."""
