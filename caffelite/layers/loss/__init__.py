"""Losses, in which backward begins, and measures, which only tell how well a net does."""
