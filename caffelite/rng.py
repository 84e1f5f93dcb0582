"""Random numbers as a pure function of (seed, key), so that a run can stop and go on anywhere.

Nothing draws from a stream that others share. A layer asks for the generator of its own seed and
of how far it has come (`Layer.position`), so a resumed run needs only the seed and one number per
layer to draw what the uninterrupted run would have drawn, whatever threads prefetch its data.
"""

import math
import secrets
from typing import Any

import numpy as np

from .types import Shape

_root: int | None = None  # set by set_random_seed; None: unpredictable
_seeds_taken = 0


def set_random_seed(seed: int) -> None:
    """Make everything built from now on repeatable: fillers, dropout, data order (seed >= 0)."""
    global _root, _seeds_taken
    _root, _seeds_taken = int(seed), 0


def next_seed() -> int:
    """The seed of the next net: from `set_random_seed` and a running number, else from the OS."""
    global _seeds_taken
    if _root is None:
        return secrets.randbits(63)
    _seeds_taken += 1
    return derive(_root, _seeds_taken)


def derive(seed: int, *key: int) -> int:
    """A 64-bit seed for the part of `seed`'s owner that the numbers `key` name."""
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0])


def uniform(
    random: np.random.Generator, low: float, high: float, shape: Shape | None = None
) -> Any:
    """U[low, high) of a numpy Generator, for which -0.0 is below 0.0, and an error."""
    return random.uniform(low + 0.0, high + 0.0, shape)


def rows(random: np.random.Generator, shape: Shape, rank: int, size: int) -> Any:
    """Numbers from 0 to below 1, of a shape, float32: rows rank, rank + size, rank + 2 size, ...
    of what `random` gives for `size` times as many rows. Those between are passed over unmade.
    """
    if size == 1:
        return random.random(shape, np.float32)
    bits = random.bit_generator
    assert isinstance(bits, np.random.PCG64)  # as `generator` makes them
    found, start = np.empty(shape, np.float32), bits.state
    many = math.prod(shape[1:])
    for k, row in enumerate(found.reshape(len(found), many)):
        before = (rank + k * size) * many
        bits.state = start
        bits.advance(before // 2)  # a draw of 64 bits makes two numbers
        made = random.random(before % 2 + many, np.float32)
        row[...] = made[before % 2 :]
    return found


def generator(seed: int, *key: int) -> np.random.Generator:
    """The numpy Generator that belongs to (seed, key): the same one each time it is asked for."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
