"""Bytes that are no UTF-8, as text: names in GBK or Latin-1, which Caffe keeps as they are.

The strings of messages hold characters only. A byte from 0x80 on that belongs to none is the
character U+EF00 + byte in them, of those that Unicode leaves to private use, and becomes that byte
again where text, names and paths leave.
"""

import re
from typing import TypeVar

_KEPT = re.compile("[\uef80-\uefff]")
KEPT_IN_UTF8 = re.compile(rb"\xee[\xbe\xbf][\x80-\xbf]")

_Name = TypeVar("_Name")


def text_of(data: bytes) -> str:
    """The text that bytes are, and what is none, kept."""
    text = bytes(data).decode("utf-8", "surrogateescape")
    text = _KEPT.sub(lambda found: _escaped(found[0]), text)  # so that all bytes come again
    return text.translate(_FROM_SURROGATES) if not text.isascii() else text


def _escaped(character: str) -> str:
    return character.encode().decode("ascii", "surrogateescape")


_FROM_SURROGATES = {0xDC00 + byte: 0xEF00 + byte for byte in range(0x80, 0x100)}
_TO_SURROGATES = {kept: surrogate for surrogate, kept in _FROM_SURROGATES.items()}


def bytes_of(text: str) -> bytes:
    """The bytes that `text_of` made a text of."""
    return KEPT_IN_UTF8.sub(lambda found: _byte(found[0]), text.encode("utf-8", "surrogateescape"))


def _byte(kept: bytes) -> bytes:
    return bytes([ord(kept.decode()) & 0xFF])


def path_of(name: _Name) -> _Name:
    """A path as the system takes it: kept bytes are what Python has for them in names of files."""
    if isinstance(name, str) and _KEPT.search(name):
        return name.translate(_TO_SURROGATES)  # type: ignore[return-value]
    return name


def way_out(path: object) -> str:
    """What a path that is not there wants told: whether its backslashes were taken for escapes."""
    if not re.search(r"[\a-\r]", str(path)):
        return ""
    return '; a backslash in quotes escapes what follows it, as "\\n" and "\\t": write "/", or two'


def name_of(path: str) -> str:
    """The text that stands for a path in a message."""
    return path.translate(_FROM_SURROGATES)
