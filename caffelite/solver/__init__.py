"""Solvers: mini-batch training of a net by an update rule and a learning-rate policy.

Begin with base.py, the loop. A file of rules/ is an update rule, one of policies/ a learning-rate
policy. snapshot.py writes what restoring.py goes on from; together.py trains several nets in turns,
stages.py one solver after another, and optimize.py values of blobs instead of weights.
"""

from .base import Solver, get_solver, solver_class
from .optimize import optimize
from .rules import RULES
from .together import Together

CLASSES = {f"{name}Solver": solver_class(name) for name in RULES}  # as pycaffe calls them
globals().update(CLASSES)
