"""The learning-rate policies: one file, one function, one `lr_policy`.

Where Caffe computes in float32, so do they, to the last bit: with the C library's power, which is
that of NumPy's numbers but not of its arrays, and 1 + gamma * i rounded once.
"""

from .base import POLICIES, register

POLICIES.load(__name__, __path__)
