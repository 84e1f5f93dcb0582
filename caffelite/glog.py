"""Log lines on stderr as glog writes them, so that tools made for Caffe's logs can read ours."""

import logging
import sys
import threading
import time


class GlogFormatter(logging.Formatter):
    """LMMDD HH:MM:SS.UUUUUU THREAD FILE:LINE] MESSAGE, L being I, W, E or F."""

    def format(self, record):
        level = {logging.WARNING: "W", logging.ERROR: "E", logging.CRITICAL: "F"}
        stamp = time.strftime("%m%d %H:%M:%S", time.localtime(record.created))
        micros = int(record.created % 1 * 1e6)
        return (
            f"{level.get(record.levelno, 'I')}{stamp}.{micros:06d} {threading.get_native_id():5d} "
            f"{record.filename}:{record.lineno}] {record.getMessage()}"
        )


class LineHandler(logging.Handler):
    """Passes each formatted line to `write`; without one, to what is stderr at that moment."""

    def __init__(self, write=None):
        super().__init__()
        self.write = write or (lambda line: print(line, file=sys.stderr, flush=True))

    def emit(self, record):
        try:
            self.write(self.format(record))
        except OSError:  # whoever read stderr is gone: no reason to stop
            pass


def on_terminal():
    """Whether stderr is a terminal: then bars are shown instead of log lines."""
    return sys.stderr.isatty()


def start_logging(quiet=False, write=None):
    """Send caffelite's log to stderr: all of it as glog lines, or, `quiet`, bare warnings."""
    log = logging.getLogger("caffelite")
    for old in [h for h in log.handlers if isinstance(h, LineHandler)]:
        log.removeHandler(old)
    handler = LineHandler(write)
    handler.setFormatter(logging.Formatter("%(message)s") if quiet else GlogFormatter())
    log.addHandler(handler)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    log.propagate = False
    return log
