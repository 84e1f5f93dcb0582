"""Slow, obvious numpy twins: of layers (a file per folder) and of kernels (a file per module)."""
