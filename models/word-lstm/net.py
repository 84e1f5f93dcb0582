"""A language model of words: two layers of LSTM, and which word comes next."""

from functools import partial

from caffelite.models.text import WORDS, LanguageModel, language_model, lstm, streams

UNITS = 256


def net(n):
    language_model(n, "lstm", partial(lstm, UNITS), WORDS, embedded=128, units=UNITS, ratio=0.5)


program = LanguageModel("word-lstm", net, streams("words"))
