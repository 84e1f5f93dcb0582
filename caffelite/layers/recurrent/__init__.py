"""Layers over sequences, time step by time step."""
