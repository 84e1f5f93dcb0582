"""The pages of an LMDB file, each checked as it is reached.

LMDB itself trusts the file: in one that is damaged, or that shrinks while it is mapped, it ends the
process; and where readers keep no locks, it hands out pages that a writer has used again. Here
pages are copied out of the file, and a copy counts only while no transaction has ended since.

Layout of format 0.9 on 64 bits, little-endian. A page: its number u64, two unused bytes, flags u16,
and then lower u16 and upper u16 or, before a large value, its number of pages u32. In a branch and
in a leaf, offsets u16 of nodes, in the order of keys, go up to `lower`; the nodes fill the page
from `upper` on, each at an even place. A node: size of its value u32, flags u16, size of its key
u16, key, value; in a branch, the number of a page takes the first 6 bytes, and the first key means
nothing; for a large value, the number of its first page stands in its place. Pages 0 and 1 hold,
after such a head, magic u32, version u32, address u64, map size u64, two trees of 48 bytes (free
pages, records), last page u64, transaction u64; the later transaction counts. A tree: page size u32
(of the first tree), flags u16, depth u16, numbers of branches, of leaves, of pages of large values,
and of records u64, root page u64.
"""

import os
import struct
from bisect import bisect_left, bisect_right
from operator import lt
from typing import NamedTuple

import numpy as np

from .. import file_kind
from ..errors import DataError
from ..kept_bytes import path_of, way_out
from .made import way_to

_MAGIC = struct.pack("<I", 0xBEEFC0DE)
_HEADER = 16
_META = 136
_BRANCH, _LEAF, _LARGE, _OF_META = 1, 2, 4, 8
_KIND = 0x6F  # these, and others that have no place here
_NAMES = {_BRANCH: "branch", _LEAF: "leaf"}
_IS_LARGE = 1
_OTHER_ORDER = 0x7E  # of keys, or several values for a key
_DEEPEST = 32  # that LMDB walks
_SMALLEST = 11  # bytes that a record takes
_NO_PAGE = 2**64 - 1
_MOST_LEAVES = 64  # read at a time

_head = struct.Struct("<Q2xHHH").unpack_from
_number = struct.Struct("<Q").unpack_from
_meta = struct.Struct("<4xI16x48x4xHHQQQQQQQ").unpack_from


class LargeValue(NamedTuple):
    """Where a value is that has pages of its own."""

    page: int
    size: int


class Records(NamedTuple):
    """Records of a snapshot, in the order of their keys."""

    data: bytes  # with the values
    keys: list
    starts: list  # of the values
    ends: list
    large: dict  # LargeValue, by the start of what stands for it

    def value(self, index):
        """Bytes, or a LargeValue."""
        start = self.starts[index]
        return self.large.get(start) or self.data[start : self.ends[index]]

    def since(self, index):
        """The records from `index` on."""
        return self._replace(
            keys=self.keys[index:], starts=self.starts[index:], ends=self.ends[index:]
        )


class _Nodes(NamedTuple):
    """Where nodes have keys, values, and ends, as arrays, and the first node of each page."""

    key: np.ndarray
    value: np.ndarray
    end: np.ndarray
    size: np.ndarray
    flags: np.ndarray
    first: list

    def keys(self, data):
        """Their keys, as bytes."""
        return [data[i:j] for i, j in zip(self.key.tolist(), self.value.tolist(), strict=True)]


