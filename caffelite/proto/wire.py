"""The protobuf wire format, for files whose floats are too many to pass through message objects.

Encoding: a message is a run of (key, value), key = number << 3 | wire type, as a varint.
"""

import numpy as np

from ..errors import ProtoError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


class CutOff(ProtoError):
    """A field, `number`, that is longer than what is left of the message, by `missing` bytes."""

    number = missing = 0


def fields(buffer, start, end):
    """Yield (number, wire type, value) of the fields in buffer[start:end].

    The value is an int for varints, and (start, end) of its bytes for all others, so nothing is
    copied. A length that leaves the message raises ProtoError: a damaged file cannot make anyone
    allocate what it merely declares.
    """
    at = start
    while at < end:
        key, at = _varint(buffer, at, end)
        number, wire_type = key >> 3, key & 7
        if wire_type == VARINT:
            value, at = _varint(buffer, at, end)
        else:
            if wire_type == LENGTH:
                size, at = _varint(buffer, at, end)
            elif wire_type in (FIXED32, FIXED64):
                size = 4 if wire_type == FIXED32 else 8
            else:
                raise ProtoError(f"byte {at}: wire type {wire_type} is not in use")
            if size > end - at:
                problem = CutOff(
                    f"byte {at}: field {number} declares {size} bytes, but only {end - at} are left"
                )
                problem.number, problem.missing = number, size - (end - at)
                raise problem
            value, at = (at, at + size), at + size
        yield number, wire_type, value


def _varint(buffer, at, end):
    value = shift = 0
    while at < end and shift < 70:
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ProtoError(f"byte {at}: the file ends in the middle of a number")


def varint(value):
    """The bytes of a non-negative int as a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def header(number, size):
    """What precedes a length-delimited field of `size` bytes."""
    return varint(number << 3 | LENGTH) + varint(size)


def field(buffer, number, wire_type, value):
    """The bytes of one of the `fields` of a buffer."""
    head = varint(number << 3 | wire_type)
    if wire_type == VARINT:
        return head + varint(value)
    start, end = value
    return head + (varint(end - start) if wire_type == LENGTH else b"") + buffer[start:end]


def numbers(buffer, parts, dtype):
    """One array of all the values of a repeated float or double field.

    `parts` are the (wire type, value) of its occurrences: one packed run as a rule, which is then
    a view of the buffer; old files may hold value after value.
    """
    runs = []
    for wire_type, (start, end) in parts:
        item = np.dtype(dtype).itemsize
        if (end - start) % item or (wire_type != LENGTH and end - start != item):
            raise ProtoError(f"byte {start}: {end - start} bytes are no run of {item}-byte values")
        runs.append(np.frombuffer(buffer, dtype, (end - start) // item, start))
    return runs[0] if len(runs) == 1 else np.concatenate(runs or [np.empty(0, dtype)])
