"""What a text that Python 3 does not take is: Python 2, most likely, and where that shows."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import io
import os
import re
import tokenize

from ... import file_kind, reading
from ...errors import CaffeliteError
from ...types import Path

WAY_OUT = (
    "caffelite runs Python 3; `pip install fissix` and `python -m fissix -w -n FILE` rewrite it, "
    "as 2to3 does, which Python had until 3.12"
)
_TAKES = (
    "script",
    "JSON",
    "UTF-16",
)  # kinds of files that Python reads, or says what is wrong with
AS_IT_GOES = "; where fissix is installed, caffelite run does that as it goes"

_SIGNS = (
    (re.compile(r"^\s*print(\s+[^=(\s]|\s*>>|\s*$|\s+\()"), "a print without parentheses"),
    (re.compile(r"^\s*exec\s+[^=(\s]"), "an exec without parentheses"),
    (re.compile(r"^\s*except\s+[^:]+,\s*\w+\s*:"), "except TYPE, NAME:"),
    (re.compile(r"^\s*raise\s+[\w.]+\s*,"), "raise TYPE, VALUE"),
    (re.compile(r"<>"), "the operator <>"),
    (re.compile(r"`[^`]+`"), "backquotes"),
    (re.compile(r"\b0[0-7]+\b"), "an octal number without an o"),
    (re.compile(r"\b\d+[lL]\b"), "a number that ends with L"),
    (re.compile(r"\bur['\"]"), "a string ur'...'"),
    (re.compile(r"\blambda\s*\(|^\s*def\s+\w+\(.*\(\w+,"), "a tuple among parameters"),
)
_NAMES = {"xrange", "unicode", "raw_input", "basestring", "unichr", "execfile", "reload", "long"}
_MODULES = {"urllib2", "cPickle", "ConfigParser", "Queue", "StringIO", "cStringIO", "Tkinter"}
_METHODS = {"iteritems", "itervalues", "iterkeys", "has_key"}
_ATTRIBUTES = {("urllib", "urlretrieve"), ("urllib", "urlopen"), ("itertools", "izip_longest")}
_ATTRIBUTES |= {("itertools", "izip"), ("string", "letters"), ("sys", "maxint")}

# What was a list there, as errors call it when it is taken for one.
_LISTS = {name: name for name in ("range", "map", "filter", "zip")}
_LISTS |= {f"dict_{name}": name for name in ("keys", "values", "items")}
_KINDS = "|".join(_LISTS)
_TAKEN_FOR_A_LIST = re.compile(
    rf"(?:unsupported operand|object of type|only concatenate list).*['\"]({_KINDS})['\"]"
    rf"|'({_KINDS})' object (?:is not subscriptable|does not support"
    r"|has no attribute '(?:append|extend|index|insert|pop|remove|reverse|sort)')"
)


def source(path: Path) -> str:
    """The text of a script, in the encoding that it names; an error for a file that is none."""
    content = reading.data(path)
    head = content[: file_kind.HEAD]
    if words := file_kind.text_mistake(head, path, "a Python script or a notebook", _TAKES):
        raise CaffeliteError(f"{path}: {words}")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError):
        return content.decode("latin-1")  # Python tells what is wrong with it


def sign(text: str, problem: SyntaxError) -> str:
    """What of Python 2 stands in the line at which Python 3 gave up; "" if nothing known does."""
    if isinstance(problem, TabError):
        return "tabs and spaces mixed"
    lines = text.splitlines()
    for number in (problem.lineno or 0, (problem.lineno or 0) - 1):
        if 0 < number <= len(lines):
            for pattern, words in _SIGNS:
                if pattern.search(lines[number - 1]):
                    return words
    return ""


def uses(text: str) -> bool:
    """Whether a text uses names that Python 2 has alone, or does not parse."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return True
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in _NAMES:
            return True
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in _METHODS or (owner, node.attr) in _ATTRIBUTES:
                return True
        if isinstance(node, ast.Import) and _MODULES & {alias.name for alias in node.names}:
            return True
        if isinstance(node, ast.ImportFrom) and node.module in _MODULES:
            return True
    return False


def of_error(problem: BaseException) -> str:
    """What to say of an error that comes of Python 2, in a name or a module; "" of others."""
    if isinstance(problem, SyntaxError) and os.path.isfile(problem.filename or ""):
        words = told(source(str(problem.filename)), problem)  # of what a script imports
        return f"{problem.filename}:{problem.lineno}: {words}"
    name = getattr(problem, "name", None)
    if name in _NAMES | _MODULES | _METHODS | {name for _, name in _ATTRIBUTES}:
        return f"this is Python 2 ({name}): {WAY_OUT}"
    if isinstance(problem, TypeError | AttributeError):
        if taken := _TAKEN_FOR_A_LIST.search(str(problem)):
            made = _LISTS[taken[1] or taken[2]]
            return f"{problem}; this is Python 2, where {made}() made a list: {WAY_OUT}"
    return ""


def told(text: str, problem: SyntaxError) -> str:
    """What to say of a text that does not parse, behind where it is."""
    found = sign(text, problem)
    words = str(problem.msg)
    return f"this is Python 2 ({found}; {words}): {WAY_OUT}{AS_IT_GOES}" if found else words


def is_it(text: str) -> bool:
    """Whether a text does not parse, and what of Python 2 stands in it says why."""
    try:
        ast.parse(text)
        return False
    except SyntaxError as problem:
        return bool(sign(text, problem))
    except ValueError:  # of characters that no text has
        return False


def rewritten(text: str, name: str) -> str | None:
    """A text in Python 2 as Python 3, or None: by fissix; without it, if it but prints so."""
    if importlib.util.find_spec("fissix") is None:
        return with_calls_of_print(text)
    refactor = importlib.import_module("fissix.refactor")
    tool = refactor.RefactoringTool(refactor.get_fixers_from_package("fissix.fixes"))
    try:
        return str(tool.refactor_string(text + "\n", name))
    except Exception:  # of another's package: Python tells what is wrong with the text
        return None


def with_calls_of_print(text: str) -> str | None:
    """A text that is Python 3 but for its prints without parentheses, with calls; else None."""
    while True:
        try:
            ast.parse(text)
            return text
        except SyntaxError as problem:
            lines = text.splitlines(keepends=True)
            number = (problem.lineno or 0) - 1
            found = _PRINT.match(lines[number]) if 0 <= number < len(lines) else None
            if found is None:
                return None
            rest = "".join([lines[number][found.end() :], *lines[number + 1 :]])
            call = _call_of_print(rest)
            if call is None:
                return None
            text = "".join([*lines[:number], found[1], *call])
        except ValueError:  # of characters that no text has
            return None


_PRINT = re.compile(r"(\s*)print\b[ \t]*(?=[^\s(])")


def _call_of_print(rest: str) -> tuple[str, str] | None:
    """(the call, what follows) of a text that begins behind the word print; None if it does not
    come to an end."""
    words = rest.splitlines(keepends=True)
    end = None
    try:
        for token in tokenize.generate_tokens(iter(words).__next__):
            if token.type in (tokenize.NEWLINE, tokenize.COMMENT) or token.string == ";":
                end = token.start
                break
    except (tokenize.TokenError, SyntaxError):
        pass
    if end is None:
        return None
    place = sum(map(len, words[: end[0] - 1])) + end[1]
    shown, more = rest[:place].rstrip(), ""
    if shown.endswith(","):
        shown, more = shown[:-1], ', end=" "'
    return f"print({shown}{more})", rest[place:]
