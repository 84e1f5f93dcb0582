"""Which message the bytes of a protobuf file are: its outermost fields tell, of part of it, too."""

import itertools
from typing import NamedTuple

from ..errors import ProtoError
from ..reading import MOST_DATA
from . import wire
from .wire import FIXED32, FIXED64, LENGTH, VARINT

_MOST_FIELDS = 20_000  # that are looked at
_OWN = 1000  # fields from here on are of forks, or ours: any state or net may have them


class MessageKind(NamedTuple):
    """The name of a message, and how many bytes its file lacks at the end, at least."""

    name: str
    missing: int = 0


def message_kind(content):
    """The MessageKind of what a file holds, or None if it is none of these messages."""
    found = _Fields(content, (0, len(content)))
    for name, fits in _TESTS.items():
        if found.known and fits(found):
            return MessageKind(name, found.missing)
    return None


class _Fields:
    """The outermost fields of what may be a message.

    `types` are {number: its wire types}, `missing` the bytes that the last field lacks. `known` is
    false for what is no message.
    """

    def __init__(self, content, span):
        self.content, self.types, self.missing, self._first = content, {}, 0, {}
        fields = itertools.islice(wire.fields(content, *span), _MOST_FIELDS)
        try:
            for number, kind, value in fields:
                self.types.setdefault(number, set()).add(kind)
                self._first.setdefault(number, value)
        except wire.CutOff as problem:
            self.types.setdefault(problem.number, set()).add(LENGTH)
            self.missing = problem.missing
        except ProtoError:
            self.types = {}
        self.known = bool(self.types) and self.missing <= MOST_DATA

    def are_of(self, table, own=False):
        """Whether all the fields are in a table {number: wire types}."""
        return all(
            types <= set(table.get(number, ())) or (own and number >= _OWN)
            for number, types in self.types.items()
        )

    def has(self, *numbers):
        """Whether one of these fields is there."""
        return not self.types.keys().isdisjoint(numbers)

    def inside(self, number):
        """The fields of the first field of this number, as a message; of none, none."""
        span = self._first.get(number, (0, 0))
        inner = _Fields(self.content, span if isinstance(span, tuple) else (0, 0))
        inner.known = inner.known and not inner.missing
        return inner

    def is_words(self, number):
        """Whether the first field of this number is not there, or text."""
        start, end = self._first.get(number, (0, 0))
        return all(byte >= 32 for byte in self.content[start : min(end, start + 500)])


_NUMBER, _BYTES = (VARINT,), (LENGTH,)
_STATE = {1: _NUMBER, 2: _BYTES, 3: _BYTES, 4: _NUMBER}
_NET = {1: _BYTES, 2: _BYTES, 3: _BYTES, 4: (VARINT, LENGTH), 5: _NUMBER, 6: _BYTES, 7: _NUMBER,
        8: _BYTES, 100: _BYTES}  # fmt: skip
_FLOATS, _DOUBLES = (LENGTH, FIXED32), (LENGTH, FIXED64)
_BLOB = {**dict.fromkeys((1, 2, 3, 4, 10, 11), _NUMBER), 5: _FLOATS, 6: _FLOATS, 7: _BYTES,
         8: _DOUBLES, 9: _DOUBLES, 12: _BYTES, 13: _BYTES}  # fmt: skip
_DATUM = {**dict.fromkeys((1, 2, 3, 5, 7), _NUMBER), 4: _BYTES, 6: _FLOATS}
_ONNX = {**dict.fromkeys((1, 5), _NUMBER), **dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25), _BYTES)}
_GRAPH = {1: _BYTES, 2: _BYTES, 3: _NUMBER, 4: _BYTES}
_NODE = dict.fromkeys(range(1, 8), _BYTES)  # name 1, op 2
_OLD_LAYER = {**dict.fromkeys((1, 2, 3, 4, 6), _BYTES), 5: _NUMBER}


def _is_blob(found):
    return found.known and found.are_of(_BLOB) and found.has(5, 8, 12)


def _is_state(found):
    return found.are_of(_STATE, own=True) and found.has(1, 3) and found.is_words(2)


def _is_net(found):
    if not found.are_of(_NET, own=True):
        return False
    layer = found.inside(2)  # of 2014, with a name, or of 2013, one level further in
    least = {number: types for number, types in layer.types.items() if number <= 6}
    old = layer.has(1, 4) and all(types <= set(_OLD_LAYER[n]) for n, types in least.items())
    return found.has(100) or (layer.known and old)


def _is_graph(found):
    node = found.inside(1)
    is_node = node.known and node.are_of(_NODE) and node.has(1) and node.has(2)
    return found.are_of(_GRAPH) and is_node and node.is_words(1) and node.is_words(2)


_TESTS = {
    "ONNX": lambda found: found.are_of(_ONNX) and found.has(1) and found.has(7, 8),
    "GraphDef": _is_graph,
    "SolverState": _is_state,
    "SavedModel": lambda found: (
        found.are_of({1: _NUMBER, 2: _BYTES}) and found.has(1) and found.inside(2).known
    ),
    "NetParameter": _is_net,
    "BlobProto": _is_blob,
    "Datum": lambda found: found.are_of(_DATUM) and found.has(4, 6) and found.has(1, 2, 3),
    "BlobProtoVector": lambda found: set(found.types) == {1} and _is_blob(found.inside(1)),
}
