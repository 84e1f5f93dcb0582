"""How well the first YOLO's cells find boxes, by what EvalDetection makes."""

import numpy as np

from ._ranked import Ranked
from .base import register

NUMBERS = 4  # of a box: label, score, right, wrong


@register("cells")
class Cells(Ranked):
    """Boxes that cells find against true ones, by the rows that EvalDetection makes.

    A row has for each class how many boxes there are to be found, then of each box found label,
    score, and whether it is right and wrong.
    """

    compares = "cells"
    classes = 0

    def take_options(self, layer):
        self.classes = layer.options.num_class

    def add(self, batch):
        rows = batch.rows(min(self.tops)).astype(np.float64)
        counts = rows[:, : self.classes].sum(axis=0).astype(int)
        self.take(dict(enumerate(counts.tolist())), rows[:, self.classes :].reshape(-1, NUMBERS))
        self.samples += len(rows)
