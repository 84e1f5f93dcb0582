"""Nets that find boxes in pictures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.dataset import read_names
from ..data.image import decoded_shape
from ..data.label_map import class_names, is_label_map
from ..data.regions import Regions
from ..data.transform import DataTransformer
from ..data.true_boxes import ScaledTransformer, ShortSide
from ..errors import DataError, NetError
from ..layers.base import Layer, layer_class
from ..layers.data.input import Input
from ..layers.detection._rcnn_settings import rcnn_settings
from ..layers.detection.proposal import Proposal
from ..layers.detection.roi_detection_output import RoIDetectionOutput
from ..layers.detection.yolo_detection_output import YoloDetectionOutput
from ..proto import caffe_pb2
from ..types import Array, Path, Shape
from .answers.found import Found
from .picture_net import PictureNet
from .preprocessing import Preprocessing, of_test_phase
from .way_back import WayBack

log = logging.getLogger("caffelite")
LEAST_SCORE = 0.3
ROI = 5  # numbers of a region
SIZES = "im_info"  # the blob of Girshick's nets for the height, width and scale of a picture
FIRST_YOLO = 1470  # numbers of YOLO v1: 7 x 7 cells of 20 classes and 2 boxes
_FIRST_YOLO = dict(side=7, num_classes=20, num_box=2, constriant=True, nms_threshold=0.5)


class BoxNet(PictureNet):
    """A net that ends in a layer that finds boxes: DetectionOutput, YoloDetectionOutput, ...

    The parameters are those of a PictureNet, `crops` left out: boxes of several crops would be
    several; `labels` is the file with the names of classes, or "". `layout`, CELLS or PLANES, is
    that of a net which ends in the 1470 numbers of the first YOLO without saying more. Pictures go
    through the net one by one, since layers of YOLO let boxes of one suppress those of another in
    the batch.

    A net in two stages has a second input, for height and width of what it sees, and what the
    picture was multiplied by. Where nothing says how pictures are resized, short sides become
    TEST.SCALES long, long ones at most TEST.MAX_SIZE, see `caffelite.rcnn_settings`. Where an input
    has rows of five numbers, these are regions, of picture files, from the database `regions`.
    """

    def __init__(
        self,
        model: str,
        weights: Path,
        preprocessing: Preprocessing,
        labels: str = "",
        layout: str = "CELLS",
        regions: Path = "",
        **options: Any,
    ) -> None:
        self.layout = layout
        self.regions = Regions(regions) if regions else None
        super().__init__(model, weights, preprocessing, **options)
        self.net.blobs[self.input].reshape(1, *self.shape)
        self.net.reshape()
        self.names = names_of(labels, self.answering()[0]) if labels else {}

    def complete(self, param: caffe_pb2.NetParameter, model: str) -> None:
        if any(map(_finds_boxes, param.layer)):
            return
        if in_regions := _of_regions(param):
            param.layer.add().CopyFrom(in_regions)
            return
        learning = [layer for layer in param.layer if layer_class(layer.type).learns]
        if learning and learning[-1].inner_product_param.num_output == FIRST_YOLO:
            param.layer.add(
                name="detection_out",
                type=YoloDetectionOutput.type,
                bottom=param.layer[-1].top[:1],
                top=["detection_out"],
                yolo_detection_output_param={**_FIRST_YOLO, "layout": self.layout},
            )
        else:
            ends = [f'"{layer.name}" ({layer.type})' for layer in param.layer[-1:]]
            made = ends[0] if ends else "nothing"
            raise NetError(
                f"{model}: no layer finds boxes, as DetectionOutput, YoloDetectionOutput or "
                f"Yolov3DetectionOutput do; the net ends in {made}. caffelite predict says what "
                "other nets answer; caffelite detect WINDOWS.csv OUT.csv what is in given boxes"
            )

    def _output(self, model: str, wanted: str | None) -> str:
        finding = [node.top_names[0] for node in self.net.nodes if node.layer.finds_boxes]
        if wanted is not None and wanted not in finding:
            raise NetError(
                f'{model}: no layer finds boxes in "{wanted}", but in {", ".join(finding)}'
            )
        return wanted or finding[-1]

    def _input(self, model: str) -> tuple[str, Shape]:
        shapes = {name: self.net.blobs[name].shape for name in self.net.inputs}
        flat = {name: shape[1] for name, shape in shapes.items() if len(shape) == 2}
        self.sizes = [name for name, numbers in flat.items() if numbers != ROI]
        self.rois = [name for name, numbers in flat.items() if numbers == ROI]
        pictures = [name for name, shape in shapes.items() if len(shape) == 4]
        if not (flat and pictures) or len(flat) != len(shapes) - 1 or len(self.rois) > 1:
            return super()._input(model)
        if self.rois and self.regions is None:
            raise NetError(
                f'{model}: takes regions, in "{self.rois[0]}": give those of the pictures, '
                "--regions DB, which caffelite regions makes"
            )
        return pictures[0], shapes[pictures[0]][1:]

    def _transformer(self, preprocessing: Preprocessing, crops: str) -> tuple[Any, DataTransformer]:
        given = preprocessing.transform or caffe_pb2.TransformationParameter()
        short_side = preprocessing.short_side
        if self.sizes and not (short_side or preprocessing.size or given.HasField("resize_param")):
            short_side = ShortSide(rcnn_settings["TEST.SCALES"], rcnn_settings["TEST.MAX_SIZE"])
        self.free = short_side is not None  # of which size pictures are
        if not self.free:
            return super()._transformer(preprocessing, crops)
        transform = caffe_pb2.TransformationParameter(
            scale=given.scale, mean_value=given.mean_value, bgr2rgb=given.bgr2rgb
        )
        return None, ScaledTransformer(transform, train=False, short_side=short_side)

    def look(self, picture: str | Array) -> tuple[Array, WayBack, tuple[int, int]]:
        """(what the net sees of a picture, the way back from there, the picture's height, width)"""
        way = WayBack()
        if self.rois and self.regions is not None:
            if not isinstance(picture, str):
                raise DataError("regions are known of picture files alone; give the file's name")
            way.regions = self.regions.of_file(picture)
        crop = self.crops(picture, way)
        if not isinstance(picture, str):
            return crop, way, picture.shape[1:]
        try:
            return crop, way, decoded_shape(picture)[1:]
        except DataError as problem:
            raise DataError(f"{picture}: {problem}") from None

    def find(self, seen: tuple[Array, WayBack, tuple[int, int]], least: float) -> list[Found]:
        """The boxes with at least that score, the best first, of what `look` gives."""
        rows = np.float64(self.answer(seen)).reshape(-1, 7)
        _, way, (height, width) = seen
        rows = rows[np.isfinite(rows).all(axis=1) & (rows[:, 1] >= 0) & (rows[:, 2] >= least)]
        rows = rows[np.argsort(-rows[:, 2], kind="stable")]
        boxes = way.boxes(rows[:, 3:], width, height)
        within = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # not in what was added to the picture
        labels, scores = rows[within, 1].astype(int).tolist(), rows[within, 2].tolist()
        return [
            Found(label, self.names.get(label, str(label)), score, *box)
            for label, score, box in zip(labels, scores, boxes[within].tolist(), strict=True)
        ]

    def answer(self, seen: tuple[Array, WayBack, tuple[int, int]]) -> Array:
        """What the net says, in the blob `output`, of what `look` gives."""
        crop, way, (height, width) = seen
        blob = self.net.blobs[self.input]
        if blob.shape != crop.shape:
            blob.reshape(*crop.shape)
            self.net.reshape()
        blob.data[...] = crop
        for name in self.sizes:
            seen_height, seen_width = crop.shape[2:]
            scales = [way.scale or seen_height / height, way.scale or seen_width / width]
            sizes = self.net.blobs[name].data
            sizes[...] = [seen_height, seen_width, *scales][: sizes.shape[1]]
        for name in self.rois:
            scale = way.scale or crop.shape[2] / height
            rois = way.regions_in_pixels((crop.shape[2], crop.shape[3]), scale)
            self.net.blobs[name].reshape(*rois.shape)
            self.net.blobs[name].data[...] = rois
            self.net.reshape()
        self.net.forward()
        answer: Array = self.net.blobs[self.output].data
        return answer


class RegionNet(BoxNet):
    """A BoxNet that need not find boxes: it proposes regions, as that of Faster R-CNN does."""

    def complete(self, param: caffe_pb2.NetParameter, model: str) -> None:
        """Nothing: no layer has to find boxes."""

    def _output(self, model: str, wanted: str | None) -> str:
        made = [node.top_names[0] for node in self.net.nodes if isinstance(node.layer, Proposal)]
        if not made:
            raise NetError(f"{model}: no layer proposes regions, as Proposal does")
        return made[-1]

    def propose(self, pixels: Array) -> Array:
        """n x 4: the regions in a picture, 3 x height x width, blue first, in fractions of it.

        They are in the order of the net, the best first, and end behind their last pixel, which is
        one of the picture, as Girshick's code has it.
        """
        crop, way, size = seen = self.look(pixels)
        corners = self.answer(seen)[:, 1:].astype(np.float64)
        corners[:, 2:] += way.scale or crop.shape[2] / size[0]
        height, width = crop.shape[2:]
        return way.boxes(corners / [width, height, width, height], 1, 1).clip(0, 1)


def _of_regions(param: caffe_pb2.NetParameter) -> caffe_pb2.LayerParameter | None:
    """What finds boxes by the blobs that Girshick's scripts read, or None.

    Nets of Fast R-CNN are not told the size of the picture; they get an input for it.
    """
    tops = {top for layer in param.layer for top in layer.top}
    scores = "cls_score" if rcnn_settings["TEST.SVM"] else "cls_prob"
    given = {
        t for layer in param.layer if layer_class(layer.type).role == "input" for t in layer.top
    }
    if not tops.issuperset({"rois", scores, *(() if "rois" in given else (SIZES,))}):
        return None
    if SIZES not in tops:
        shape = caffe_pb2.InputParameter(shape=[caffe_pb2.BlobShape(dim=[1, 3])])
        param.layer.add(name=SIZES, type=Input.type, top=[SIZES], input_param=shape)
    codes = ["bbox_pred"] if "bbox_pred" in tops and rcnn_settings["TEST.BBOX_REG"] else []
    found = caffe_pb2.LayerParameter(
        name="detection_out",
        type=RoIDetectionOutput.type,
        bottom=["rois", scores, *codes, SIZES],
        top=["detection_out"],
    )
    options = found.roi_detection_output_param
    options.nms_threshold = rcnn_settings["TEST.NMS"]
    options.class_agnostic = rcnn_settings["TEST.AGNOSTIC"]
    return found


def finds_boxes(model: str, level: int = 0, stages: Sequence[str] = ()) -> bool:
    """Whether a net has a layer that finds boxes."""
    return any(map(_finds_boxes, of_test_phase(model, level, stages).layer))


def _finds_boxes(layer: caffe_pb2.LayerParameter) -> bool:
    return layer_class(layer.type).finds_boxes


def names_of(path: str, layer: Layer) -> dict[int, str]:
    """{label: name} of a file: a label map, or a name a line, with the background or without.

    That classes which the layer finds have no name is warned about; numbers stand for them.
    """
    labels = layer.box_labels()
    if is_label_map(path):
        names = class_names(path)
    else:
        lines = read_names(path)
        names = dict(enumerate(lines, labels[0] if len(lines) == len(labels) else 0))
    missing = [label for label in labels if label not in names]
    if missing:
        log.warning(
            "%s: has no name for %d of the %d classes that %s finds, such as %d; they are called "
            "by their numbers",
            *(path, len(missing), len(labels), layer.at, missing[0]),
        )
    more = [label for label in names if label not in labels and label]
    if more:
        log.warning(
            "%s: has %d names of other classes than the %d that %s finds, such as %d; is it of "
            "another net?",
            *(path, len(more), len(labels), layer.at, more[0]),
        )
    return names


class BoxFinder:
    """Finds boxes in pictures: finder("street.jpg") is a list of them, the best first.

    Each has a label, a name, a score, and xmin, ymin, xmax and ymax in pixels of the picture.

    Parameters
    ----------
    model, weights : files of a net that ends in a layer that finds boxes, or of one for training
    labels : a label map, or a file with a name of a class in each line [that of the net's data]
    least_score : the score that a box needs to be found
    preprocessing : what pictures go through [what the net's files say]
    options : layout, output and allow_missing, as of a BoxNet
    """

    def __init__(
        self,
        model: str,
        weights: Path,
        labels: str = "",
        least_score: float = LEAST_SCORE,
        preprocessing: Preprocessing | None = None,
        level: int = 0,
        stages: Sequence[str] = (),
        **options: Any,
    ) -> None:
        found = preprocessing or Preprocessing.of_net(model, level=level, stages=stages)
        self.net = BoxNet(
            model, weights, found, labels or found.names, level=level, stages=stages, **options
        )
        self.least_score = least_score

    def __call__(self, picture: str | Array) -> list[Found]:
        """The boxes in a picture: a file, or uint8 pixels, height x width x 3, red first."""
        if isinstance(picture, str):
            return self.net.find(self.net.look(picture), self.least_score)
        pixels = np.asarray(picture)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise DataError(
                f"expected a picture as uint8, height x width x 3, not {pixels.dtype} of the "
                f"shape {pixels.shape}"
            )
        pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1)[::-1])
        return self.net.find(self.net.look(pixels), self.least_score)
