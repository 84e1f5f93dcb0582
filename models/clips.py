"""What nets share that say what goes on in a clip: clips, the CNN that looks at frames, the end.

Clips are those of `caffelite dataset moving-digits --hdf5`: frames of 32 x 32 pixels, and eight
things that a digit does. Layers have the names of LRCN's net for activities from fc6 on.
"""

from dataclasses import dataclass

from caffelite.models.blocks import XAVIER, conv, dense, max_pool, relu
from caffelite.models.program import Program, without_training
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.proto.caffe_pb2 import TEST, TRAIN, NetParameter

FRAMES, SIDE, CLASSES = 10, 32, 8
FEATURES = 64  # that the CNN makes of a frame


@dataclass
class Clips:
    """Rows of HDF5 files, a clip each."""

    batch_sizes: tuple = (16, 50)  # training, test

    def layer(self, phase):
        """{name of a top: top}."""
        tops = "data", "cont", "label"
        layers = L.HDF5Data(
            name="data",
            ntop=len(tops),
            include={"phase": phase},
            source=f"data/moving_{'train' if phase == TRAIN else 'test'}.txt",
            batch_size=self.batch_sizes[phase],
            **({"shuffle": True} if phase == TRAIN else {}),
        )
        return dict(zip(tops, layers, strict=True))


@dataclass
class OfClips(Program):
    """A net whose deploy.prototxt takes a clip, and cont for each of its frames."""

    samples: Clips
    shape: tuple = (1, FRAMES, SIDE, SIDE)

    def deploy(self):
        n = NetSpec()
        n.data, n.cont = L.Input(
            name="data", ntop=2, shape=[{"dim": self.shape}, {"dim": self.shape[:2]}]
        )
        self.net(n)
        return NetParameter(name=self.name, layer=map(without_training, n.to_proto().layer))


def frame_by_frame(n):
    """A CNN that sees all frames of a time before those of the next, T * N of them."""
    n.times = L.Permute(n.data, order=[1, 0, 2, 3])
    n.frames = L.Reshape(n.times, shape={"dim": [-1, 1, SIDE, SIDE]})
    n.scaled = L.Power(n.frames, in_place=True, scale=1 / 256)
    n.conv1 = conv(n.scaled, 16, 5, XAVIER, pad=2, stride=2)
    n.relu1 = relu(n.conv1)
    n.conv2 = conv(n.relu1, 32, 5, XAVIER, pad=2)
    n.relu2 = relu(n.conv2)
    n.pool2 = max_pool(n.relu2, 2, 2)
    n.fc6 = dense(n.pool2, FEATURES, XAVIER)
    n.relu6 = relu(n.fc6)
    n["fc6-reshape"] = L.Reshape(
        n.relu6, name="reshape-data", shape={"dim": [FRAMES, -1, FEATURES]}
    )
    return n["fc6-reshape"]


def tell(n, bottom):
    """Scores at each time, T x N x classes, and the mean of their probabilities over a clip."""
    n["fc8-final"] = dense(bottom, CLASSES, XAVIER, axis=2)
    if "label" in n.tops:
        n.each = L.Reshape(n.label, shape={"dim": [1, -1]})
        n["reshape-label"] = L.Tile(n.each, name="label-of-frames", axis=0, tiles=FRAMES)
        bottoms = n["fc8-final"], n["reshape-label"]
        n.loss = L.SoftmaxWithLoss(*bottoms, softmax_param={"axis": 2})
        n.accuracy = L.Accuracy(*bottoms, axis=2, include={"phase": TEST})
        rule = {"include": {"phase": TEST}}
    else:
        rule = {}
    n.probs = L.Softmax(n["fc8-final"], axis=2, **rule)
    n.by_clip = L.Permute(n.probs, order=[1, 2, 0], **rule)
    n.clip = L.Reduction(n.by_clip, operation="MEAN", axis=2, **rule)
    if "label" in n.tops:
        n["clip-accuracy"] = L.Accuracy(n.clip, n.label, **rule)
