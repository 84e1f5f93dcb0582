r"""Strings in prototxts as protoc's C++ parser reads them, on their way to Python's.

Escapes may make bytes that are no UTF-8, which are kept; what is no escape, as in a path of Windows
with single backslashes, is a mistake here, too: Python's parser would leave it as it stands.
"""

import re

from ..kept_bytes import bytes_of, text_of
from . import caffe_pb2
from .scan import TOKEN, Mistake

_ESCAPE = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|[xX](?P<hex>[0-9a-fA-F]{1,2})|u(?P<short>[0-9a-fA-F]{4})"
    r"|U(?P<long>[0-9a-fA-F]{8})|(?P<letter>[abfnrtv\\?'\"])|(?P<wrong>.?))",
    re.DOTALL,
)
_LETTERS = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
_PYTHON_DIFFERS = re.compile(r"\\[?X]")
_BYTES_FIELDS = {
    field.name
    for message in caffe_pb2.DESCRIPTOR.message_types_by_name.values()
    for field in message.fields
    if field.type == field.TYPE_BYTES
}


def as_protoc_reads(text):
    """The text with strings that Python's parser reads as protoc's would; raises Mistake.

    Nothing moves, but for what follows bytes that are not ASCII on the line of a field of bytes.
    """
    if "\\" not in text and not any(name in text for name in _BYTES_FIELDS):
        return text
    parts, end, name = [], 0, ""
    for token in TOKEN.finditer(text):
        found = token[0]
        if found[0] in "\"'" and len(found) > 1:
            parts += [text[end : token.start()], _string(found, token.start(), name)]
            end = token.end()
        elif found[0] != "#":
            name = found
    return "".join([*parts, text[end:]])


def _string(token, at, name):
    body, quote = token[1:-1], token[0]
    for escape in _ESCAPE.finditer(body):
        if escape["wrong"] is not None:
            raise Mistake(at + 1 + escape.start(), _wrong(body, escape))
    if name in _BYTES_FIELDS:
        return token if token.isascii() else _as_octal(token)
    content = _content(body)
    if _is_utf8(content) and not _PYTHON_DIFFERS.search(body):
        return token
    text = text_of(content).replace("\\", "\\\\").replace(quote, "\\" + quote)
    text = re.sub(r"[\0-\x1f]", lambda found: f"\\{ord(found[0]):03o}", text)
    return f"{quote}{text}{quote}".ljust(len(token))


def _wrong(body, escape):
    if body[: escape.start()][-1:] > "\uef7f":
        return (
            "this backslash is the second byte of a character, as GBK has them, and counts as a "
            "backslash; save the file as UTF-8"
        )
    way = re.sub(r"\\+", "/", body)
    return f'"{escape[0]}" is no escape; paths have "/", or "\\\\", between folders: "{way}"'


def _content(body):
    """The bytes of a string."""
    out, end = [], 0
    for escape in _ESCAPE.finditer(body):
        out += [bytes_of(body[end : escape.start()]), _value(escape)]
        end = escape.end()
    return b"".join([*out, bytes_of(body[end:])])


def _value(escape):
    for group, base in (("octal", 8), ("hex", 16)):
        if escape[group]:
            return bytes([int(escape[group], base) & 0xFF])
    code = escape["short"] or escape["long"]
    if code:
        number = int(code, 16)
        return chr(min(number, 0x10FFFF)).encode("utf-8", "surrogatepass")
    return _LETTERS.get(escape["letter"], escape["letter"]).encode()


def _is_utf8(content):
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _as_octal(token):
    return "".join(c if c.isascii() else "".join(f"\\{b:03o}" for b in bytes_of(c)) for c in token)
