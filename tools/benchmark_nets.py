"""The nets that benchmarks run: those of models/, what they are fed, and weights for them."""

from pathlib import Path

import numpy as np

from caffelite.net import Net
from caffelite.net.generator import output_of_pictures
from caffelite.net.passes import filter_layers
from caffelite.proto import caffe_pb2
from caffelite.proto.text import read_net, read_solver

ROOT = Path(__file__).resolve().parent.parent
TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST
SIZES = {"u-net": (256, 256)}  # of pictures, where it is not that of deploy.prototxt


def in_memory(folder, phase, batch, size=None):
    """The NetParameter of models/FOLDER in a phase, fed by Input layers.

    In TRAIN phase that is train_val.prototxt, in TEST phase deploy.prototxt. `size` is that of
    pictures, (rows, columns), where it is not the one that deploy.prototxt has.
    """
    deploy = read_net(ROOT / "models" / folder / "deploy.prototxt")
    data, *labels = (shape for layer in deploy.layer for shape in layer.input_param.shape)
    deploy_batch = data.dim[0]
    for shape in (data, *(shape for shape in labels if len(shape.dim) == 1)):
        shape.dim[0] = batch
    if size is not None:
        data.dim[2:] = size
    if phase == TEST:
        deploy.state.phase = TEST
        return deploy
    param = read_net(ROOT / "models" / folder / "train_val.prototxt")
    param.state.phase = TRAIN
    players = players_of(folder)
    param.state.stage.extend(players[-1:])
    param = filter_layers(param)
    if players:
        data = _made_by(deploy, batch)
    sources = [layer for layer in param.layer if layer.type in LABELS]
    batch_size = sources[0].data_param.batch_size if sources else 0
    for layer in param.layer:
        if layer.type in LABELS:
            feed = caffe_pb2.LayerParameter(name=layer.name, type="Input", top=layer.top)
            if list(layer.top) == ["text"]:  # steps x planes x streams
                feed.input_param.shape.add(dim=[batch, 3, 1, 1])
            elif steps := _steps_of_texts(param, layer):  # texts x planes x steps
                texts = batch * layer.data_param.batch_size // batch_size
                feed.input_param.shape.add(dim=[texts, 3, steps, 1])
            else:
                feed.input_param.shape.extend([data])
            if layer.type == "RoIData":  # which learns from one picture at a time
                feed.input_param.shape[0].dim[0] = 1
            for dims in LABELS[layer.type](layer, data.dim)[: len(layer.top) - 1]:
                feed.input_param.shape.add(dim=dims)
            layer.CopyFrom(feed)
        if players and layer.type == "DummyData":
            rows = layer.dummy_data_param.shape[0].dim
            rows[0] = rows[0] * batch // deploy_batch
    return param


def _steps_of_texts(param, source):
    """Of how many steps the records of texts are that a layer brings, or None of others.

    A Permute and a Reshape make steps x texts of them, three planes: see models/text.py.
    """
    rows = {one.bottom[0]: one.reshape_param.shape for one in param.layer if one.type == "Reshape"}
    for layer in param.layer:
        if list(layer.permute_param.order) == [1, 2, 0, 3] and layer.bottom[0] == source.top[0]:
            return rows[layer.top[0]].dim[0] // 3
    return None


def _made_by(generator, batch):
    """The shape of a batch of the pictures that a generator makes, which are like its data."""
    net = Net.from_param(generator)
    return caffe_pb2.BlobShape(dim=[batch, *net.blobs[output_of_pictures(net)].shape[1:]])


def players_of(folder):
    """The names of those that the net's solver trains in turns, each with a stage of that name."""
    solver = ROOT / "solvers" / f"{folder}.prototxt"
    return [player.name for player in read_solver(solver).player] if solver.exists() else []


ROWS, CELL, FIVE = 8, 7, 5  # numbers of a box: AnnotatedData's, BoxData's, MobileNet-YOLO's


def of_boxes(layer, data):
    """The shape of AnnotatedData's labels, of pixels or of two boxes a picture."""
    batch = data[0]
    if layer.data_param.label_source:
        return (batch, 1, *data[2:])
    five = layer.annotated_data_param.yolo_data_type
    return (batch, 1, 300, FIVE) if five else (1, 1, 2 * batch, ROWS)


def of_cells(layer, data):
    """The shape of BoxData's labels."""
    (side,) = layer.data_param.side or [7]
    return data[0], CELL * side**2


