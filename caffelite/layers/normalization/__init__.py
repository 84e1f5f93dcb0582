"""Layers that centre and scale."""
