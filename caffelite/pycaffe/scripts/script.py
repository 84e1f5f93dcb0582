"""A Python script run as it is: what `python SCRIPT` does, with caffe at hand."""

from __future__ import annotations

import io
import runpy
import tokenize
import traceback
from typing import Any

from ... import reading
from ...errors import CaffeliteError
from ...types import Path
from . import python2
from .magics import Shell


def source(path: Path) -> str:
    """The text of a script, in the encoding that it names."""
    content = reading.data(path)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError):
        return content.decode("latin-1")  # Python tells what is wrong with it


def run(path: Path, text: str) -> None:
    """Run a script, whose text is this; an error says so where it is Python 2."""
    names: dict[str, Any] = {}
    if "get_ipython" in text:  # it is a notebook that was exported
        shell = Shell(names, lambda code: exec(code, names), print)
        names["get_ipython"] = lambda: shell
    try:
        runpy.run_path(str(path), names, run_name="__main__")
    except SyntaxError as problem:
        lines = text if problem.filename == str(path) else ""
        words = python2.told(lines, problem)
        raise CaffeliteError(f"{problem.filename}:{problem.lineno}: {words}") from problem
    except (NameError, AttributeError, ImportError) as problem:
        words = python2.of_error(problem)
        if not words:
            raise
        last = traceback.extract_tb(problem.__traceback__)[-1]
        raise CaffeliteError(f"{last.filename}:{last.lineno}: {words}") from problem
