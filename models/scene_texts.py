"""What nets share that read or say texts about scenes of digits: the data, and the inputs.

A scene's texts are made by `caffelite dataset text --padded`, in the order of the scenes. A net has
the numbers of words, cont and targets, steps x texts, under LRCN's names.
"""

from dataclasses import dataclass, field

from caffelite.models.blocks import conv, gaussian, max_pool, uniform
from caffelite.models.program import Program, Samples, without_training
from caffelite.models.scenes import CLASSES, PIXELS, Scenes, one_map
from caffelite.models.text import sequences
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto.caffe_pb2 import NetParameter

FOLDER = "data/captions"  # of the scenes
BOXES = 2  # of each cell of yolo-v1-digits


class WholeScenes(Scenes):
    """Scenes as they are: what a text says of a place would be wrong of a crop."""

    def transform(self, phase):
        return PIXELS

    def source(self, phase):
        return f"{FOLDER}/{super().source(phase).removeprefix('data/')}"

    def options(self, phase):
        return {"label_map_file": f"{FOLDER}/scenes_labelmap.prototxt"}


@dataclass
class ScenesAndTexts:
    """Scenes, and so many texts of each, which lie in the same order."""

    texts_of: str  # the folder of their LMDBs
    each: int = 1
    batch_sizes: tuple = (32, 50)  # scenes
    texts: Samples = field(init=False)

    def __post_init__(self):
        sources = (f"{self.texts_of}/words_{part}_lmdb" for part in ("train", "test"))
        sizes = tuple(self.each * size for size in self.batch_sizes)
        self.texts = Samples(*sources, sizes, name="sentences", tops=("sentences",))

    def layer(self, phase):
        return WholeScenes(batch_sizes=self.batch_sizes).layer(phase) | self.texts.layer(phase)


@dataclass
class SceneReader(Program):
    """A net whose deploy.prototxt takes a picture, and one word after the other."""

    def deploy(self):
        n = NetSpec()
        n.data = L.Input(name="data", shape={"dim": self.shape})
        n.cont_sentence, n.input_sentence = L.Input(name="sentence", ntop=2, shape={"dim": (1, 1)})
        self.net(n)
        return NetParameter(name=self.name, layer=map(without_training, n.to_proto().layer))


def places(n):
    """How surely yolo-v1-digits sees each digit at each of the nine places that texts tell of.

    Its weights, with which training begins, go on learning at 0.3 of the rate. Features without
    its last layer do not do: what says which digit it is would be learned for each place anew.
    """
    n.out = conv(one_map(n), CLASSES + 5 * BOXES, 1, gaussian(0.01), bias=0.1)
    for function in (getattr(top, "fn", top) for top in n.tops.values()):
        if function.type_name in ("Convolution", "Scale"):
            blobs = 1 if function.params.get("bias_term") is False else 2
            function.params["param"] = [{"lr_mult": 0.3}] * blobs
    points = [CLASSES, CLASSES + 1, CLASSES + BOXES]
    n.digits, n.sure_1, n.sure_2, n.boxes = L.Slice(n.out, name="apart", slice_point=points, ntop=4)
    n.unused_boxes = L.Silence(n.boxes, ntop=0)
    n.sure = L.Eltwise(n.sure_1, n.sure_2, operation=P.Eltwise.MAX)
    n.sure_of_each = L.Tile(n.sure, axis=1, tiles=CLASSES)
    n.seen_digits = L.Eltwise(n.digits, n.sure_of_each, operation=P.Eltwise.PROD)
    n.places = max_pool(n.seen_digits, 6, 5)
    n.places_bn = L.BatchNorm(n.places, in_place=True, moving_average_fraction=0.98)
    return n.places_bn


def embedded(n, words):
    """What the words of texts, of so many there are, become for a recurrent layer."""
    n.embedded_input_sentence = L.Embed(
        n.input_sentence,
        name="embedding",
        input_dim=words,
        num_output=64,
        bias_term=False,
        weight_filler=uniform(0.08),
    )
    return n.embedded_input_sentence


def take_apart(n, steps):
    """What a net is trained by: n.input_sentence, n.cont_sentence and n.target_sentence."""
    if "label" in n.tops:
        n.unused = L.Silence(n.label, ntop=0)
    planes = sequences(n, "sentences", steps)
    n.input_sentence, n.cont_sentence, n.target_sentence = planes
