"""How well a net does: what is counted over the batches of a data set, one file a measure.

All files of the package are imported, and a class that is registered in one is known to all who
ask: `caffelite test --report`, the tests of a solver (`eval_type`), its early-stopping monitor, and
what logs tell of them.
"""

from ..layers.utility.split import Split
from ._average_precision import average_precision
from ._coco import coco_eval
from ._voc import voc_eval
from .base import MEASURES, Batch, Measure, register
from .means import Means

MEASURES.load(__name__, __path__)


def of_net(net, kinds=None):
    """The measures that the layers of a net ask for, of all `kinds`; those of two blobs once.

    Where a kind suits that tells all that another one tells, and more, the other one is left out.
    """
    found, origin, maker = {}, {}, {}
    kinds = list(MEASURES.values() if kinds is None else kinds)
    for node in net.nodes:
        bottoms = [origin.get(name, name) for name in node.bottom_names]
        if isinstance(node.layer, Split):
            origin.update(dict.fromkeys(node.top_names, bottoms[0]))
        maker.update(dict.fromkeys(node.top_names, (node.layer, bottoms)))
        for kind in _asked(node, kinds, maker.get(bottoms[0], (None,))[0] if bottoms else None):
            made = found.setdefault((kind, *bottoms[:2]), kind(*bottoms[:2]))
            made.take_options(node.layer)
            made.take_maker(*maker[bottoms[0]])
            made.tops |= set(node.top_names)
    return list(found.values())


def _asked(node, kinds, maker):
    """Those of the kinds that a node's layer asks for, of what a layer `maker` made."""
    shapes = [blob.shape for blob in node.bottom_blobs]
    suiting = [
        kind
        for kind in kinds
        if kind.compares
        and kind.compares == node.layer.compares
        and kind.suits(node.layer, shapes, maker)
    ]
    return [kind for kind in suiting if not any(kind in one.__mro__[1:] for one in suiting)]


def asked_by(eval_type):
    """The measures that an eval_type of a solver asks for."""
    return [kind for name, kind in MEASURES.items() if (kind.eval_type or name) == eval_type]


def read_by(measures):
    """The names of all blobs that they read, for `Net.economize` to keep."""
    return {name for measure in measures for name in measure.reads}


def of_tests(net, param=None):
    """The means of outputs, and what the tests of a solver with these options ask beside them.

    Without options, that is what stands for outputs that have no means.
    """
    if param is None:
        kinds = [kind for kind in MEASURES.values() if kind.replaces]
    else:
        kinds = asked_by(param.eval_type)
    asked = of_net(net, kinds)
    for measure in asked if param else ():
        measure.take_tests(param)
    replaced = {name for measure in asked if measure.replaces for name in measure.tops}
    return [Means(net, [name for name in net.outputs if name not in replaced]), *asked]
