"""Digits among clutter: a spatial transformer finds the digit, convolutions tell which it is."""

from caffelite.models.clutter import looks, maps, program, scores

ALL = (1, 0, 0)  # the whole picture


def net(n):
    (seen,) = looks(n, [ALL])
    scores(n, maps(n, "", seen, 20, 32), 64)


program = program("Clutter-ST", net)
