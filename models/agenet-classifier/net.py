"""AgeNet's classifier: GoogLeNet with a class for each age, Gaussian labels.  Liu et al. 2015."""

from caffelite.models.agenet import FACES, column, measure, new_layer
from caffelite.models.blocks import constant
from caffelite.models.googlenet.net import features
from caffelite.models.program import Program
from caffelite.net_spec import layers as L

AGES = 101  # 0 to 100 years
DEVIATION = 2  # of the labels, in years
FROM_FILE = {"type": "file", "file": "models/agenet-classifier/ages.txt"}  # 0 1 2 ... 100
FIXED = {"lr_mult": 0, "decay_mult": 0}


def net(n):
    n.scores = new_layer(features(n, auxiliaries={}), AGES)
    if "label" in n.tops:
        n.years = column(n.label)
        n.loss = L.SoftmaxWithCrossEntropyLoss(n.scores, gaussian_label(n))
    n.prob = L.Softmax(n.scores)
    n.age = L.InnerProduct(
        n.prob, num_output=1, bias_term=False, weight_filler=FROM_FILE, param=FIXED
    )
    if "label" in n.tops:
        measure(n)


def gaussian_label(n):
    """-(k - years)^2 / (2 deviation^2) for each age k, of which the softmax is the Gaussian."""
    n.years_off = L.InnerProduct(
        n.years,
        num_output=AGES,
        weight_filler=constant(-1),
        bias_filler=FROM_FILE,
        param=[FIXED, FIXED],
    )
    n.square = L.Power(n.years_off, power=2, scale=(2 * DEVIATION**2) ** -0.5)
    n.log_label = L.Power(n.square, scale=-1)
    return n.log_label


program = Program("AgeNet-classifier", net, FACES, (1, 3, 224, 224))
