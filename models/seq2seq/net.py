"""An encoder reads numbers and dates in words, a decoder writes them in digits.

Wired as the encoder-decoder of Cho and others 2014, of LSTM: the decoder sees at each step what the
encoder knows when it has read all words.
"""

from dataclasses import dataclass

from caffelite.models.blocks import uniform
from caffelite.models.program import Program, Samples, without_training
from caffelite.models.text import by_units, lstm, sequences
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.proto.caffe_pb2 import TEST, NetParameter

WORDS, DIGITS = 96, 16  # most symbols; there are 68, and 13 of the digits
STEPS = 12, 11  # of the longest, with its end
EMBEDDED, UNITS = 64, 256


@dataclass
class Pairs:
    """Texts that are read, and those that are to be said, which lie in the same order."""

    batch_sizes: tuple = (64, 100)

    def layer(self, phase):
        return self._texts("words", "").layer(phase) | self._texts("digits", "_digits").layer(phase)

    def _texts(self, name, ending):
        sources = (f"data/number_{part}{ending}_lmdb" for part in ("train", "test"))
        return Samples(*sources, self.batch_sizes, name=name, tops=(name,))


@dataclass
class EncoderDecoder(Program):
    """A net whose deploy.prototxt takes a text at once, and says one symbol after the other."""

    def deploy(self):
        n = NetSpec()
        n.input_words, n.cont_words = L.Input(name="words", ntop=2, shape={"dim": self.shape})
        n.input_digits, n.cont_digits = L.Input(name="digits", ntop=2, shape={"dim": (1, 1)})
        self.net(n)
        return NetParameter(name=self.name, layer=map(without_training, n.to_proto().layer))


def net(n):
    trained = "words" in n.tops
    if trained:
        n.input_words, n.cont_words, n.next_words = sequences(n, "words", STEPS[0])
        n.input_digits, n.cont_digits, n.target_digits = sequences(n, "digits", STEPS[1])
        n.unused = L.Silence(n.next_words, ntop=0)
    n.embedded_words = _embed(n.input_words, WORDS)
    n.encoder = lstm(UNITS, n.embedded_words, n.cont_words)
    n.before, n.last = L.Slice(n.encoder, name="last", axis=0, slice_point=STEPS[0] - 1, ntop=2)
    n.unused_before = L.Silence(n.before, ntop=0)
    n.summary = L.Reshape(n.last, shape={"dim": [-1, UNITS]})
    n.embedded_digits = _embed(n.input_digits, DIGITS)
    n.decoder = lstm(UNITS, n.embedded_digits, n.cont_digits, n.summary)
    n.scores = L.InnerProduct(n.decoder, axis=2, num_output=DIGITS, weight_filler=by_units(UNITS))
    if trained:
        bottoms, ignored = (n.scores, n.target_digits), {"ignore_label": -1}
        n.loss = L.SoftmaxWithLoss(*bottoms, softmax_param={"axis": 2}, loss_param=ignored)
        n.accuracy = L.Accuracy(*bottoms, axis=2, include={"phase": TEST}, **ignored)
    else:
        n.probs = L.Softmax(n.scores, axis=2)


def _embed(numbers, symbols):
    options = {"bias_term": False, "weight_filler": uniform(0.1)}
    return L.Embed(numbers, input_dim=symbols, num_output=EMBEDDED, **options)


program = EncoderDecoder("seq2seq", net, Pairs(), (STEPS[0], 1))
