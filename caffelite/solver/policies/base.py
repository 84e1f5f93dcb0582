"""The contract of a learning-rate policy, and the registry of their names.

A policy is a function of the SolverParameter, the iteration i, and the solver's current_step; it
returns (rate, current_step). Its decorator states facts:

reads
    the options, fields of SolverParameter, that it looks at beside base_lr and max_iter
factor
    the option by which the rate is multiplied again and again, if there is one
longer
    a function of gamma and a number: the gamma that gives the same course in so many times the
    iterations, where that is another one; all policies' stepsize, stepvalue and warmup_iter grow
by_tests
    whether the solver's tests move the step on: by one where some of them were no better
patience
    the option that says how many
by_losses
    the option with which it is losses of training that move the step on, and not tests: for each
    step, in how many iterations none may be lower
rising
    whether they go by the first output that is no loss, where `monitor` names none
check
    a function of the SolverParameter that raises a SolverError for options that cannot work, beside
    what `lr_policy.check` says of each option read
"""

from ...registry import Registry

POLICIES = Registry(
    factor=None,
    by_tests=False,
    patience="patience",
    by_losses="",
    rising=False,
    check=None,
    longer=None,
)
register = POLICIES.register
