"""Layers that centre and scale: by statistics of the batch, of a sample, or of neighbours.

_channels.py is what BatchNorm and the two layers called BN share: y = (x - mean) / deviation by
channel, and its gradient.
"""
