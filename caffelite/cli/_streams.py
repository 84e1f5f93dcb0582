"""stdout and stderr as a command finds them: closed, full, or with nobody who reads them.

What a command answers goes to stdout: where it cannot be written, that is an error, unless the
reader has had enough. What it tells on the way goes to stderr: where that cannot be written it is
lost, and the work goes on.
"""

import contextlib
import os
import sys


@contextlib.contextmanager
def steady():
    """Let the block write to sys.stdout and sys.stderr whatever they are."""
    _open_closed()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Named(before[0] or _nowhere()), _Forgiving(before[1] or _nowhere())
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        yield
    finally:
        _give_up_unless_written(before[1])
        sys.stdout, sys.stderr = before


def _open_closed():
    """Take the numbers of closed streams: the next file opened would get them, and what is printed.

    A descriptor gets the lowest number that is free.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _nowhere():
    return open(os.devnull, "w", encoding="utf-8")


class _Stream:
    """Another stream, but for what happens when it cannot be written."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        with self._trouble():
            self._stream.write(text)
        return len(text)

    def flush(self):
        with self._trouble():
            self._stream.flush()


class _Named(_Stream):
    """stdout, whose errors say so."""

    @contextlib.contextmanager
    def _trouble(self):
        try:
            yield
        except OSError as problem:
            problem.filename = "stdout"
            raise


class _Forgiving(_Stream):
    """stderr, to which what cannot be written is lost."""

    def _trouble(self):
        return contextlib.suppress(OSError)


def unwritten():
    """The OSError that keeps what was printed from stdout, or None."""
    try:
        sys.stdout.flush()
    except OSError as problem:
        return problem
    return None


def give_up_stdout():
    """Forget what stdout has not taken, so that the end of the process does not try again."""
    _give_up_unless_written(sys.stdout)


def _give_up_unless_written(stream):
    try:
        if stream is not None:
            stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
