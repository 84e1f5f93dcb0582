"""A Python script run as it is: what `python SCRIPT` does, with caffe at hand."""

from __future__ import annotations

import runpy
import sys
import traceback
import types
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
    new = python2.rewritten(text, str(path)) if python2.is_it(text) else None
    try:
        if new is None:
            runpy.run_path(str(path), names, run_name="__main__")
        else:
            _run_text(new, str(path), names)
    except (SyntaxError, NameError, AttributeError, ImportError, TypeError) as problem:
        words = python2.of_error(problem)
        if not words:
            raise
        if not isinstance(problem, SyntaxError):
            last = traceback.extract_tb(problem.__traceback__)[-1]
            words = f"{last.filename}:{last.lineno}: {words}"
        raise CaffeliteError(words) from problem


def _run_text(text: str, path: str, names: dict[str, Any]) -> None:
    """Run a text that a script was rewritten to, as the program itself."""
    main = types.ModuleType("__main__")
    vars(main).update(names, __file__=path)
    before = sys.modules["__main__"]
    sys.modules["__main__"] = main
    try:
        exec(compile(text, path, "exec"), vars(main))
    finally:
        sys.modules["__main__"] = before
