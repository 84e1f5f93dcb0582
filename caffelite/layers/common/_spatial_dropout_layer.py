"""ENet's Python layer of spatial dropout, in place of its module."""

import ast
import contextlib

from ...proto.caffe_pb2 import SpatialDropoutParameter
from ..base import TRAIN
from ..options import OWN_LAYERS
from .spatial_dropout import SpatialDropout


class SpatialDropoutLayer(SpatialDropout):
    """y = x * mask / (1 - p) in TRAIN, with mask 0 for channels at random; else y = x / (1 - p).

    `param_str` is a dict of `phase`, TRAIN or TEST, and `p`, as a number or text; it drops where
    that phase and the net's are TRAIN. That it scales elsewhere, too, is the module's way: weights
    that were made for it count on it. Each picture of a batch gets the gradient of its own mask.
    """

    type = "Python"
    options_field = "python_param"
    ignored = {"python_param.share_in_parallel": OWN_LAYERS}

    def __init__(self, param, **context):
        super().__init__(param, **context)
        text, given = self.param.python_param.param_str, None
        with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            given = ast.literal_eval(text.strip())
        ratio = None
        if isinstance(given, dict) and given.keys() == {"phase", "p"}:
            with contextlib.suppress(ValueError, TypeError, OverflowError):
                ratio = float(given["p"])
        if ratio is None or not 0 < ratio < 1 or given["phase"] not in ("TRAIN", "TEST"):
            raise self.error(
                "param_str: expected a dict of Python, with 'phase', 'TRAIN' or 'TEST', and 'p', "
                f"between 0 and 1: {text}"
            )
        self.in_training = given["phase"] == "TRAIN"
        self.options = SpatialDropoutParameter(dropout_ratio=ratio)

    @property
    def drops(self):
        return self.in_training and self.phase == TRAIN

    @property
    def factor(self):
        return self.dtype.type(1 / (1 - self.options.dropout_ratio))


STAND_INS = {("spatial_dropout", "SpatialDropoutLayer"): SpatialDropoutLayer}
