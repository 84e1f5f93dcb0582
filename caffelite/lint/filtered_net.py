"""A net filtered to one state, as rules look at it: its layers, and who reads what of whom.

It can be made of any net, however wrong: nothing here is built but what `built` says.
"""

from functools import cached_property
from itertools import product

from ..layers.base import is_known, layer_class, layer_facts
from ..net.passes import belongs
from ..proto import caffe_pb2
from .built import build

PHASES = ("TRAIN", "TEST")
_MOST_STAGES = 16  # as many are looked at


class FilteredNet:
    """The layers that a net has in one state, and how they are wired.

    `source[i, j]` is the (layer, top) that bottom j of layer i reads, where there is one;
    `readers[i, k]` are the (layer, bottom) that read top k of layer i before it is written anew.
    `indices` are the places of the layers in the net.
    """

    def __init__(self, net, state):
        self.param, self.state = net, state
        self.indices = [i for i, layer in enumerate(net.layer) if belongs(layer, state)]
        self.layers = [net.layer[i] for i in self.indices]
        self.source, self.readers = {}, {}
        writer = {}
        for i, layer in enumerate(self.layers):
            for j, name in enumerate(layer.bottom):
                if name in writer:
                    self.source[i, j] = writer[name]
                    self.readers[writer[name]].append((i, j))
            for k, name in enumerate(layer.top):
                writer[name] = i, k
                self.readers[i, k] = []

    @property
    def phase(self):
        return caffe_pb2.Phase.Name(self.state.phase)

    def readers_of(self, i):
        """The layers that read a top of layer i, by their places here."""
        return [at for k in range(len(self.layers[i].top)) for at, _ in self.readers[i, k]]

    @cached_property
    def facts(self):
        """For each layer, one of its class, not set up: its facts; see `layer_class`.

        Of an unknown type, one that says nothing.
        """
        return [layer_facts(layer, phase=self.state.phase) for layer in self.layers]

    def facts_below(self, i, j=0):
        """That of the layer that bottom j of layer i comes from, or None."""
        return self.facts[self.source[i, j][0]] if (i, j) in self.source else None

    def known_layers(self):
        """(place here, its facts) of the layers whose type is known."""
        return [(i, layer) for i, layer in enumerate(self.facts) if is_known(layer.type)]

    @cached_property
    def places(self):
        """The `indices`, to look one up."""
        return frozenset(self.indices)

    @cached_property
    def producers(self):
        """{blob: the places here of the layers that have it as a top, in order}"""
        found = {}
        for i, layer in enumerate(self.layers):
            for name in layer.top:
                found.setdefault(name, []).append(i)
        return found

    @cached_property
    def built(self):
        """What each layer becomes; see `built.build`."""
        return build(self)

    def shape_of(self, i, j):
        """The shape of bottom j of layer i, or None if the text does not tell it."""
        built = self.built[i]
        return built.bottoms[j] if built.bottoms and not built.guessed else None

    @cached_property
    def trains(self):
        """Whether this is the state in which a loss makes weights learn."""
        return self.phase == "TRAIN" and any(any(loss_weights(ly)) for ly in self.layers)

    @cached_property
    def has_loss_in_any_state(self):
        """Whether the net has a loss in any state."""
        return any(any(loss_weights(layer)) for layer in self.param.layer)


def loss_weights(layer):
    """The weights of a layer's tops in the loss, those that go without saying included."""
    return layer.loss_weight or ([1.0] if layer_class(layer.type).role == "loss" else [])


def filtered_nets(net):
    """The states that the net has layers for: a phase, and each stage that a rule asks for."""
    rules = [rule for layer in net.layer for rule in (*layer.include, *layer.exclude)]
    asked = sorted({stage for rule in rules for stage in (*rule.stage, *rule.not_stage)})
    given = list(net.state.stage)
    added = [stage for stage in asked if stage not in given][:_MOST_STAGES]
    stages = [given, *([*given, stage] for stage in added)]
    found = []
    for phase, stage in product(PHASES, stages):
        state = caffe_pb2.NetState(
            phase=caffe_pb2.Phase.Value(phase), level=net.state.level, stage=stage
        )
        found.append(FilteredNet(net, state))
    startable = [one for one in found if any(not layer.bottom for layer in one.layers)]
    return startable or found
