"""A multi-layer perceptron for digits: 784 pixels, 300 and 100 hidden units, 10 scores."""

from caffelite.models.blocks import XAVIER, classify, dense
from caffelite.models.program import Program, mnist
from caffelite.net_spec import layers as L

RATES = [{"lr_mult": 1}, {"lr_mult": 1}]


def net(n):
    n.hidden1 = dense(n.data, 300, XAVIER, param=RATES)
    n.tanh1 = L.TanH(n.hidden1, in_place=True)
    n.hidden2 = dense(n.tanh1, 100, XAVIER, param=RATES)
    n.tanh2 = L.TanH(n.hidden2, in_place=True)
    n.scores = dense(n.tanh2, 10, XAVIER, param=RATES)
    classify(n, n.scores)


program = Program("MLP", net, mnist(64), (64, 1, 28, 28))
