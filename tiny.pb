
tiny
XY"Relu:X