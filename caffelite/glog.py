"""Log lines on stderr as glog writes them, so that tools made for Caffe's logs can read ours."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable

NOTICE = logging.INFO + 5  # says why one has to wait; is shown beside bars, too

_verbosity = 0
_told: set[str] | None = None  # warnings of the command at hand; None: outside of commands


class GlogFormatter(logging.Formatter):
    """LMMDD HH:MM:SS.UUUUUU THREAD FILE:LINE] MESSAGE, L being I, W, E or F."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%m%d %H:%M:%S", time.localtime(record.created))
        micros = int(record.created % 1 * 1e6)
        return (
            f"{'IWEF'[_severity(record)]}{stamp}.{micros:06d} {threading.get_native_id():5d} "
            f"{record.filename}:{record.lineno}] {record.getMessage()}"
        )


def _severity(record: logging.LogRecord) -> int:
    """What glog counts levels by: 0 information, 1 warnings, 2 errors, 3 fatal ones."""
    return min(max(record.levelno - logging.INFO, 0) // 10, 3)


class LineHandler(logging.Handler):
    """Passes each formatted line to `write`; without one, to what is stderr at that moment.

    Within a command, a warning comes once, however many nets and phases it is about.
    GLOG_minloglevel in the environment leaves out lines of lower severity; scripts set it.
    """

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        super().__init__()
        self.write = write or _write_to_stderr

    def emit(self, record: logging.LogRecord) -> None:
        least = os.environ.get("GLOG_minloglevel", "")
        if least.isdecimal() and _severity(record) < int(least[:9]):
            return
        if _told is not None and record.levelno >= logging.WARNING:
            words = record.getMessage()
            if words in _told:
                return
            _told.add(words)
        try:
            self.write(self.format(record))
        except OSError:  # whoever read stderr is gone: no reason to stop
            pass


def _write_to_stderr(line: str) -> None:
    """Above a bar, if there may be one."""
    if sys.stderr is None:  # it is closed; what is printed to None goes to stdout
        return
    bars = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if bars:
        bars.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)


def set_verbosity(level: int) -> None:
    """Of the command that begins: -1: warnings alone, no bars; 1: log lines instead of bars; 0:
    what stderr suggests."""
    global _verbosity, _told
    _verbosity, _told = level, set()


def on_terminal() -> bool:
    """Whether bars are shown instead of log lines: on a terminal, unless other things are asked."""
    return _verbosity == 0 and sys.stderr is not None and sys.stderr.isatty()


def start_logging(
    quiet: bool = False, write: Callable[[str], object] | None = None
) -> logging.Logger:
    """Send caffelite's log to stderr: all of it as glog lines, or, `quiet`, notices and warnings.

    What `set_verbosity` was told goes before `quiet`.
    """
    if _verbosity:
        quiet = _verbosity < 0
    log = logging.getLogger("caffelite")
    for old in [h for h in log.handlers if isinstance(h, LineHandler)]:
        log.removeHandler(old)
    handler = LineHandler(write)
    handler.setFormatter(logging.Formatter("%(message)s") if quiet else GlogFormatter())
    log.addHandler(handler)
    least = logging.WARNING if _verbosity < 0 else NOTICE
    log.setLevel(least if quiet else logging.INFO)
    log.propagate = False
    return log
