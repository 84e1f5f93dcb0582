"""Bits per symbol of an n-gram on a held-out text, and beside it of a net that was trained on it.

    caffelite dataset text --out data
    python tools/ngram.py data/text
    python tools/ngram.py data/text --model models/char-lstm/train_val.prototxt --weights W

Both are asked for each symbol of the texts for testing, their ends included, and know the symbols
of its text before it: the net all of them, an n-gram the n - 1 last ones. The n-gram is that of
Witten and Bell (1991), interpolated: with c(h) symbols seen behind a context h, T(h) different ones
among them, and h' the context without its first symbol,

    P(s | h) = (c(h s) + T(h) P(s | h')) / (c(h) + T(h)),

and below the empty context stands 1 / V, V being the size of the vocabulary.
"""

import argparse
import math
import platform
import sys
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

from caffelite.data.datum import DatumSource  # noqa: E402
from caffelite.data.text import Vocabulary  # noqa: E402

ORDERS = range(1, 7)


class WittenBell:
    """P(symbol | the order - 1 symbols before it), of texts of symbols; see this module."""

    def __init__(self, texts, order, size):
        self.order, self.size = order, size
        self.counts = defaultdict(Counter)  # of symbols, by the context before them
        for text in texts:
            for place, symbol in enumerate(text[1:], 1):
                for start in range(max(0, place - order + 1), place + 1):
                    self.counts[text[start:place]][symbol] += 1
        self.totals = {context: sum(found.values()) for context, found in self.counts.items()}

    def probability(self, symbol, context):
        p = 1 / self.size
        for start in range(len(context), -1, -1):
            found = self.counts.get(context[start:])
            if not found:
                break
            different = len(found)
            p = (found[symbol] + different * p) / (self.totals[context[start:]] + different)
        return p

    def bits(self, texts, order=None):
        """The mean of -log2 P over the symbols of texts, the first of each, its start, left out."""
        order, total, count = order or self.order, 0.0, 0
        for text in texts:
            for place, symbol in enumerate(text[1:], 1):
                context = text[max(0, place - order + 1) : place]
                total -= math.log2(self.probability(symbol, context))
                count += 1
        return total / count


def texts(path):
    """The texts in a database of streams, each a tuple of numbers between two ends, 0."""
    import numpy as np

    source = DatumSource(str(path))
    steps = np.stack([source.sample(k)[0][:, :, 0] for k in range(len(source))])
    source.close()
    labels = steps[:, 2].T.reshape(-1).astype(int)
    found, text = [], [0]
    for symbol in labels[labels >= 0].tolist():
        text.append(symbol)
        if symbol == 0:
            found.append(tuple(text))
            text = [0]
    return found


def of_net(model, weights):
    """Bits per symbol of a net on the data of its phase TEST, as `caffelite test` counts them."""
    import caffelite
    from caffelite.measures import Batch, of_net
    from caffelite.measures.perplexity import Perplexity

    net = caffelite.Net(str(model), str(weights), caffelite.TEST)
    (measure,) = of_net(net, [Perplexity])
    source = next(layer for layer in net.layers if layer.role == "source")
    for _ in range(source.pass_size // source.options.batch_size):
        measure.add(Batch.run(net))
    return measure.report()["bits_per_symbol"]


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("streams", help="data/text or data/words, of `caffelite dataset text`")
    parser.add_argument("--model", help="a net with its data, to ask, too")
    parser.add_argument("--weights", help="its weights")
    args = parser.parse_args(argv)
    parts = [texts(f"{args.streams}_{part}_lmdb") for part in ("train", "test")]
    size = len(Vocabulary.read(f"{args.streams}_vocabulary.txt"))
    model = WittenBell(parts[0], max(ORDERS), size)
    counts = [f"{len(p)} texts of {sum(map(len, p)) - len(p)} symbols" for p in parts]
    print(f"Python {platform.python_version()}; {' and '.join(counts)}; {size} in the vocabulary")
    found = {}
    for order in ORDERS:
        found[f"{order}-gram"] = model.bits(parts[1], order)
    if args.model:
        found[Path(args.model).parent.name or args.model] = of_net(args.model, args.weights)
    for name, bits in found.items():
        print(f"{name:<12}{bits:8.4f} bits per symbol, perplexity {2**bits:.4g}")
    return found


if __name__ == "__main__":
    main()
