"""What may come next in the text of a net: types, fields, values of enums, names of blobs.

Fields and enums are those of the schema; types and what they read, those of the registry.
"""

import inspect
import re

from google.protobuf.descriptor import FieldDescriptor

from ..filler import FILLERS
from ..layers import layer_types
from ..proto.caffe_pb2 import FillerParameter, LayerParameter, NetParameter
from ..proto.fields import is_repeated, kind

MOST = 400  # that are offered
# A comment, a string, one without an end yet, a bracket or the like, a word or number.
_TOKEN = re.compile(
    r"""\#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|["'][^\n]*|[:{}<>[\],;]|[^\s:{}<>[\],;"'\#]+"""
)
_OF_ANY_LAYER = (
    "name type bottom top param include exclude loss_weight propagate_down phase blobs".split()
)
QUOTE = '"'


def complete(text):
    """{partial, quote, options} for the place where `text` ends.

    "partial" is the part of a word that is there, behind the "quote", if it has one. Options are
    {label, apply, detail, info}: what to put in the place of "partial", and what it is; "quoted"
    are those that are strings.
    """
    tokens = list(_TOKEN.finditer(text))
    partial = quote = ""
    if tokens and tokens[-1].end() == len(text):
        last = tokens[-1][0]
        if last[0] == "#" or (last[0] in "\"'" and _is_whole(last)):
            return {"partial": "", "quote": "", "options": []}
        if last[0] in "\"'":
            quote, partial = last[0], last[1:]
            tokens.pop()
        elif last not in ":{}<>[],;":
            partial = last
            tokens.pop()
    frames, field, wants_value = _read(token[0] for token in tokens)
    frame = frames[-1]
    options = []
    if frame.message and wants_value:
        options = list(_values(frames, frame, field))
    elif frame.message and not quote:
        options = list(_fields(frame, partial))
    return {"partial": partial, "quote": quote, "options": options[:MOST]}


class _Frame:
    """A message that is open: what was given in it so far, {field: [words]}."""

    def __init__(self, message, name=""):
        self.message, self.name = message, name
        self.given = {}

    def first(self, field):
        return next(iter(self.given.get(field, [])), "")

    def inner(self, name):
        """The frame of a field that is opened in this one."""
        field = self.message.fields_by_name.get(name) if self.message else None
        self.given.setdefault(name, []).append("")
        return _Frame(field.message_type if field else None, name)


def _is_whole(word):
    return len(word) > 1 and word[-1] == word[0]


def _read(words):
    """(frames that are open, name of the field, whether its value is to come) behind the words.

    The outermost frame keeps the tops of all layers before, as if they were its own.
    """
    frames, field, wants_value, listed = [_Frame(NetParameter.DESCRIPTOR)], "", False, False
    for word in words:
        if word[0] == "#":
            continue
        if word in "{<":
            frames.append(frames[-1].inner(field))
            wants_value = listed = False
        elif word in "}>":
            closed = frames.pop() if len(frames) > 1 else None
            if closed and closed.name in ("layer", "layers"):
                frames[0].given.setdefault("top", []).extend(closed.given.get("top", []))
            wants_value = listed = False
        elif word == ":":
            wants_value = bool(field)
        elif word in "[]":
            wants_value = listed = word == "["
        elif word in ",;":
            wants_value = listed
        elif wants_value:
            frames[-1].given.setdefault(field, []).append(word.strip("\"'"))
            wants_value = False
        elif word[0] not in "\"'":
            field = word
    return frames, field, wants_value


def _values(frames, frame, name):
    field = frame.message.fields_by_name.get(name)
    if field is None:
        return
    if field.enum_type:
        for value in field.enum_type.values:
            yield _option(value.name, detail=field.enum_type.name)
    elif field.type == FieldDescriptor.TYPE_BOOL:
        yield from (_option("true"), _option("false"))
    elif frame.message is FillerParameter.DESCRIPTOR and name == "type":
        for word, filler in FILLERS.items():
            yield _option(word, detail="filler", info=_sentence(filler), quoted=True)
    elif frame.message is LayerParameter.DESCRIPTOR:
        yield from _values_of_layer(frames, frame, name)


def _values_of_layer(frames, layer, name):
    """Types; for a bottom, the tops before it; for a top, what the layer may be called after."""
    if name == "type":
        for word, layer_class in layer_types().items():
            folder = layer_class.__module__.rpartition(".")[0].rpartition(".")[2]
            yield _option(word, detail=folder, info=_sentence(layer_class), quoted=True)
    elif name == "bottom":
        tops = dict.fromkeys([*frames[0].given.get("input", []), *frames[0].given.get("top", [])])
        for word in reversed(tops):
            if word not in layer.given.get("bottom", []):
                yield _option(word, detail="blob", quoted=True)
    elif name == "top":
        for word in dict.fromkeys([layer.first("name"), *layer.given.get("bottom", [])]):
            if word and word not in layer.given.get("top", []):
                detail = "in place" if word in layer.given.get("bottom", []) else "its name"
                yield _option(word, detail=detail, quoted=True)


def _fields(frame, partial):
    """The fields that may be given in a message; of layers, those that the type reads first."""
    names = [field.name for field in frame.message.fields]
    if frame.message is LayerParameter.DESCRIPTOR:
        layer = layer_types().get(frame.first("type"))
        own = [*filter(None, (layer.options_field, *layer.more_options))] if layer else []
        others = [] if layer or not partial else names
        names = list(dict.fromkeys([*own, *_OF_ANY_LAYER, *others]))
    for name in names:
        field = frame.message.fields_by_name.get(name)
        if field is not None and (is_repeated(field) or name not in frame.given):
            yield _field(field)


def _field(field):
    if field.message_type:
        return _option(field.name, kind(field), apply=f"{field.name} {{ ")
    text = field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
    return _option(field.name, kind(field), apply=f"{field.name}: {QUOTE if text else ''}")


def _option(label, detail="", info="", apply="", quoted=False):
    return {
        "label": label, "detail": detail, "info": info, "apply": apply or label, "quoted": quoted
    }  # fmt: skip


def _sentence(thing):
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())
