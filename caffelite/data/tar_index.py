"""What is where in tars, kept in the user's cache, so that a large one is read through but once.

Nothing is ever written beside a tar. An index stands for the file at a path, by its size, its time
and its place on disk, and only as long as these are the same; one that is damaged is none.
"""

import contextlib
import hashlib
import os
import time
import zlib

import numpy as np

from ..atomic import write_atomically
from ..environment import user_cache

LEAST = 1000  # samples: fewer are found sooner than said
JUST_NOW = 2_000_000_000  # nanoseconds
_FORM = 1  # of the files; another one is not read


def load(path, stamp):
    """(keys, places, labels) of the tar at a path with this stamp, or None if they are not kept.

    Keys are a list of bytes, places an array of samples x (start, bytes) of int64, labels int32.
    """
    try:
        with open(_file(path), "rb") as file:
            data = file.read()
    except OSError:
        return None
    head = _head(path, stamp)
    if len(data) < len(head) + 12 or not data.startswith(head):
        return None
    body = data[len(head) + 4 :]
    if data[len(head) : len(head) + 4] != zlib.crc32(body).to_bytes(4, "little"):
        return None
    count = int.from_bytes(body[:8], "little")
    lengths = np.frombuffer(body, "<i4", count, 8)
    places = np.frombuffer(body, "<i8", 2 * count, 8 + 4 * count)
    labels = np.frombuffer(body, "<i4", count, 8 + 20 * count)
    ends = 8 + 24 * count + np.cumsum(lengths, dtype=np.int64)
    keys = [body[end - n : end] for end, n in zip(ends.tolist(), lengths.tolist(), strict=True)]
    return keys, places.reshape(-1, 2).astype(np.int64), labels.astype(np.int32)


def keep(path, stamp, keys, places, labels):
    """Keep this for the next time, if that can be, and there is enough of it.

    Of a file that was written just now, the time may stay the same when it is written again.
    """
    if len(keys) < LEAST or time.time_ns() - stamp[-1] < JUST_NOW:
        return
    lengths = np.array([len(key) for key in keys], "<i4")
    parts = lengths, places.astype("<i8"), labels.astype("<i4")
    body = len(keys).to_bytes(8, "little") + b"".join(part.tobytes() for part in parts)
    body += b"".join(keys)
    check = zlib.crc32(body).to_bytes(4, "little")
    with contextlib.suppress(OSError):  # a cache that cannot be written is done without
        os.makedirs(os.path.dirname(_file(path)), exist_ok=True)
        write_atomically(_file(path), [_head(path, stamp), check, body])


def _file(path):
    place = hashlib.sha1(os.fsencode(os.path.realpath(path))).hexdigest()
    return os.path.join(user_cache(), "tars", place)


def _head(path, stamp):
    return f"caffelite tar index {_FORM} {stamp} {os.path.realpath(path)!r}\n".encode()
