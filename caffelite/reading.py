"""The one way in for what others wrote: files that users name, and the text and numbers in them.

Each function gives what it is asked for, or raises the error it is told to: where, what was
expected, what came. So no file can end a command in a traceback, keep it waiting or fill memory,
whatever it holds. Nobody opens, parses or converts foreign files and words past this module, which
tests/test_reading.py holds all others to.
"""

import contextlib
import difflib
import errno
import functools
import io
import itertools
import json
import math
import os
import re
import select
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any

from .errors import CaffeliteError, DataError, short
from .kept_bytes import name_of, path_of, way_out
from .types import Path, Shape

MOST_LINE = 1 << 20  # characters of a line
MOST_TEXT = 1 << 26  # characters of a text that is read at once, or that a pipe may give
MOST_DATA = (1 << 31) - 1  # bytes of a binary file that is read at once: no message is larger
MOST_DEPTH = 64  # levels of JSON and YAML: twice the axes that there are
MOST_YAML = 1 << 16  # characters: its parser takes its time
MOST_XML = 1 << 24  # bytes
MOST_AXES = 32
MOST_VALUES = 1 << 40  # of an array
INT32 = -(2**31), 2**31 - 1

Kind = type[CaffeliteError]

patience = 5  # seconds that a pipe with a name is waited for


# Files


def opened(
    path: Path,
    mode: str = "r",
    error: Kind = DataError,
    failing: str = "cannot be read",
    piped: bool = True,
    **how: Any,
) -> IO[Any]:
    """The file, open for reading; where that cannot be, an error that says why.

    Devices are refused, which may never end, and pipes that nobody writes into. So are all pipes
    if `piped` is false: for those who look at a file twice, or map it. `how` are options of `open`.
    """
    try:
        return open(path_of(path), mode, opener=functools.partial(_handle, piped=piped), **how)
    except (OSError, ValueError) as problem:  # ValueError: no system takes such a name
        reason = getattr(problem, "strerror", problem)
        if os.path.isdir(path_of(path)):
            reason = _folder(path)
        hint = way_out(path)
        if not hint and isinstance(problem, FileNotFoundError):
            hint = similar_file(path)
        raise error(f"{path}: {failing}: {reason}{hint}") from problem


def similar_file(path: Path) -> str:
    """Which file beside one that is not there has nearly its name, as a hint; or "" ."""
    folder, name = os.path.split(os.fspath(path))
    try:
        there = [name_of(other) for other in os.listdir(path_of(folder) or ".")]
    except OSError:
        return f"; there is no directory {folder} to look in"
    near = difflib.get_close_matches(str(name), there, n=1)
    return f'; did you mean "{os.path.join(str(folder), near[0])}"?' if near else ""


def _folder(path: Path) -> str:
    """What a folder is, and where such ones go."""
    from . import file_kind

    kind = file_kind.of(path)
    return f"this is {kind.what}; {kind.way}" if kind else "this is a folder"


def _handle(path: str, flags: int, piped: bool) -> int:
    """The descriptor of a file that can be read to its end; nothing is waited for without limit."""
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISFIFO(mode):
            _check_pipe(path, handle, piped)
        elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or os.isatty(handle)):
            raise OSError(errno.EINVAL, "it is a device, which may never end; expected a file")
        if hasattr(os, "O_NONBLOCK"):
            os.set_blocking(handle, True)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _check_pipe(path: str, handle: int, piped: bool) -> None:
    if not piped:
        raise OSError(errno.ESPIPE, "it is a pipe; expected a file: save what comes through it")
    if not stat.S_ISFIFO(_mode(os.path.realpath(path))):
        return  # that of <(...) or of a|b, which has no name: its writer was there first
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    if not waiting.poll(1000 * patience):
        raise OSError(errno.ETIMEDOUT, f"nothing came through this pipe in {patience} seconds")


def _mode(path: str) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def data(
    path: Path,
    most: int = MOST_DATA,
    error: Kind = DataError,
    failing: str = "cannot be read",
    **how: Any,
) -> bytes:
    """The bytes in a file, `most` at most."""
    with opened(path, "rb", error, failing, **how) as file:
        most = min(most, os.fstat(file.fileno()).st_size or MOST_TEXT)  # a pipe tells no size
        content: bytes = file.read(most + 1)
    if len(content) > most:
        raise error(f"{path}: {failing}: has more than {most:,} bytes")
    return content


def text(
    path: Path,
    most: int = MOST_TEXT,
    error: Kind = DataError,
    failing: str = "cannot be read",
    errors: str = "strict",
    wanted: str = "text",
    takes: tuple[str, ...] = (),
) -> str:
    """The text in a file, `most` characters at most.

    `wanted` is what it should be, `takes` the kinds of file that it may be (see file_kind).
    """
    with opened(path, error=error, failing=failing, encoding="utf-8-sig", errors=errors) as file:
        _check_kind(file, path, wanted, takes, error)
        try:
            content: str = file.read(most + 1)
        except UnicodeDecodeError as problem:
            raise error(f"{path}: {failing}: {_not_text(problem)}") from None
    if len(content) > most:
        raise error(f"{path}: {failing}: has more than {most:,} characters")
    return content.rstrip(END)


