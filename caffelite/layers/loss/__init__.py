"""Losses and measures."""
