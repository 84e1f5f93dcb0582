"""Numba kernels: arrays and numbers only. Import the module you need; each loads numba."""
