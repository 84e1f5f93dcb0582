"""A net's wiring in words: what each layer of a file reads, makes and is told, of all phases."""

from ..proto.caffe_pb2 import Phase
from .draw import facts


def wiring(net):
    """{"layer", "type", "param", "bottom", "top", "options"} of each layer of a NetParameter.

    Of a param it says the name, xN for the lr_mult N, DxN for the decay_mult N, where they are not
    the default; before a top stands its loss_weight.
    """
    for layer in net.layer:
        specs = [_spec(spec) for spec in layer.param]
        weights = [f"{w:g} * " for w in layer.loss_weight] or [""] * len(layer.top)
        phases = [Phase.Name(rule.phase) for rule in layer.include if rule.HasField("phase")]
        yield {
            "layer": layer.name,
            "type": layer.type,
            "param": ", ".join(spec or "x1" for spec in specs) if any(specs) else "",
            "bottom": ", ".join(layer.bottom),
            "top": ", ".join(w + top for w, top in zip(weights, layer.top, strict=False)),
            "options": ", ".join([*facts(layer), *(f"in {phase}" for phase in phases)]),
        }


def _spec(spec):
    words = [spec.name] if spec.name else []
    words += [f"x{spec.lr_mult:g}"] if spec.lr_mult != 1 else []
    return " ".join(words + ([f"Dx{spec.decay_mult:g}"] if spec.decay_mult != 1 else []))
