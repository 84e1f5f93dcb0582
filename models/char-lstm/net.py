"""A language model of characters: two layers of LSTM, and which character comes next."""

from caffelite.models.text import CHARACTERS, LanguageModel, by_units, language_model, streams
from caffelite.net_spec import layers as L

UNITS = 256


def lstm(bottom, cont):
    """Units that begin by remembering."""
    options = {"num_output": UNITS, "weight_filler": by_units(UNITS), "forget_bias": 1}
    return L.LSTM(bottom, cont, recurrent_param=options)


def net(n):
    language_model(n, "lstm", lstm, CHARACTERS, embedded=64, units=UNITS, ratio=0.2)


program = LanguageModel("char-lstm", net, streams("text"))
