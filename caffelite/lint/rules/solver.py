"""Rules for solvers."""

from ...errors import SolverError, did_you_mean
from ...measures._ranked import check_rule
from ...solver import gradual, larc, lr_policy, players, regularize, rules
from ...solver.base import not_finite, refused, unread
from ...solver.nets import TRAIN_NETS
from ...solver.policies import POLICIES
from . import solver_rule


@solver_rule(advice=True)
def excerpt(param):
    """Part of a solver: neither its net nor its end, as a page prints that is about the rest."""
    if _is_excerpt(param):
        yield ("only part of a solver; to train, it takes net and max_iter, too",)


def _is_excerpt(param):
    return not any(param.HasField(name) for name in (*TRAIN_NETS, "max_iter"))


@solver_rule()
def train_net(param):
    """A solver trains one net, or one for each player."""
    given = [name for name in TRAIN_NETS if param.HasField(name)]
    if param.player and all(seat.net for seat in param.player) and not given:
        return
    if len(given) != 1 and not _is_excerpt(param):
        words = f"not {' and '.join(given) or 'none'}"
        yield f"expected exactly one of {', '.join(TRAIN_NETS)}, {words}", *given[1:2]


@solver_rule()
def solver_type(param):
    """An unknown type, or one given in two ways."""
    if param.type not in rules.RULES:
        yield f'unknown type "{param.type}"{did_you_mean(param.type, rules.RULES)}', "type"
    if param.HasField("type") and param.HasField("solver_type"):
        yield "type and solver_type, its old form, are both given", "solver_type"


@solver_rule()
def no_length(param):
    """Training that ends before its first iteration, or does not move."""
    if param.max_iter < 1 and not param.max_epoch and not _is_excerpt(param):
        yield f"max_iter is {param.max_iter}: there is nothing to train", "max_iter"
    if param.base_lr <= 0:
        yield f"base_lr is {param.base_lr:g}: nothing learns", "base_lr"
    if param.clip_gradients == 0:
        yield "clip_gradients: 0 leaves nothing of the gradients; -1 is off", "clip_gradients"
    if param.clip_weights == 0:
        yield "clip_weights: 0 leaves nothing of the weights; -1 is off", "clip_weights"


@solver_rule()
def out_of_range(param):
    """Numbers that the solver refuses."""
    for name, words in not_finite(param):
        yield words, name
    for check, option in (
        (regularize.check, "regularization_type"),
        (larc.check, "larc_policy"),
        (gradual.check, "momentum_policy"),
        (players.check, "player"),
        (check_rule, "ap_version"),
    ):
        try:
            check(param)
        except SolverError as problem:
            yield str(problem), option
    for name in ("average_loss", "iter_size"):
        if getattr(param, name) < 1:
            yield f"{name} must be at least 1, not {getattr(param, name)}", name
    if not 0 <= param.momentum < 1:
        yield f"momentum must be at least 0 and below 1, not {param.momentum:g}", "momentum"


@solver_rule()
def schedule(param):
    """A learning-rate policy that is unknown, or lacks what it goes by."""
    try:
        lr_policy.check(param)
    except SolverError as problem:
        yield str(problem), "lr_policy"
        return
    for _, words in lr_policy.missing(param):
        yield words, "lr_policy"


@solver_rule()
def undone_word(param):
    """A word of a fork that is not done here."""
    for name, words in refused(param):
        yield words, name


@solver_rule(advice=True)
def unread_option(param):
    """An option that this policy or type, or the solver as a whole, does not look at."""
    for name, words in unread(param):
        yield words, name


@solver_rule()
def rate_grows(param):
    """A rate that is multiplied by more than 1 again and again."""
    factor = POLICIES[param.lr_policy].factor if param.lr_policy in POLICIES else None
    if factor and getattr(param, factor) > 1:
        yield f"{factor}: {getattr(param, factor):g} makes the learning rate grow", factor


@solver_rule()
def unreached_step(param):
    """Steps of the schedule that are out of order, or after the end."""
    values = list(param.stepvalue)
    for k, value in enumerate(values):
        if k and value <= values[k - 1]:
            yield f"stepvalue {value} does not come after {values[k - 1]}", "stepvalue", k
    for words, *fields in lr_policy.unreached(param):
        yield words, *fields


@solver_rule()
def test_options(param):
    """test_iter, test_interval and test nets that do not go together."""
    nets = len(param.test_net) + len(param.test_net_param)
    common = any(param.HasField(name) for name in ("net", "net_param"))
    given = len(param.test_iter)
    if given < nets or (given > nets and not common):
        yield f"has {given} test_iter, expected one for each of the {nets} test nets", "test_iter"
    if given and param.test_interval <= 0:
        yield "test_iter is given, but no test_interval: when to test", "test_iter"
    if param.test_interval > 0 and not given and not nets:
        words = "test_interval is given, but no test_iter: there is no test"
        yield words, "test_interval"
    for k, count in enumerate(param.test_iter):
        if count < 1:
            yield f"test_iter: {count} batches are no test", "test_iter", k
    if param.early_stop and not given:
        yield "early_stop goes by tests, and there are none: test_iter is missing", "early_stop"
    if lr_policy.goes_by_tests(param) and not given:
        yield f'lr_policy: "{param.lr_policy}" goes by tests: test_iter is missing', "lr_policy"


@solver_rule()
def no_snapshot(param):
    """Training whose weights are not kept."""
    if not param.snapshot and not param.snapshot_after_train:
        yield (
            "snapshot_after_train is off, and there is no snapshot: the trained weights are lost",
            ("snapshot_after_train"),
        )
