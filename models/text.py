"""What nets share that say which symbol of a text comes next: the streams, and the end.

Streams are those of `caffelite dataset text`. Blobs are steps x streams: "data" has the number of
the symbol that is seen, "cont" is 0 where a text begins, else 1, and "label" has the number of the
symbol that comes next, or -1 where a stream has ended.
"""

from dataclasses import dataclass

from caffelite.models.blocks import dropout, uniform
from caffelite.models.program import Program, Samples, without_training
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.proto.caffe_pb2 import TEST, NetParameter

STEPS = 50  # that gradients go back
CHARACTERS = 128  # most symbols of a vocabulary of characters
WORDS = 4096  # ... of words: `caffelite dataset text --words --most 4096`


def streams(symbols):
    """LMDBs of "text" or "words": in a record is a step of all streams."""
    sources = (f"data/{symbols}_{part}_lmdb" for part in ("train", "test"))
    return Samples(*sources, (STEPS, STEPS), name="text", tops=("text",))


@dataclass
class LanguageModel(Program):
    """A net whose deploy.prototxt takes one step of one stream, and goes on from the one before."""

    shape: tuple = (1, 1)

    def deploy(self):
        n = NetSpec()
        n.data, n.cont = L.Input(name="data", ntop=2, shape={"dim": self.shape})
        self.net(n)
        return NetParameter(name=self.name, layer=map(without_training, n.to_proto().layer))


def sequences(n, name, steps):
    """Records of `dataset text --padded`, n[name], steps x texts: symbols, cont, what is next."""
    n[f"{name}_by_steps"] = L.Permute(n[name], order=[1, 2, 0, 3])
    n[f"{name}_steps"] = L.Reshape(n[f"{name}_by_steps"], shape={"dim": [3 * steps, -1]})
    return L.Slice(n[f"{name}_steps"], name=f"{name}_planes", axis=0, ntop=3)


def lstm(units, *bottoms):
    """A layer that starts as `by_units` says, and keeps what it knows for a while."""
    options = {"num_output": units, "weight_filler": by_units(units), "forget_bias": 1}
    return L.LSTM(*bottoms, recurrent_param=options)


def language_model(n, name, recurrent, symbols, embedded, units, ratio):
    """Two layers recurrent(bottom, cont) between the symbol that is seen and that which comes next.

    They are called `name` and a number. `ratio` is the share that dropout leaves out.
    """
    if "text" in n.tops:
        n.steps = L.Reshape(n.text, shape={"dim": [0, -1]})
        n.data, n.cont, n.label = L.Slice(n.steps, name="planes", axis=1, ntop=3)
    fill = {"bias_term": False, "weight_filler": uniform(0.1)}
    top = n.embed = L.Embed(n.data, input_dim=symbols, num_output=embedded, **fill)
    for number in (1, 2):
        n[f"{name}{number}"] = recurrent(top, n.cont)
        top = n[f"drop{number}"] = dropout(n[f"{name}{number}"], ratio)
    n.scores = L.InnerProduct(top, axis=2, num_output=symbols, weight_filler=by_units(units))
    if "label" in n.tops:
        ignored, axis = {"ignore_label": -1}, {"axis": 2}
        n.loss = L.SoftmaxWithLoss(n.scores, n.label, softmax_param=axis, loss_param=ignored)
        n.accuracy = L.Accuracy(n.scores, n.label, include={"phase": TEST}, **axis, **ignored)
    else:
        n.prob = L.Softmax(n.scores, axis=2)


def by_units(units):
    """Weights as recurrent layers of so many units start: U[-1 / sqrt(units), 1 / sqrt(units)]."""
    return uniform(units**-0.5)
