"""Digits among clutter: two spatial transformers side by side, with convolutions behind each."""

from caffelite.models.clutter import looks, maps, program, scores
from caffelite.net_spec import layers as L


def net(n):
    seen = looks(n, "models/clutter-st-2/places.txt", 2)
    told = [maps(n, f"see{i}_", each, 16, 20) for i, each in enumerate(seen, 1)]
    n.told = L.Concat(*(L.Flatten(each) for each in told))
    scores(n, n.told, 78, drop=0.3)


program = program("Clutter-ST-2", net)
