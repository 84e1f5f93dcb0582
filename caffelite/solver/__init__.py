"""Solvers: mini-batch training of a net by an update rule and a learning-rate policy."""

from .base import Solver, get_solver, solver_class
from .optimize import optimize
from .rules import RULES
from .together import Together

CLASSES = {f"{name}Solver": solver_class(name) for name in RULES}  # as pycaffe calls them
globals().update(CLASSES)
