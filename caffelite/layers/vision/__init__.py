"""Layers that see a bottom as pictures: convolution, pooling and their kin."""
