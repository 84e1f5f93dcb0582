"""LRCN for scenes of digits: a CNN looks, two layers of LSTM say what is where, word by word.

lint: ignore batch-norm-without-scale (a dense layer follows)
"""

from caffelite.models.blocks import MSRA, dense, relu, uniform
from caffelite.models.scene_texts import (
    FOLDER,
    SceneReader,
    ScenesAndTexts,
    embedded,
    places,
    take_apart,
)
from caffelite.models.scenes import SHAPE
from caffelite.models.text import lstm
from caffelite.net_spec import layers as L
from caffelite.proto.caffe_pb2 import TEST

STEPS = 22  # of the longest sentence, its end included: three digits
WORDS, UNITS = 32, 256  # most words; there are 23


def net(n):
    """Names are LRCN's: the picture comes in at the second LSTM ("factored")."""
    if "sentences" in n.tops:
        take_apart(n, STEPS)
    n.fc8 = dense(places(n), UNITS, MSRA)
    n.relu8 = relu(n.fc8)
    n.lstm1 = lstm(UNITS, embedded(n, WORDS), n.cont_sentence)
    n.lstm2 = lstm(UNITS, n.lstm1, n.cont_sentence, n.relu8)
    n.predict = L.InnerProduct(n.lstm2, axis=2, num_output=WORDS, weight_filler=uniform(0.08))
    if "target_sentence" in n.tops:
        bottoms, ignored = (n.predict, n.target_sentence), {"ignore_label": -1}
        n.cross_entropy_loss = L.SoftmaxWithLoss(
            *bottoms, softmax_param={"axis": 2}, loss_param=ignored
        )
        n.accuracy = L.Accuracy(*bottoms, axis=2, include={"phase": TEST}, **ignored)
    else:
        n.probs = L.Softmax(n.predict, axis=2)


program = SceneReader("captions", net, ScenesAndTexts(FOLDER), SHAPE)
