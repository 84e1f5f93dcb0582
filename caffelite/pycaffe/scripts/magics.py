"""Lines of notebooks that are no Python: %magics and !commands.

`as_python` turns them into calls of a Shell, line by line, so that numbers of lines stay; the Shell
does what they ask for where that means something outside of Jupyter, and passes over others.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import time
import timeit
import tokenize
from collections.abc import Callable
from typing import Any

from ...atomic import write_atomically

SHELL = "__shell__"
"""The name of the Shell in a notebook, which cells do not give to something else."""

_CELL = re.compile(r"\s*%%(\w+)[ \t]*(.*)")
_LINE = re.compile(r"(\s*)(?:([\w., \[\]]+?)\s*=\s*)?(%(?=[A-Za-z_])|!!?\s*(?!=))(.+)", re.DOTALL)
_QUESTION = re.compile(r"\s*(\?\??\s*[\w.]+|[\w.]+\s*\?\??)\s*;?\s*")


def as_python(text: str) -> str:
    """A cell as Python, with as many lines."""
    if cell := _CELL.match(text.lstrip()):
        body = text.lstrip().partition("\n")[2]
        above = "\n" * text.count("\n", 0, len(text) - len(text.lstrip()))
        return f"{above}{SHELL}.run_cell_magic({cell[1]!r}, {cell[2]!r}, {body!r})"
    lines, result = text.split("\n"), list[str]()
    while lines:
        line, more = lines.pop(0), 0
        asks, found = _QUESTION.fullmatch(line), _LINE.fullmatch(line)
        if not (asks or found) or not _starts_a_statement(result):
            result.append(line)
        elif asks or found is None:
            result.append("")
        else:
            while line.endswith("\\") and lines:
                line, more = line[:-1] + lines.pop(0), more + 1
            found = _LINE.fullmatch(line) or found
            result += [_call(*found.groups()), *[""] * more]
    return "\n".join(result)


def _starts_a_statement(lines: list[str]) -> bool:
    """Whether what comes after these lines is a statement, and no part of what they begin."""
    if lines and lines[-1].endswith("\\"):
        return False
    try:
        for _ in tokenize.generate_tokens(io.StringIO("\n".join([*lines, ""])).readline):
            pass
    except tokenize.TokenError:
        return False  # within brackets, or a string of several lines
    except SyntaxError:  # of indentation, for instance: Python tells of it later
        pass
    return True


def _call(indent: str, target: str | None, kind: str, rest: str) -> str:
    if kind == "%":
        name, _, line = rest.partition(" ")
        call = f"run_line_magic({name!r}, {line.strip()!r})"
    else:
        given = target is not None or kind.startswith("!!")
        call = f"{'getoutput' if given else 'system'}({rest!r})"
    return f"{indent}{target + ' = ' if target else ''}{SHELL}.{call}"


class Shell:
    """What get_ipython() gives: does what magics ask for, in the names of a notebook.

    Parameters
    ----------
    names : what the cells have defined so far
    execute : runs the Python of a cell, and shows the value of its last line
    say : tells of what is passed over
    commands : whether lines that begin with ! are run
    """

    def __init__(
        self,
        names: dict[str, Any],
        execute: Callable[[str], object],
        say: Callable[[str], object],
        commands: bool = True,
    ) -> None:
        self.user_ns, self.execute, self.say, self.commands = names, execute, say, commands
        self._line = 1  # that which calls

    # What as_python calls, and notebooks that were exported as scripts

    def run_line_magic(self, name: str, line: str, *_: Any) -> Any:
        """Do what %name asks for."""
        self._line = sys._getframe(1).f_lineno
        known = getattr(self, f"line_{name}", None)
        if known is None:
            return self.say(f"passing over %{name}, which is for Jupyter")
        return known(line.strip())

    def run_cell_magic(self, name: str, line: str, body: str) -> Any:
        """Do what %%name asks for with the rest of its cell."""
        known = getattr(self, f"cell_{name}", None)
        if known is None:
            return self.say(f"passing over the cell: %%{name} is for Jupyter")
        return known(line.strip(), body)

    def magic(self, words: str) -> Any:
        """Do what a line asks for that begins with %."""
        name, _, line = words.lstrip("%").partition(" ")
        return self.run_line_magic(name, line)

    def system(self, command: str) -> None:
        """Run a command of the shell; its output goes where ours goes."""
        self._run(command)

    def getoutput(self, command: str, split: bool = True) -> Any:
        """The lines that a command prints."""
        printed = self._run(command, stdout=subprocess.PIPE)
        return printed.splitlines() if split else printed

    def _run(self, command: str, **options: Any) -> str:
        command = self._expanded(command)
        if not self.commands:
            self.say(f"passing over !{command}, as --no-shell says")
            return ""
        sys.stdout.flush()
        done = subprocess.run(
            _as_ours(command),
            shell=True,
            env=_environment(),
            text=True,
            errors="replace",
            **options,
        )
        self.user_ns["_exit_code"] = done.returncode
        if done.returncode:
            self.say(f"!{command}: ended with the exit code {done.returncode}")
        return done.stdout or ""

    def _expanded(self, command: str) -> str:
        """A command with the values of $name and {expression} in it, where these have any."""

        def value(match: re.Match[str]) -> str:
            try:
                return str(eval(match[1] or match[2], self.user_ns))
            except Exception:  # it is the shell's
                return match[0]

        return re.sub(r"\{([^{}]+)\}|(?<!\$)\$([A-Za-z_]\w*)", value, command).replace("$$", "$")

    # Magics of lines

    def line_matplotlib(self, line: str) -> None:
        """Figures are drawn without a window."""

    def line_pylab(self, line: str) -> None:
        """Have the names of numpy and matplotlib."""
        exec("import numpy\nimport numpy as np\nfrom pylab import *", self.user_ns)

    def line_time(self, line: str) -> None:
        """Run a statement, and print how long it took."""
        with _timed():
            self.execute("\n" * (self._line - 1) + line)

    def line_timeit(self, line: str) -> None:
        """Print how long a statement takes, on average."""
        while flag := re.match(r"-\w\s*\d*\s+", line):
            line = line[flag.end() :]
        self._time(line)

    def _time(self, statement: str, setup: str = "pass") -> None:
        count, seconds = timeit.Timer(statement, setup, globals=self.user_ns).autorange()
        print(f"{_told(seconds / count)} per loop (mean of {count})")

    def line_cd(self, line: str) -> None:
        """Go into a folder."""
        os.chdir(os.path.expanduser(self._expanded(line).strip("'\"")) or os.path.expanduser("~"))
        print(os.getcwd())

    def line_pwd(self, line: str) -> str:
        """Where we are."""
        return os.getcwd()

    def line_env(self, line: str) -> Any:
        """Set a variable of the environment, or tell of one."""
        name, equals, value = line.partition("=" if "=" in line else " ")
        if not equals:
            return os.environ.get(line) if line else dict(os.environ)
        os.environ[name.strip()] = self._expanded(value.strip())
        return None

    line_set_env = line_env

    def line_run(self, line: str) -> None:
        """Run another script in the names of this notebook."""
        import runpy
        import shlex

        path, *words = shlex.split(self._expanded(line))
        before, sys.argv = sys.argv, [path, *words]
        try:
            self.user_ns.update(runpy.run_path(path, run_name="__main__"))
        finally:
            sys.argv = before

    # Magics of cells

    def cell_time(self, line: str, body: str) -> None:
        """Run a cell, and print how long it took."""
        with _timed():
            self.execute("\n" + body)

    def cell_timeit(self, line: str, body: str) -> None:
        """Print how long a cell takes, on average; what stands beside %%timeit runs before."""
        while flag := re.match(r"-\w\s*\d*(\s+|$)", line):
            line = line[flag.end() :]
        self._time(as_python(body), line or "pass")

    def cell_capture(self, line: str, body: str) -> None:
        """Run a cell without showing what it prints."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.execute("\n" + body)

    def cell_writefile(self, line: str, body: str) -> None:
        """Write a cell into a file."""
        flag, _, path = line.rpartition(" ")
        path = self._expanded(path.strip("'\""))
        content = (body if body.endswith("\n") else body + "\n").encode()
        if flag.strip() == "-a":
            with open(path, "ab") as file:
                file.write(content)
        else:
            write_atomically(path, content)
        print(f"wrote {path}")

    cell_file = cell_writefile

    def cell_bash(self, line: str, body: str) -> None:
        """Let the shell run a cell."""
        self._run(body)

    cell_sh = cell_system = cell_bash

    def cell_script(self, line: str, body: str) -> None:
        """Let a program run a cell: bash or sh."""
        if line.split()[:1] in (["bash"], ["sh"]):
            self._run(body)
        else:
            self.say(f"passing over the cell: %%script {line} is no shell")

    def cell_python(self, line: str, body: str) -> None:
        """Run a cell."""
        self.execute("\n" + body)

    cell_python3 = cell_python


