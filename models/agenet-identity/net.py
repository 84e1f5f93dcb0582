"""Whose face it is: GoogLeNet with a class for each person.  Liu et al. 2015, the first step."""

from caffelite.models.agenet import IDENTITIES
from caffelite.models.blocks import XAVIER, classify, dense
from caffelite.models.googlenet.net import AUXILIARY, features
from caffelite.models.program import Program

PERSONS = 10_575  # as CASIA-WebFace has


def net(n):
    n.person = dense(features(n, AUXILIARY, PERSONS), PERSONS, XAVIER)
    classify(n, n.person)


program = Program("AgeNet-identity", net, IDENTITIES, (1, 3, 224, 224))
