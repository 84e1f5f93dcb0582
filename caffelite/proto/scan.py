"""A quick look over prototxt before it is parsed: brackets, strings, where each layer starts."""

import re
from bisect import bisect_right

from ..errors import short

MAX_DEPTH = 50  # nets need about six; the parser recurses

CLOSING = {"{": "}", "<": ">", "[": "]"}

# A comment, a string, a lone quote, a bracket, a word or number.
TOKEN = re.compile(
    r"""\#[^\n]* | "[^"\\\n]*(?:\\.[^"\\\n]*)*" | '[^'\\\n]*(?:\\.[^'\\\n]*)*' | ["'{}<>[\]]
    | [\w.+-]+""",
    re.VERBOSE,
)

FIELD = re.compile(r"\w+\s*[:{<]")


class Mistake(Exception):
    """What is wrong with a text, and at which offset."""

    def __init__(self, offset, what):
        super().__init__(what)
        self.offset = offset
        self.what = what


class LineIndex:
    """Turns offsets into lines and columns, both from 1, and back."""

    def __init__(self, text):
        self.text = text
        self.starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def line(self, offset):
        return bisect_right(self.starts, offset)

    def column(self, offset):
        return offset - self.starts[self.line(offset) - 1] + 1

    def offset(self, line, column):
        return self.starts[line - 1] + column - 1

    def excerpt(self, offset, width=90):
        """The line around an offset, and a caret below it."""
        start = self.starts[self.line(offset) - 1]
        end = self.text.find("\n", start)
        line = self.text[start : end if end >= 0 else None]
        at = offset - start
        first = max(0, at - 2 * width // 3)
        shown = line[first : first + width].expandtabs(1).rstrip()
        return f"    {shown}\n    {' ' * (at - first)}^"


class Frame:
    """A bracket that is open: the field it belongs to, and what was opened inside so far."""

    def __init__(self, name, offset, close, path):
        self.name, self.offset, self.close, self.path = name, offset, close, path
        self.counts = {}

    def next_path(self, name):
        """(..., name, how many of that name came before) of a message that opens here."""
        index = self.counts.get(name, 0)
        self.counts[name] = index + 1
        return (*self.path, name, index)


def scan(text):
    """{path of a `layer` or `layers` message: offset}; a path is ("net_param", 0, "layer", 7).

    Raises Mistake for brackets that do not match, nest too deep or stay open, and for strings
    without an end.
    """
    layers = {}
    frames = [Frame("", 0, "", ())]
    word, word_at = "", 0
    for token in TOKEN.finditer(text):
        found, at = token.group(), token.start()
        if found in CLOSING:
            frame = frames[-1]
            if found == "[":
                frames.append(Frame(word, at, "]", frame.path))
                frames[-1].counts = frame.counts
                continue
            inside_list = frame.close == "]"
            name = frame.name if inside_list else word
            path = frame.next_path(name)
            if name in ("layer", "layers"):
                start = at if inside_list else word_at
                _check_closed(frames, name, start, text)
                if frame.name != "layers":  # a V0 layer is inside its line's message
                    layers[path] = start
            frames.append(Frame(name, at, CLOSING[found], path))
            if len(frames) > MAX_DEPTH:
                raise Mistake(at, f"nested deeper than {MAX_DEPTH} levels")
        elif found in ("}", ">", "]"):
            _check_close(frames, found, at, text)
            frames.pop()
        elif found in ('"', "'"):
            raise Mistake(at, f"this string has no closing {found} on its line")
        elif found[0] not in "#\"'":
            word, word_at = found, at
    if len(frames) > 1:
        raise _never_closed(frames[-1])
    return layers


def field_offsets(text):
    """(path, offset) of every field in a text that parses; a path as in `scan`.

    A field given several times has a path for each: ("layer", 0, "bottom", 1).
    """
    frames = [Frame("", 0, "", ())]
    name, at = "", 0
    for token in TOKEN.finditer(text):
        found, frame = token.group(), frames[-1]
        inside_list = frame.close == "]"
        if found in CLOSING.values():
            frames.pop()
        elif found == "[":
            frames.append(Frame(name, token.start(), "]", frame.path))
            frames[-1].counts = frame.counts
            name = ""
        elif found[0] == "#":
            pass
        elif found in CLOSING or inside_list or name:
            path = frame.next_path(frame.name if inside_list else name)
            yield path, token.start() if inside_list else at
            if found in CLOSING:
                frames.append(Frame("", at, CLOSING[found], path))
            name = ""
        elif found[0] not in "\"'":  # a string that goes on
            name, at = found, token.start()


def top_level_names(text):
    """(name, offset) of every field outside of all brackets, in a text that scans."""
    depth = 0
    for token in TOKEN.finditer(text):
        found = token.group()
        depth += (found in CLOSING) - (found in CLOSING.values())
        if depth == 0 and FIELD.match(text, token.start()):
            yield found, token.start()


def _check_close(frames, found, at, text):
    frame = frames[-1]
    if len(frames) == 1:
        raise Mistake(at, f'this "{found}" closes nothing; there is one too many')
    if found != frame.close:
        raise Mistake(
            at, f'"{found}" where "{frame.close}" has to close {_opened(frame, text)} first'
        )


def _check_closed(frames, name, at, text):
    """A layer inside a layer: a brace was forgotten. V0 nets do have `layers { layer {`."""
    for frame in frames:
        nested = frame.name == name or (frame.name, name) == ("layer", "layers")
        if nested and frame.close != "]":
            raise Mistake(
                at, f'a layer starts here, but "}}" is missing for {_opened(frame, text)}'
            )


def _never_closed(frame):
    what = f'"{short(frame.name)}" is' if frame.name else "this is"
    return Mistake(
        frame.offset, f'{what} opened here and never closed: a "{frame.close}" is missing'
    )


def _opened(frame, text):
    line = text.count("\n", 0, frame.offset) + 1
    return f'"{short(frame.name)}", opened on line {line}'
