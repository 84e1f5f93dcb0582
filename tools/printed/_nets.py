"""What a net of the zoo has, as decks count it."""

import math
import re
from functools import cache, partial
from pathlib import Path

import caffelite
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L

MODELS = Path(__file__).parent.parent.parent / "models"

WEIGHING = ("Convolution", "InnerProduct")


@cache
def zoo(name):
    """The net of a folder of models/, from input to output."""
    return caffelite.Net(str(MODELS / name / "deploy.prototxt"), caffelite.TEST)


def nodes(net, start=""):
    """Those whose layers are called so, or whose names start so if that is the name of none."""
    named = [node for node in net.nodes if node.layer.name == start]
    found = named or [node for node in net.nodes if node.layer.name.startswith(start)]
    assert found, f"no layer is called {start}, and no name starts so"
    return found


def facts(net, layer, convolution="", pooling="", other=""):
    """What a deck's table says of a layer, in the order of the words that go for its type.

    Sizes are (height, width, maps), as decks write them.
    """
    node = nodes(net, layer)[0]
    bottoms, (top, *_) = node.shapes
    known = {"size": (*top[2:], top[1]), "outputs": top[1]}
    for bottom in bottoms[:1]:
        known |= {"sees": (*bottom[2:], bottom[1]), "sides": bottom[2:], "inputs": bottom[1]}
    if node.layer.type == "InnerProduct":
        known |= {"sides": (), "inputs": math.prod(bottom[1:])}
    words = {"Convolution": convolution, "Pooling": pooling}.get(node.layer.type, other)
    if node.layer.type in ("Convolution", "Pooling"):
        kernel = getattr(node.layer, "kernel", known["sides"])  # a global pool has none
        known |= {"kernel": kernel, "stride": node.layer.stride[0], "pad": node.layer.pad[0]}
    return [known[word] for word in words.split()]


def size(net, layer):
    """(height, width, maps) of what a layer has, or the number of its values."""
    return facts(net, layer, "size", "size", "size")[0]


def outputs(net, layer):
    """How many maps or values a layer has."""
    return nodes(net, layer)[0].top_blobs[0].shape[1]


def count(net, start="", statistics=False):
    """Values that are learned, or with `statistics` those that BatchNorm and BN keep, too."""
    return sum(
        blob.count
        for node in nodes(net, start)
        for name, blob in zip(node.layer.blob_names, node.layer.blobs, strict=True)
        if statistics or name not in node.layer.statistics
    )


def weights(net, start=""):
    """Those of convolutions and dense layers, without their biases."""
    return sum(node.layer.blobs[0].count for node in nodes(net, start) if weighs(node))


def multiply_adds(net, start=""):
    """Of one sample: an input of several steps has more rows than samples."""
    of_batch = sum(node.layer.macs(*node.shapes) for node in nodes(net, start))
    samples = min(net.blobs[name].shape[0] for name in net.inputs)
    each, rest = divmod(int(of_batch), samples)
    assert not rest
    return each


def weighs(node):
    """Whether the layer has weights that are learned, of a window or of all values."""
    specs = node.layer.param.param
    stays = specs and not any(spec.lr_mult for spec in specs)
    others = "Deconvolution", "Embed", "RNN", "LSTM", "GRU"
    return node.layer.type in (*WEIGHING, *others) and not stays


def reached(net):
    """{blob: layers with weights on the longest path to it}."""
    found = {}
    for node in net.nodes:
        below = max((found[name] for name in node.bottom_names), default=0)
        found.update(dict.fromkeys(node.top_names, below + weighs(node)))
    return found


def depth(net, start=""):
    """Layers with weights on the longest path, through all of the net or part of it."""
    found, part = reached(net), nodes(net, start)
    below = [found[name] for node in part for name in node.bottom_names]
    return max(found[name] for node in part for name in node.top_names) - min(below)


def of_type(net, *types):
    """Names of layers."""
    return [node.layer.name for node in net.nodes if node.layer.type in types]


def error(name, top):
    """In percent: what the accuracy of a card, "top-1 59.4 %", leaves."""
    (accuracy,) = re.findall(rf"^accuracy: .*?top-{top} ([\d.]+) %", card(name), re.M)
    return round(100 - float(accuracy), 2)


def card(name):
    return (MODELS / name / "readme.md").read_text()


# Layers that are in no net of the zoo


def chain(size, *layers):
    """A net of layers, each a function of its bottom, from an input (height, width, maps).

    They are called 1, 2, 3. Nothing is allocated, so the layers may be of any size.
    """
    *sides, maps = size
    n = NetSpec()
    top = n.data = L.Input(shape={"dim": [1, maps, *sides]})
    for number, layer in enumerate(layers, 1):
        top = n[str(number)] = layer(top)
    return caffelite.Net(n.to_proto(), caffelite.TEST)


def conv(num_output, kernel_size, **options):
    """A convolution that keeps the size of the map, if no other pad is given."""
    options = {"pad": kernel_size // 2, **options}
    return partial(L.Convolution, num_output=num_output, kernel_size=kernel_size, **options)


def pool(kernel_size, **options):
    return partial(L.Pooling, kernel_size=kernel_size, **options)


def dense(num_output):
    return partial(L.InnerProduct, num_output=num_output)