def lines(
    path: Path,
    wanted: str = "text",
    errors: str = "surrogateescape",
    newline: str | None = None,
    takes: tuple[str, ...] = (),
) -> Iterator[str]:
    """Yield the lines of a text file, each with its end; `wanted` and `takes` are as in `text`.

    Bytes that are no UTF-8 pass through as names of files may have them, if `errors` is left out.
    A byte-order mark at its head is none of its text.
    """
    with opened(path, encoding="utf-8-sig", errors=errors, newline=newline) as file:
        _check_kind(file, path, wanted, takes, DataError)
        left = math.inf if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else MOST_TEXT
        number = 0
        try:
            for number, line in enumerate(iter(lambda: file.readline(MOST_LINE + 1), ""), 1):
                left -= len(line)
                if len(line) > MOST_LINE or left < 0:
                    most = f"a line of more than {MOST_LINE:,}" if left >= 0 else f"{MOST_TEXT:,}"
                    raise DataError(f"{path}:{number}: expected {wanted}, found {most} characters")
                if line := line.rstrip(END):
                    yield line
        except UnicodeDecodeError as problem:
            number += 1 + problem.object[: problem.start].count(b"\n")  # of what was read ahead
            raise DataError(
                f"{path}:{number}: expected {wanted}, but {_not_text(problem)}"
            ) from None


def _check_kind(
    file: IO[str], path: Path, wanted: str, takes: tuple[str, ...], error: Kind
) -> None:
    """Raise the error for a file that is something else by its head."""
    from . import file_kind

    with contextlib.suppress(OSError):  # a folder: reading it says so
        head = file.buffer.peek(_HEAD)[:_HEAD]  # type: ignore[attr-defined]
        if words := file_kind.text_mistake(head, path, wanted, takes):
            raise error(f"{path}: {words}")


END = "\x1a"  # Ctrl-Z, with which DOS ended texts
_HEAD = 1 << 13


def _not_text(problem: UnicodeDecodeError) -> str:
    return f"byte 0x{problem.object[problem.start]:02x} is not UTF-8; save it as UTF-8"


def utf8(name: str, what: str, error: Kind = DataError) -> str:
    """A name from the command line, which is to stand in a message: those hold UTF-8 alone."""
    try:
        name.encode()
        return name
    except UnicodeEncodeError:
        raise error(f'{what}: "{name}" is not UTF-8; rename it, or go into its folder') from None


