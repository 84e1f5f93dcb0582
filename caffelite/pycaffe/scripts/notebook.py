"""A Jupyter notebook run outside of Jupyter: its cells in order, in one namespace.

Figures that a cell leaves open are written beside the notebook; the value of its last line is
printed, as Jupyter shows it.
"""

from __future__ import annotations

import ast
import importlib.util
import linecache
import os
import sys
import traceback
import types
import warnings
from typing import Any

from ... import reading
from ...errors import CaffeliteError
from ...glog import NOTICE, start_logging
from ...types import Path
from . import python2
from .magics import SHELL, Shell, as_python


def cells(path: Path) -> list[str]:
    """The text of each code cell of a notebook."""
    wanted, takes = "a Jupyter notebook", ("notebook", "JSON")
    text = reading.text(path, wanted=wanted, takes=takes)
    found = reading.json_object(text, str(path), wanted, halves=True)
    sheets = found.get("worksheets")  # of notebooks before 2015
    holders = sheets if isinstance(sheets, list) else [found]
    listed = [cell for holder in holders for cell in _listed(holder, path)]
    language: Any = found
    for name in ("metadata", "kernelspec", "language"):
        language = language.get(name, "python") if isinstance(language, dict) else "python"
    if str(language).lower() != "python":
        raise CaffeliteError(f"{path}: expected a notebook of Python, not of {language}")
    return [_text(cell) for cell in listed if cell.get("cell_type") == "code"]


def _listed(holder: Any, path: Path) -> list[dict[str, Any]]:
    found = holder.get("cells") if isinstance(holder, dict) else None
    if not isinstance(found, list) or not all(isinstance(cell, dict) for cell in found):
        raise CaffeliteError(f"{path}: expected a Jupyter notebook, with a list of cells")
    return found


def _text(cell: dict[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


class Notebook:
    """The cells of a file, and the names that they define.

    Parameters
    ----------
    path : the .ipynb
    figures : folder for figures; by default NAME_figures beside the notebook
    commands : whether lines that begin with ! are run
    """

    def __init__(self, path: Path, figures: Path | None = None, commands: bool = True) -> None:
        self.path = os.fspath(path)
        figures = figures or f"{os.path.splitext(self.path)[0]}_figures"
        self.figures = os.path.abspath(figures)
        self.cells = cells(path)
        self.number = 0
        self.is_python2 = any(python2.is_it(as_python(text)) for text in self.cells)
        self.log = start_logging()
        main = types.ModuleType("__main__")
        self.main, self.names = main, vars(main)
        shell = Shell(self.names, self.execute, self.say, commands)
        self.names.update({SHELL: shell, "get_ipython": lambda: shell})
        self.names.update(display=display, In=[""], Out={})

    def say(self, words: str) -> None:
        """Tell of something about the cell at hand."""
        self.log.log(NOTICE, "%s: cell %d: %s", self.path, self.number, words)

    def run(self) -> None:
        """Run all cells, in the notebook's folder; an error names the cell and the line."""
        os.environ.setdefault("MPLBACKEND", "Agg")
        warnings.filterwarnings("ignore", ".*non-interactive.*", UserWarning)
        _stand_in_for_ipython()
        before, folder = sys.modules["__main__"], os.getcwd()
        sys.modules["__main__"] = self.main
        os.chdir(os.path.dirname(os.path.abspath(self.path)))
        try:
            for number, text in enumerate(self.cells, 1):
                self.number = number
                self.log.info("%s: cell %d of %d", self.path, self.number, len(self.cells))
                self.names["In"].append(text)
                self._run_cell(text)
                self._write_figures()
        finally:
            sys.modules["__main__"] = before
            os.chdir(folder)

    def _run_cell(self, text: str) -> None:
        try:
            self.execute(text)
        except (KeyboardInterrupt, SystemExit, CellError):
            raise
        except BaseException as problem:
            frames = traceback.extract_tb(problem.__traceback__)
            own = [k for k, frame in enumerate(frames) if frame.filename == self._file]
            if own:
                print("".join(traceback.format_list(frames[own[0] :])), end="", file=sys.stderr)
            line = frames[own[-1]].lineno if own else 1
            words = python2.of_error(problem) or f"{type(problem).__name__}: {problem}"
            raise CellError(f"{self.path}: cell {self.number}, line {line}: {words}") from problem

    @property
    def _file(self) -> str:
        """What tracebacks name as the file of the cell at hand."""
        return f"{self.path}, cell {self.number}"

    def execute(self, text: str) -> None:
        """Run the text of a cell, and print the value of its last line."""
        source, file = as_python(text), self._file
        if self.is_python2:
            source = python2.rewritten(source, file) or source
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        try:
            tree, last = ast.parse(source, file), None
            if tree.body and isinstance(tree.body[-1], ast.Expr):
                last = ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
            code = compile(tree, file, "exec")
        except SyntaxError as problem:
            at = f"{self.path}: cell {self.number}, line {problem.lineno}"
            raise CellError(f"{at}: {python2.told(source, problem)}") from problem
        exec(code, self.names)
        if last is None:
            return
        value = eval(compile(last, file, "eval"), self.names)
        if value is not None:
            self.names["_"] = self.names["Out"][self.number] = value
            if not text.rstrip().endswith(";"):
                display(value)

    def _write_figures(self) -> None:
        """Write the figures that a cell left open, and close them."""
        plt = sys.modules.get("matplotlib.pyplot")
        if plt is None:
            return
        for index, number in enumerate(plt.get_fignums(), 1):
            os.makedirs(self.figures, exist_ok=True)
            path = os.path.join(self.figures, f"cell-{self.number:02}-{index}.png")
            plt.figure(number).savefig(path)
            self.say(f"a figure: {os.path.relpath(path)}")
        plt.close("all")


class CellError(CaffeliteError):
    """What went wrong in a cell."""


def display(*values: Any, **_: Any) -> None:
    """Print what Jupyter would show."""
    for value in values:
        print(value if isinstance(value, _Shown) else repr(value))


class _Shown:
    """A picture, a page or a text for Jupyter, of which outside the name alone can be shown."""

    def __init__(self, data: Any = None, *_: Any, filename: Any = None, **__: Any) -> None:
        self.data = data if filename is None else filename

    def __repr__(self) -> str:
        told = f" {self.data}" if isinstance(self.data, str) else ""
        return f"<{type(self).__name__}{told}>"


def _stand_in_for_ipython() -> None:
    """Let `import IPython` find what notebooks take from it, where it is not installed.

    Its get_ipython gives None, by which matplotlib knows that nothing shows its figures.
    """
    if "IPython" in sys.modules or importlib.util.find_spec("IPython") is not None:
        return
    module, part = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    kinds = "Image HTML SVG Markdown Math Latex Javascript Audio Video YouTubeVideo".split()
    vars(part).update({kind: type(kind, (_Shown,), {}) for kind in kinds})
    vars(part).update(display=display, clear_output=_nothing, set_matplotlib_formats=_nothing)
    vars(module).update(get_ipython=_nothing, display=part, version_info=(9, 0))
    sys.modules.update({"IPython": module, "IPython.display": part})


def _nothing(*_: Any, **__: Any) -> None:
    """Nothing: there is no page to change."""
