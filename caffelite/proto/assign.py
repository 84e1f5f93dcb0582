"""Single fields set from words: `base_lr=0.1`, `layer[conv1].param[0].lr_mult=0`.

A path is names with dots. Behind the name of a field that repeats stands which of them, in
brackets: its name or its number, from 0. The value is written as in a prototxt; strings may go
without quotes.
"""

import re

from ..errors import ProtoError, did_you_mean
from .scan import Mistake
from .text import parse_or_mistake

_MOST = 1000  # entries of a list that a number behind its end may make
_STEP = re.compile(r"(\w+)(?:\[((?:[^\[\]]|\[[^\[\]]*\])*)\])?")  # brackets in names go in pairs


def split(words):
    """(path, value) of "PATH=VALUE"."""
    path, equals, value = words.partition("=")
    if not equals or not path.strip():
        raise ProtoError(f'"{words}": expected FIELD=VALUE, such as base_lr=0.1')
    return path.strip(), value.strip()


def assign(message, words, what):
    """Set a field of `message` to what "PATH=VALUE" says; `what` names the message in errors."""
    path, value = split(words)
    steps = _steps(path, words)
    try:
        holders = [message]
        for name, key in steps[:-1]:
            holders = [inner for holder in holders for inner in _inside(holder, name, key, what)]
            what = f'"{name}"'
        name, key = steps[-1]
        for holder in holders:
            _set(holder, name, key, value, what)
    except Mistake as mistake:
        raise ProtoError(f'"{words}": {mistake.what}') from None


def _steps(path, words):
    """[(name, what is in brackets or None)] of a path; a name in brackets may have dots."""
    found, at = [], 0
    while match := _STEP.match(path, at):
        found.append(match.groups())
        at = match.end()
        if at == len(path):
            return found
        if path[at] != ".":
            break
        at += 1
    raise ProtoError(
        f'"{words}": expected names with dots, such as layer[conv1].name, not "{path}"'
    )


def _field(message, name, what):
    field = message.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        hint = did_you_mean(name, message.DESCRIPTOR.fields_by_name)
        raise Mistake(0, f'{what} has no field "{name}"{hint}')
    return field


def _repeats(message, name):
    return hasattr(getattr(message, name), "extend")


def _inside(message, name, key, what):
    """The messages that a step leads to; several, where several have that name."""
    field = _field(message, name, what)
    if field.message_type is None:
        raise Mistake(0, f'"{name}" is a value, and has no fields')
    value = getattr(message, name)
    if not hasattr(value, "extend"):
        if key is not None:
            raise Mistake(0, f'there is one "{name}", and no brackets behind it')
        return [value]
    if key is None:
        raise Mistake(0, f'say which "{name}": {name}[0]{_names_of(value)}')
    named = [one for one in value if getattr(one, "name", None) == key]
    return named or [value[_index(value, name, key)]]


def _names_of(value):
    """How else the entries of a list can be told apart, where they have names."""
    named = next((one.name for one in value if getattr(one, "name", "")), "")
    return f", or by its name, as [{named}]" if named else ""


def _index(value, name, key):
    """The place in a list that a number stands for; a list of what has no names grows up to it."""
    names = [one.name for one in value if getattr(one, "name", "")]
    if not key.isdecimal():
        there = did_you_mean(key, names) or (f"; there are {len(value)}" if not names else "")
        raise Mistake(0, f'no "{name}" is called "{key}"{there}')
    place = int(key)
    if place >= len(value) and (names or place >= _MOST):
        raise Mistake(0, f'"{name}" has {len(value)} entries, no number {place}')
    while place >= len(value):
        value.add()
    return place


def _set(message, name, key, value, what):
    field = _field(message, name, what)
    if key is not None and not _repeats(message, name):
        raise Mistake(0, f'there is one "{name}", and no brackets behind it')
    quoted = value[:1] in ('"', "'")
    if field.type == field.TYPE_STRING and not quoted and not (key is None and value[:1] == "["):
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    single = parse_or_mistake(f"{name}: {value}", type(message))
    if [set_there.name for set_there, _ in single.ListFields()] != [name]:
        raise Mistake(0, f"expected one value, not {value}")
    new = getattr(single, name)
    if key is None:
        message.ClearField(name)
        message.MergeFrom(single)
        return
    if len(new) != 1:
        raise Mistake(0, f"{name}[{key}] is one value, not {len(new)}")
    old = getattr(message, name)
    if field.message_type is not None:
        old[_index(old, name, key)].CopyFrom(new[0])
        return
    if not key.isdecimal() or int(key) > len(old):
        raise Mistake(0, f'"{name}" has {len(old)} values, from 0 on: there is no [{key}]')
    old[int(key) : int(key) + 1] = list(new)
