"""A language model of characters: two layers of LSTM, and which character comes next."""

from functools import partial

from caffelite.models.text import CHARACTERS, LanguageModel, language_model, lstm, streams

UNITS = 256


def net(n):
    language_model(n, "lstm", partial(lstm, UNITS), CHARACTERS, embedded=64, units=UNITS, ratio=0.2)


program = LanguageModel("char-lstm", net, streams("text"))
