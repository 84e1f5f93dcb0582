"""PNG files whose bytes are the same everywhere, since nothing in them is compressed."""

import struct
import zlib

import numpy as np

_BLOCK = 0xFFFF  # bytes; a block of deflate that is stored has no more


def uncompressed_png(pixels):
    """A PNG file, as bytes, of uint8 pixels: 3 x height x width, blue, green, red.

    What compresses bytes is free in how, so that other versions of a library make other files of
    the same pixels. Such a file is as large as its pixels, and is read faster.
    """
    _, height, width = pixels.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with 0: pixels as they are
    lines[:, 1:] = pixels[::-1].transpose(1, 2, 0).reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, red, green, blue
    chunks = (b"IHDR", head), (b"IDAT", _stored(lines.tobytes())), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _stored(data):
    """A stream of zlib of blocks that are stored as they are."""
    blocks = [b"\x78\x01"]
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK]
        is_last = start + _BLOCK >= len(data)
        blocks += struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block
    return b"".join(blocks) + struct.pack(">I", zlib.adler32(data))
