"""What runs a trained net: caffelite, OpenCV's dnn, ONNX Runtime, PyTorch, each from files.

Classes with the same methods, of the folder that `write` put the net into. caffelite and OpenCV
read the prototxt and a caffemodel; ONNX Runtime reads what PyTorch exports of its twin of the net.
"""

import json
import warnings

import numpy as np

from tools.benchmark_machine import set_threads

PROTOTXT, WEIGHTS, TOPS = "net.prototxt", "net.caffemodel", "tops.json"
INPUT, TWIN, ONNX = "input.npy", "twin.pt", "net.onnx"
CLASSES = 21  # of VOC, which the detectors tell apart


class Caffelite:
    name, module = "caffelite", "caffelite"

    def __init__(self, folder, threads):
        import caffelite

        self.net = caffelite.Net(
            str(folder / PROTOTXT), caffelite.TEST, weights=str(folder / WEIGHTS)
        )
        self.net.economize(forward_only=True)
        self.data = np.load(folder / INPUT)
        set_threads(threads)

    def forward(self):
        self.net.blobs["data"].data[...] = self.data
        self.made = self.net.forward()

    def outputs(self):
        return {name: values.copy() for name, values in self.made.items()}


class OpenCV:
    name, module = "OpenCV", "cv2"

    def __init__(self, folder, threads):
        import cv2

        cv2.setNumThreads(threads)
        self.net = cv2.dnn.readNetFromCaffe(str(folder / PROTOTXT), str(folder / WEIGHTS))
        self.data, self.names = np.load(folder / INPUT), json.loads((folder / TOPS).read_text())
        self.forward()

    def forward(self):
        self.net.setInput(self.data, "data")
        self.made = self.net.forward(self.names)

    def outputs(self):
        return dict(zip(self.names, self.made, strict=True))


class OnnxRuntime:
    name, module = "ONNX Runtime", "onnxruntime"

    def __init__(self, folder, threads):
        import onnxruntime

        if not (folder / ONNX).exists():
            raise NotImplementedError("PyTorch's export has no such layers")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        self.session = onnxruntime.InferenceSession(
            str(folder / ONNX), options, providers=["CPUExecutionProvider"]
        )
        self.data = np.load(folder / INPUT)

    def forward(self):
        self.made = self.session.run(None, {"data": self.data})

    def outputs(self):
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.made, strict=True))


class PyTorch:
    name, module = "PyTorch", "torch"

    def __init__(self, folder, threads):
        import torch

        from tools.torch_twin import Twin

        torch.set_num_threads(threads)
        self.torch, self.twin = torch, Twin(read(folder)).eval()
        if (folder / TWIN).exists():
            self.twin.load_state_dict(torch.load(folder / TWIN))
        self.data = torch.from_numpy(np.load(folder / INPUT))

    def forward(self):
        with self.torch.inference_mode():
            self.made = self.twin(data=self.data)

    def outputs(self):
        return {name: made.numpy() for name, made in self.made.items()}


ENGINES = {engine.name: engine for engine in (Caffelite, OpenCV, OnnxRuntime, PyTorch)}


def read(folder):
    """The NetParameter of a folder that `write` filled."""
    from caffelite.proto import caffe_pb2
    from caffelite.proto.text import read_net

    param = read_net(folder / PROTOTXT)
    param.state.phase = caffe_pb2.TEST
    return param


def write(name, batch, folder, engines):
    """Write a net of models/ with random weights as each of the engines reads it."""
    import caffelite
    from tools.benchmark_nets import SIZES, TEST, in_memory, samples

    param = in_memory(name, TEST, batch, SIZES.get(name))
    (folder / PROTOTXT).write_text(str(param))
    ((_, data),) = samples(param).items()
    np.save(folder / INPUT, data)
    net = caffelite.Net(param, TEST)
    weights_for(net, data)
    net.save(str(folder / WEIGHTS))
    (folder / TOPS).write_text(json.dumps(list(net.outputs)))
    if engines & {"ONNX Runtime", "PyTorch"}:
        values = {layer: [b.data for b in blobs] for layer, blobs in net.params.items()}
        export(param, values, list(net.outputs), data, folder, "ONNX Runtime" in engines)


def weights_for(net, data):
    """Random weights that keep values at about unit size, and scores that tell classes apart."""
    from tools.benchmark_nets import fill

    fill(net)
    random = np.random.default_rng(2)
    for layer in net.layers:
        if layer.type == "BatchNorm":
            mean, variance, _ = (blob.data for blob in layer.blobs)
            mean[...] = random.normal(0, 0.1, mean.shape)
            variance[...] = random.uniform(0.5, 2, variance.shape)
    net.forward(data=data)
    scores = {node.bottom_names[0] for node in net.nodes if node.layer.type == "Softmax"}
    for node in net.nodes:
        of_boxes = node.layer.name.endswith("_mbox_conf")
        if node.layer.blobs and (of_boxes or scores & set(node.top_names)):
            node.layer.blobs[0].data[...] *= 1.5 / node.top_blobs[0].data.std()
        if of_boxes and node.layer.blobs:  # most places are background, as in pictures
            node.layer.blobs[1].data.reshape(-1, CLASSES)[:, 0] = 6


def export(param, values, tops, data, folder, onnx):
    """Write the weights of the twin, and the twin as ONNX, where it can be written so."""
    import torch

    from tools.torch_twin import Twin

    class Tops(torch.nn.Module):
        def __init__(self, twin):
            super().__init__()
            self.twin = twin

        def forward(self, data):
            made = self.twin(data=data)
            return tuple(made[name] for name in tops)

    twin = Twin(param, in_place=True).eval()
    twin.load(values)
    torch.save(twin.state_dict(), folder / TWIN)
    if not onnx or any(layer.type == "DetectionOutput" for layer in param.layer):
        return
    with warnings.catch_warnings():  # the newer exporter needs another package, and gives the same
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Tops(twin), (torch.from_numpy(data),), str(folder / ONNX), input_names=["data"],
            output_names=tops, dynamo=False,
        )  # fmt: skip