def of_pixels(layer, data):
    """The shape of DenseImageData's labels."""
    factor = layer.dense_image_data_param.label_divide_factor
    return data[0], 1, *(side // factor for side in data[2:])


LABELS = {  # shapes of what a data layer gives beside the data, for a batch of some shape
    "Data": lambda layer, data: [data[:1]],
    "HDF5Data": lambda layer, data: [data[:2], data[:1]],  # cont and labels of clips
    "AnnotatedData": lambda layer, data: [of_boxes(layer, data)],
    "BoxData": lambda layer, data: [of_cells(layer, data)],
    "DenseImageData": lambda layer, data: [of_pixels(layer, data)],
    "RoIData": lambda layer, data: [(1, 3), (2, FIVE), (2, FIVE)],
}


def samples(param):
    """{input: array}: unit noise for the data; one of ten classes for labels, boxes too.

    Where SSD's loss knows fewer classes, boxes are of these; pixels are of two.
    """
    generator, arrays = np.random.default_rng(0), {}
    losses = [ly.multibox_loss_param for ly in param.layer if ly.HasField("multibox_loss_param")]
    classes = min([10, *(loss.num_classes - 1 for loss in losses)])
    for layer in param.layer:
        if layer.type == "Input":
            for top, shape in zip(layer.top, layer.input_param.shape, strict=True):
                pixels = top == "label" and arrays["data"].shape[2:] == tuple(shape.dim[2:])
                if pixels or _is_of_texts(shape.dim):
                    arrays[top] = generator.integers(0, 2, shape.dim).astype(np.float32)
                elif top == "im_info":
                    arrays[top] = np.float32([[*arrays["data"].shape[2:], 1]])
                elif top in ("gt_boxes", "all_rois"):
                    rows = labelled_boxes(generator, (1, 1, 2, ROWS), classes)[0, 0]
                    boxes = rows[:, 3:7] * np.tile(arrays["data"].shape[:1:-1], 2)
                    last = top == "gt_boxes"  # the class is, of regions the picture comes first
                    parts = [boxes, rows[:, 1]] if last else [rows[:, 0], boxes]
                    arrays[top] = np.column_stack(parts)
                elif len(shape.dim) == 1:
                    arrays[top] = generator.integers(0, 10, shape.dim).astype(np.float32)
                elif top == "label":
                    arrays[top] = labelled_boxes(generator, tuple(shape.dim), classes)
                else:
                    arrays[top] = generator.standard_normal(shape.dim, np.float32)
    return arrays


def _is_of_texts(dims):
    """Whether an input has three planes of lines of symbols."""
    return len(dims) == 4 and (dims[1], dims[3]) == (3, 1)


def labelled_boxes(generator, shape, known):
    """Labels of one of the shapes of LABELS, two boxes a picture."""
    count = shape[2] // 2 if shape[-1] == ROWS else shape[0]
    classes = generator.integers(0, known, (count, 2))
    sides, middle = generator.uniform(0.1, 0.4, (2, count, 2, 2))
    middle = np.array([[0.3, 0.3], [0.7, 0.7]]) + middle / 4  # they are in different cells
    labels = np.zeros(shape, np.float32)
    if shape[-1] == ROWS:
        boxes = np.concatenate([middle - sides / 2, middle + sides / 2], axis=2)
        rows = labels.reshape(count, 2, ROWS)
        rows[..., 0], rows[..., 1], rows[..., 3:7] = np.arange(count)[:, None], classes + 1, boxes
    elif shape[-1] == FIVE:
        labels[:, 0, :2, 0], labels[:, 0, :2, 1:3], labels[:, 0, :2, 3:] = classes, middle, sides
    else:
        side = int((shape[1] // CELL) ** 0.5)
        cell = (middle * side).astype(int) @ [1, side]
        planes, picture = labels.reshape(count, CELL, -1), np.arange(count)[:, None]
        planes[picture, 1, cell], planes[picture, 2, cell] = 1, classes
        boxes = planes[:, 3:].reshape(count, -1, 4)
        boxes[picture, cell] = np.concatenate([middle, sides], axis=2)
    return labels


def fill(net):
    """Give every layer weights that keep values at about unit size."""
    generator = np.random.default_rng(1)
    for layer in net.layers:
        values = [blob.data for blob in layer.blobs]
        if layer.type == "BatchNorm":
            values[0][...], values[1][...], values[2][...] = 0, 1, 1
        elif values:
            weight, *bias = values
            if layer.type in ("Scale", "Normalize", "BN"):
                weight[...] = 1
            else:
                limit = np.sqrt(6 * weight.shape[0] / weight.size)
                generator.random(out=weight, dtype=weight.dtype)
                weight -= 0.5
                weight *= 2 * limit
            for array in bias:
                array[...] = 0
