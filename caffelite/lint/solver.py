"""Run the rules for solvers, and those for nets on the nets that a solver holds."""

from .net import lint_net
from .old_form import old_forms
from .rules import SOLVER_RULES


def lint_solver(param):
    """(rule, layer or None, words, fields) of each problem, those of nets inside included."""
    for problem in old_forms(param):
        yield "old_form", *problem
    for name, rule in SOLVER_RULES.items():
        for words, *fields in rule(param):
            yield name, None, words, tuple(fields)
    for name in ("net_param", "train_net_param"):
        if param.HasField(name):
            yield from lint_net(getattr(param, name))
    for net in param.test_net_param:
        yield from lint_net(net)
