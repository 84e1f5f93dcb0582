"""A look at an LMDB file before the library maps it into memory.

The library trusts the file: a page that a truncated copy lacks ends the process with SIGBUS, and
another data format gets a message that helps nobody.

Layout, little-endian: two meta pages, each a page header (16 bytes in format 0.9 on 64 bits) and
magic u32, version u32, address u64, map size u64, two trees of 48 bytes (free pages, records),
last page u64, transaction u64. A tree: page size u32 (first tree only), flags u16, depth u16, four
counts u64, root page u64.
"""

import mmap
import os
import struct

from ..errors import DataError

_MAGIC = struct.pack("<I", 0xBEEFC0DE)
_HEADER = 16
_BRANCH, _LEAF = 1, 2
_BIG_VALUE = 1
_NO_PAGE = 2**64 - 1


def check(path):
    """Raise a DataError if `path` is no readable LMDB; return what identifies its file."""
    if not os.path.exists(path):
        place = "" if os.path.isabs(path) else f" (looked for from {os.getcwd()})"
        raise DataError(f"{path}: no such directory{place}")
    if not os.path.isdir(path):
        raise DataError(f"{path}: is a file; an LMDB source is the directory that holds data.mdb")
    name = os.path.join(path, "data.mdb")
    if not os.path.isfile(name):
        if os.path.isfile(os.path.join(path, "CURRENT")):
            raise DataError(f"{path}: is a LevelDB, expected an LMDB; write backend: LEVELDB")
        raise DataError(f"{path}: expected an LMDB, a directory that holds data.mdb")
    try:
        with open(name, "rb") as file:
            status = os.fstat(file.fileno())
            _check_file(file, name, status.st_size)
    except OSError as problem:
        raise DataError(f"{name}: cannot be read: {problem.strerror}") from None
    return status.st_dev, status.st_ino


def _check_file(file, name, size):
    head = file.read(64)
    at = head.find(_MAGIC)
    if at < 0 or len(head) < 64:
        raise DataError(f"{name}: is not an LMDB file ({size} bytes)")
    version = int.from_bytes(head[at + 4 : at + 8], "little")
    if version != 1:
        raise DataError(
            f"{name}: is of LMDB's data format {version}, expected format 1, which LMDB 0.9 and "
            "Caffe use; convert it with mdb_dump of its own LMDB and mdb_load of LMDB 0.9"
        )
    if at != _HEADER:
        raise DataError(f"{name}: was written by a 32-bit LMDB; mdb_dump and mdb_load convert it")
    (page_size,) = struct.unpack_from("<I", head, _HEADER + 24)
    if page_size < 256 or page_size & (page_size - 1) or size < 2 * page_size:
        raise DataError(f"{name}: is damaged: page size {page_size}, file size {size}")
    root, last_page = _newest_meta(file, page_size)
    if (last_page + 1) * page_size > size and not _complete(file, size, page_size, root):
        raise DataError(
            f"{name}: is truncated: it has {size} bytes, but its records reach up to byte "
            f"{(last_page + 1) * page_size}; copy it again"
        )


def _newest_meta(file, page_size):
    """(root page of the records, last page) of the meta page written last."""
    metas = []
    for page in (0, 1):
        file.seek(page * page_size + _HEADER)
        meta = file.read(136)
        root, last_page, transaction = struct.unpack_from("<QQQ", meta, 112)
        metas.append((transaction, root, last_page))
    return max(metas)[1:]


def _complete(file, size, page_size, root):
    """Whether every page that the records use lies in the file.

    A file may end before its last page: pages taken and freed in one go are never written.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        pending, seen = [] if root == _NO_PAGE else [root], set()
        while pending:
            at = pending.pop() * page_size
            if at + page_size > size or at in seen:
                return False
            seen.add(at)
            flags, lower = struct.unpack_from("<HH", pages, at + 10)
            for (offset,) in struct.iter_unpack("<H", pages[at + _HEADER : at + lower]):
                low, high, node_flags, key_size = struct.unpack_from("<HHHH", pages, at + offset)
                if flags & _BRANCH:
                    pending.append(low | high << 16 | node_flags << 32)
                elif flags & _LEAF and node_flags & _BIG_VALUE:
                    (page,) = struct.unpack_from("<Q", pages, at + offset + 8 + key_size)
                    if page * page_size + _HEADER + (low | high << 16) > size:
                        return False
    return True
