"""Digits among clutter: four spatial transformers side by side, with convolutions behind each."""

from caffelite.models.clutter import looks, maps, program, scores
from caffelite.net_spec import layers as L

STARTS = [(0.8, row, column) for row in (-0.2, 0.2) for column in (-0.2, 0.2)]  # the corners


def net(n):
    seen = looks(n, STARTS)
    told = [maps(n, f"see{i}_", each, 10, 12) for i, each in enumerate(seen, 1)]
    n.told = L.Concat(*(L.Flatten(each) for each in told))
    scores(n, n.told, 48)


program = program("Clutter-ST-4", net)
