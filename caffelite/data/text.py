"""Text as streams of symbols: what nets read that say which symbol comes next.

A text is a row of symbols, characters or words, and ends with the symbol END. A net sees END first,
then each symbol of the text, and has to say the one after it. Texts lie behind one another in
streams, which are read side by side, a step at a time: see `Streams`; or each has a record of its
own, filled up to one length: see `Sequences`.
"""

import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from ..atomic import write_atomically
from ..errors import DataError
from ..proto.caffe_pb2 import Datum
from ..reading import lines
from . import hdf5
from .source import Source

END, UNKNOWN = "<end>", "<unknown>"
IGNORED = -1  # the label where a stream or a sequence has ended
PLANES = "data", "cont", "label"  # of a step

_WORDS = re.compile(r"\w+|[^\w\s]|\n")
_ESCAPED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Text(NamedTuple):
    """A text, and what messages call it."""

    name: str
    symbols: list


# Reading texts


def cut(text, words):
    """A text as a list of symbols: its characters, or words, punctuation marks and line ends."""
    return _WORDS.findall(text) if words else list(text)


def join(symbols, words):
    """A text of its symbols; of words, with spaces where most texts have them."""
    if not words:
        return "".join(symbols)
    text = re.sub(r" ?\n ?", "\n", " ".join(symbols))
    return re.sub(r" ([.,;:!?)\]}%])", r"\1", re.sub(r"([(\[{]) ", r"\1", text))


def read(paths, words=False, by_line=False):
    """[Text] of files, UTF-8; of each of their lines, with `by_line`, but for empty ones."""
    texts = []
    for path in paths:
        found = lines(path, errors="strict")
        if by_line:
            parts = [(f"{path}:{k}", line.strip()) for k, line in enumerate(found, 1)]
        else:
            parts = [(str(path), "".join(found))]
        texts += [Text(name, cut(part, words)) for name, part in parts if part.strip()]
        if not any(part.strip() for _, part in parts):
            raise DataError(f"{path}: holds no text")
    return texts


def topics(words=False):
    """[Text] of what help() of this Python says about the language, a text for each topic."""
    from pydoc_data.topics import topics

    return [Text(f"pydoc_data.topics: {name}", cut(topics[name], words)) for name in sorted(topics)]


def split(texts, share, seed):
    """{"train": texts, "test": texts}: of whole ones, in an order drawn by the seed.

    The share for testing is one of texts, of at least one where it is not 0.
    """
    random = np.random.RandomState(seed)  # unlike Generator's, its numbers are promised to stay
    order = random.permutation(len(texts))
    held_out = max(1, round(share * len(texts))) if share else 0
    if held_out >= len(texts):
        raise DataError(
            f"{texts[0].name}: {len(texts)} text, expected at least 2 to hold whole ones out for "
            "testing: give more files, --lines, where each line is a text of its own, or --test 0"
        )
    parts = {"train": order[held_out:], "test": order[:held_out]}
    return {part: [texts[k] for k in chosen] for part, chosen in parts.items() if len(chosen)}


# Symbols and their numbers


class Vocabulary:
    """Symbols by number: END is 0 and UNKNOWN 1, then the most frequent one comes first."""

    def __init__(self, symbols):
        self.symbols = list(symbols)
        self.numbers = {symbol: k for k, symbol in enumerate(self.symbols)}

    def __len__(self):
        return len(self.symbols)

    @classmethod
    def of(cls, texts, least=1, most=0):
        """Those that occur `least` times in these texts; of them, the `most` frequent, 0 for all.

        Of symbols that occur equally often, that which comes first by code points.
        """
        counts = Counter(symbol for text in texts for symbol in text.symbols)
        kept = sorted((-n, symbol) for symbol, n in counts.items() if n >= least)
        kept = kept[: most - 2] if most else kept
        return cls([END, UNKNOWN, *(symbol for _, symbol in kept)])

    @classmethod
    def read(cls, path):
        """That of a file: a line for each symbol, as `content` writes it."""
        unescaped = {text: symbol for symbol, text in _ESCAPED.items()}
        found = []
        for line in lines(path, "a vocabulary", errors="strict", newline="\n"):
            found.append(
                re.sub(r"\\.", lambda two: unescaped.get(two[0], two[0]), line.removesuffix("\n"))
            )
        if found[:2] != [END, UNKNOWN]:
            raise DataError(
                f"{path}:1: expected a vocabulary, whose first two lines are {END} and {UNKNOWN}, "
                "as `caffelite dataset text` makes it"
            )
        for number, symbol in enumerate(found, 1):
            if not symbol or found.index(symbol) + 1 != number:
                words = "is there twice" if symbol else "is empty"
                raise DataError(f"{path}:{number}: a symbol {words}; a line has one of its own")
        return cls(found)

    def content(self):
        """The bytes of a file: a line for each symbol; a line end is written as \\n."""
        escaped = ("".join(_ESCAPED.get(c, c) for c in symbol) for symbol in self.symbols)
        return "".join(f"{symbol}\n" for symbol in escaped).encode()

    @property
    def words(self):
        """Whether its symbols are words, not characters."""
        return any(len(symbol) > 1 for symbol in self.symbols[2:])

    def encode(self, symbols):
        """Their numbers, that of UNKNOWN for those that it lacks."""
        return [self.numbers.get(symbol, 1) for symbol in symbols]


