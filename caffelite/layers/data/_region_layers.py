"""The data layer of Fast R-CNN, in place of its module: pictures with regions of them."""

import logging
from functools import cached_property
from types import SimpleNamespace

import numpy as np

from ... import rng
from ...data.datum import shape_of
from ...data.true_boxes import ScaledBoxes, stored_boxes
from ...errors import DataError
from ..detection._rcnn_settings import rcnn_settings
from ..detection._sampled_regions import codes_of_classes, matched, taken, tell_of_none
from ._roi_layers import RoIDataLayer

log = logging.getLogger("caffelite")

DRAWS = 9  # of numbers that are drawn by seed and place, those of regions
NO_REGIONS = (
    "has no regions: name a database of pictures with boxes and one of their regions, which "
    "caffelite regions makes, by --set TRAIN.SOURCE=DATABASE --set TRAIN.REGIONS=DATABASE, in "
    "Python caffelite.rcnn_settings"
)


class RegionDataLayer(RoIDataLayer):
    """Pictures with regions that were found before, as Fast R-CNN learns from them.

    A batch is IMS_PER_BATCH pictures of SOURCE, with 0 beside the smaller ones, and of each
    BATCH_SIZE / IMS_PER_BATCH of its regions, which come from REGIONS, and are its true boxes, too.
    They are taken as ProposalTarget takes them, by overlaps in pixels of the stored picture, at
    random from seed and position. Those that overlap a true box by BBOX_THRESH or more tell it; of
    its four numbers, the mean over all pictures, mirrored or not, is taken away for each class, and
    they are divided by the standard deviation (BBOX_NORMALIZE_TARGETS), or by the numbers that the
    settings give (_PRECOMPUTED); files hold weights that tell plain ones. Sides count their last
    pixel, as in py-faster-rcnn; the first Fast R-CNN did not count it here.

    Top
        0: data, as RoIData's; 1: rois (S, 5); 2: labels (S); and perhaps 3: bbox_targets (S, 4 K),
        4: bbox_inside_weights, by the name of bbox_loss_weights in the first Fast R-CNN, and
        5: bbox_outside_weights. With AGNOSTIC, those of any object, (S, 8, 1, 1), as of R-FCN, and
        labels (S, 1, 1, 1)
    """

    tops = (3, 6)
    sizes = None
    no_data = NO_REGIONS
    told_of_none = False

    def check_settings(self):
        pictures, regions = rcnn_settings["TRAIN.IMS_PER_BATCH"], rcnn_settings["TRAIN.BATCH_SIZE"]
        if rcnn_settings["TRAIN.HAS_RPN"]:
            raise self.error(
                "TRAIN.HAS_RPN: true, but the tops are not data, im_info, gt_boxes: the settings "
                "are of another net"
            )
        if self.num_tops > 3 and not rcnn_settings["TRAIN.BBOX_REG"]:
            raise self.error(
                f'TRAIN.BBOX_REG: false, but the top "{self.param.top[3]}" is to tell boxes: the '
                "settings are of another net"
            )
        if pictures < 1:
            raise self.error(f"TRAIN.IMS_PER_BATCH: {pictures}, expected pictures, 1 or more")
        if not regions or regions % pictures:
            raise self.error(
                f"TRAIN.BATCH_SIZE: {regions}, expected a multiple of the {pictures} pictures of "
                "TRAIN.IMS_PER_BATCH, or -1 for all regions"
            )
        if not rcnn_settings["TRAIN.SOURCE"] and rcnn_settings["TRAIN.REGIONS"]:
            raise self.error("TRAIN.REGIONS is given without TRAIN.SOURCE, the pictures of them")
        self.pictures = pictures
        self.most = regions // pictures if regions > 0 else -1
        self.code_classes = 2 if rcnn_settings["TRAIN.AGNOSTIC"] else self.classes
        names = ("fg_fraction", "fg_thresh", "bg_thresh_hi", "bg_thresh_lo")
        self.how = SimpleNamespace(**{n: rcnn_settings[f"TRAIN.{n.upper()}"] for n in names})

    def set_roidb(self, roidb):
        raise self.error(f"takes no roidb, but databases: it {NO_REGIONS}")

    def setup(self, bottom_shapes):
        if self.options.source and not rcnn_settings["TRAIN.REGIONS"]:
            raise self.error(NO_REGIONS)
        self.param.roi_data_param.regions = rcnn_settings["TRAIN.REGIONS"]
        super().setup(bottom_shapes)

    def top_shapes(self, data_shape):
        return self.largest_shapes()

    def largest_shapes(self):
        rows = max(rcnn_settings["TRAIN.BATCH_SIZE"], 1)
        data = super().largest_shapes()[0]
        return [(self.pictures, *data[1:]), (rows, 5), *self._shapes(rows)]

    def _shapes(self, rows):
        """Those of labels, codes and their weights."""
        more = (1, 1) if rcnn_settings["TRAIN.AGNOSTIC"] else ()
        return [(rows, *more, *more[:1]), *[(rows, 4 * self.code_classes, *more)] * 3]

    def told_shapes(self):
        return [(self.pictures, 3, 0, 0), *super().told_shapes()[1:]]

    def make_box_labels(self):
        return stored_boxes

    def open_pictures(self):
        return self.with_regions(super().open_pictures())

    def box_labels(self):
        return range(1, 1 if rcnn_settings["TRAIN.AGNOSTIC"] else self.classes)

    @property
    def code_scale(self):
        given = self.source is not None and self.num_tops > 3
        if not given or not rcnn_settings["TRAIN.BBOX_NORMALIZE_TARGETS"]:
            return None
        return tuple(four.ravel() for four in self.normalization)

    @cached_property
    def normalization(self):
        """Mean and standard deviation of the four numbers for each class, (K, 4) each."""
        names = ("TRAIN.BBOX_NORMALIZE_MEANS", "TRAIN.BBOX_NORMALIZE_STDS")
        if rcnn_settings["TRAIN.BBOX_NORMALIZE_TARGETS_PRECOMPUTED"]:
            return [np.tile(rcnn_settings[name], (self.code_classes, 1)) for name in names]
        counts = np.zeros((self.code_classes, 1))
        sums, squares = np.zeros((2, self.code_classes, 4))
        with self.naming():
            for regions, truth in self._all_regions():
                overlaps, boxes = matched(regions, truth)
                tells = overlaps >= rcnn_settings["TRAIN.BBOX_THRESH"]
                codes, told = codes_of_classes(regions, boxes, tells, self.code_classes)
                counts += told.sum(axis=0)[:, None]
                sums += codes.sum(axis=0)
                squares += (codes**2).sum(axis=0)
        if rcnn_settings["TRAIN.USE_FLIPPED"]:
            sums[:, 0] = 0  # a mirrored region lies on the other side of its box
        mean = sums / np.maximum(counts, 1)
        deviation = np.sqrt(np.maximum(squares / np.maximum(counts, 1) - mean**2, 0))
        # Of a class that no region tells, or all in the same way, there is nothing to divide by.
        deviation[deviation < 1e-7] = 1
        log.info("%s: means of boxes' numbers: %s", self.at, np.round(mean, 4).tolist())
        log.info("%s: their standard deviations: %s", self.at, np.round(deviation, 4).tolist())
        return [mean, deviation]

    def _all_regions(self):
        """(regions (R, 4), true boxes (G, 5)) of each picture, in pixels as it is stored."""
        source = self.open_pictures()
        try:
            for record in source.wanted().tolist():
                datum, boxes = source.read_with_regions(record)
                with source.records.named(record):
                    size = shape_of(datum)[1:]
                own = ScaledBoxes(boxes, size)
                yield self._with_boxes(own.regions_in_pixels(True)[:, 1:], own.in_pixels(True))
        finally:
            source.close()

    def _with_boxes(self, regions, truth):
        """(regions and true boxes, true boxes) of a picture."""
        if (truth[:, 4] >= self.classes).any():
            raise DataError(
                f"a picture has a box of class {truth[:, 4].max():g}, expected 1 to "
                f"{self.classes - 1}: num_classes counts the background, too"
            )
        return np.concatenate([regions, truth[:, :4]]), truth

    def forward(self, bottom, top):
        if self.source is None:
            raise self.error(self.no_data)
        pictures, found = [], []
        for number in range(self.pictures):
            draw = rng.generator(self.seed, DRAWS, self.position + self.shard.rank)
            data, factor, truth, regions = self.next_batch()
            pictures.append(data[0])
            with self.naming():
                found.append(self._learnt(number, factor, *self._with_boxes(regions, truth), draw))
        size = np.max([values.shape for values in pictures], axis=0)
        top[0].reshape(len(pictures), *size.tolist())
        top[0].data[...] = 0
        for own, values in zip(top[0].data, pictures, strict=True):
            own[:, : values.shape[1], : values.shape[2]] = values
        rows = sum(len(rois) for rois, *_ in found)
        shapes = [(rows, 5), *self._shapes(rows)]
        for blob, shape, parts in zip(top[1:], shapes, zip(*found, strict=True), strict=False):
            blob.reshape(*shape)
            blob.data[...] = np.concatenate(parts).reshape(shape)

    def _learnt(self, number, factor, regions, truth, draw):
        """[rois, labels, bbox_targets, bbox_inside_weights, bbox_outside_weights] of a picture."""
        overlaps, boxes = matched(regions, truth)
        index, objects = taken(overlaps, self.how, self.most, draw)
        tell_of_none(self, index, overlaps)
        regions, boxes = regions[index], boxes[index]
        label = np.where(np.arange(len(index)) < objects, boxes[:, 4], 0)
        rows = [np.column_stack([np.full(len(index), number), regions * factor]), label]
        if self.num_tops == len(rows) + 1:
            return rows
        tells = overlaps[index] >= rcnn_settings["TRAIN.BBOX_THRESH"]
        codes, told = codes_of_classes(regions, boxes, tells, self.code_classes)
        if rcnn_settings["TRAIN.BBOX_NORMALIZE_TARGETS"]:
            mean, deviation = self.normalization
            codes = np.where(told[..., None], (codes - mean) / deviation, 0)
        inside = told[..., None] * np.array(rcnn_settings["TRAIN.BBOX_INSIDE_WEIGHTS"])
        return [*rows, codes, inside, inside > 0]
