"""Digits among clutter, told by convolutions alone: what clutter-st is held against."""

from caffelite.models.clutter import maps, program, scores


def net(n):
    scores(n, maps(n, "", n.data, 12, 24, 32), 100)


program = program("Clutter-CNN", net)
