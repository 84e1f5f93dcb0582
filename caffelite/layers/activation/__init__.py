"""Layers that act on each value by itself, most of them in place if the net asks for it."""
