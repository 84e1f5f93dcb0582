"""Make a text of a fork fit the schema: what repeats there and not here, what nobody here knows."""

import re
from typing import NamedTuple

from . import forks
from .scan import CLOSING, TOKEN


class Unknown(NamedTuple):
    """A field that its message lacks: its name, where it and its value stand in the text."""

    name: str
    start: int
    stop: int
    message: str  # the type of message it is in


class Fields:
    """The fields of a text that `scan` accepts, as far as it is well-formed.

    unknown : an Unknown for each field that the schema lacks
    renamed : (offset, name, other name) of each that forks give several times, and the schema once
    """

    def __init__(self, text, message_class):
        self.unknown, self.renamed = [], []
        self._tokens = [t for t in TOKEN.finditer(text) if t[0][0] != "#"]
        try:
            self._read(0, message_class.DESCRIPTOR, None)
        except IndexError:  # the text stops where a value is due
            pass

    def _read(self, place, message, close):
        """Read a message from a token on; returns the place of what closes it."""
        seen = {}
        while place < len(self._tokens) and self._tokens[place][0] != close:
            name, start = self._tokens[place][0], self._tokens[place].start()
            field = message and message.fields_by_name.get(name)
            lists, place = self._value(place + 1, field and field.message_type)
            if message and not field:
                self.unknown.append(
                    Unknown(name, start, self._tokens[place - 1].end(), message.name)
                )
            seen.setdefault(name, []).append((start, lists))
        for name, places in seen.items():
            other = forks.SEVERAL_TIMES.get(f"{message.name}.{name}") if message else None
            if other and (len(places) > 1 or places[0][1]):
                self.renamed += [(start, name, other) for start, _ in places]
        return place

    def _value(self, place, inner):
        """(whether it is a list, the place behind it) of the value that begins at a token."""
        token = self._tokens[place][0]
        if token == "[":
            place += 1
            while self._tokens[place][0] != "]":
                _, place = self._value(place, inner)
            return True, place + 1
        if token in CLOSING:
            return False, self._read(place + 1, inner, CLOSING[token]) + 1
        place += 1
        while token[0] in "\"'" and self._tokens[place : place + 1]:
            if self._tokens[place][0][0] not in "\"'":  # a string goes on
                break
            place += 1
        return False, place


def fitted(text, message_class, pass_over_unknown):
    """(text, unknown): a text with the lines of this one that fits the schema better.

    Fields that forks give several times have another name there. `unknown` are the fields that it
    has no more, if they are to be passed over.
    """
    fields = Fields(text, message_class)
    unknown = fields.unknown if pass_over_unknown else []
    changes = [(start, start + len(name), other) for start, name, other in fields.renamed]
    changes += [(u.start, u.stop, _blank(text[u.start : u.stop])) for u in unknown]
    for start, stop, new in sorted(changes, reverse=True):
        text = text[:start] + new + text[stop:]
    return text, unknown


def _blank(text):
    return re.sub(r"[^\n]", " ", text)
