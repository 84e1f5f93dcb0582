"""Questions about scenes of digits: an LSTM reads one, a CNN looks, and their product answers.

After "deeper LSTM Q + norm I" of Antol and others 2015, in small.

lint: ignore batch-norm-without-scale (a dense layer follows)
"""

from caffelite.models.blocks import MSRA, XAVIER, dense, dropout, relu, uniform
from caffelite.models.scene_texts import SceneReader, ScenesAndTexts, embedded, places, take_apart
from caffelite.models.scenes import SHAPE
from caffelite.models.text import lstm
from caffelite.net_spec import layers as L
from caffelite.proto.caffe_pb2 import TEST

QUESTIONS = 6  # of each scene
STEPS = 9  # of a record: the longest question, its answer, and the end
WORDS, UNITS = 48, 256  # most words; there are 36
COMMON = 512  # features of a picture, and of a question


class Answerer(SceneReader):
    """Has a twin that sees questions alone, blind.prototxt."""

    def kinds(self):
        return [*super().kinds(), "blind"]

    def blind(self):
        return self._trained_on(self.samples.texts)


def net(n):
    """Scores of the word that follows a question."""
    if "sentences" in n.tops:
        take_apart(n, STEPS)
    asked = _question(n)
    if "data" in n.tops:
        asked = n.both = L.Scale(asked, _picture(n), axis=1)
    n.fc = dense(asked, COMMON, MSRA, axis=2)
    n.fc_relu = relu(n.fc)
    n.fc_drop = dropout(n.fc_relu, 0.5)
    n.scores = L.InnerProduct(n.fc_drop, axis=2, num_output=WORDS, weight_filler=uniform(0.08))
    if "sentences" in n.tops:
        n.loss = L.SoftmaxWithLoss(n.scores, n.answer, softmax_param={"axis": 2})
        n.accuracy = L.Accuracy(n.scores, n.answer, axis=2, include={"phase": TEST})
    else:
        n.probs = L.Softmax(n.scores, axis=2)


def _question(n):
    """What the net knows of a question: in training, when all of it has been read."""
    top = n.lstm = lstm(UNITS, embedded(n, WORDS), n.cont_sentence)
    if "sentences" in n.tops:
        top = n.question = _last_of_question(n, "question", n.lstm)
        n.answer = _last_of_question(n, "answer", n.target_sentence)
    n.asked = dense(top, COMMON, XAVIER, axis=2)
    n.asked_tanh = L.TanH(n.asked, in_place=True)
    return n.asked_tanh


def _last_of_question(n, name, bottom):
    """The step at which a question has been read; behind it come its answer, and the end."""
    before, step, behind = L.Slice(
        bottom, name=name, axis=0, slice_point=[STEPS - 2, STEPS - 1], ntop=3
    )
    n[f"before_{name}"], n[f"behind_{name}"] = before, behind
    n[f"unused_{name}"] = L.Silence(before, behind, ntop=0)
    return step


def _picture(n):
    """What the net sees, a row for each picture; in training, one for each question."""
    n.seen = dense(places(n), COMMON, MSRA)
    n.seen_relu = relu(n.seen)
    if "sentences" not in n.tops:
        return n.seen_relu
    n.repeated = L.Tile(n.seen_relu, axis=1, tiles=QUESTIONS)
    n.of_questions = L.Reshape(n.repeated, shape={"dim": [-1, COMMON]})
    return n.of_questions


program = Answerer("scene-qa", net, ScenesAndTexts("data/questions", QUESTIONS), SHAPE)
