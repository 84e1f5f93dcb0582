"""How well a net knows which symbol comes next."""

import math
import sys

from .accuracy import Accuracy
from .base import register

MOST = math.log(sys.float_info.max)


def _exp(nats):
    return math.exp(nats) if nats < MOST else math.inf


@register("perplexity")
class Perplexity(Accuracy):
    """Scores of the next symbol against it, step by step: bits for each symbol, and perplexity.

    bits = -mean log2 p(symbol), perplexity = 2^bits, over all steps of all streams whose label
    counts; a symbol is what the data have: of characters, these are bits per character.
    """

    where = "steps x streams x symbols, by a softmax of axis 2"
    shown = ("bits_per_symbol", "perplexity", "top_1", "top_5")
    falling = ("bits_per_symbol", "perplexity")

    @classmethod
    def suits(cls, layer, shapes, maker):
        return getattr(layer.options, "axis", 1) == 2 and len(shapes[0]) == 3

    def report(self):
        report = super().report()
        nats = report.get("cross_entropy")
        if nats is not None:
            report |= {"bits_per_symbol": nats / math.log(2), "perplexity": _exp(nats)}
        return report