# Streams and sequences


def planes(text, vocabulary):
    """3 x symbols + 1: what a net sees of a text, cont, and what comes next: see PLANES."""
    row = [0, *vocabulary.encode(text.symbols), 0]
    found = np.array([row[:-1], [1] * (len(row) - 1), row[1:]], np.float32)
    found[1, 0] = 0
    return found


class SymbolSource(Source):
    """Records of symbols; a sample is (values, 0), float32 values of the shape (3, width, 1).

    The planes are those of PLANES: the number of the symbol that a net sees, whether that goes on
    from the step before (cont: 0 where a text or a stream begins, else 1), and the number of the
    symbol that comes next. Where there is none, the net sees END, and what comes next is IGNORED.

    Parameters
    ----------
    path : the database that the records are for
    kind : what messages call a record
    found : the planes of texts
    values : records x 3 x width x 1
    """

    def __init__(self, path, kind, found, values):
        self.path, self.kind, self.values = path, kind, values
        self.symbols = sum(one.shape[1] for one in found)
        self.unknown = sum(int((one[2] == 1).sum()) for one in found)

    @staticmethod
    def room(records, width):
        """Values of so many records, as they are where there is no text."""
        values = np.zeros((records, 3, width, 1), np.float32)
        values[:, 2] = IGNORED
        return values

    def __len__(self):
        return len(self.values)

    def sample(self, number):
        return self.values[number % len(self)], 0

    def message(self, number):
        """The Datum of a record."""
        values = self.sample(number)[0]
        channels, height, width = values.shape
        return Datum(
            channels=channels, height=height, width=width, float_data=values.ravel(), label=0
        )

    def name(self, number):
        return f"{self.path}: {self.kind} {number % len(self)}"

    def write_hdf5(self, path):
        """Make an HDF5 file of the datasets PLANES, (records, width) each, and PATH's list of it.

        The list, which an HDF5Data layer reads, has the same name with .txt instead of .h5.
        """

        def fill(file):
            for plane, name in enumerate(PLANES):
                file[name] = self.values[:, plane, :, 0]

        hdf5.write_file(path, fill)
        write_atomically(f"{path.removesuffix('.h5')}.txt", f"{path}\n".encode())


class Streams(SymbolSource):
    """Texts behind one another, cut into streams of one length; a record is a step of all streams.

    Steps are a multiple of `steps`.
    """

    def __init__(self, path, texts, vocabulary, streams=32, steps=50):
        found = [planes(text, vocabulary) for text in texts]
        joined = np.concatenate(found, axis=1)
        symbols = joined.shape[1]
        if symbols < steps:
            raise DataError(
                f"{path}: its {len(texts)} texts have {symbols} symbols with their ends, "
                f"expected at least {steps}, the steps of one stream: give more text, or "
                "fewer --steps"
            )
        length = -(-symbols // streams)
        values = self.room(-(-length // steps) * steps, streams)
        for n in range(streams):
            part = joined[:, n * length : (n + 1) * length]
            values[: part.shape[1], :, n, 0] = part.T
        values[0, 1] = 0
        super().__init__(path, "step", found, values)


class Sequences(SymbolSource):
    """Texts of different lengths, each a record, filled up to so many steps.

    With `fill_before`, this is done before a text, not behind it: all end at the last step.
    """

    def __init__(self, path, texts, vocabulary, steps, fill_before=False):
        found = [planes(text, vocabulary) for text in texts]
        values = self.room(len(found), steps)
        for text, one, record in zip(texts, found, values, strict=True):
            length = one.shape[1]
            if length > steps:
                raise DataError(
                    f"{text.name}: has {length} symbols with its end, expected at most {steps}, "
                    "the steps of a sequence: give more of them by --padded"
                )
            first = steps - length if fill_before else 0
            record[:, first : first + length, 0] = one
        super().__init__(path, "text", found, values)
