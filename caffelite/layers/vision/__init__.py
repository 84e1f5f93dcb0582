"""Layers that see a bottom as pictures: convolution, pooling and their kin.

_convolve.py is what Convolution and Deconvolution share; how sums of products are computed is
decided in caffelite/kernels/plan.py.
"""
