"""A language model of words: two layers of LSTM, and which word comes next."""

from caffelite.models.text import WORDS, LanguageModel, by_units, language_model, streams
from caffelite.net_spec import layers as L

UNITS = 256


def lstm(bottom, cont):
    """Units that begin by remembering."""
    options = {"num_output": UNITS, "weight_filler": by_units(UNITS), "forget_bias": 1}
    return L.LSTM(bottom, cont, recurrent_param=options)


def net(n):
    language_model(n, "lstm", lstm, WORDS, embedded=128, units=UNITS, ratio=0.5)


program = LanguageModel("word-lstm", net, streams("words"))
