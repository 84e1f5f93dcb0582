"""Digits among clutter: a spatial transformer finds the digit, convolutions tell which it is."""

from caffelite.models.clutter import looks, maps, program, scores


def net(n):
    (seen,) = looks(n, "models/clutter-st/places.txt", 1)
    scores(n, maps(n, "", seen, 24, 32), 92, drop=0.3)


program = program("Clutter-ST", net)
