"""A Python script run as it is: what `python SCRIPT` does, with caffe at hand."""

from __future__ import annotations

import runpy
import traceback
from typing import Any

from ...errors import CaffeliteError
from ...types import Path
from . import python2
from .magics import Shell


def run(path: Path, text: str) -> None:
    """Run a script, whose text is this; an error says so where it is Python 2."""
    names: dict[str, Any] = {}
    if "get_ipython" in text:  # it is a notebook that was exported
        shell = Shell(names, lambda code: exec(code, names), print)
        names["get_ipython"] = lambda: shell
    try:
        runpy.run_path(str(path), names, run_name="__main__")
    except (SyntaxError, NameError, AttributeError, ImportError) as problem:
        words = python2.of_error(problem)
        if not words:
            raise
        if not isinstance(problem, SyntaxError):
            last = traceback.extract_tb(problem.__traceback__)[-1]
            words = f"{last.filename}:{last.lineno}: {words}"
        raise CaffeliteError(words) from problem
