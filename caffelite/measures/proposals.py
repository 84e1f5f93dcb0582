"""How many of the true boxes are among the regions in which a detector looks for them."""

import numpy as np

from ..kernels.boxes import iou
from ._coco import OVERLAPS
from ._ranked import rows_of
from .base import Measure, Section, number, register

NUMBERS = (10, 50, 100, 300, 1000, 2000)  # of regions of a picture, the best ones
TOLD = (0.5, 0.7)  # overlaps that have a column of their own


@register("proposals")
class Proposals(Measure):
    """Recall of the true boxes by the N best regions of each picture, for several N.

    recall(N, t) = true boxes whose region overlaps them by t or more / true boxes

    Of a picture's N first regions and its true boxes the two that overlap most belong to each
    other, then those of the rest, and so on. `average recall` is the mean over t = 0.5, 0.55, ...,
    0.95. Regions are those of the layer that finds the boxes, whether a Proposal made them or they
    come with the data, and are in pixels that include the last one. Difficult boxes count as they
    do for the layer that compares.  Hosang, Benenson, Dollar, Schiele 2015, arXiv:1502.05082
    """

    compares = "boxes"
    where = " that a layer found in regions"
    shown = ("recall", "average recall")
    background, counts_difficult = 0, True

    def __init__(self, first, second):
        super().__init__(first, second)
        self.hits = np.zeros((len(NUMBERS), len(OVERLAPS)), np.int64)
        self.boxes = self.regions = self.most = 0

    @classmethod
    def suits(cls, layer, shapes, maker):
        return maker is not None and maker.finds_boxes and maker.regions is not None

    @property
    def reads(self):
        return {*self.blobs, self.sizes}

    def take_options(self, layer):
        self.background = layer.options.background_label_id
        self.counts_difficult = layer.options.evaluate_difficult_gt

    def take_maker(self, layer, bottoms):
        self.blobs = bottoms[layer.regions], self.blobs[1]
        self.sizes = bottoms[layer.picture_sizes]

    def batch_size(self, net):
        return len(net.blobs[self.sizes].data)

    def add(self, batch):
        regions, true = (rows_of(batch, name, 5 + 3 * k) for k, name in enumerate(self.blobs))
        sizes = batch.blobs[self.sizes].reshape(-1, batch.blobs[self.sizes].shape[1])
        true = true[true[:, 1] != self.background]
        if not self.counts_difficult:
            true = true[true[:, 7] == 0]
        count = len(sizes) if batch.count is None else batch.count
        for n, (height, width) in enumerate(sizes[:count, :2].astype(np.float64)):
            found = regions[regions[:, 0] == n, 1:] + [0, 0, 1, 1]  # where they end
            boxes = true[true[:, 0] == n, 3:7] * [width, height, width, height]
            overlaps = iou(found, boxes)
            for of_number, most in zip(self.hits, NUMBERS, strict=True):
                of_number += (_pairs(overlaps[:most])[:, None] >= OVERLAPS).sum(axis=0)
            self.boxes += len(boxes)
            self.regions += len(found)
            self.most = max(self.most, len(found))
        self.samples += count

    def merge(self, other):
        self.hits += other.hits
        self.boxes += other.boxes
        self.regions += other.regions
        self.samples += other.samples
        self.most = max(self.most, other.most)

    def report(self):
        report = {"regions": self.blobs[0], "true": self.blobs[1], "samples": self.samples}
        report |= {"boxes": self.boxes, "most_regions": self.most}
        report["mean_regions"] = self.regions / self.samples
        shares = self.hits / max(self.boxes, 1)
        report["overlaps"] = OVERLAPS.tolist()
        report["by_number"] = [
            {
                "number": most,
                "recall": recall.tolist() if self.boxes else None,
                "average_recall": float(recall.mean()) if self.boxes else None,
            }
            for k, (most, recall) in enumerate(zip(NUMBERS, shares, strict=True))
            if k == 0 or NUMBERS[k - 1] < self.most
        ]
        last = report["by_number"][-1]
        report["recall"] = last["recall"] and last["recall"][0]
        return report | {"average recall": last["average_recall"]}

    def heading(self):
        return f"regions {self.blobs[0]} against {self.blobs[1]}: {self.samples} pictures"

    def facts(self, report):
        yield f"true boxes: {report['boxes']}"
        regions = number(report["mean_regions"])
        yield f"regions of a picture: {regions} in the mean, {report['most_regions']} at most"
        yield from super().facts(report)

    def sections(self, report, names=()):
        at = [int(np.argmin(abs(OVERLAPS - t))) for t in TOLD]
        rows = [
            (
                str(one["number"]),
                *(number(one["recall"] and one["recall"][k]) for k in at),
                number(one["average_recall"]),
            )
            for one in report["by_number"]
        ]
        header = "regions", *(f"recall at {t:g}" for t in TOLD), "mean of 0.5 to 0.95"
        yield Section("recall by the number of the best regions of a picture", header, rows, 0)

    def curves(self, report, names=()):
        """Recall over the overlap that counts, of each number of regions."""
        found = {
            f"{one['number']} regions": (report["overlaps"], one["recall"])
            for one in report["by_number"]
            if one["recall"]
        }
        return {"recall over overlap": (found, "overlap", "recall")} if found else {}


def _pairs(overlaps):
    """Of regions x true boxes, the overlaps of those that belong to each other."""
    free, found = overlaps.copy(), np.zeros(overlaps.shape[1])
    for k in range(min(overlaps.shape)):
        region, box = np.unravel_index(free.argmax(), free.shape)
        found[k] = free[region, box]
        free[region], free[:, box] = -1, -1
    return found
