"""Data in several shards, databases or tars, that are read as one: how a name says which.

The `source` of a data layer names one database, as in Caffe, if there is one of that name. Else it
may name several:

- a pattern: `train-{0000..0007}.tar` counts, `{cats,dogs}_lmdb` takes each, and `*`, `?` and
  `[a-z]` stand for what is there, as in a shell; what is found so comes in the order of names;
- a text file, with a name that ends in .txt, that lists them, a name or a pattern a line.

All of them are there, each comes once, and all are of one kind.
"""

import bisect
import glob
import itertools
import logging
import os
import re

from ..errors import DataError, short
from ..kept_bytes import path_of
from ..reading import lines
from .source import RecordSource

log = logging.getLogger("caffelite")

MOST_SHARDS = 100_000
_BRACES = re.compile(r"\{(?:(\d{1,9})\.\.(\d{1,9})|([^{}]*,[^{}]*))\}")
_WILD = re.compile(r"[*?\[]")


def open_records(source, database):
    """The records that a source names, one database or several; `database` opens a path."""
    paths = named(source)
    return database(paths[0]) if len(paths) == 1 else ShardedSource(source, paths, database)


class ShardedSource(RecordSource):
    """The records of several databases, one behind the other; a sample is (key, value), as bytes.

    `sizes` says how many records each has.
    """

    def __init__(self, path, paths, database):
        self.path = path
        self.shards = []
        try:
            for shard in paths:
                self.shards.append(database(shard))
                self.shards[-1].in_turn = False
            self.sizes = [len(shard) for shard in self.shards]
        except BaseException:
            self.close()
            raise
        self._starts = [0, *itertools.accumulate(self.sizes)]
        log.info("%s: %d records in %d shards", path, len(self), len(paths))

    def __len__(self):
        return self._starts[-1]

    def sample(self, number):
        """(key, value) of record `number` modulo the length."""
        shard, index = self._place(number)
        return shard.sample(index)

    def name(self, number):
        shard, index = self._place(number)
        return shard.name(index)

    def close(self):
        for shard in self.shards:
            shard.close()

    def _place(self, number):
        """(the shard, the number in there) of record `number`."""
        self.at = number % len(self)
        shard = bisect.bisect_right(self._starts, self.at) - 1
        return self.shards[shard], self.at - self._starts[shard]


def named(source):
    """The paths that a source names, in order; one that is a path of itself names that alone."""
    source = os.fspath(source)
    if os.path.exists(path_of(source)):
        is_list = source.endswith(".txt") and os.path.isfile(path_of(source))
        return _listed(source) if is_list else [source]
    paths = _matching(source)
    return _each_once(paths, source) if paths != [source] else paths


def is_there(source):
    """Whether a file, or all that a pattern names, is there; what is listed in it is not asked."""
    try:
        return all(os.path.exists(path_of(path)) for path in _matching(source))
    except DataError:
        return False


def pattern_of(name, count):
    """What names so many shards, of which each has the name `name` with its number for {}."""
    return name.format(f"{{{_number(0)}..{_number(count - 1)}}}")


def shard_names(name, count):
    """The names that `pattern_of` names."""
    return [name.format(_number(shard)) for shard in range(count)]


def _number(shard):
    return f"{shard:04d}"


def _listed(path):
    """The shards that a text file lists."""
    found = []
    for number, line in enumerate(lines(path, "a list of shards, a line each"), 1):
        if name := line.strip():
            try:
                found += _matching(name)
            except DataError as problem:
                raise DataError(f"{path}:{number}: {problem}") from None
            if not os.path.exists(path_of(found[-1])):
                raise DataError(
                    f'{path}:{number}: "{short(name, 200)}" is not there (looked for from '
                    f"{os.getcwd()}); as the source of records, a text file lists databases or "
                    "tars, a line each"
                )
        if len(found) > MOST_SHARDS:
            raise DataError(f"{path}: lists more than {MOST_SHARDS:,} shards")
    if not found:
        raise DataError(f"{path}: lists no shards, expected the name of one a line")
    return _each_once(found, path)


def _matching(pattern):
    """The paths that a name or pattern names; a name without a pattern need not be there."""
    if os.path.exists(path_of(pattern)):
        return [pattern]
    names, found = _expanded(pattern), []
    for name in names:
        if os.path.exists(path_of(name)):
            found.append(name)
        elif _WILD.search(name):
            found += _globbed(name, pattern)
        elif len(names) > 1 or name != pattern:
            raise DataError(
                f"{pattern}: of the {len(names)} shards that it names, {name} is missing"
            )
    return found or [pattern]


def _globbed(name, pattern):
    matches = itertools.islice(glob.iglob(path_of(name)), MOST_SHARDS + 1)
    found = sorted(matches)
    if not found:
        of = "" if name == pattern else f" ({name})"
        place = "" if os.path.isabs(name) else f" (looked for from {os.getcwd()})"
        raise DataError(f"{pattern}: matches nothing{of}{place}")
    if len(found) > MOST_SHARDS:
        raise DataError(f"{pattern}: matches more than {MOST_SHARDS:,} files")
    return found


def _expanded(pattern):
    """The names that a pattern's braces stand for, as in a shell."""
    parts, at, count = [], 0, 1
    for brace in _BRACES.finditer(pattern):
        first, last, words = brace.groups()
        if words is None and int(last) < int(first):
            raise DataError(f"{pattern}: {brace[0]} counts down, expected the lower number first")
        count *= words.count(",") + 1 if words is not None else int(last) - int(first) + 1
        if count > MOST_SHARDS:
            raise DataError(f"{pattern}: names {count:,} shards, expected {MOST_SHARDS:,} at most")
        if words is None:
            width = len(first) if first.startswith("0") or last.startswith("0") else 0
            choices = [f"{number:0{width}d}" for number in range(int(first), int(last) + 1)]
        else:
            choices = words.split(",")
        parts += [[pattern[at : brace.start()]], choices]
        at = brace.end()
    return ["".join(chosen) for chosen in itertools.product(*parts, [pattern[at:]])]


def _each_once(paths, source):
    seen = {}
    for path in paths:
        real = os.path.realpath(path_of(path))
        if real in seen:
            both = f"{path}" if seen[real] == path else f"{path}, which is {seen[real]},"
            raise DataError(f"{source}: {both} comes twice")
        seen[real] = path
    return paths
