"""Find the logs of runs beneath a folder, by what is in files, not by their names."""

import os
import re
from itertools import islice

from ..errors import DataError
from ..reading import opened
from .lines import Lines
from .record_rows import parse

MOST_FILES = 20_000  # that are looked into
MOST_LOGS = 1000
HEAD = 1 << 16  # bytes that show what a file is
_GLOG = re.compile(
    r"Log file created at: |[IWEF](?:\d{4})?\d{4} \d\d:\d\d:\d\d\.\d{6}\s"
    r"|.*\bIteration \d+, (?:lr|loss) ="
)


def logs_beneath(folder):
    """(paths of logs, whether there was more than is looked at); hidden folders are passed over."""
    found = list(islice(_files(folder), MOST_FILES + 1))
    logs = list(islice(filter(is_log, found[:MOST_FILES]), MOST_LOGS + 1))
    return logs[:MOST_LOGS], len(found) > MOST_FILES or len(logs) > MOST_LOGS


def _files(folder):
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(parent, name)
            if not name.startswith(".") and os.path.isfile(path) and not os.path.islink(path):
                yield path


def is_log(path):
    """Whether a file begins as a run log, or as a log that Caffe's programs write."""
    try:
        with opened(path, "rb", piped=False) as file:
            data = file.read(HEAD)
    except DataError:
        return False
    if b"\0" in data and data[:1] not in (b"\xff", b"\xfe"):
        return False  # of the texts, UTF-16 alone has such bytes
    lines = (line for _, line in Lines().feed(data))
    return any(_GLOG.match(line) or (line.startswith("{") and parse(line)) for line in lines)
