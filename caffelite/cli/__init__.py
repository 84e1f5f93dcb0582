"""The command line, `caffelite COMMAND`: one module of this folder is one command.

A command's module has `add_arguments(parser)` and `run(args) -> exit code`; the first line of its
docstring is its help. What takes long to import is imported in `run`, so that help comes at once.
A module with READS_NETS = True, which reads nets or solvers, has the flag --allow-unknown, too.
"""

import ast
import contextlib
import importlib
import importlib.util
import os
import pkgutil
import shutil
import signal
import sys
import textwrap
import threading

from ..errors import CaffeliteError, did_you_mean
from ._streams import give_up_stdout, steady, unwritten

FATAL = 128  # what shells add to the number of the signal that has ended a program
TERMINATED = FATAL + 15
INTERRUPTED = FATAL + 2

EXIT_CODES = """\
exit codes:
  0    done
  1    a mistake in what was given (a file, an option in it, a shape): stderr says which
  2    a mistake on the command line
  130  interrupted by Ctrl-C
  143  ended by SIGTERM, as schedulers send it
After Ctrl-C and SIGTERM, training has ended its iteration and written a snapshot first."""

_USAGE = """\
usage: caffelite COMMAND [FLAGS]

Train, test, time and look at Caffe nets on a plain CPU. To begin with:

  caffelite demo                    trains a net on real digits, in a folder that it makes
  caffelite models                  lists nets; "caffelite init NAME" copies one to start from
  caffelite train solver.prototxt   trains what you have
  caffelite COMMAND --help          explains one command and its flags

{commands}
Flags are written as for caffe: -flag value, --flag value, -flag=value and --flag=value all mean
the same.

{exit_codes}
"""

_GROUPS = {
    "train and test": ("train", "test", "svm", "find-lr", "time", "plot", "parse_log"),
    "use a trained net": (
        *("classify", "predict", "detect", "segment", "caption", "generate"),
        *("style", "dream"),
        "extract_features",
    ),
    "look at nets": ("summary", "draw", "view", "visualize", "lint", "diff", "layers"),
    "begin": ("demo", "models", "init"),
    "data": (
        *("dataset", "regions", "browse", "anchors", "convert_imageset", "compute_image_mean"),
        *("convert_annoset", "get_image_size", "class_weighting", "stride_ceiling"),
        "compute_bn_statistics",
    ),
    "files and scripts of Caffe's": ("upgrade", "convert", "transplant", "weights", "run", "links"),
    "this installation": ("doctor", "device_query", "completion"),
}  # and those that are in none, in one of their own
_SPELLED = {name.replace("-", "_"): name for names in _GROUPS.values() for name in names}


def main(argv=None):
    """Run the command that `argv` names; returns the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    with steady(), _sigterm_as_exit():
        code = _code(words)
        if code and words[:1] == ["train"]:
            _end_ranks(code)
        problem = unwritten()
        if problem is None:
            return code
        give_up_stdout()
        if isinstance(problem, BrokenPipeError):  # whoever read it has had enough
            return code
        return code or _fail(f"{problem.filename}: {problem.strerror}", 1)


def _end_ranks(code):
    """End the other ranks of a training that this one has not even begun."""
    from ..parallel.launch import end_waiting

    end_waiting(code)


@contextlib.contextmanager
def _sigterm_as_exit():
    """Let SIGTERM end the block as an exception does, so that what is half done is removed."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _Terminated(SystemExit):
    """SIGTERM came."""


def _terminate(number, frame):
    raise _Terminated  # what prints here would meet what prints already


def _code(argv):
    try:
        return _dispatch(argv)
    except _Terminated:
        return _fail("terminated", TERMINATED)
    except SystemExit as leave:
        return leave.code or 0
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except CaffeliteError as error:  # may be of another class, too: that of a Python layer's error
        return _fail(error, 1)
    except BrokenPipeError:
        return 0
    except MemoryError as error:
        return _fail(f"out of memory: {error}" if str(error) else "out of memory", 1)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else error, 1)