class Pages:
    """A snapshot of the database in the directory `path`: what its last transaction left.

    Later transactions may overwrite its pages. What was read is whole if `moved` is false
    afterwards; `renew` goes on to the newest snapshot. `snapshot` tells one from another.
    """

    def __init__(self, path):
        self.name = _data_file(path_of(os.fspath(path)))
        try:
            self._file = open(self.name, "rb", buffering=0)
        except OSError as problem:
            raise self._unreadable(problem) from None
        self._page_size = self._check_format()
        self.renew()

    def close(self):
        self._file.close()

    def _read(self, at, size):
        """`size` bytes from `at` on."""
        try:
            if hasattr(os, "pread"):
                data = os.pread(self._file.fileno(), size, at)
            else:  # on Windows
                self._file.seek(at)
                data = self._file.read(size)
        except OSError as problem:
            raise self._unreadable(problem) from None
        if len(data) < size:
            raise self._truncated(at + size)
        return data

    def _file_size(self):
        return os.fstat(self._file.fileno()).st_size

    def _check_format(self):
        """The size of a page, in a file that is an LMDB of format 0.9."""
        size = self._file_size()
        head = self._read(0, min(size, 64))
        at = head.find(_MAGIC)
        if at < 0 or len(head) < 64:
            words = f"is not an LMDB file ({size} bytes)"
            raise file_kind.mistake(self.name, "the data file of an LMDB", DataError, words)
        version = int.from_bytes(head[at + 4 : at + 8], "little")
        if version != 1:
            raise DataError(
                f"{self.name}: is of LMDB's data format {version}, expected format 1, which LMDB "
                "0.9 and Caffe use; convert it with mdb_dump of its own LMDB and mdb_load of "
                "LMDB 0.9"
            )
        if at != _HEADER:
            raise DataError(
                f"{self.name}: was written by a 32-bit LMDB; mdb_dump and mdb_load convert it"
            )
        (page_size,) = struct.unpack_from("<I", head, _HEADER + 24)
        if not 256 <= page_size <= 1 << 16 or page_size & (page_size - 1) or size < 2 * page_size:
            raise DataError(f"{self.name}: is damaged: page size {page_size}, file size {size}")
        return page_size

    # Snapshots

    def renew(self):
        """Go on to the snapshot that the last transaction left."""
        before, self.snapshot = None, self._read_metas()
        while self.snapshot != before:  # else one was caught half-written
            before, self.snapshot = self.snapshot, self._read_metas()
        self._size = self._file_size()
        newest = max((self._check_meta(number) for number in (0, 1)), key=lambda meta: meta[-1])
        _, kind, self.depth, *self.counts, self.entries, self.root, self.last_page, _ = newest
        if kind & _OTHER_ORDER:
            raise DataError(
                f"{self.name}: has keys in another order, or several values for a key "
                f"(flags {kind:#x}); Caffe's databases have not"
            )
        possible = self.entries <= self._size // _SMALLEST and self.depth <= _DEEPEST
        if not possible or (self.entries == 0) != (self.root == _NO_PAGE):
            where = f"{self.entries} records, {self.depth} pages deep below page {self.root}"
            raise DataError(f"{self.name}: is damaged: it has, by its first pages, {where}")

    def moved(self):
        """Whether a transaction has ended since this snapshot was taken."""
        return self._read_metas() != self.snapshot

    def _read_metas(self):
        return self._read(0, self._page_size + _HEADER + _META)

    def _check_meta(self, number):
        """The numbers in a meta page: version to transaction."""
        page = self.snapshot[number * self._page_size :]
        flags, _, _ = self._head_of(page, number)
        meta = _meta(page, _HEADER)
        if flags & _KIND != _OF_META or not page.startswith(_MAGIC, _HEADER) or meta[0] != 1:
            raise self._damaged(number, "is no meta page")
        return meta

    # The tree

    def records(self, first=b""):
        """Yield Records, more and more at a time, from the key `first` on or the next one after."""
        most = 1
        for pages in self._leaf_pages(self.top(), self.depth, first):
            while pages:
                records = self.leaves(pages[:most])
                start = bisect_left(records.keys, first)
                if start < len(records.keys):
                    yield records.since(start) if start else records
                pages, most = pages[most:], min(2 * most, _MOST_LEAVES)

    def _leaf_pages(self, pages, depth, first):
        """Yield the leaves below some pages, those of one branch at a time."""
        if depth <= 1:
            yield pages
            return
        for page in pages:
            yield from self._leaf_pages(self.branch(page, first), depth - 1, first)

    def top(self):
        """The root, as `branch` gives pages."""
        return [(self.root, b"", None)] if self.entries else []

    def branch(self, page, first=b""):
        """The pages below, each as (number, low, high): its keys are from `low` to before `high`.

        Those that only have keys before `first` are left out.
        """
        data, nodes = self._nodes([page], _BRANCH)
        keys, (_, low, high) = nodes.keys(data), page
        keys[0] = low
        self._check_order([page], keys, [0])
        numbers = (nodes.size | nodes.flags << 32).tolist()
        start = bisect_right(keys, first, 1) - 1
        return list(zip(numbers, keys, [*keys[1:], high], strict=True))[start:]

    def leaves(self, pages):
        """The Records of neighbouring leaves, each given as (number, low, high)."""
        data, nodes = self._nodes(pages, _LEAF)
        keys = nodes.keys(data)
        self._check_order(pages, keys, nodes.first)
        large = np.flatnonzero(nodes.flags)
        places = zip(nodes.value[large].tolist(), nodes.size[large].tolist(), strict=True)
        large = {start: LargeValue(*_number(data, start), size) for start, size in places}
        return Records(data, keys, nodes.value.tolist(), nodes.end.tolist(), large)

    def _nodes(self, pages, kind):
        """(the bytes of pages of the tree, their nodes): each page has the kind, and is full.

        So no node lies across another one, or out of its page.
        """
        size, numbers = self._page_size, [number for number, _, _ in pages]
        data = self._read_pages(numbers)
        words = np.frombuffer(data, "<u2")

        def word(at):
            return words[at >> 1].astype(np.int64)

        start = np.arange(0, len(data), size)
        own = np.frombuffer(data, "<u8")[start >> 3]
        flags, lower, upper = (word(start + i) for i in (10, 12, 14))
        right = (own == np.array(numbers, np.uint64)) & (flags & _KIND == kind)
        right &= (lower > _HEADER) & (lower <= upper) & (upper < size)
        self._check(right, numbers, f"is no {_NAMES[kind]}")

        count = (lower - _HEADER) >> 1
        first = np.cumsum(count) - count
        page = np.repeat(np.arange(len(pages)), count)
        at = word(start[page] + _HEADER + 2 * (np.arange(len(page)) - first[page]))
        right = (at >= upper[page]) & (at <= size - 8) & (at & 1 == 0)
        self._check(right, numbers, "has nodes out of place", page)

        at += start[page]
        value_size, flags = word(at) | word(at + 2) << 16, word(at + 4)
        value = end = at + 8 + word(at + 6)
        if kind == _LEAF:
            self._check(flags <= _IS_LARGE, numbers, "has records of a kind unknown here", page)
            end = value + np.where(flags == _IS_LARGE, 8, value_size)

        nodes = np.sort(at)
        behind = np.append(nodes[1:], len(data))  # where each node must end
        behind[first[1:] - 1] = start[1:]
        right = (np.sort(end + (end & 1)) == behind) & (nodes[first] == start + upper)[page]
        self._check(right, numbers, "has nodes that overlap, or gaps between them", page)
        return data, _Nodes(at + 8, value, end, value_size, flags, first.tolist())

    def _check_order(self, pages, keys, first):
        """Raise an error unless keys are in order and within the bounds of their pages.

        So no page is reached twice.
        """
        right = list(map(lt, keys, keys[1:]))
        if not all(right):
            number = pages[bisect_right(first, right.index(False) + 1) - 1][0]
            raise self._damaged(number, "has keys that are out of order")
        for (number, low, high), i, j in zip(pages, first, [*first[1:], len(keys)], strict=True):
            if keys[i] < low or (high and keys[j - 1] >= high):
                raise self._damaged(number, "has keys that belong into other pages")

    def _check(self, right, numbers, what, page=None):
        """Raise an error that names the first page that is not right."""
        if not right.all():
            at = int(right.argmin())
            raise self._damaged(numbers[at if page is None else page[at]], what)

    def check_end(self):
        """Raise an error if the file ends before the last page that the records use.

        It may end before the last page of all: those taken and freed in one go are never written.
        """
        if (self.last_page + 1) * self._page_size > self._size:
            for records in self.records():
                for value in records.large.values():
                    self._check_place(value.page, _HEADER + value.size)

    # Pages

    def large(self, value):
        """The bytes of a LargeValue."""
        self.large_pages(value)
        return self._read(value.page * self._page_size + _HEADER, value.size)

    def large_pages(self, value):
        """The number of pages that a LargeValue has."""
        number, size = value
        self._check_place(number, _HEADER + size)
        head = self._read(number * self._page_size, _HEADER)
        flags, low, high = self._head_of(head, number)
        count = low | high << 16
        if flags & _KIND != _LARGE or count * self._page_size < _HEADER + size:
            raise self._damaged(number, f"is no place for a value of {size} bytes")
        return count

    def _read_pages(self, numbers):
        """The bytes of some pages, those in a row read at once."""
        size = self._page_size
        self._check_place(min(numbers), size)
        self._check_place(max(numbers), size)
        ends = [i for i in range(1, len(numbers)) if numbers[i] != numbers[i - 1] + 1]
        runs = zip([0, *ends], [*ends, len(numbers)], strict=True)
        return b"".join([self._read(numbers[i] * size, (j - i) * size) for i, j in runs])

    def _check_place(self, number, size):
        """Raise an error unless there are `size` bytes from the start of a page on."""
        if not 2 <= number <= self.last_page:
            raise DataError(
                f"{self.name}: is damaged: it refers to page {number}, expected 2 to "
                f"{self.last_page}"
            )
        if number * self._page_size + size > self._size:
            raise self._truncated(number * self._page_size + size)

    def _head_of(self, page, number):
        """The flags, lower and upper of a page, which must have its own number."""
        own, *head = _head(page)
        if own != number:
            raise self._damaged(number, f"has the number {own}")
        return head

    # Errors

    def _unreadable(self, problem):
        return DataError(f"{self.name}: cannot be read: {problem.strerror}")

    def _damaged(self, number, how):
        return DataError(f"{self.name}: is damaged: page {number} {how}")

    def _truncated(self, end):
        return DataError(
            f"{self.name}: is truncated: it has {self._file_size()} bytes, but its records reach "
            f"up to byte {end}; copy it again"
        )


def _data_file(path):
    """The name of the file of records in a directory that is an LMDB."""
    if not os.path.exists(path):
        place = "" if os.path.isabs(path) else f" (looked for from {os.getcwd()})"
        raise DataError(f"{path}: no such directory{place}{way_out(path)}{way_to(path)}")
    if not os.path.isdir(path):
        words = "is a file; an LMDB source is the directory that holds data.mdb"
        raise file_kind.mistake(path, "an LMDB (a directory that holds data.mdb)", DataError, words)
    name = os.path.join(path, "data.mdb")
    if not os.path.isfile(name):
        if os.path.isfile(os.path.join(path, "CURRENT")):
            raise DataError(f"{path}: is a LevelDB, expected an LMDB; write backend: LEVELDB")
        raise DataError(f"{path}: expected an LMDB, a directory that holds data.mdb")
    return name
