"""What one rank cannot go on with ends all of them, with a message that says which and why."""

import contextlib
import socket
import sys
import time
import traceback

from ..errors import CaffeliteError

STAGGER = 0.2  # seconds: where all fail alike, higher ranks are ended before they say so, too


@contextlib.contextmanager
def alike(comm):
    """A block whose errors end all ranks together: rank 0 tells of them, once.

    Nothing is exchanged within. With None for a communicator, there is but one process.
    """
    problem = None
    try:
        yield
    except (CaffeliteError, OSError) as error:
        if comm is None:
            raise
        problem = error
    if comm is None:
        return
    every = comm.allgather((str(problem) if problem else "", socket.gethostname()))
    texts = [text for text, _ in every]
    if not any(texts):
        return
    if comm.rank:
        raise _known_to_all(SystemExit(1))
    if problem and len(set(texts)) == 1:
        raise _known_to_all(problem)
    lines = []
    for rank, (text, host) in enumerate(every):
        if text and text not in "".join(lines):
            lines.append(f"{who(rank, comm.size, host)}: {text}")
    raise _known_to_all(CaffeliteError("\n".join(lines)))


def _known_to_all(problem):
    problem.is_known_to_all = True
    return problem


def who(rank, size, host):
    """How messages name a rank."""
    return f"rank {rank} of {size}, on {host}"


@contextlib.contextmanager
def ending_all(comm):
    """A block in which ranks wait for each other: what ends it on one of them ends all."""
    try:
        yield
    except BaseException as problem:
        end_all(comm, problem)
        raise


def end_all(comm, problem):
    """End all ranks because of an exception on this one, unless the others have it, too."""
    if getattr(problem, "is_known_to_all", False):
        return
    code = (
        isinstance(problem, SystemExit) and problem.code
    ) or 1  # others wait for who ends, with whichever code
    time.sleep(min(comm.rank, 5) * STAGGER)
    text = str(problem)
    if isinstance(problem, KeyboardInterrupt):
        text, code = "interrupted", 130
    elif not isinstance(problem, (CaffeliteError, OSError)):
        text = "".join(traceback.format_exception(problem)).rstrip()
    text = f"{who(comm.rank, comm.size, socket.gethostname())}: {text}"
    end_with(comm, text, code if isinstance(code, int) else 1)


def end_with(comm, text, code=1):
    """Print a message, and end all ranks."""
    print(text, file=sys.stderr, flush=True)
    comm.Abort(code)


def end_all_with_this(comm):
    """Let an exception that nobody catches end all ranks."""
    before = sys.excepthook

    def hook(kind, problem, trace):
        end_all(comm, problem)
        before(kind, problem, trace)

    if comm.size > 1:
        sys.excepthook = hook
