"""The rules of lint: each is a function with a decorator, in any file of this folder.

All files are imported, so a rule needs no other mention. Its name, with dashes, is that of its
findings, and the first line of its docstring says what it finds. Begin with `types.py`.
"""

from ...registry import Registry

NET_RULES = Registry(in_every_state=False, advice=False)
SOLVER_RULES = Registry(advice=False)

# A rule for nets takes a FilteredNet and yields problems: the layer's place there, or None, words,
# and the names of the fields that lead to the line that is wrong. With `in_every_state` a problem
# counts only where all states that have the layer agree: what one has no use for, another may.
rule = NET_RULES.register

# One for solvers takes a SolverParameter and yields words, and the names of the fields.
#
# With `advice` it is about what runs as it stands, as in Caffe, and may be meant.
solver_rule = SOLVER_RULES.register

NET_RULES.load(__name__, __path__)
