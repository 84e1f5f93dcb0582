"""The protocol of sources: what everything that samples are read from promises to its readers.

A source holds samples in an order that never changes: the records of a database, the rows of HDF5
files, the pictures that a list names. `len(source)` is how many there are in one pass. Samples have
*numbers*, which go on through all passes: behind the last sample, number `len(source)` is the first
one of the second pass, and where samples are shuffled, each pass has an order of its own. Whatever
is random about a source follows from its attribute `seed` and from the number alone, so any sample
can be had at any time, again and again, and is the same one each time.

A reader stands at a *position*, which counts the samples that were given. `read` gives the next
sample and goes on by one; `seek` goes anywhere. `state` is all that has to be kept to go on later:
`restore` makes a source of the same samples, in another process or on another day, give the same
samples from there on.

Processes that train together share the samples out: after `shard(rank, size)`, a source at position
p gives those with the numbers p + rank, p + rank + size, p + rank + 2 size, ... Every sample from p
on comes to exactly one of the ranks 0 to size - 1. After `shard(rank, size, run)` it is runs of so
many samples that the ranks take in turn. Positions count what all ranks together were given, so
that all have the same state, and any number of processes goes on from it.

A source belongs to one thread at a time. It may hold files open until `close`, which may be called
twice. Files that are missing, damaged, or change while they are read raise a DataError that names
them.

To add a source, derive from `Source` (or from `RowSource`, where many samples are read at once
faster than one by one, or from `RecordSource`, where they are the records of a database), say in
its docstring what a sample is, and write `__len__`, `sample` and `name`; a source of pictures, for
layers that transform them, gives (pixels, label) and has `shape` as well. tests/test_source.py asks
every source the same questions: give it an example there.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from ..errors import DataError
from ..types import Array

OFTEN = 10_000  # records between two restarts that are far enough apart to tell of each

log = logging.getLogger("caffelite")


class State(NamedTuple):
    """What a source has to be told in order to go on where another one was."""

    seed: int
    position: int


class Shard(NamedTuple):
    """Which process this is among those that train together, and what each of them takes.

    Of each batch it takes some of the samples: with the rank r of n, number r, r + n, r + 2 n, ...
    With `whole_batches`, it takes every n-th batch as a whole.
    """

    rank: int = 0
    size: int = 1
    whole_batches: bool = False

    @property
    def parts(self) -> int:
        """Among how many processes each batch is shared out."""
        return 1 if self.whole_batches else self.size


class Source:
    """Samples by number, a position to read on from, and a share of them for each process."""

    seed: int = 0  # what random orders and draws follow from
    position: int = 0  # how many samples all shards have given, through all passes

    _rank, _size, _run = 0, 1, 1
    _within = 0  # of the run at hand, how many samples were given

    def __len__(self) -> int:
        """The number of samples in a pass."""
        raise NotImplementedError(f"{type(self).__name__}.__len__")

    def sample(self, number: int) -> Any:
        """Sample `number` of the whole source, counted through all passes."""
        raise NotImplementedError(f"{type(self).__name__}.sample")

    def label(self, number: int) -> Any:
        """The label of sample `number`, where a sample is (pixels, label), if need be alone."""
        return self.sample(number)[1]

    def name(self, number: int) -> str:
        """How messages name sample `number`: its file, and where it is in there."""
        raise NotImplementedError(f"{type(self).__name__}.name")

    def drawn_for(self) -> int | None:
        """How many samples the order of a pass is drawn for, or None where they come in turn."""
        return None

    def layout(self) -> bytes:
        """What the order follows from beside that: of several shards, their lengths."""
        return b""

    def uneven_pass(self) -> str | None:
        """Why some samples come more often than others in the first pass, or None."""
        samples = self.drawn_for()
        if samples is None or samples == len(self):
            return None
        return (
            f"gives {len(self)} samples for the {samples} that there are, those of small classes "
            "several times: leave out what balances classes"
        )

    def close(self) -> None:
        """Give back files and memory; nothing can be read from then on."""

    def named(self, number: int) -> _Named:
        """For `with`: let a DataError say that it is about sample `number`."""
        return _Named(self, number)

    def number(self, ahead: int = 0) -> int:
        """The number of the next sample, or of one that comes so many samples after it."""
        turn, rest = divmod(self._within + ahead, self._run)
        return self.position + (turn * self._size + self._rank) * self._run + rest

    def read(self) -> Any:
        """The next sample."""
        sample = self.sample(self.number())
        self._go_on(1)
        return sample

    def _go_on(self, count: int) -> None:
        turns, self._within = divmod(self._within + count, self._run)
        self.position += turns * self._size * self._run

    def seek(self, position: int) -> None:
        """Go on from this position."""
        self.position, self._within = position, 0

    def shard(self, rank: int, size: int, run: int = 1) -> None:
        """Give only the samples of process `rank` among `size` from now on; (0, 1) gives all.

        Each takes `run` samples that follow one another, then it is the next one's turn.
        """
        self._rank, self._size, self._run, self._within = rank, size, run, 0

    def state(self) -> State:
        """What another source of the same samples needs to go on from here; see `restore`."""
        return State(self.seed, self.position)

    def restore(self, state: tuple[int, int]) -> None:
        """Go on where the source was whose `state` this is."""
        self.seed, position = state
        self.seek(position)


class _Named:
    """A class, since a generator for each sample would take longer than to read a small one."""

    __slots__ = ("number", "source")

    def __init__(self, source: Source, number: int) -> None:
        self.source, self.number = source, number

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: object
    ) -> None:
        if kind is not None and issubclass(kind, DataError):
            raise DataError(f"{self.source.name(self.number)}: {problem}") from None


class RowSource(Source):
    """Samples that are rows of arrays, of which many can be read at once.

    A sample is a list with one row of each array.
    """

    def rows(self, numbers: range) -> list[Array]:
        """The samples with these numbers, a range, as one array for each part of a sample."""
        raise NotImplementedError(f"{type(self).__name__}.rows")

    def sample(self, number: int) -> list[Any]:
        return [rows[0] for rows in self.rows(range(number, number + 1))]

    def read_rows(self, count: int) -> list[Array]:
        """The next `count` samples, of one run, as one array for each part of a sample."""
        first, step = self.number(), self.number(1) - self.number()
        rows = self.rows(range(first, first + count * step, step))
        self._go_on(count)
        return rows


class RecordSource(Source):
    """The records of a database, in the order of their keys; a sample is (key, value), as bytes."""

    path: str
    in_turn = True  # whether a step back is another pass, which the log tells of
    at = -1  # the place within the database of the record read last
    restarts = 0

    def log_restart(self) -> None:
        """Say so as Caffe does; of a small database, where that comes often, ever more rarely."""
        self.restarts += 1
        is_power_of_two = self.restarts & (self.restarts - 1) == 0
        if is_power_of_two or len(self) >= OFTEN:
            log.info("Restarting data prefetching from start.")

    def name(self, number: int) -> str:
        key = self.sample(number)[0].decode("utf-8", "backslashreplace")
        return f'{self.path}: record {self.at} (key "{key}")'
