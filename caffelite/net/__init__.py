"""Nets: layers wired by the names of their blobs."""

from .net import Net
