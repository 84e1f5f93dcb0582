"""Read and write prototxt. Every layer knows the line it starts on."""

import codecs
import contextlib
import logging
import os

from google.protobuf import text_format

from .. import file_kind
from ..atomic import write_atomically
from ..errors import ProtoError, short, where
from ..kept_bytes import bytes_of, text_of, way_out
from ..reading import opened, similar_file
from . import caffe_pb2
from .diagnose import diagnose
from .escapes import as_protoc_reads
from .loose import fitted
from .scan import LineIndex, Mistake, scan, top_level_names
from .upgrade import complete_snapshot_prefix, upgrade_net, upgrade_solver

log = logging.getLogger("caffelite")

MAX_BYTES = 64 * 2**20  # nets with weights in them are the largest; a typo can name anything

_KINDS = {
    "NetParameter": "a net (layer { ... })",
    "SolverParameter": "a solver (net, base_lr, ...)",
}


def read_net(path):
    """The NetParameter of a prototxt, upgraded to today's form."""
    path = os.fspath(path)
    return upgrade_net(read(path, caffe_pb2.NetParameter), path)


def read_solver(path):
    """The SolverParameter of a prototxt, upgraded, its snapshot_prefix completed."""
    path = os.fspath(path)
    solver = upgrade_solver(read(path, caffe_pb2.SolverParameter), path)
    return complete_snapshot_prefix(solver, path)


def read(path, message_class):
    """The message of a prototxt as the file has it, whatever its age."""
    path = os.fspath(path)
    return of_bytes(_read_bytes(path), message_class, path)


def of_bytes(data, message_class, path):
    """The message of a prototxt whose bytes these are."""
    return of_text(_decode(data, path, message_class), message_class, path)


def of_text(text, message_class, path):
    """The message of a prototxt that holds this text; an empty one is an error."""
    message = parse(text, message_class, path)
    if not message.ListFields():
        raise _not_text(path, message_class, "is empty")
    return message


def read_text(path, message_class):
    """The text of a file in which the text of such a message is expected."""
    return _decode(_read_bytes(path), path, message_class)


# What was told of, where fields that nobody knows are passed over.
_passed_over: set[tuple[str, str]] | None = None


def allow_unknown(wanted: bool = True) -> None:
    """Pass over fields of nets and solvers that nobody here knows, with a warning for each.

    Otherwise they are an error. On the command line, --allow-unknown.
    """
    global _passed_over
    _passed_over = set() if wanted else None


@contextlib.contextmanager
def passing_over_unknown():
    """`allow_unknown`, while the block runs."""
    before = _passed_over is not None
    allow_unknown()
    try:
        yield
    finally:
        allow_unknown(before)


def parse(text, message_class, path=""):
    """The message that `text` describes; `path` is named in errors."""
    text = with_plain_newlines(text)
    try:
        return parse_or_mistake(text, message_class, path)
    except Mistake as mistake:
        raise _error(path, LineIndex(text), mistake) from None


