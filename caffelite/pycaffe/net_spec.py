"""Nets written in Python.

    from caffelite.net_spec import NetSpec, layers as L, params as P

    n = NetSpec()
    n.data, n.label = L.Data(source="lmdb", backend=P.Data.LMDB, batch_size=64, ntop=2)
    n.ip1 = L.InnerProduct(n.data, num_output=10)
    n.loss = L.SoftmaxWithLoss(n.ip1, n.label)
    print(n.to_proto())

A layer call takes its bottoms, then options, messages as dicts or as they are:
weight_filler=caffe_pb2.FillerParameter(type="xavier"). A keyword that ends in `param` is a message
of the layer; others go to the message of the layer's own type, or, where it has no such field, to
the layer itself (`name`, `loss_weight`, `include`). `ntop` says how many tops (1), `in_place` that
the top is the bottom.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from google.protobuf.message import Message

from ..errors import did_you_mean
from ..proto import caffe_pb2
from ..proto.caffe_pb2 import NetParameter
from ..proto.fields import is_repeated


def param_name_dict() -> dict[str, str]:
    """{type: stem of its options field}: "InnerProduct" -> "inner_product"."""
    names: dict[str, str] = {}
    for field in caffe_pb2.LayerParameter.DESCRIPTOR.fields:
        if field.name.endswith("_param") and field.message_type is not None:
            owner = field.message_type.name.removesuffix("Parameter")
            names.setdefault(owner, field.name.removesuffix("_param"))
    return names


Named: TypeAlias = "Top | Function"
Described: TypeAlias = "OrderedDict[Function, caffe_pb2.LayerParameter]"

_param_names = param_name_dict()
_layer_fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name


def to_proto(*tops: Top) -> NetParameter:
    """The NetParameter of all layers that `tops` need, with automatic names."""
    layers: Described = OrderedDict()
    names: dict[Named, str] = {}
    autonames: Counter[str] = Counter()
    for top in tops:
        top.fn._to_proto(layers, names, autonames)
    return caffe_pb2.NetParameter(layer=layers.values())


def assign_proto(proto: Any, name: str, value: Any) -> None:
    """Set a field from a Python value: dict or message for a message, list (or one) for repeated.

    A list may be anything that is iterated over: a tuple, an array, a repeated field of a message.
    """
    field = proto.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        kind = proto.DESCRIPTOR.name
        hint = did_you_mean(name, [field.name for field in proto.DESCRIPTOR.fields])
        raise AttributeError(f'{kind} has no field "{name}"{hint}')
    if not is_repeated(field):
        _assign_one(proto, field, value)
        return
    if isinstance(value, (str, bytes, Mapping, Message)) or not isinstance(value, Iterable):
        value = [value]
    for item in value:
        if field.message_type is not None:
            _fill(getattr(proto, name).add(), field, item)
        else:
            getattr(proto, name).append(_plain(item))


def _assign_one(proto: Any, field: Any, value: Any) -> None:
    if field.message_type is not None:
        _fill(getattr(proto, field.name), field, value)
    else:
        setattr(proto, field.name, _plain(value))


def _fill(proto: Any, field: Any, value: Any) -> None:
    """Give a message the values of a dict, or of another message of its kind."""
    if isinstance(value, Mapping):
        _assign_all(proto, value)
    elif isinstance(value, Message) and value.DESCRIPTOR.full_name == proto.DESCRIPTOR.full_name:
        proto.MergeFrom(value)
        proto.SetInParent()
    else:
        wanted = proto.DESCRIPTOR.name
        given = value.DESCRIPTOR.name if isinstance(value, Message) else repr(value)
        raise TypeError(f"{field.name}: expected a dict or a {wanted}, not {given}")


def _way_out(option: str, own_fields: Mapping[str, Any]) -> str:
    """What may have been meant by an option that neither a layer nor its own message has."""
    homes = [
        name
        for name, field in sorted(_layer_fields.items())
        if field.message_type and option in field.message_type.fields_by_name
    ]
    if homes and not own_fields:
        return f"; say MESSAGE=dict({option}=...), MESSAGE being one of {', '.join(homes)}"
    return did_you_mean(option, [*own_fields, *_layer_fields])


def _assign_all(proto: Any, values: Mapping[str, Any]) -> None:
    proto.SetInParent()
    for name, value in values.items():
        assign_proto(proto, name, value)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


class Top:
    """An output of a layer: what other layers take as a bottom."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn, self.n = fn, n

    def to_proto(self) -> NetParameter:
        """The NetParameter of all layers that this top needs, with automatic names."""
        return to_proto(self)

    def _to_proto(
        self, layers: Described, names: dict[Named, str], autonames: Counter[str]
    ) -> None:
        self.fn._to_proto(layers, names, autonames)

    def _update(self, params: Mapping[str, Any]) -> None:
        self.fn.params.update(params)


