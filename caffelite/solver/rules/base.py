"""The contract of an update rule, and the registry of their types."""

from ...registry import Registry
from .. import regularize

RULES = Registry(history_names=(), never_negative=())
register = RULES.register


class UpdateRule:
    """How gradients move what is learned. A subclass is one `type` of a solver prototxt.

    It declares facts and fills in `update`:

    reads
        the options, fields of SolverParameter, that it looks at: others are warned about
    history_names
        of the arrays that it keeps for each blob, of its shape; snapshots hold them in this order,
        and rules that call them the same mean the same by them
    never_negative
        those of them that are made of squares

    A rule goes value by value: the blobs and arrays that it gets may be pieces of the whole. What
    clip_gradients, iter_size and lr_mult say is done before.
    """

    def __init__(self, param):
        self.param = param

    def check(self):
        """Raise a SolverError for options that cannot work."""

    def decay(self, blob, amount, rate):
        """What weight_decay does, before `update`: add the penalty's gradient to blob.diff."""
        regularize.decay(blob.diff, blob.data, amount, self.param.regularization_type)

    def update(self, blob, history, rate, t):
        """Turn blob.diff from the gradient into the step that is subtracted from blob.data.

        `rate` is the learning rate of this blob, `t` counts updates, this one included.
        """
        raise NotImplementedError(f"{type(self).__name__}.update")
