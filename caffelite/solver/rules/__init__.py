"""The update rules: one file, one class, one `type` of a solver."""

from .base import RULES, UpdateRule, register

RULES.load(__name__, __path__)
