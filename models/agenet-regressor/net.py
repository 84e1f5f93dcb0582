"""AgeNet's regressor: GoogLeNet with one output, the age / 100.  Liu et al. 2015.

lint: ignore unused-top (mae is shown while training)
"""

from caffelite.models.agenet import APPARENT, REAL, regressor
from caffelite.models.googlenet.net import features
from caffelite.models.program import Program


def net(n):
    regressor(n, features(n, auxiliaries={}))


program = Program("AgeNet-regressor", net, APPARENT, (1, 3, 224, 224), more=(REAL,))