def tool():
    """Run the command that this very program is called: what Caffe's programs are installed as."""
    from ._program import words_of

    words = words_of(os.path.splitext(os.path.basename(sys.argv[0]))[0], sys.argv[1:])
    return main(words) if words else 0


def _fail(message, code):
    print(message, file=sys.stderr)
    return code


_ELSEWHERE = {
    "deploy": "; no net needs another prototxt to answer: classify, detect, segment and predict "
    "take one for training, too"
}


def _dispatch(argv):
    if not argv:
        sys.stderr.write(_help())
        return 2
    word, rest = argv[0], argv[1:]
    if word.lstrip("-") in ("h", "help") and not rest:
        sys.stdout.write(_help())
        return 0
    if word.lstrip("-") == "version":
        from .. import __version__

        print(f"caffelite {__version__}")
        return 0
    if word.replace("-", "_") not in _modules():
        return _fail(_unknown(word, commands()), 2)
    return _run(word, rest)


def commands():
    """The names of all commands, as they are written, found without importing them."""
    return [_SPELLED.get(name, name) for name in _modules()]


def _modules():
    return [m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")]


def _unknown(word, known):
    if word.startswith("-"):
        return f'"{word}" stands where the command belongs: caffelite COMMAND {word} ...'
    hint = _ELSEWHERE.get(word) or did_you_mean(word, known) or f"; known are {', '.join(known)}"
    return f'unknown command "{word}"{hint}'


def _help():
    return _USAGE.format(commands="\n".join(_grouped(commands())), exit_codes=EXIT_CODES)


def _grouped(known):
    width = max(map(len, known))
    columns = min(max(shutil.get_terminal_size().columns, 60), 100)
    rest = tuple(name for name in known if name not in _SPELLED.values())
    for title, names in (*_GROUPS.items(), ("others", rest)):
        if names:
            yield f"{title}:"
            for name in names:
                line = f"  {name:<{width}}  {_first_line(name)}"
                yield textwrap.fill(line, columns, subsequent_indent=" " * (width + 4))
            yield ""


def _first_line(name):
    module = f"{__name__}.{name.replace('-', '_')}"
    source = importlib.util.find_spec(module).loader.get_source(module)
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def _run(name, words):
    from ..glog import set_verbosity, start_logging
    from ._flags import UsageError
    from ._nets import prepare

    module, parser = parser_of(name)
    args = parser.parse_args(words)
    args.command = ["caffelite", name, *words]
    set_verbosity(args.verbose - args.quiet)
    start_logging(quiet=not args.verbose).propagate = True  # commands that log more say otherwise
    try:
        prepare(args)
        with _unknown_fields(args):
            return module.run(args)
    except UsageError as error:
        parser.error(str(error))


def _unknown_fields(args):
    """What --allow-unknown asks for, while a command runs."""
    if not getattr(args, "allow_unknown", False):
        return contextlib.nullcontext()
    from ..proto.text import passing_over_unknown

    return passing_over_unknown()


def parser_of(name):
    """The module of a command and its Parser, with the flags that all commands have."""
    from ._flags import Parser

    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    parser = Parser(prog=f"caffelite {name}", description=module.__doc__, epilog=EXIT_CODES)
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument("-q", "--quiet", action="store_true", help="only warnings, no bars")
    how_much.add_argument("-v", "--verbose", action="store_true", help="log lines, no bars")
    parser.add_argument(
        "--import",
        action="append",
        default=[],
        dest="own",
        metavar="MODULE",
        help="a Python module, or its file, with layers of yours; may be given several times",
    )
    module.add_arguments(parser)
    if getattr(module, "READS_NETS", False):
        parser.add_argument(
            "--allow-unknown",
            action="store_true",
            help="pass over fields of nets and solvers that nobody knows, with a warning",
        )
    return module, parser
