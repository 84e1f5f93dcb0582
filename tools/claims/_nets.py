"""Small nets that several experiments train; they end with 10 scores unless told otherwise."""

from caffelite.models import blocks
from caffelite.models.blocks import XAVIER
from caffelite.net_spec import layers as L


def conv_net(n, act=L.ReLU, fill=XAVIER, classes=10, learns=(1, 1, 1, 1), end=""):
    """Features, and scores of them; `learns` multiplies the rates of the layers."""
    *below, last = learns
    top = conv_features(n, act, fill, below)
    n[f"scores{end}"] = blocks.dense(top, classes, fill, param=_rates(last))
    blocks.classify(n, n[f"scores{end}"])


def conv_features(n, act=L.ReLU, fill=XAVIER, learns=(1, 1, 1)):
    """Two 3 x 3 convolutions with pooling, a dense layer."""
    n.conv1 = blocks.conv(n.data, 16, 3, fill, pad=1, param=_rates(learns[0]))
    n.act1 = act(n.conv1, in_place=True)
    n.pool1 = blocks.max_pool(n.act1, 2, 2)
    n.conv2 = blocks.conv(n.pool1, 32, 3, fill, pad=1, param=_rates(learns[1]))
    n.act2 = act(n.conv2, in_place=True)
    n.pool2 = blocks.max_pool(n.act2, 2, 2)
    n.ip1 = blocks.dense(n.pool2, 64, fill, param=_rates(learns[2]))
    n.act3 = act(n.ip1, in_place=True)
    return n.act3


def _rates(factor):
    return [{"lr_mult": factor}, {"lr_mult": factor}]


def dense_net(n, depth, width=64, fill=XAVIER, act=L.ReLU, normalized=False, drop=0):
    """`depth` dense layers with activations, then the scores."""
    top = n.data
    for i in range(1, depth + 1):
        top = n[f"ip{i}"] = blocks.dense(top, width, fill, param=[])
        if normalized:
            top = blocks.normalize(n, (f"bn{i}", f"scale{i}"), top)
        top = n[f"act{i}"] = act(top, in_place=True)
        if drop:
            top = n[f"drop{i}"] = blocks.dropout(top, drop)
    n.scores = blocks.dense(top, 10, fill, param=[])
    blocks.classify(n, n.scores)


def reading(n, kind, steps, values, units, classes=10, **options):
    """Samples read in steps of some values by an RNN, LSTM or GRU, whose last state is scored."""
    n.state = last_state(n, kind, steps, values, units, **options)
    n.scores = blocks.dense(n.state, classes, XAVIER, param=[])
    blocks.classify(n, n.scores)


def last_state(n, kind, steps, values, units, **options):
    """What an RNN, LSTM or GRU knows that has read samples in steps of some values."""
    n.sequence = L.Reshape(n.data, shape={"dim": [-1, steps, values]})
    n.x = L.Permute(n.sequence, order=[1, 0, 2])
    n.h = recurrent(kind, n.x, goes_on(n, n.x), units, **options)
    n.early, n.last = L.Slice(n.h, axis=0, slice_point=steps - 1, ntop=2)
    n.unused = L.Silence(n.early, ntop=0)
    return L.Reshape(n.last, shape={"dim": [-1, units]})


def recurrent(kind, x, cont, units, **options):
    """An RNN, LSTM or GRU with Xavier's first weights."""
    message = "gru_param" if kind == "GRU" else "recurrent_param"
    options = {"num_output": units, "weight_filler": XAVIER, **options}
    return getattr(L, kind)(x, cont, **{message: options})


def goes_on(n, x):
    """cont of x, steps x samples x values: 0 at the first step and 1 at the others."""
    n.zeros = L.Reduction(x, axis=2, coeff=0)
    n.begins, n.rest = L.Slice(n.zeros, axis=0, slice_point=1, ntop=2)
    n.goes_on = L.Power(n.rest, shift=1)
    n.cont = L.Concat(n.begins, n.goes_on, axis=0)
    return n.cont
