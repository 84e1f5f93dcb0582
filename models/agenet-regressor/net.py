"""AgeNet's regressor: GoogLeNet with one output, the age / 100.  Liu et al. 2015."""

from caffelite.models.agenet import FACES, column, measure, new_layer
from caffelite.models.googlenet.net import features
from caffelite.models.program import Program
from caffelite.net_spec import layers as L


def net(n):
    n.age_unit = new_layer(features(n, auxiliaries={}), 1)
    if "label" in n.tops:
        n.years = column(n.label)
        n.target = L.Power(n.years, scale=1 / 100)
        n.loss = L.EuclideanLoss(n.age_unit, n.target)
    n.age = L.Power(n.age_unit, scale=100)
    if "label" in n.tops:
        measure(n)


program = Program("AgeNet-regressor", net, FACES, (1, 3, 224, 224))