def npy(path: Path, error: Kind = DataError) -> Any:
    """The array in a .npy; one that would run code, of pickled objects, is refused."""
    import numpy as np

    try:
        return np.load(io.BytesIO(data(path, error=error)), allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as problem:
        raise error(f"{path}: cannot be read: {problem}") from None


# Numbers


def integer(
    word: str,
    at: str,
    what: str = "",
    least: int = INT32[0],
    most: int = INT32[1],
    error: Kind = DataError,
) -> int:
    """The whole number that a word is, from `least` to `most`."""
    found = re.fullmatch(r"\s*([+-]?)0*([0-9]{1,20})\s*", word, re.ASCII)
    value = int(found[1] + found[2]) if found else None
    if value is None or not least <= value <= most:
        wanted = f"a whole number from {least} to {most}"
        raise _unexpected(word, at, what, wanted, error)
    return value


def number(
    word: str, at: str, what: str = "", limit: float = math.inf, error: Kind = DataError
) -> float:
    """The number that a word is, below `limit` in size; neither nan nor infinite."""
    try:
        value = math.nan if "_" in word else float(word)
    except ValueError:
        value = math.nan
    if not abs(value) < limit:
        wanted = "a number" if limit == math.inf else f"a number below {limit:g}"
        raise _unexpected(word, at, what, wanted, error)
    return value


def _unexpected(found: str, at: str, what: str, wanted: str, error: Kind) -> CaffeliteError:
    prefix = "".join(f"{part}: " for part in (at, what) if part)
    return error(f'{prefix}expected {wanted}, not "{short(found)}"')


def shape(dims: Sequence[int], size: int) -> Shape | None:
    """The shape that a file declares for `size` values, as a tuple; None if that cannot be."""
    if len(dims) > MOST_AXES or not all(0 <= dim <= MOST_VALUES for dim in dims):
        return None
    room = math.prod(max(dim, 1) for dim in dims)  # NumPy wants it small beside a 0, too
    return tuple(dims) if room <= MOST_VALUES and math.prod(dims) == size else None


# JSON and YAML


def json_object(
    source: str,
    at: str,
    wanted: str = "JSON, an object {...}",
    error: Kind = DataError,
    halves: bool = False,
) -> dict[str, Any]:
    """The dict that a text is as JSON; what is in it is of any type yet.

    Strings are whole characters, so that they can be written; with `halves` that is left to others.
    """
    try:
        _check_depth(source)
        found = json.loads(source)
        if isinstance(found, dict):
            if not halves:
                _check_characters(source, found)
            return found
        reason = f"found a {type(found).__name__}"
    except ValueError as problem:
        reason = str(problem)
    raise error(f"{at}: expected {wanted}: {reason}")


def _check_characters(source: str, found: Any) -> None:
    """Raise a ValueError for half of a pair, \\ud800: what holds one cannot be written."""
    if "\\u" in source.lower():
        json.dumps(found, ensure_ascii=False).encode()


def _check_depth(source: str) -> None:
    """Raise a ValueError for JSON that whoever goes through it could not get to the bottom of."""
    if source.count("[") + source.count("{") <= MOST_DEPTH:
        return
    steps = ((found[0] in "[{") - (found[0] in "]}") for found in _BRACKET.finditer(source))
    if max(itertools.accumulate(steps)) > MOST_DEPTH:
        raise ValueError(f"nested deeper than {MOST_DEPTH} levels")


_BRACKET = re.compile(r'[\[{\]}]|"[^"\\]*(?:\\.[^"\\]*)*"?')


def is_number(value: object) -> bool:
    """Whether a value in JSON is a number, and none that is too large for a float."""
    return isinstance(value, float) or (type(value) is int and abs(value) <= sys.float_info.max)


def finite(value: Any) -> float:
    """The float that a value in JSON is, or nan: for what is no number, or none that is finite."""
    value = float(value) if is_number(value) else math.nan
    return value if math.isfinite(value) else math.nan


def count(value: Any, most: int = 10**15) -> int | None:
    """The int that a value in JSON is, from 0 to `most`, or None."""
    number = finite(value)
    return int(number) if 0 <= number <= most else None


def xml(path: Path, root: str, error: Kind = DataError) -> Any:
    """The root element of an XML file, an xml.etree Element with the tag `root`.

    Entities, by which little grows large or other files are read, are refused with all of a
    document type that could declare them.
    """
    from xml.etree.ElementTree import TreeBuilder
    from xml.parsers import expat

    builder, depth = TreeBuilder(), 0
    parser = expat.ParserCreate()
    content = data(path, MOST_XML, error)

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MOST_DEPTH:
            raise error(f"{where()}: nested deeper than {MOST_DEPTH} levels")
        if depth == 1 and tag != root:
            raise error(f"{where()}: expected <{root}>, found <{short(tag)}>")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise error(f"{where()}: has a document type, <!DOCTYPE ...>; take it out")

    def where() -> str:
        return f"{path}:{parser.CurrentLineNumber}"

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = builder.data, refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as problem:
        line = getattr(problem, "lineno", 1)
        reason = expat.ErrorString(problem.code) if hasattr(problem, "code") else problem
        raise error(f"{path}:{line}: expected XML, <{root}>...: {reason}") from None
    return builder.close()


def yaml_mapping(source: str, at: str, error: Kind = DataError) -> dict[str, Any] | None:
    """The dict that a text is as YAML: numbers, strings, lists and dicts; None for another kind."""
    import yaml

    if len(source) > MOST_YAML:
        raise error(f"{at}: has {len(source):,} characters, expected {MOST_YAML:,} at most")
    try:
        found = yaml.load(source, _yaml_loader())
        _check_characters(source, found)
    except (yaml.YAMLError, ValueError, LookupError) as problem:  # !!bool of no such word
        raise error(f"{at}: {problem}") from None
    return found if isinstance(found, dict) else None


@functools.cache
def _yaml_loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Plain data alone: no dates, no objects, and no aliases, which make little grow large.

        A tuple of Python, as py-faster-rcnn's files have them, is a list.
        """

        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("aliases (*name) are not followed: write it out")
            self.depth += 1
            if self.depth > MOST_DEPTH:
                raise yaml.YAMLError(f"nested deeper than {MOST_DEPTH} levels")
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def construct_yaml_int(self, node: Any) -> int:
            value = super().construct_yaml_int(node)
            if abs(value) >= 1 << 63:
                raise ValueError(f"the number {short(node.value)} is too large")
            return value

    plain = {f"tag:yaml.org,2002:{kind}" for kind in "null bool int float str seq map".split()}
    Loader.yaml_implicit_resolvers = {
        first: [(tag, words) for tag, words in resolvers if tag in plain]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.yaml_constructors = {
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag in plain or tag is None
    }
    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
    Loader.add_constructor("tag:yaml.org,2002:python/tuple", Loader.construct_sequence)
    return Loader
