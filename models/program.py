"""How a program, net.py, becomes train_val.prototxt, deploy.prototxt and digits.prototxt.

python -m caffelite.models.program models/*/net.py
python -m caffelite.models.program net.py    # where `caffelite init` has put it
"""

import re
import runpy
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from caffelite.atomic import write_atomically
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto.caffe_pb2 import TEST, TRAIN, NetParameter
from caffelite.proto.text import to_text


@dataclass
class Samples:
    """Two LMDBs of pictures, and what is done to a picture; only training mirrors."""

    train: str
    test: str
    batch_sizes: tuple  # training, test
    transform: dict = field(default_factory=dict)
    name: str = "data"  # of the layers
    tops: tuple = ("data", "label")
    rule: dict = field(default_factory=dict)  # more that the state of a net must fulfil: stages

    def layer(self, phase):
        """{name of a top: top}."""
        transform = {k: v for k, v in self.transform.items() if phase == TRAIN or k != "mirror"}
        tops = L.Data(
            name=self.name,
            include={"phase": phase, **self.rule},
            **({"transform_param": transform} if transform else {}),
            source=self.train if phase == TRAIN else self.test,
            batch_size=self.batch_sizes[phase],
            backend=P.Data.LMDB,
            ntop=len(self.tops),
        )
        return dict(zip(self.tops, [tops] if len(self.tops) == 1 else tops, strict=True))


def mnist(batch_size, name="mnist", tops=("data", "label"), **transform):
    """Digits of 28 x 28 pixels, by default between 0 and 1."""
    return Samples(
        "data/mnist_train_lmdb",
        "data/mnist_test_lmdb",
        (batch_size, 100),
        transform or {"scale": 1 / 256},
        name,
        tops,
    )


def padded_mnist(batch_size):
    """Digits of 32 x 32 pixels between 0 and 1: `caffelite dataset mnist-5k --pad 2`."""
    sources = "data/padded/mnist_train_lmdb", "data/padded/mnist_test_lmdb"
    return Samples(*sources, (batch_size, 100), {"scale": 1 / 256}, "mnist")


def small_digits(batch_size, scale=1 / 16):
    """Digits of 8 x 8 pixels, by default between 0 and 1: `caffelite dataset digits-8x8`."""
    sources = "data/digits_train_lmdb", "data/digits_test_lmdb"
    return Samples(*sources, (batch_size, 90), {"scale": scale}, "digits")


def cifar10(batch_size, **transform):
    """Pictures of 32 x 32 pixels, 0 to 255 minus their mean."""
    return Samples(
        "data/cifar10/cifar10_train_lmdb",
        "data/cifar10/cifar10_test_lmdb",
        (batch_size, 100),
        {"mean_file": "data/cifar10/mean.binaryproto", **transform},
    )


def shifted_cifar10():
    """Those, mirrored, and shifted by up to 4 pixels; beyond the border is the mean."""
    shift = {"shift": 4 / 32, "pad_mode": "CONSTANT", "pad_value": [114, 123, 125]}
    return cifar10(128, mirror=True, warp_param=shift)


def imagenet(batch_size, crop_size, **transform):
    """Crops of pictures, 0 to 255 minus a mean: mean_value=[...], or that of all pictures."""
    if "mean_value" not in transform:
        transform = {"mean_file": "data/ilsvrc12/imagenet_mean.binaryproto", **transform}
    return Samples(
        "data/ilsvrc12/ilsvrc12_train_lmdb",
        "data/ilsvrc12/ilsvrc12_val_lmdb",  # the labels of the test set are not public
        (batch_size, 50),
        {"mirror": True, "crop_size": crop_size, **transform},
    )


# Means of ImageNet: blue, green, red
ROUND_MEAN = [104, 117, 123]
VGG_MEAN = [103.939, 116.779, 123.68]
NEAR_VGG_MEAN = [103.94, 116.78, 123.68]


