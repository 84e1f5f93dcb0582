"""A net for training as one to use: an Input instead of data, probabilities instead of losses."""

from ..errors import NetError
from ..proto import caffe_pb2

_SOURCES = (
    "Data",
    "ImageData",
    "DenseImageData",
    "HDF5Data",
    "MemoryData",
    "WindowData",
    "DummyData",
)
_ANSWERS = {
    "SoftmaxWithLoss": "Softmax",
    "FocalLoss": "Softmax",
    "SoftmaxWithCrossEntropyLoss": "Softmax",
    "SigmoidCrossEntropyLoss": "Sigmoid",
}


def data_layer(param):
    """The first layer that brings samples along, or None if the net is for use already."""
    if any(layer.type == "Input" for layer in param.layer):
        return None
    return next((layer for layer in param.layer if layer.type in _SOURCES), None)


def deploy(param, shape, file=""):
    """The NetParameter that computes from one sample, of `shape`, what a loss is computed from.

    `param` has the layers of one phase only. Data layers and all that depends on their tops but the
    first go; a loss with a softmax becomes a Softmax whose top is "prob", one with a sigmoid a
    Sigmoid. Where there are several, only the last top is called that, the others after their loss.
    """
    source = data_layer(param)
    result = caffe_pb2.NetParameter()
    result.CopyFrom(param)
    del result.layer[:]
    made = result.layer.add(name=source.top[0], type="Input", top=source.top[:1])
    made.input_param.shape.add(dim=[1, *shape])
    unknown = {top for layer in param.layer if layer.type in _SOURCES for top in layer.top}
    unknown.discard(source.top[0])
    answers = []
    for layer in param.layer:
        if layer.type in _SOURCES:
            continue
        if unknown.isdisjoint(layer.bottom):
            result.layer.add().CopyFrom(layer)
        elif layer.type in _ANSWERS and layer.bottom[0] not in unknown:
            answer = result.layer.add(name=layer.name, type=_ANSWERS[layer.type])
            answer.bottom.append(layer.bottom[0])
            answer.top.append(layer.top[0] if layer.top else layer.name)
            answer.softmax_param.CopyFrom(layer.softmax_param)
            answers.append(answer)
        else:
            unknown.update(set(layer.top) - set(layer.bottom))
    if answers and not any("prob" in layer.top for layer in result.layer):
        answers[-1].top[0] = "prob"
    if len(result.layer) == 1:
        raise NetError(f"{file}: nothing is computed from {source.top[0]} alone")
    return result
