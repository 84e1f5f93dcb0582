"""Layers that act on each value by itself."""