class Function:
    """A layer being described: its type, bottoms and options."""

    def __init__(self, type_name: str, inputs: Sequence[Top], params: Mapping[str, Any]) -> None:
        for index, top in enumerate(inputs):
            if not isinstance(top, Top):
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(top)})")
        self.type_name, self.inputs, self.params = type_name, inputs, dict(params)
        self.in_place = self.params.pop("in_place", False)
        self.ntop = self.params.pop("ntop", 1)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def to_proto(self) -> NetParameter:
        """The NetParameter of this layer and all that it needs, with automatic names."""
        layers: Described = OrderedDict()
        self._to_proto(layers, {}, Counter())
        return caffe_pb2.NetParameter(layer=layers.values())

    def _name(self, of: Named, names: dict[Named, str], autonames: Counter[str]) -> str:
        if of not in names:
            autonames[self.type_name] += 1
            names[of] = f"{self.type_name}{autonames[self.type_name]}"
        return names[of]

    def _to_proto(
        self, layers: Described, names: dict[Named, str], autonames: Counter[str]
    ) -> None:
        if self in layers:
            return
        layer = caffe_pb2.LayerParameter(type=self.type_name)
        for top in self.inputs:
            top._to_proto(layers, names, autonames)
            layer.bottom.append(layers[top.fn].top[top.n])
        if self.in_place:
            layer.top.extend(layer.bottom)
        else:
            layer.top.extend(self._name(top, names, autonames) for top in self.tops)
        layer.name = self._name(self.tops[0] if self.tops else self, names, autonames)
        own = f"{_param_names.get(self.type_name, '')}_param"
        message = _layer_fields.get(own)
        own_fields = message.message_type.fields_by_name if message else {}
        for key, value in self.params.items():
            is_own = key in own_fields and not key.endswith("param")
            if not is_own and key not in _layer_fields:
                raise AttributeError(
                    f'{self.type_name} has no option "{key}"{_way_out(key, own_fields)}'
                )
            assign_proto(getattr(layer, own) if is_own else layer, key, value)
        layers[self] = layer


class NoSuchTop(KeyError, AttributeError):
    """There is no Top of that name: a KeyError in pycaffe, to hasattr and Jupyter the other."""


class NetSpec:
    """A net whose blobs are named by assignment: n.conv1 = L.Convolution(n.data, ...)."""

    tops: OrderedDict[str, Top]

    def __init__(self) -> None:
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        tops = vars(self).get("tops", {})  # a copy in the making has none
        if name not in tops:
            raise NoSuchTop(name)
        return tops[name]

    def __delattr__(self, name: str) -> None:
        del self.tops[name]

    __setitem__, __getitem__, __delitem__ = __setattr__, __getattr__, __delattr__

    def keys(self) -> list[str]:
        """The names of the tops, in the order of assignment, as in the SSD branch."""
        return list(self.tops)

    def update(self, name: str, params: Mapping[str, Any]) -> None:
        """Give the layer of a top more options, or others, as in the SSD branch."""
        self[name]._update(params)

    def to_proto(self) -> NetParameter:
        """The NetParameter, layers in the order of assignment, each after what it needs."""
        names: dict[Named, str] = {top: name for name, top in self.tops.items()}
        layers: Described = OrderedDict()
        autonames: Counter[str] = Counter()
        for top in self.tops.values():
            top._to_proto(layers, names, autonames)
        return caffe_pb2.NetParameter(layer=layers.values())

    def _repr_html_(self) -> str:
        """A picture and a table, for Jupyter."""
        from ..pictures.notebook import spec_page

        return spec_page(self.to_proto())


class Layers:
    """L.TYPE(*bottoms, **options) describes a layer; returns its Top, or a tuple for ntop > 1."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def describe(*bottoms: Top, **options: Any) -> Any:
            function = Function(name, bottoms, options)
            if function.ntop == 0:
                return function
            return function.tops[0] if function.ntop == 1 else function.tops

        return describe


class Parameters:
    """P.NAME.CONSTANT is an enum value of message NAMEParameter: P.Pooling.MAX."""

    def __getattr__(self, name: str) -> Any:
        message = getattr(caffe_pb2, f"{name}Parameter", None)
        if message is None:
            raise AttributeError(f"there is no message {name}Parameter")
        return message


layers = Layers()
params = Parameters()
