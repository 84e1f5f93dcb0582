"""A net for training as one to use: an Input instead of data, probabilities instead of losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import NetError
from ..layers.base import layer_class
from ..layers.data.input import Input
from ..proto import caffe_pb2
from ..proto.caffe_pb2 import LayerParameter, NetParameter


def _brings_samples(layer: LayerParameter) -> bool:
    return layer_class(layer.type).role in ("source", "dummy")


def data_layer(param: NetParameter) -> LayerParameter | None:
    """The first layer that brings samples along, or None if the net is for use already."""
    if any(layer_class(layer.type).role == "input" for layer in param.layer):
        return None
    return next(filter(_brings_samples, param.layer), None)


def deploy(param: NetParameter, shape: Sequence[int], file: str = "") -> NetParameter:
    """The NetParameter that computes from one sample, of `shape`, what a loss is computed from.

    `param` has the layers of one phase only. Data layers and all that depends on their tops but the
    first, and the sizes of pictures, go; a loss with a softmax becomes a Softmax whose top is
    "prob", one with a sigmoid a Sigmoid. Where there are several, only the last top is called that,
    the others after their loss.
    Where no layer finds boxes, one is added for what YOLO's loss or evaluation reads.
    """
    source = data_layer(param)
    if source is None:
        raise NetError(f"{file}: has no layer that brings samples along: it is for use already")
    result = caffe_pb2.NetParameter()
    result.CopyFrom(param)
    del result.layer[:]
    made = result.layer.add(name=source.top[0], type=Input.type, top=source.top[:1])
    made.input_param.shape.add(dim=[1, *shape])
    unknown = {top for layer in filter(_brings_samples, param.layer) for top in layer.top}
    unknown.discard(source.top[0])
    sizes = layer_class(source.type).sizes
    if sizes is not None and sizes < len(source.top):
        made = result.layer.add(name=source.top[sizes], type=Input.type)
        made.top.append(source.top[sizes])
        made.input_param.shape.add(dim=[1, 3])
        unknown.discard(source.top[sizes])
    answers, finders = [], []
    for layer in param.layer:
        facts = layer_class(layer.type)
        if _brings_samples(layer):
            continue
        if unknown.isdisjoint(layer.bottom):
            result.layer.add().CopyFrom(layer)
        elif facts.role == "loss" and facts.applies and layer.bottom[0] not in unknown:
            answers.append(result.layer.add())
            answers[-1].CopyFrom(_answer(layer))
        else:
            unknown.update(set(layer.top) - set(layer.bottom))
            if layer.bottom[0] not in unknown:
                finders.append(facts(layer).finder())
    found = [one for one in finders if one]
    if found and not any(layer_class(layer.type).finds_boxes for layer in result.layer):
        kind = found[-1].type
        joined = layer_class(kind).join([one for one in found if one.type == kind])
        if joined:
            result.layer.add().CopyFrom(joined)
    if answers and not any("prob" in layer.top for layer in result.layer):
        answers[-1].top[0] = "prob"
    if all(layer_class(layer.type).role == "input" for layer in result.layer):
        raise NetError(f"{file}: nothing is computed from {source.top[0]} alone")
    return result


def _answer(loss: LayerParameter) -> LayerParameter:
    """The layer that makes of scores what this loss makes of them inside."""
    kind = layer_class(loss.type).applies
    answer = caffe_pb2.LayerParameter(name=loss.name, type=kind, bottom=loss.bottom[:1])
    answer.top.append(loss.top[0] if loss.top else loss.name)
    theirs, ours = _options(loss), _options(answer)
    for name in ours.DESCRIPTOR.fields_by_name if ours and theirs else ():  # the classes' axis
        if name in theirs.DESCRIPTOR.fields_by_name and theirs.HasField(name):
            setattr(ours, name, getattr(theirs, name))
    return answer


def _options(layer: LayerParameter) -> Any:
    """The options of a layer's type, or None."""
    field = layer_class(layer.type).options_field
    return getattr(layer, field) if field else None
