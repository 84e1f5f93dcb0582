from ..base import register
from .permute import Permute


@register("Transpose")
class Transpose(Permute):
    """y = x with its axes in another order: axis i of y is axis dim[i] of x.

    Bottom
        0: x, any shape
    Top
        0: y
    Options (transpose_param)
        dim: axes of x, counted from 0; those not named follow in their order
    Source
        Tian et al. 2016, arXiv:1609.03605 (CTPN)
    """

    options_field = "transpose_param"
    order_option = "dim"
