"""What a net says of the regions of a training set, for machines that learn from it.

R-CNN and SPP-net train their support vector machines and the regression of boxes apart from the
net, of features that it makes of each region; these are kept on disk, since they are many.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import NetError
from ..kernels import boxes as geometry
from ..layers.common.inner_product import InnerProduct
from ..layers.data.roi_data import RoIData
from ..layers.detection.roi_detection_output import RoIDetectionOutput
from ..net import Net
from ..net.passes import filter_layers
from ..net.weights import check_weights
from ..proto import caffe_pb2
from ..proto.text import read_net
from ..types import Array, Path
from .preprocessing import of_test_phase

NEAR = 0.6
"""The least overlap of a region that the regression of boxes learns from."""


class Machines(NamedTuple):
    """The layers that machines are trained for; see `find_machines`."""

    scores: str  # InnerProduct: an output for each class, the background first
    boxes: str  # InnerProduct: four for each
    classes: int  # with the background


def find_machines(param: caffe_pb2.NetParameter, model: str) -> Machines:
    """The two layers that RoIDetectionOutput reads its scores and its codes of boxes from."""
    finders = [layer for layer in param.layer if layer.type == RoIDetectionOutput.type]
    if not finders:
        raise NetError(
            f"{model}: in phase TEST, no RoIDetectionOutput finds boxes of scores and codes"
        )
    makers = []
    for what, blob in zip(("scores", "codes of boxes"), finders[-1].bottom[1:3], strict=True):
        made = [layer for layer in param.layer if blob in layer.top]
        if not made or made[-1].type != InnerProduct.type:
            raise NetError(
                f'{model}: layer "{finders[-1].name}": the {what}, "{blob}", are made by '
                f"{made[-1].type if made else 'no layer'}, expected an InnerProduct, whose weights "
                "a linear machine is"
            )
        makers.append(made[-1])
    scores, boxes = makers
    classes = scores.inner_product_param.num_output
    if boxes.inner_product_param.num_output != 4 * classes:
        raise NetError(
            f'{model}: layer "{boxes.name}" has {boxes.inner_product_param.num_output} outputs, '
            f'expected 4 for each of the {classes} of layer "{scores.name}"'
        )
    return Machines(scores.name, boxes.name, classes)


class OnDisk:
    """Rows of float32 in a file, put one after another, and read again as one array."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "wb")
        self._path, self._rows, self._width = path, 0, 0

    def put(self, rows: Array) -> None:
        self._file.write(np.ascontiguousarray(rows, np.float32).tobytes())
        self._rows, self._width = self._rows + len(rows), rows.shape[1]

    def array(self) -> Array:
        self._file.close()
        shape = self._rows, self._width
        return (
            np.memmap(self._path, np.float32, "r", shape=shape) if self._rows else np.empty(shape)
        )


class RegionFeatures:
    """Features of all regions of a training set, and of its true boxes, and how these overlap.

    Attributes
    ----------
    scores : regions x features, of what the scores are to be made
    overlaps : regions x classes, the largest with a true box of each class, 1 for the box itself
    true : regions: the class of a true box, 0 for a region
    boxes : fewer x features, of what boxes are to be made: regions that overlap by NEAR at least
    codes : fewer x 4, the codes of the boxes that these meet, RCNN of `kernels.boxes.encode`
    labels : fewer: the classes of these
    """

    def __init__(self, scores: Array, overlaps: Array, true: Array, near: Sequence[Array]) -> None:
        self.scores, self.overlaps, self.true = scores, overlaps, true
        self.boxes, self.codes, self.labels = near


