"""Colors on terminals: never in files and pipes, nor where NO_COLOR is set (no-color.org)."""

import os
import sys

_CODES = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34",
    "magenta": "35", "cyan": "36",
}  # fmt: skip


def wanted(stream=None):
    """Whether the stream (by default stdout) is a terminal that may get colors."""
    stream = stream or sys.stdout
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and stream.isatty()


def paint(text, color, stream=None):
    """`text` in a color, where the stream wants colors."""
    return f"\033[{_CODES[color]}m{text}\033[0m" if wanted(stream) else text