@contextlib.contextmanager
def _timed() -> Any:
    start, start_cpu = time.perf_counter(), time.process_time()
    yield
    cpu, wall = time.process_time() - start_cpu, time.perf_counter() - start
    print(f"CPU times: total: {_told(cpu)}\nWall time: {_told(wall)}")


def _told(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _environment() -> dict[str, str]:
    """The environment of commands: the programs of this Python come first, caffe among them."""
    beside = os.path.dirname(sys.executable)
    return {**os.environ, "PATH": os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])}


_SCRIPT = re.compile(r"\s*(?:python[\d.]*\s+(?:-u\s+)?)?([\w./~-]+\.py)(?=\s|$)")
_BUILT = re.compile(r"(?:(?<=^)|(?<=[\s;&|(]))[\w./-]*build/tools/(\w+)(?:\.bin)?(?=\s|$)")


def _as_ours(command: str) -> str:
    """A command in which Python scripts import caffe, and Caffe's programs are ours.

    Programs that are there, in build/tools, are left alone.
    """
    found = _SCRIPT.match(command)
    if found and os.path.isfile(os.path.expanduser(found[1])):
        command = f'"{sys.executable}" -m caffelite run {found[1]}{command[found.end() :]}'
    return _BUILT.sub(lambda tool: tool[0] if os.path.exists(tool[0]) else tool[1], command)
