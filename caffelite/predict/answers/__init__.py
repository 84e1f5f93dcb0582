"""What a net can answer, one file a kind: classes, boxes, pixels, a picture.

All files of the package are imported, and a class that is registered in one is known to
`caffelite predict`, which asks each whether a net's output fits it.
"""

from .base import ANSWERS, Answer, register

ANSWERS.load(__name__, __path__)


def kind_of(layer, shape):
    """The class of what a net answers whose last layer makes such an output; classes, if none."""
    fitting = (kind for kind in ANSWERS.values() if kind.fits(layer, shape))
    return next(fitting, ANSWERS["classes"])
