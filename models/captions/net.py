"""LRCN for scenes of digits: a CNN looks, two layers of LSTM say what is where, word by word."""

from dataclasses import dataclass, field

from caffelite.models.blocks import MSRA, dense, relu, uniform
from caffelite.models.program import Program, Samples, without_training
from caffelite.models.scenes import PIXELS, SHAPE, Scenes, one_map, unit
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.proto.caffe_pb2 import TEST, NetParameter

STEPS = 22  # of the longest sentence, its end included: three digits
WORDS, EMBEDDED, UNITS = 32, 64, 256  # most words; there are 23
FOLDER = "data/captions"


class CaptionedScenes(Scenes):
    """Scenes as they are: what a sentence says of a place would be wrong of a crop."""

    def transform(self, phase):
        return PIXELS

    def source(self, phase):
        return f"{FOLDER}/{super().source(phase).removeprefix('data/')}"

    def options(self, phase):
        return {"label_map_file": f"{FOLDER}/scenes_labelmap.prototxt"}


@dataclass
class Captioned:
    """Scenes, and their sentences, which lie in the same order."""

    scenes: Scenes
    sentences: Samples = field(init=False)

    def __post_init__(self):
        sources = (f"{FOLDER}/words_{part}_lmdb" for part in ("train", "test"))
        sizes = self.scenes.batch_sizes
        self.sentences = Samples(*sources, sizes, name="sentences", tops=("sentences",))

    def layer(self, phase):
        return self.scenes.layer(phase) | self.sentences.layer(phase)


@dataclass
class Captioner(Program):
    """A net whose deploy.prototxt takes a picture, and one word after the other."""

    def deploy(self):
        n = NetSpec()
        n.data = L.Input(name="data", shape={"dim": self.shape})
        n.cont_sentence, n.input_sentence = L.Input(name="sentence", ntop=2, shape={"dim": (1, 1)})
        self.net(n)
        return NetParameter(name=self.name, layer=map(without_training, n.to_proto().layer))


def net(n):
    """Names are LRCN's: the picture comes in at the second LSTM ("factored")."""
    if "sentences" in n.tops:
        n.unused = L.Silence(n.label, ntop=0)
        _take_apart(n)
    top = unit(n, "4_1", one_map(n), 64, stride=2)
    n.fc8 = dense(top, UNITS, MSRA)
    n.relu8 = relu(n.fc8)
    n.embedded_input_sentence = L.Embed(
        n.input_sentence,
        name="embedding",
        input_dim=WORDS,
        num_output=EMBEDDED,
        bias_term=False,
        weight_filler=uniform(0.08),
    )
    n.lstm1 = _lstm(n.embedded_input_sentence, n.cont_sentence)
    n.lstm2 = _lstm(n.lstm1, n.cont_sentence, n.relu8)
    n.predict = L.InnerProduct(n.lstm2, axis=2, num_output=WORDS, weight_filler=uniform(0.08))
    if "target_sentence" in n.tops:
        bottoms, ignored = (n.predict, n.target_sentence), {"ignore_label": -1}
        n.cross_entropy_loss = L.SoftmaxWithLoss(
            *bottoms, softmax_param={"axis": 2}, loss_param=ignored
        )
        n.accuracy = L.Accuracy(*bottoms, axis=2, include={"phase": TEST}, **ignored)
    else:
        n.probs = L.Softmax(n.predict, axis=2)


def _take_apart(n):
    """The planes of sentences, sentences x 3 x steps x 1, each as steps x sentences."""
    n.by_steps = L.Permute(n.sentences, order=[1, 2, 0, 3])
    n.planes = L.Reshape(n.by_steps, shape={"dim": [3 * STEPS, -1]})
    n.input_sentence, n.cont_sentence, n.target_sentence = L.Slice(
        n.planes, name="sentence", axis=0, ntop=3
    )


def _lstm(*bottoms):
    options = {"num_output": UNITS, "weight_filler": uniform(UNITS**-0.5), "forget_bias": 1}
    return L.LSTM(*bottoms, recurrent_param=options)


program = Captioner("captions", net, Captioned(CaptionedScenes(batch_sizes=(32, 50))), SHAPE)
