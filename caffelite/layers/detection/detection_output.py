import numpy as np

from ...errors import DataError
from ...kernels import boxes as geometry
from ..base import Layer, register
from ._detections import check_finite, check_found
from ._pixels import check_resize
from ._priors import (
    check_classes,
    check_priors,
    code_name,
    code_of,
    labels_of,
    numbers_of_prior,
    read_priors,
)
from ._saved import FORMATS, SavedDetections


@register("DetectionOutput")
class DetectionOutput(Layer):
    """The boxes that codes of priors stand for, where a score is high, without those that repeat.

    For each image and class but the background: of the scores above confidence_threshold the top_k
    best ones, suppressed greedily (`kernels.boxes.nms`); then of all classes the keep_top_k best.
    Equal scores keep the order of the priors. Boxes may reach beyond the picture, without `clip`.

    With save_output_param they are written to files, in pixels, whenever num_test_image images went
    through: all of them, or none. Commands that only look write nothing. Without label_map_file or
    name_size_file nothing is saved, as in SSD's Caffe.

    Bottom
        0: codes of boxes, (N, priors * 4), with share_location: false (N, priors * classes * 4)
        1: scores of classes, (N, priors * classes), after softmax or sigmoid
        2: priors and variances, (1, 2, priors * 4)
        3: the picture; not read
    Top
        0: (1, 1, boxes, 7): image, label, score, xmin, ymin, xmax, ymax; by image, then label, best
            first; if nothing is found, a row for each image of its number and -1
    Options (detection_output_param)
        num_classes: with the background
        share_location: one box for all classes of a prior, instead of one for each [true]
        background_label_id: label of the background; -1: there is none [0]
        code_type: CORNER, CENTER_SIZE or CORNER_SIZE, see `kernels.boxes.decode` [CORNER]
        variance_encoded_in_target: codes are not to be multiplied by the variances [false]
        confidence_threshold: scores count that are above it [all]
        nms_param: nms_threshold, the overlap above which boxes go [0.3]; top_k, the best scores of
            a class that take part [all]; eta, see `kernels.boxes.nms` [1]
        keep_top_k: most boxes in an image [-1, all]
        clip: boxes are cut off at the picture's borders before any is suppressed, as in OpenCV
            [false]
        save_output_param: output_directory, output_name_prefix, output_format (VOC, COCO, ILSVRC),
            label_map_file, name_size_file (lines NAME HEIGHT WIDTH, in the order of the images),
            num_test_image [all of these], resize_param, by which the images were resized
    Source
        Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg 2016, arXiv:1512.02325 (SSD)
    """

    options_field = "detection_output_param"
    role = "result"
    finds_boxes = True
    drawn_as = "boxes"
    bottoms = (3, 4)
    no_gradient = (0, 1, 2, 3)
    refused = {"visualize": "opens a window; caffelite detect draws boxes into pictures"}
    ignored = {
        "visualize_threshold": "it acts with visualize",
        "save_file": "it acts with visualize",
    }
    saved = None

    def moot(self):
        found, save = super().moot(), self.options.save_output_param
        missing = [
            name
            for name in ("output_directory", "label_map_file", "name_size_file")
            if not getattr(save, name)
        ]
        if missing and save.ListFields():
            words = f"nothing is saved without {' and '.join(missing)}"
            found[f"{self.options_field}.save_output_param"] = words
        return found

    def box_labels(self):
        return labels_of(self.options)

    def box_code(self):
        options = self.options
        return code_of(options, options.variance_encoded_in_target)

    def numbers_of_prior(self):
        return numbers_of_prior(self.options)

    def setup(self, bottom_shapes):
        options, nms = self.options, self.options.nms_param
        check_classes(self)
        if not nms.nms_threshold >= 0:
            raise self.error(f"nms_threshold is {nms.nms_threshold:g}, expected 0 or more")
        if not 0 < nms.eta <= 1:
            raise self.error(f"eta is {nms.eta:g}, expected a number above 0, and 1 at most")
        self.code = code_name(options.code_type)
        self.wanted = list(labels_of(options))
        if not self.wanted:
            raise self.error(
                f"num_classes is {options.num_classes}: the background counts, too, so that there "
                "is no class to find"
            )
        self.begun = False
        save = options.save_output_param
        if save.output_directory and save.label_map_file and save.name_size_file:
            if save.output_format not in FORMATS:
                raise self.error(
                    f'output_format is "{save.output_format}", expected {" or ".join(FORMATS)}'
                )
            if save.HasField("resize_param"):
                check_resize(self, save.resize_param, "resize_param of save_output_param")
            self.saved = SavedDetections(self, save, self.wanted)

    def infer_shapes(self, bottom_shapes):
        options = self.options
        self.places = 1 if options.share_location else options.num_classes
        self.count = check_priors(self, bottom_shapes, options.num_classes, self.places)
        most = self.count if self._top_k < 0 else min(self.count, self._top_k)
        most *= len(self.wanted)
        if options.keep_top_k >= 0:
            most = min(most, options.keep_top_k)
        return [(1, 1, bottom_shapes[0][0] * max(1, most), 7)]

    @property
    def _top_k(self):
        return self.options.nms_param.top_k if self.options.nms_param.HasField("top_k") else -1

    def forward(self, bottom, top):
        check_finite(self, bottom[:2])
        images = len(bottom[0].data)
        codes = bottom[0].data.reshape(images, self.count, self.places, 4)
        scores = bottom[1].data.reshape(images, self.count, self.options.num_classes)
        priors, variances = read_priors(self, bottom[2])
        if self.options.variance_encoded_in_target:
            variances = None
        found = [
            self._detect(codes[n], np.ascontiguousarray(scores[n].T), priors, variances)
            for n in range(images)
        ]
        rows = [np.insert(rows, 0, n, axis=1) for n, rows in enumerate(found) if len(rows)]
        rows = np.concatenate(rows) if rows else _none(images)
        top[0].reshape(1, 1, *rows.shape)
        top[0].data[0, 0] = rows
        self._save(found)

    def _detect(self, codes, scores, priors, variances):
        """Rows of an image: label, score, box. `scores` has a row for each class."""
        options, nms, found = self.options, self.options.nms_param, []
        above = -np.inf
        if options.HasField("confidence_threshold"):
            above = options.confidence_threshold
        for label in self.wanted:
            if self.places > 1 or label == self.wanted[0]:
                own = codes[:, label if self.places > 1 else 0]
                boxes = geometry.decode(own, priors, self.code, variances)
                if options.clip:
                    boxes = geometry.clip(boxes)
            kept = geometry.nms(
                boxes,
                scores[label],
                nms.nms_threshold,
                above=above,
                top_k=self._top_k,
                eta=nms.eta,
            )
            rows = np.empty((len(kept), 6), boxes.dtype)
            rows[:, 0], rows[:, 1], rows[:, 2:] = label, scores[label, kept], boxes[kept]
            found.append(rows)
        rows = np.concatenate(found)
        check_found(self, rows[:, 2:])
        if len(rows) > options.keep_top_k >= 0:
            best = geometry.best_first(rows[:, 1], top_k=options.keep_top_k)
            rows = rows[np.sort(best)]  # by label, best first, as they were
        return rows

    def _save(self, found):
        if self.saved is None or not self.writes:
            return
        if not self.begun:
            self.begun = True
            try:
                if not self.saved.begin():
                    self.saved = None
                    return
            except DataError as problem:
                raise self.error(f"save_output_param: {problem}", DataError) from None
        for rows in found:
            self.saved.add(rows)

    def close(self):
        if self.saved is not None:
            self.saved.give_up()

    discard = close


def _none(images):
    """What a net without any detection gives: a row for each image, as in SSD's Caffe."""
    rows = np.full((images, 7), -1.0)
    rows[:, 0] = np.arange(images)
    return rows
