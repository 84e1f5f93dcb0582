"""A language model of characters: two layers of GRU, and which character comes next."""

from caffelite.models.text import CHARACTERS, LanguageModel, by_units, language_model, streams
from caffelite.net_spec import layers as L

UNITS = 256


def gru(bottom, cont):
    """Units as cuDNN and PyTorch have them."""
    options = {"num_output": UNITS, "weight_filler": by_units(UNITS), "reset_after": True}
    return L.GRU(bottom, cont, gru_param=options)


def net(n):
    language_model(n, "gru", gru, CHARACTERS, embedded=64, units=UNITS, ratio=0.2)


program = LanguageModel("char-gru", net, streams("text"))
