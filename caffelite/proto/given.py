"""Which fields of a message ask for something; what those who read the message say of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

# Words for what happens without them: there is one engine, and numbers of one precision.
_AS_IT_IS = {"CAFFE", "DEFAULT", "FLOAT"}
_ARRAYS = {"BlobProto", "BlobShape"}


class Given(NamedTuple):
    """A field that asks for something.

    `path` is names, each followed by a place where the field repeats: ("param", 1, "lr_mult").
    `word` is the name of an enum's value, `message` that of the type of message it is a field of.
    """

    path: tuple[Any, ...]
    value: Any
    word: str = ""
    message: str = ""

    @property
    def names(self) -> list[str]:
        """The path without places."""
        return [step for step in self.path if isinstance(step, str)]

    @property
    def name(self) -> str:
        """How messages say it: the field's name, and the word for its value."""
        return f"{self.names[-1]}: {self.word}" if self.word else self.names[-1]

    @property
    def owner(self) -> str | None:
        """The name of the message inside that it is a field of, or None."""
        return self.names[-2] if len(self.names) > 1 else None

    def not_finite(self, infinite: bool = False) -> str:
        """What to say where it is NaN, or, unless `infinite`, infinite, or has such among many."""
        values = self.value if hasattr(self.value, "extend") else [self.value]
        if not all(isinstance(value, float) for value in values[:1]):
            return ""
        if not any(math.isnan(v) or (math.isinf(v) and not infinite) for v in values):
            return ""
        told = ", ".join(f"{value:g}" for value in values)
        return f"{self.name} is {told}, expected {'numbers' if infinite else 'a finite number'}"

    def look_up(self, table: Mapping[str, str], by_name: bool = True) -> str | None:
        """What a table says of this field, or of this value of it; None if nothing.

        Keys are paths, "relu_param.engine", or, `by_name`, names, which hold anywhere; with a value
        behind them, "engine: CUDNN", for that value alone. The most particular key counts.
        """
        names = self.names
        for key in (".".join(names), names[-1]) if by_name else (".".join(names),):
            for exact in (f"{key}: {self.word}", key):
                if exact in table:
                    return table[exact]
        return None


def given(message: Any, path: tuple[Any, ...] = (), only: Any = None) -> Iterator[Given]:
    """A Given for each field, at any depth, that does not just hold its default.

    A message comes before its fields, if any of them asks. Arrays and their shapes are not looked
    into, nor any fields of `message` itself but those in `only`.
    """
    for field, value in message.ListFields():
        if only is not None and field.name not in only:
            continue
        here, repeats = (*path, field.name), hasattr(value, "extend")
        home = field.containing_type.name
        if field.message_type is None or field.message_type.name in _ARRAYS:
            word = "" if repeats or not field.enum_type else _word(field, value)
            if repeats or _asks(field, value, word):
                yield Given(here, value, word, home)
        else:
            for place, item in enumerate(value) if repeats else [(None, value)]:
                where = here if place is None else (*here, place)
                inside = list(given(item, where))
                if inside:
                    yield Given(where, item, message=home)
                    yield from inside


def _word(field: Any, value: Any) -> str:
    return field.enum_type.values_by_number[value].name


def _asks(field: Any, value: Any, word: str) -> bool:
    if field.message_type:
        return True
    if (word or value) in _AS_IT_IS:
        return False
    # The first value of an enum that declares no default is no default.
    declared = field.has_default_value or not word
    return not (declared and value == field.default_value)


def declared(kind: type, name: str) -> dict[str, Any]:
    """The tables that a class and its parents have under a name, as one.

    A class that says None of something takes back what a parent says.
    """
    tables = [vars(parent).get(name, {}) for parent in reversed(kind.__mro__)]
    return {key: words for table in tables for key, words in table.items()}
