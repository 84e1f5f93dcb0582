"""A language model of characters: two layers of RNN, and which character comes next."""

from caffelite.models.text import CHARACTERS, LanguageModel, by_units, language_model, streams
from caffelite.net_spec import layers as L

UNITS = 256


def rnn(bottom, cont):
    """Units whose output is their state."""
    options = {"num_output": UNITS, "weight_filler": by_units(UNITS), "output_hidden": True}
    return L.RNN(bottom, cont, recurrent_param=options)


def net(n):
    language_model(n, "rnn", rnn, CHARACTERS, embedded=64, units=UNITS, ratio=0.2)


program = LanguageModel("char-rnn", net, streams("text"))
