"""Checksums of weights: they tell damage, and one model's weights from another's.

A blob stands as a line: its layer, its index, its shape, and the CRC-32 of its values as
little-endian bytes. A checksum is the CRC-32 of the sorted lines. So it is still right after a
program has read and written a file in another order or format, and wrong if a value is another.
"""

import zlib

import numpy as np

PIECE = 1 << 20  # bytes of a file that are looked at together


def line(layer, index, shape, crc, of="data"):
    """What a blob's values, or `of` "diff" its gradients, enter into a checksum with."""
    return f"{layer}/{index} {of} {'x'.join(map(str, shape))} {crc:08x}"


def of_lines(lines):
    """The checksum of all that the lines stand for."""
    return zlib.crc32("\n".join(sorted(lines)).encode())


def of_array(values, crc=0):
    """The CRC-32 of an array, going on from that of the one before it."""
    raw = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).reshape(-1)
    return zlib.crc32(raw.view(np.uint8), crc)


def of_bytes(file, start, size):
    """The CRC-32 of a part of an open file, which is never in memory as a whole."""
    crc, buffer = 0, memoryview(bytearray(min(size, PIECE)))
    file.seek(start)
    while size:
        read = file.readinto(buffer[:size])
        if not read:  # it was cut off after it was opened
            break
        crc = zlib.crc32(buffer[:read], crc)
        size -= read
    return crc
