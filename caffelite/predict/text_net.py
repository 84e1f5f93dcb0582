"""Nets that say which symbol of a text comes next, run step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .. import rng
from ..data.text import END, UNKNOWN, Vocabulary
from ..errors import DataError, NetError
from ..layers.recurrent._recurrent import Recurrent
from ..layers.utility.softmax import Softmax
from ..net import Net
from ..net.unsplit import without_splits
from ..types import Array


def cont_of(net: Net) -> str | None:
    """The input by which layers that carry on a state are told that a text begins, or None."""
    asked = {
        bottoms[1]
        for node, bottoms in without_splits(net.nodes)
        if isinstance(node.layer, Recurrent) and node.layer.carried and len(bottoms) > 1
    }
    return next((name for name in net.inputs if name in asked), None)


class Symbol(NamedTuple):
    """One that was generated, and how likely the net held it for: log2 of its probability."""

    symbol: str
    log2: float


def encode(symbols: Sequence[str], vocabulary: Vocabulary, what: str, name: str) -> list[int]:
    """The numbers of symbols; of one that is not in the vocabulary, `what` and `name` are told."""
    for place, symbol in enumerate(symbols, 1):
        if symbol not in vocabulary.numbers:
            kind = "word" if vocabulary.words else "character"
            raise DataError(
                f"{what}: {kind} {place}, {symbol!r}, is not in the vocabulary {name}: "
                "the net has not seen it; leave it out"
            )
    return [vocabulary.numbers[symbol] for symbol in symbols]


class TextNet:
    """A net that is fed symbols and their cont, steps x streams, and says which symbol comes next.

    It ends in a Softmax over symbols, steps x streams x symbols. What it knows of the symbols
    before is what its layers carry on, so that each symbol costs one step. UNKNOWN never comes
    next; where it is END, the text ends.

    Parameters
    ----------
    net : with its weights, in phase TEST
    vocabulary : the symbols, by their numbers
    name : what messages call the vocabulary
    about : another input, of what texts are about: see `tell`
    """

    def __init__(
        self,
        net: Net,
        vocabulary: Vocabulary,
        name: str = "the vocabulary",
        about: str | None = None,
    ) -> None:
        self.net, self.vocabulary, self.name, self.about = net, vocabulary, name, about
        cont, self.output = cont_of(net), net.outputs[-1]
        symbols = [name for name in net.inputs if name not in (cont, about)]
        if cont is None or len(symbols) != 1:
            raise NetError(
                "the net: expected two inputs, symbols and cont, and a recurrent layer that "
                f"carries on its state; found the inputs {', '.join(net.inputs) or 'none'}"
            )
        self.cont, self.input = cont, symbols[0]
        maker = next(node.layer for node in reversed(net.nodes) if self.output in node.top_names)
        if maker.applies != Softmax.type:
            raise maker.error("expected a Softmax of axis 2 at the end, for probabilities")
        self._take_streams(1)
        shape = net.blobs[self.output].shape
        if len(shape) != 3 or shape[2] < len(vocabulary):
            raise maker.error(
                f'its top "{self.output}" has the shape {shape}, expected (1, 1, '
                f"{len(vocabulary)}) or more symbols: so many are in {name}"
            )

    def tell(self, row: Array) -> None:
        """What the next texts are about: a row of the input `about`, which each stream sees."""
        self._row = row

    def encode(self, symbols: Sequence[str]) -> list[int]:
        """Their numbers; one that is not in the vocabulary is an error."""
        return encode(symbols, self.vocabulary, "the start", self.name)

    def likeliest(self, start: Sequence[str], length: int, width: int) -> list[Symbol]:
        """Up to `length` symbols behind `start`: by a beam; if it is 1, each the likeliest."""
        if width == 1:
            return list(self.sample(start, length, temperature=0))
        return self.beam(start, length, width)

    def sample(
        self, start: Sequence[str], length: int, temperature: float = 1, seed: int = 0
    ) -> Iterator[Symbol]:
        """Up to `length` symbols behind `start`, each drawn from p^(1 / temperature) / Z.

        At temperature 0 it is the most likely one. Where the text ends, so do they.
        """
        logs = self._begin(start, 1)[0]
        for place in range(length):
            number = self._draw(logs, temperature, rng.generator(seed, place))
            if number == self.vocabulary.numbers[END]:
                return
            yield Symbol(self.vocabulary.symbols[number], float(logs[number] / np.log(2)))
            logs = self._step([number])[0]

    @staticmethod
    def _draw(logs: Array, temperature: float, random: np.random.Generator) -> int:
        if temperature == 0:
            return int(logs.argmax())
        scaled = logs / temperature
        p = np.exp(scaled - scaled.max())
        return int(random.choice(len(p), p=p / p.sum()))

    def beam(self, start: Sequence[str], length: int, width: int) -> list[Symbol]:
        """The likeliest text of up to `length` symbols behind `start`, of those that it looks at.

        At each step these are the `width` likeliest ones. In the end, and of texts that have ended
        before, the mean of log p over symbols tells which one is the likeliest.
        """
        self.refuse_beam(width)
        if length == 0:
            return []
        logs = self._begin(start, width)[:1]
        totals, ended = np.zeros(1), []
        texts: list[tuple] = [()]  # of (number, log p) of their symbols
        for _ in range(length):
            sums = totals[:, None] + logs
            best = np.argsort(-sums, axis=None, kind="stable")[:width]
            best = best[np.isfinite(sums.ravel()[best])]
            parents, numbers = np.unravel_index(best, sums.shape)
            texts = [(*texts[p], (k, logs[p, k])) for p, k in zip(parents, numbers, strict=True)]
            totals = sums.ravel()[best]
            goes_on = numbers != self.vocabulary.numbers[END]
            ended += [(totals[i] / len(texts[i]), texts[i][:-1]) for i in np.flatnonzero(~goes_on)]
            if not goes_on.any():
                texts = []
                break
            texts = [text for text, on in zip(texts, goes_on, strict=True) if on]
            parents, numbers, totals = parents[goes_on], numbers[goes_on], totals[goes_on]
            logs = self._step(numbers, parents)[: len(texts)]
        found = ended + [(t / len(text), text) for t, text in zip(totals, texts, strict=False)]
        text = max(found, key=lambda one: one[0])[1]
        return [Symbol(self.vocabulary.symbols[k], float(log / np.log(2))) for k, log in text]

    def refuse_beam(self, width: int) -> None:
        """Raise a DataError if there are fewer symbols than a beam is wide."""
        if width > len(self.vocabulary):
            raise DataError(
                f"a beam of {width} is wider than {self.name} has symbols, {len(self.vocabulary)}: "
                "give at most so many"
            )

    # The net

    def _take_streams(self, count: int) -> None:
        for name in (self.input, self.cont):
            self.net.blobs[name].reshape(1, count)
        if self.about is not None:
            blob = self.net.blobs[self.about]
            blob.reshape(count, *blob.shape[1:])
        self.net.reshape()

    def _begin(self, start: Sequence[str], streams: int) -> Array:
        """log p of what comes behind `start`, streams x symbols."""
        numbers = self.encode(start)
        self._take_streams(streams)
        if self.about is not None:
            self.net.blobs[self.about].data[...] = self._row
        self.net.blobs[self.cont].data[...] = 0
        logs = self._step([self.vocabulary.numbers[END]] * streams)
        self.net.blobs[self.cont].data[...] = 1
        for number in numbers:
            logs = self._step([number] * streams)
        return logs

    def _step(self, numbers: Sequence[int], parents: Sequence[int] | None = None) -> Array:
        """log p behind one more symbol of each stream, which goes on from stream `parents`."""
        if parents is not None:
            for layer in self.net.layers:
                for blob in layer.carried:
                    blob.data[0, : len(parents)] = blob.data[0, parents]
        self.net.blobs[self.input].data[0, : len(numbers)] = numbers
        self.net._forward(0, len(self.net.nodes) - 1)
        p = self.net.blobs[self.output].data[0, :, : len(self.vocabulary)].astype(np.float64)
        p[:, self.vocabulary.numbers[UNKNOWN]] = 0
        with np.errstate(divide="ignore"):
            return np.log(p / p.sum(axis=1, keepdims=True))
