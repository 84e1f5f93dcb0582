"""Ten perceptrons, one for each digit: y = 1 where w x + b > 0, else 0.  Rosenblatt 1958."""

from caffelite.models.blocks import constant, dense, measure
from caffelite.models.program import Program, mnist
from caffelite.net_spec import layers as L

RATES = [{"lr_mult": 1}, {"lr_mult": 1}]


def net(n):
    n.sums = dense(n.data, 10, constant(0), param=RATES)
    if "label" in n.tops:
        n.loss = L.HingeLoss(n.sums, n.label)
        measure(n, n.sums, "accuracy")
    else:
        n.output = L.Threshold(n.sums)


program = Program("Perceptron", net, mnist(1), (1, 1, 28, 28))
