"""What one rank cannot go on with ends all of them, with a message that says which and why."""

import contextlib
import socket
import sys
import time

from ..errors import CaffeliteError

STAGGER = 0.2  # seconds: where all ranks fail alike, those of higher ranks are ended before they say so


@contextlib.contextmanager
def alike(comm):
    """A block whose errors end all ranks together: rank 0 tells of them, once.

    Its ranks do not exchange anything within.
    """
    problem = None
    try:
        yield
    except (CaffeliteError, OSError) as error:
        problem = error
    words = comm.allgather(str(problem) if problem else None)
    if not any(words):
        return
    if comm.rank:
        raise SystemExit(1)
    if problem and len(set(words)) == 1:
        raise problem
    hosts = comm.gather(socket.gethostname()) if comm.rank == 0 else None
    raise CaffeliteError(_told(words, hosts))


def _told(words, hosts):
    lines = []
    for rank, (text, host) in enumerate(zip(words, hosts, strict=True)):
        if text and text not in "".join(lines):
            lines.append(f"rank {rank} of {len(words)}, on {host}: {text}")
    return "\n".join(lines)


@contextlib.contextmanager
def ending_all(comm):
    """A block in which ranks wait for each other: whatever ends it on one of them ends all."""
    try:
        yield
    except BaseException as problem:
        end_all(comm, problem)
        raise


def end_all(comm, problem):
    """End all ranks because of an exception on this one."""
    code = problem.code if isinstance(problem, SystemExit) else 1
    if not code:
        return
    time.sleep(min(comm.rank, 5) * STAGGER)
    text = str(problem) if isinstance(problem, (CaffeliteError, OSError)) else ""
    if isinstance(problem, KeyboardInterrupt):
        text, code = "interrupted", 130
    if not text:
        import traceback

        text = "".join(traceback.format_exception(problem)).rstrip()
    where = f"rank {comm.rank} of {comm.size}, on {socket.gethostname()}"
    print(f"{where}: {text}", file=sys.stderr, flush=True)
    comm.Abort(code if isinstance(code, int) else 1)
