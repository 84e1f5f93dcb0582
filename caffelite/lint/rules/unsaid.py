"""Rules on what files of forks leave unsaid, since their Caffe goes by it anyway."""

from ...net import unsaid
from . import rule


@rule(advice=True)
def fork_habit(net):
    """What goes without saying in a fork alone: where a Crop starts, how edges count."""
    for at, (message, _), words in unsaid.unsaid(net.layers, net.shape_of):
        yield at, words, message
