import numpy as np

from ..base import Layer, register
from ._regions import four_numbers, read_true_boxes
from ._rois import check_rois, read_rois
from ._sampled_regions import codes_of_classes, matched, taken, tell_of_none


@register("ProposalTarget")
class ProposalTarget(Layer):
    """Regions of a picture that a detector learns from, with their classes and the boxes they meet.

    True boxes are regions, too. A region that overlaps one by fg_thresh or more is of its class;
    it is background if it overlaps each by less than bg_thresh_hi, but one by bg_thresh_lo at
    least. Of both together batch_size are taken, drawn at random from seed and position where there
    are more, and objects fg_fraction of them at most. They come first. Overlaps are those of boxes
    that include their last pixel.

    Bottom
        0: regions, (R, 5): 0, xmin, ymin, xmax, ymax in pixels
        1: true boxes, (G, 5): xmin, ymin, xmax, ymax, class from 1 on
    Top
        0: the regions that are taken, (S, 5)
        1: their classes, (S); 0 is the background
        2: codes of their true boxes, (S, 4 K), RCNN of `kernels.boxes.encode`, normalized, at the
            four numbers of the class; 0 elsewhere
        3: inside weights of the codes, the same shape: bbox_inside_weight there, else 0
        4: outside weights, the same shape: 1 where those are above 0
    Options (proposal_target_param)
        num_classes: K, with the background
        batch_size: S at most; -1: all, as R-FCN mines them [128]
        fg_fraction, fg_thresh, bg_thresh_hi, bg_thresh_lo: see above [0.25, 0.5, 0.5, 0.1]
        bbox_mean, bbox_std: what is taken from the codes, and what they are divided by then, four
            numbers each; files hold weights that tell plain codes [0, 1]
        bbox_inside_weight: of each of the four numbers [1, 1, 1, 1]
        class_agnostic: boxes are those of any object, the numbers of class 1: num_classes is 2,
            whatever classes there are; tops 1 to 4 have axes of 1 behind theirs, (S, 1, 1, 1) and
            (S, 8, 1, 1), as in R-FCN [false]
    Source
        Girshick 2015, arXiv:1504.08083 (Fast R-CNN); Ren, He, Girshick, Sun 2015, arXiv:1506.01497
    """

    options_field = "proposal_target_param"
    drawn_as = "boxes"
    stops_gradient = True
    bottoms = 2
    regions = 0
    tops = 5
    no_gradient = (0, 1)
    told_of_none = False

    def setup(self, bottom_shapes):
        options = self.options
        if options.num_classes < 2:
            raise self.error(
                f"num_classes is {options.num_classes}, expected 2 or more: the background counts, "
                "too"
            )
        if options.class_agnostic and options.num_classes != 2:
            raise self.error(
                f"num_classes is {options.num_classes}, expected 2 with class_agnostic: the "
                "background and any object"
            )
        if not 0 <= options.fg_fraction <= 1:
            raise self.error(f"fg_fraction is {options.fg_fraction:g}, expected 0 to 1")
        if options.batch_size < -1 or not options.batch_size:
            raise self.error(
                f"batch_size is {options.batch_size}, expected how many regions, or -1 for all"
            )
        self.mean, self.std = four_numbers(self, "bbox_mean", 0), four_numbers(self, "bbox_std", 1)
        if not min(self.std) > 0:
            raise self.error(f"bbox_std is {self.std}, expected numbers above 0")
        self.inside = four_numbers(self, "bbox_inside_weight", 1)

    def box_labels(self):
        return range(1, 1 if self.options.class_agnostic else self.options.num_classes)

    @property
    def code_scale(self):
        if not any(self.mean) and set(self.std) == {1}:
            return None
        return tuple(np.tile(four, self.options.num_classes) for four in (self.mean, self.std))

    def infer_shapes(self, bottom_shapes):
        rois, truth = bottom_shapes
        check_rois(self, 0, rois)
        most = rois[0] + (truth[0] if truth else 0)
        if self.options.batch_size > 0:
            most = min(most, self.options.batch_size)
        return self._shapes(most)

    def _shapes(self, regions):
        more = (1, 1) if self.options.class_agnostic else ()
        labels = (regions, *more, *more[:1])
        return [(regions, 5), labels, *[(regions, 4 * self.options.num_classes, *more)] * 3]

    def forward(self, bottom, top):
        options = self.options
        _, regions = read_rois(self, 0, bottom[0], 1)
        truth = read_true_boxes(self, 1, bottom[1])
        if not options.class_agnostic and (truth[:, 4] >= options.num_classes).any():
            name = self.param.bottom[1]
            raise self.error(
                f'bottom[1] "{name}" holds a box of class {truth[:, 4].max():g}, expected 1 to '
                f"{options.num_classes - 1}: num_classes counts the background, too, and is 2 for "
                "boxes of any object with class_agnostic (TRAIN.AGNOSTIC of R-FCN)",
                blob=name,
            )
        regions = np.concatenate([regions, truth[:, :4].astype(regions.dtype)])
        overlaps, boxes = matched(regions, truth)
        index, objects = taken(overlaps, options, options.batch_size, self.own_random())
        self.count_draw()
        tell_of_none(self, index, overlaps)
        regions, boxes, tells = regions[index], boxes[index], np.arange(len(index)) < objects
        codes, told = codes_of_classes(regions, boxes, tells, options.num_classes)

        for blob, shape in zip(top, self._shapes(len(index)), strict=True):
            blob.reshape(*shape)
        top[0].data[:, 0], top[0].data[:, 1:] = 0, regions
        top[1].data.flat[...] = np.where(tells, boxes[:, 4], 0)
        numbers = (codes - self.mean) / self.std, self.inside, np.array(self.inside) > 0
        for blob, values in zip(top[2:], numbers, strict=True):
            blob.data.reshape(codes.shape)[...] = np.where(told[..., None], values, 0)
