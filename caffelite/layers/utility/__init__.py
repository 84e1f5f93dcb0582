"""Layers that reshape, combine and route blobs."""