class FeatureNet:
    """A net that makes features of the regions of its training set.

    Parameters
    ----------
    model, weights : a net for training, whose data are RoIData with regions in both phases, and its
        weights, which may lack those of the machines
    """

    def __init__(self, model: str, weights: Path) -> None:
        check_weights(weights)
        self.param = param = of_test_phase(model)
        self.weights = weights
        self.machines = machines = find_machines(param, model)
        self.model, self.classes = model, machines.classes
        by_name = {layer.name: layer for layer in param.layer}
        self.features = [by_name[name].bottom[0] for name in machines[:2]]
        ends = [list(by_name).index(name) for name in machines[:2]]
        kept = _needed(param, self.features, min(ends))
        self.data = _read_training_set(kept, model)
        self.net = Net.from_param(kept, model)
        self.net.copy_from(weights, missing="refuse")

    def __len__(self) -> int:
        return len(self.layer.source)

    @property
    def layer(self) -> Any:
        return self.net.layer_dict[self.data]

    def pictures(self) -> Iterator[tuple[Array, Array, Array]]:
        """(regions n x 4 with the true boxes behind them, true boxes, their classes) of each."""
        blobs, names = self.net.blobs, list(self.net.layer_dict)
        image, _, label, rois = self.net.top_names[self.data]
        behind = names[names.index(self.data) + 1]
        for _ in range(len(self)):
            self.net.forward(end=self.data)
            rows = blobs[label].data.reshape(-1, 8)
            rows = rows[(rows[:, 1] > 0) & (rows[:, 7] == 0)]
            classes = rows[:, 1].astype(int)
            if (classes >= self.classes).any():
                raise NetError(
                    f"{self.model}: {self.layer.sample_name(0)}: has a box of the class "
                    f"{classes.max()}, but the layers have outputs for classes up to "
                    f"{self.classes - 1}"
                )
            height, width = blobs[image].shape[2:]
            truth = rows[:, 3:7] * np.array([width, height, width, height], np.float32)
            truth = truth - [0, 0, 1, 1]
            regions = np.concatenate([blobs[rois].data[:, 1:], truth]).astype(np.float32)
            blobs[rois].reshape(len(regions), 5)
            blobs[rois].data[:, 0], blobs[rois].data[:, 1:] = 0, regions
            self.net.forward(start=behind)
            yield regions, truth, classes

    def write(self, folder: str, progress: Any) -> RegionFeatures:
        """Go through the training set once, and keep features in files of a folder."""
        scores, boxes = (OnDisk(os.path.join(folder, name)) for name in ("scores", "boxes"))
        overlaps, true, codes, labels = [], [], [], []
        for regions, truth, classes in progress(self.pictures()):
            rows = [self.net.blobs[name].data for name in self.features]
            rows = [values.reshape(len(regions), -1) for values in rows]
            with_truth = geometry.iou(np.float64(regions), np.float64(truth), pixels=True)
            scores.put(rows[0])
            overlaps.append(_by_class(with_truth, classes, self.classes))
            true.append(np.concatenate([np.zeros(len(regions) - len(truth), int), classes]))
            if not len(truth):
                continue
            best = with_truth.argmax(axis=1)
            near = with_truth.max(axis=1) >= NEAR
            boxes.put(rows[1][near])
            pairs = truth[best[near]].astype(np.float64), regions[near].astype(np.float64)
            codes.append(geometry.encode(*pairs, "RCNN"))
            labels.append(classes[best[near]])
        if not codes:
            raise NetError(f"{self.model}: no picture of the training set has a true box")
        of_near = boxes.array(), np.concatenate(codes), np.concatenate(labels)
        return RegionFeatures(
            scores.array(), np.concatenate(overlaps), np.concatenate(true), of_near
        )

    def save(self, path: Path, scores: Any, boxes: Any) -> None:
        """Write the weights, and those of the machines, each with a weight and a bias."""
        net = Net.from_param(self.param, self.model)
        net.only_look()
        net.copy_from(self.weights, missing="report")
        for name, machine in zip(self.machines[:2], (scores, boxes), strict=True):
            for blob, values in zip(net.params[name], machine, strict=True):
                blob.data[...] = values
        net.save(path)


def _by_class(overlaps: Array, classes: Array, count: int) -> Array:
    """regions x classes: the largest overlap with a box of each class."""
    found = np.zeros((len(overlaps), count), np.float32)
    for label in np.unique(classes):
        found[:, label] = overlaps[:, classes == label].max(axis=1)
    return found


def _needed(param: Any, blobs: Sequence[str], end: int) -> caffe_pb2.NetParameter:
    """The layers before `end` that these blobs are made by."""
    wanted, kept = set(blobs), []
    for layer in reversed(param.layer[:end]):
        if wanted.intersection(layer.top):
            wanted.update(layer.bottom)
            kept.append(layer)
    return caffe_pb2.NetParameter(name=param.name, state=param.state, layer=reversed(kept))


def _read_training_set(kept: caffe_pb2.NetParameter, model: str) -> str:
    """Let the data be those of training, as tests see them; the name of their layer."""
    training = read_net(model)
    training.state.phase = caffe_pb2.TRAIN
    sources = [_with_regions(filter_layers(training, model)), _with_regions(kept)]
    for phase, source in zip(("TRAIN", "TEST"), sources, strict=True):
        if source is None:
            raise NetError(f"{model}: in phase {phase}, there is no RoIData with regions")
    source, data = sources
    data.data_param.source = source.data_param.source
    data.roi_data_param.regions = source.roi_data_param.regions
    return data.name


def _with_regions(param: caffe_pb2.NetParameter) -> Any:
    return next(
        (one for one in param.layer if one.type == RoIData.type and one.roi_data_param.regions),
        None,
    )
