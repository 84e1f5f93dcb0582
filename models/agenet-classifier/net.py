"""AgeNet's classifier: GoogLeNet with a class for each age, Gaussian labels.  Liu et al. 2015.

lint: ignore unused-top (mae is shown while training)
"""

from caffelite.models.agenet import APPARENT, REAL, classifier
from caffelite.models.googlenet.net import features
from caffelite.models.program import Program


def net(n):
    classifier(n, features(n, auxiliaries={}), ages=range(101), normalize=True)


program = Program("AgeNet-classifier", net, APPARENT, (1, 3, 224, 224), more=(REAL,))
