"""A trained net as far as some of its layers are looked at, for pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import NetError, did_you_mean
from ..layers.base import layer_class
from ..net import Net
from ..net.weights import check_weights
from ..proto import caffe_pb2
from ..types import Array, Path, Shape
from .preprocessing import of_test_phase


class Look:
    """A net as far as layers are looked at: those behind them are left out.

    Parameters
    ----------
    model, weights : the files; the net's one input takes pictures
    layers : the names of all layers that will be looked at; by default that of the scores
    allow_missing : whether layers that the weights lack may keep what their fillers gave them
    """

    def __init__(
        self,
        model: str,
        weights: Path,
        layers: Sequence[str] = (),
        allow_missing: bool = False,
    ) -> None:
        check_weights(weights)
        self.model, self.weights, self.allow_missing = model, weights, allow_missing
        param = of_test_phase(model)
        self.input, self.shape = _input(param, model)
        places = {layer.name: k for k, layer in enumerate(param.layer)}
        layers = layers or [_scores(param)]
        for name in layers:
            if name not in places:
                hint = did_you_mean(name, places) or f"; it has {', '.join(places)}"
                raise NetError(f'{model}: has no layer "{name}"{hint}')
        self.tops: dict[str, str] = {name: param.layer[places[name]].top[0] for name in layers}
        last = max(k for k, ly in enumerate(param.layer) if {*ly.top} & {*self.tops.values()})
        del param.layer[last + 1 :]
        self.param = param

    def net(self, shape: Sequence[int], more: Sequence[caffe_pb2.LayerParameter] = ()) -> Net:
        """The net for pictures of a shape, (C, H, W), with more layers at its end."""
        param = caffe_pb2.NetParameter()
        param.CopyFrom(self.param)
        param.force_backward = True
        for layer in param.layer:
            if self.input in layer.top and not layer.bottom:
                layer.input_param.shape[0].dim[:] = [1, *shape]
        param.layer.extend(more)
        net = Net.from_param(param, self.model)
        net.only_look()
        net.copy_from(self.weights, missing="warn" if self.allow_missing else "refuse")
        return net

    def run(self, net: Net, picture: Array, tops: dict[str, str]) -> dict[str, Array]:
        """{name: values of the blob} of a picture, by a net of these layers."""
        net.economize(forward_only=True, keep=tops.values())
        net.blobs[self.input].data[...] = picture
        net.forward()
        return {name: net.blobs[top].data.copy() for name, top in tops.items()}


def _scores(param: caffe_pb2.NetParameter) -> str:
    """The layer whose scores the last layer makes probabilities of, or that one."""
    last = param.layer[-1]
    if layer_class(last.type).role == "result":
        makers = [layer for layer in param.layer[:-1] if last.bottom[0] in layer.top]
        last = makers[-1] if makers else last
    name: str = last.name
    return name


def _input(param: caffe_pb2.NetParameter, model: str) -> tuple[str, Shape]:
    """The name of the net's one input, and the shape, (C, H, W), that it has in the file."""
    found = [layer for layer in param.layer if layer_class(layer.type).role == "input"]
    dims = found[0].input_param.shape[0].dim if found and found[0].input_param.shape else []
    if len(found) != 1 or len(dims) != 4 or dims[1] not in (1, 3):
        raise NetError(
            f"{model}: expected one Input, of pictures with 1 or 3 channels, N x C x H x W: the "
            "net for use, deploy.prototxt"
        )
    return found[0].top[0], tuple(dims[1:])
