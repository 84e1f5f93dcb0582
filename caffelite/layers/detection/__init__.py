"""Detectors: boxes that nets start from, losses of boxes, and the boxes that a net finds.

What boxes are, how they overlap and are suppressed is `caffelite.kernels.boxes`, the same for all.
"""
