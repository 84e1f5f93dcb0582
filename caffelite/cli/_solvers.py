"""Flags that say which solver is meant, and what commands that train ask of it."""

from ._flags import UsageError
from ._nets import add_set_flag, add_state_flags, stages


def add_solver_flags(parser, several=""):
    """The solver's file, what is set in it, and the state of its nets."""
    flag = parser.add_argument
    flag("file", nargs="?", metavar="SOLVER", help=f"the solver's prototxt{several}")
    flag("--solver", metavar="FILE", help="the same, as a flag")
    add_set_flag(parser, "base_lr=0.01 or net.layer[conv1].param[0].lr_mult=0")
    add_state_flags(parser)


def solver_of(args):
    """The solver's file, given as SOLVER or by --solver."""
    if bool(args.file) == bool(args.solver):
        raise UsageError("expected one solver's prototxt: SOLVER, or --solver SOLVER")
    return args.file or args.solver


def read(file, args, log):
    """The SolverParameter with what --set, --level and --stage say."""
    from ..proto.assign import assign
    from ..proto.text import read_solver
    from ..proto.upgrade import upgrade_solver

    param = read_solver(file)
    for words in args.set:
        if not _of_net(words):
            assign(param, words, "the solver")
    upgrade_solver(param)
    if param.HasField("solver_mode") and param.solver_mode == param.GPU and not args.gpu:
        log.warning("%s: solver_mode: GPU: there is no GPU support here, running on the CPU", file)
    if param.train_state.level != args.level and param.train_state.HasField("level"):
        log.warning(
            "%s: level %d of train_state gives way to --level %d, as in Caffe",
            file,
            param.train_state.level,
            args.level,
        )
    param.train_state.level = args.level
    param.train_state.stage.extend(stages(args))
    return param


def net_changes(args):
    """What --set says of the solver's nets."""
    return [words.removeprefix("net.") for words in args.set if _of_net(words)]


def _of_net(words):
    return words.startswith("net.")