@dataclass
class Program:
    """A net with its data, loss and measures (train_val), or from input to output (deploy).

    `net(n)` writes the net itself; n.data is there, and n.label when it is to be trained. For a net
    that needs more than that, derive a class that has its own train_val and deploy.
    """

    name: str
    net: Callable
    samples: Samples
    shape: tuple  # of the input of deploy.prototxt
    input_name: str = "data"  # of the layer; its top is "data"
    recipe: Samples | None = None  # of digits.prototxt, which trains in minutes on any machine
    more: tuple = ()  # Samples that train_val has, too, by their rules in other stages

    def train_val(self):
        return self._trained_on(self.samples, *self.more)

    def digits(self):
        """With statistics of the last few batches, since a short training has few."""
        param = self._trained_on(self.recipe)
        for layer in param.layer:
            if layer.type == "BatchNorm":
                layer.batch_norm_param.moving_average_fraction = 0.9
        return param

    def _trained_on(self, *samples):
        sources = [layer for some in samples for layer in of_both_phases(some)]
        n = NetSpec()
        n.tops.update(samples[0].layer(TRAIN))
        own = len(n.to_proto().layer)
        self.net(n)
        return NetParameter(name=self.name, layer=[*sources, *n.to_proto().layer[own:]])

    def deploy(self):
        n = NetSpec()
        n.data = L.Input(name=self.input_name, shape={"dim": self.shape})
        self.net(n)
        return NetParameter(name=self.name, layer=map(without_training, n.to_proto().layer))

    def files(self):
        """{file name: text}."""
        return {f"{kind}.prototxt": self._text(kind) for kind in self.kinds()}

    def kinds(self):
        """The names of its nets, which are those of methods, too."""
        return ["train_val", "deploy", *(["digits"] if self.recipe else [])]

    def _text(self, kind):
        """The docstring of net.py as a comment, then the net."""
        head = self.net.__globals__["__doc__"].strip()
        head += "\nWritten by net.py: python -m caffelite.models.program net.py"
        comment = "".join(f"# {line}".rstrip() + "\n" for line in head.splitlines())
        return comment + compact(to_text(getattr(self, kind)()))

    def write(self, folder):
        """Make both files in a folder."""
        for name, text in self.files().items():
            write_atomically(Path(folder, name), text.encode())


def program(path):
    """The Program in a file."""
    return runpy.run_path(str(path))["program"]


def of_both_phases(samples):
    """The layers that give the tops of samples, each for training and then for tests."""
    pairs = []
    for phase in (TRAIN, TEST):
        n = NetSpec()
        n.tops.update(samples.layer(phase))
        pairs.append(n.to_proto().layer)
    return [layer for pair in zip(*pairs, strict=True) for layer in pair]


def without_training(layer):
    """The layer without what only training reads: rates, decays, and fillers.

    A Deconvolution that stays bilinear keeps them: its filler says what it does.
    """
    learns = not layer.param or any(spec.lr_mult for spec in layer.param)
    if layer.type == "Deconvolution" and not learns:
        return layer
    layer.ClearField("param")
    for _, options in layer.ListFields():
        for name in ("weight_filler", "bias_filler", "filler"):
            if name in getattr(options, "DESCRIPTOR", layer.DESCRIPTOR).fields_by_name:
                options.ClearField(name)
    return layer


def compact(text):
    """Prototxt with short messages in one line, and 1 for 1.0."""
    text = re.sub(r": (\d+)\.0$", r": \1", text, flags=re.M)
    short = re.compile(r"^( +)(\w+ \{)\n((?: +\S.*\n){1,4}?)\1\}$", re.M)
    for _ in range(2):  # messages, then those that hold one
        text = short.sub(_in_one_line, text)
    return text


def _in_one_line(match):
    line = match[1] + " ".join([match[2], *match[3].split(), "}"])
    return line if len(line) <= 90 else match[0]


if __name__ == "__main__":
    for path in sys.argv[1:]:
        program(path).write(Path(path).parent)