def with_plain_newlines(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_or_mistake(text, message_class, path=""):
    """The message that `text`, with plain newlines, describes; raises Mistake."""
    lines = LineIndex(text)
    layers = scan(text)
    try:
        message = _parsed(text, message_class)
    except Mistake:
        if mistake := _other_kind(text, message_class):
            raise mistake from None
        text, unknown = fitted(text, message_class, _passed_over is not None)
        message = _parsed(text, message_class)
        for name, start, _, _ in unknown:
            _tell_of(where(path or "text", lines.line(start), lines.column(start)), name)
    for steps, offset in layers.items():
        _follow(message, steps).source_line = lines.line(offset)
    return message


def _tell_of(place, name):
    """Say once that an unknown field is passed over."""
    if (place, name) not in _passed_over:
        log.warning('%s: the field "%s" is not known, and passed over', place, short(name))
        _passed_over.add((place, name))


def _parsed(text, message_class):
    message = message_class()
    try:
        text_format.Parse(as_protoc_reads(text), message)
    except text_format.ParseError as problem:
        offset = LineIndex(text).offset(problem.GetLine(), problem.GetColumn())
        raise diagnose(problem, text, offset, message_class) from None
    return message


def likely_class(text):
    """NetParameter or SolverParameter: to which of them most of the outermost fields belong."""
    names = [name for name, _ in top_level_names(text)]
    kinds = caffe_pb2.NetParameter, caffe_pb2.SolverParameter
    return max(kinds, key=lambda k: sum(n in k.DESCRIPTOR.fields_by_name for n in names))


def to_text(message):
    """The message as prototxt."""
    return text_format.MessageToString(without_lines(message), as_utf8=True)


def write_net(net, path):
    """Write a NetParameter as prototxt, whole or not at all."""
    write_atomically(path, bytes_of(to_text(net)))


def write_solver(solver, path):
    """Write a SolverParameter as prototxt, whole or not at all."""
    write_atomically(path, bytes_of(to_text(solver)))


def without_lines(message):
    """A copy in which no layer says where it starts: what goes into a file."""
    copy = type(message)()
    copy.CopyFrom(message)
    _clear_lines(copy)
    return copy


def _clear_lines(message):
    if "source_line" in message.DESCRIPTOR.fields_by_name:
        message.ClearField("source_line")
    for field, value in message.ListFields():
        if field.name in ("layer", "layers") or field.name.endswith("net_param"):
            for inner in value if hasattr(value, "append") else [value]:
                _clear_lines(inner)


def _follow(message, steps):
    """The message at ("layer", 3) or ("net_param", 0, "layer", 3)."""
    for name, index in zip(steps[::2], steps[1::2], strict=True):
        value = getattr(message, name)
        message = value[index] if hasattr(value, "append") else value
    return message


# What can be wrong with a file before it is text


def _read_bytes(path):
    try:
        with opened(path, "rb", ProtoError) as file:
            return file.read(MAX_BYTES + 1)
    except ProtoError as problem:
        if isinstance(problem.__cause__, FileNotFoundError):
            raise ProtoError(f"{path}: no such file{way_out(path) or similar_file(path)}") from None
        raise


def _decode(data, path, message_class):
    """The text of a prototxt; anything else is named for what it is."""
    kind = file_kind.of(path) if len(data) > MAX_BYTES else file_kind.of_bytes(data)
    if kind is not None and kind.name not in ("net", "solver", "empty"):
        way = f"; {kind.way}" if kind.way else ""
        raise _not_text(path, message_class, f"is {kind.what}{way}")
    if len(data) > MAX_BYTES:
        raise _not_text(path, message_class, f"has more than {MAX_BYTES >> 20} MB")
    return text_of(data.removeprefix(codecs.BOM_UTF8))


def _not_text(path, message_class, what):
    return ProtoError(f"{_expected(message_class)}, but this {what}", file=path, line=1, column=1)


def _expected(message_class):
    name = message_class.DESCRIPTOR.name
    return f"expected the text of {_KINDS.get(name, name)}"


# Errors


def _other_kind(text, message_class):
    """The Mistake of giving a solver for a net or the other way round, or None."""
    kinds = {"NetParameter": "SolverParameter", "SolverParameter": "NetParameter"}
    ours = message_class.DESCRIPTOR.name
    if ours not in kinds:
        return None
    theirs = kinds[ours]
    known = getattr(caffe_pb2, theirs).DESCRIPTOR.fields_by_name
    names = dict(reversed(list(top_level_names(text))))  # where each is first
    foreign = names.keys() - message_class.DESCRIPTOR.fields_by_name.keys()
    if not foreign or names.keys() - known.keys():
        return None
    at, name = min((names[name], name) for name in foreign)
    return Mistake(at, f'"{name}" belongs to {_KINDS[theirs]}; expected {_KINDS[ours]}')


def _error(path, lines, mistake):
    words = f"{mistake.what}\n{lines.excerpt(mistake.offset)}"
    line, column = lines.line(mistake.offset), lines.column(mistake.offset)
    return ProtoError(words, file=path or "text", line=line, column=column)
