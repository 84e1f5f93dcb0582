"""A recurrent net wired in five ways: what comes in at each step, and what is to be said at which.

What comes in is a digit of 8 x 8 pixels, whole in one step, or row by row in eight; after it come
zeros. What is said is which digit it is, or its English name, a letter a step: letters are numbered
in the order of the alphabet, of those that names have, from 1; 0 ends a name, -1 fills it up.
"""

from caffelite.models.blocks import XAVIER, constant
from caffelite.models.program import Program, Samples
from caffelite.net_spec import layers as L
from caffelite.proto.caffe_pb2 import TEST

BATCH = 36  # of training and of tests, since the zeros and cont are as many
SIDE, DIGITS, LETTERS, SYMBOLS, UNITS = 8, 10, 6, 16, 64
NAMES = "models/course/wirings/names.txt"

WIRINGS = {
    "one_to_one": dict(rows=1),
    "one_to_many": dict(rows=1, spelled=True),
    "many_to_one": dict(rows=SIDE, first=SIDE - 1),
    "many_to_many": dict(rows=SIDE),
    "many_to_many_delayed": dict(rows=SIDE, first=SIDE, spelled=True),
}


def wired(n, rows, first=0, spelled=False, names=NAMES):
    """A digit comes in one row a step; from the step `first` on, each step has an answer."""
    answers = LETTERS if spelled else rows - first
    x, cont = _steps(n, rows, first + answers)
    options = {"num_output": UNITS, "output_hidden": True, "weight_filler": XAVIER}
    n.h = L.RNN(x, cont, recurrent_param=options)
    if first:
        n.before, n.said = L.Slice(n.h, axis=0, slice_point=first, ntop=2)
        n.unused = L.Silence(n.before, ntop=0)
    n.scores = L.InnerProduct(
        n.said if first else n.h,
        axis=2,
        num_output=SYMBOLS if spelled else DIGITS,
        weight_filler=XAVIER,
    )
    bottoms = n.scores, _name(n, names) if spelled else _class(n, answers)
    ignored = {"ignore_label": -1} if spelled else {}
    loss_param = {"loss_param": ignored} if spelled else {}
    n.loss = L.SoftmaxWithLoss(*bottoms, softmax_param={"axis": 2}, **loss_param)
    n.accuracy = L.Accuracy(*bottoms, axis=2, include={"phase": TEST}, **ignored)


def _steps(n, rows, steps):
    """x, steps x digits x values, and cont, which is 0 at the first step and 1 at the others."""
    values = SIDE * SIDE // rows
    n.rows = L.Reshape(n.data, shape={"dim": [-1, rows, values]})
    x = n.digit = L.Permute(n.rows, order=[1, 0, 2])
    if steps > rows:
        n.nothing = L.DummyData(shape={"dim": [steps - rows, BATCH, values]})
        x = n.x = L.Concat(n.digit, n.nothing, axis=0)
    cont = n.begins = L.DummyData(shape={"dim": [1, BATCH]})
    if steps > 1:
        n.goes_on = L.DummyData(shape={"dim": [steps - 1, BATCH]}, data_filler=constant(1))
        cont = n.cont = L.Concat(n.begins, n.goes_on, axis=0)
    return x, cont


def _class(n, answers):
    """The digit itself, as often as it is asked for."""
    n.digit_of_each = L.Reshape(n.label, shape={"dim": [1, -1]})
    n.wanted = L.Tile(n.digit_of_each, axis=0, tiles=answers)
    return n.wanted


def _name(n, names):
    """The letters of its name, which a table has."""
    n.letters = L.Embed(
        n.label,
        input_dim=DIGITS,
        num_output=LETTERS,
        bias_term=False,
        weight_filler={"type": "file", "file": names},
        param={"lr_mult": 0, "decay_mult": 0},
    )
    n.wanted = L.Permute(n.letters, order=[1, 0])
    return n.wanted


class Wirings(Program):
    """Several nets for training, of one program."""

    def files(self):
        texts = {}
        for name, options in WIRINGS.items():
            self.name, self.net = name, lambda n, of=options: wired(n, **of)
            texts[f"{name}.prototxt"] = self._text("train_val")
        return texts


SAMPLES = Samples(
    "data/digits_train_lmdb", "data/digits_test_lmdb", (BATCH, BATCH), {"scale": 1 / 16}, "digits"
)
program = Wirings("wirings", wired, SAMPLES, ())
