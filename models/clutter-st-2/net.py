"""Digits among clutter: two spatial transformers side by side, with convolutions behind each."""

from caffelite.models.clutter import looks, maps, program, scores
from caffelite.net_spec import layers as L

STARTS = [(0.8, 0, -0.2), (0.8, 0, 0.2)]  # the left and the right of the picture


def net(n):
    seen = looks(n, STARTS)
    told = [maps(n, f"see{i}_", each, 14, 20) for i, each in enumerate(seen, 1)]
    n.told = L.Concat(*(L.Flatten(each) for each in told))
    scores(n, n.told, 55)


program = program("Clutter-ST-2", net)
