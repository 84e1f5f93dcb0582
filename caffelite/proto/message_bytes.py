"""Messages to bytes and back, whose strings may be none of UTF-8: Caffe writes them as they are."""

import functools

from ..kept_bytes import KEPT_IN_UTF8, bytes_of, text_of
from . import wire


def serialize(message):
    """The bytes of a message, in whose strings kept bytes are bytes again."""
    data = message.SerializeToString()
    if not KEPT_IN_UTF8.search(data):
        return data
    return _with_strings(data, (0, len(data)), message.DESCRIPTOR, lambda b: bytes_of(b.decode()))


def parse(message_class, data):
    """The message in some bytes; of strings that are no UTF-8, the bytes are kept."""
    data = bytes(data)
    kept = _with_strings(
        data, (0, len(data)), message_class.DESCRIPTOR, lambda string: text_of(string).encode()
    )
    return message_class.FromString(kept)


def _with_strings(data, span, descriptor, change):
    """The bytes of a message with its strings changed; what it does not know, it leaves alone."""
    out = []
    for number, kind, value in wire.fields(data, *span):
        field = descriptor.fields_by_number.get(number)
        if kind != wire.LENGTH or field is None or field not in _with_text(descriptor):
            out.append(wire.field(data, number, kind, value))
            continue
        if field.type == field.TYPE_STRING:
            content = change(data[value[0] : value[1]])
        else:
            content = _with_strings(data, value, field.message_type, change)
        out += [wire.header(number, len(content)), content]
    return b"".join(out)


@functools.cache
def _with_text(descriptor):
    """The fields of a message that are strings, or messages that may have some."""
    return {
        field
        for field in descriptor.fields
        if field.type == field.TYPE_STRING
        or (field.type == field.TYPE_MESSAGE and not field.message_type.name.startswith("Blob"))
    }
