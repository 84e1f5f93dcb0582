"""Digits among clutter: four spatial transformers side by side, with convolutions behind each."""

from caffelite.models.clutter import looks, maps, program, scores
from caffelite.net_spec import layers as L


def net(n):
    seen = looks(n, "models/clutter-st-4/places.txt", 4)
    told = [maps(n, f"see{i}_", each, 10, 12) for i, each in enumerate(seen, 1)]
    n.told = L.Concat(*(L.Flatten(each) for each in told))
    scores(n, n.told, 68, drop=0.3)


program = program("Clutter-ST-4", net)
