"""Segments: sums, means, maxima and top k over runs of rows, by lengths or by ids; packing and padding them."""
