"""numbers and dates in words, and in digits: what one net reads, and writes

Half of the pairs are numbers of one to six digits, half are dates from 1900 to 2099:

  three hundred and twelve thousand and five           312005
  the third of march nineteen ninety eight             1998-03-03
  march the third two thousand and five                2005-03-03

--count pairs are for training, 20,000 if nothing else is said, and a tenth of that for testing, of
other numbers and other dates. They become, for PART train and test:

  OUT/number_PART_lmdb              the words: records as `caffelite dataset text --padded 12
                                    --fill-before --words` makes them
  OUT/number_PART_digits_lmdb       the digits: as `caffelite dataset text --padded 11` makes them
  OUT/number_PART_pairs.txt         both: a line each, with a tab between them
  OUT/number_words_vocabulary.txt   the symbols of the one,
  OUT/number_digits_vocabulary.txt  ... and of the other

All are the same ones always.
"""

from . import Option

OPTIONS = {"count": Option("samples for training", int, least=10, most=100_000)}
WHAT = "pairs"
PARTS = "train", "test", "train_digits", "test_digits"
COUNT = 20_000
STEPS = 12, 11  # of words and of digits, with an end each


def parts(count=None):
    """{"train": words, "train_digits": digits, ...}, in which pairs lie in the same order."""
    from ..text import Sequences
    from ._number_words import pairs

    texts, found = pairs(count or COUNT), {}
    sides = zip(("", "_digits"), STEPS, _vocabularies(texts), strict=True)
    for side, (ending, steps, vocabulary) in enumerate(sides):
        for part, some in texts.items():
            own = [pair[side] for pair in some]
            name = f"number_{part}{ending}"
            found[part + ending] = Sequences(name, own, vocabulary, steps, fill_before=not side)
    return {name: found[name] for name in PARTS}


def _vocabularies(texts):
    """That of the words, and that of the digits."""
    from ..text import Vocabulary

    return [Vocabulary.of([pair[side] for pair in texts["train"]]) for side in range(2)]


def files(parts):
    """{name: chunks of bytes} of what stands beside the databases."""
    from ._number_words import pairs

    texts = pairs(len(parts["train"]))
    found = {
        f"{part}_pairs.txt": [
            f"{' '.join(words.symbols)}\t{''.join(digits.symbols)}\n".encode()
            for words, digits in some
        ]
        for part, some in texts.items()
    }
    names = "words_vocabulary.txt", "digits_vocabulary.txt"
    return found | {
        name: [one.content()] for name, one in zip(names, _vocabularies(texts), strict=True)
    }
