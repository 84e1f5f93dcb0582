"""Convolution of arrays: forward, and the gradients to input and weights.

y[n, m, o] = sum over c, k of w[m, c, k] x[n, c, o * stride + k * dilation - pad], for each group
of channels. x is (N, C, *in), w is (M, C / group, *kernel), y is (N, M, *out), any number of
spatial axes, all contiguous and of one dtype. The shapes alone say how many outputs there are, and
`plan` says which way each product goes.

Deconvolution swaps the roles: `backward_input` computes its top from its bottom.
"""

from . import (
    depthwise,
    depthwise_weight,
    direct,
    direct_turned,
    direct_weight,
    folded,
    im2col_multiply,
    im2col_scatter,
    im2col_weight,
    phases,
    pointwise,
    separable,
    spread,
    taps,
    thinned,
    turned,
    winograd,
    winograd_line,
    winograd_line_weight,
    winograd_weight,
)
from ._pack import pack_tiles, unpack_tiles
from .epilogue import Epilogue
from .plan import plan_convolution, plan_laned

_MULTIPLY = {
    module.Plan: module
    for module in (
        winograd,
        winograd_line,
        folded,
        turned,
        thinned,
        pointwise,
        depthwise,
        direct,
        direct_turned,
        taps,
        im2col_multiply,
    )
}
_PACK = {
    module.Plan: module.pack
    for module in (winograd, winograd_line, folded, turned, direct_turned, thinned, depthwise, taps)
}  # or pack_tiles
_UNPACK = {pack_tiles: unpack_tiles, turned.pack: turned.unpack, taps.pack: taps.unpack}
_SCATTER = {
    module.Plan: module.scatter for module in (im2col_scatter, phases, spread, taps, thinned)
}
_ADD_GRADIENT = {
    module.Plan: module
    for module in (
        winograd_weight,
        winograd_line_weight,
        folded,
        depthwise_weight,
        thinned,
        direct_weight,
        taps,
        im2col_weight,
    )
}


def forward(x, w, y, stride, pad, dilation, group=1, epilogue=None):
    """y = conv(x, w), or what an `Epilogue` makes of each channel's sums."""
    if y.size == 0:
        return
    if epilogue is None:
        epilogue = Epilogue.of(x.dtype, len(w))
    plan = plan_convolution(x.shape, w.shape, y.shape, stride, pad, dilation, group, x.itemsize)
    multiply = _MULTIPLY[type(plan.forward)].multiply
    multiply(x, w, y, plan.forward, plan.forward_weights, epilogue)


def forward_kept(x, w_shape, y, stride, pad, dilation, group, epilogue, keep, addend=None):
    """`forward` by weights of shape `w_shape` that are packed once for many calls.

    keep(pack, use) gives what pack(w) makes of the weights, now or before for the same `use`;
    pack.unpack(packed, w), if that is not None, makes w what they were, bit for bit. An
    `addend`, an array like y, is added before the activation, which is none that is LEAKY then, by
    ways whose Plan `adds`.
    """
    if y.size == 0:
        return
    geometry = stride, pad, dilation, group
    plan = plan_convolution(x.shape, w_shape, y.shape, *geometry, x.itemsize, kept=True)
    blocks, layout = plan.forward, plan.forward_weights
    pack = _PACK.get(type(blocks), pack_tiles)
    packed = keep(_Packing(pack, plan), pack)
    more = () if addend is None else (addend,)
    _MULTIPLY[type(blocks)].multiply_packed(x, packed, y, blocks, layout, epilogue, *more)


class _Packing:
    """Packs weights for a ConvolutionPlan of forward by a function, and unpacks them."""

    def __init__(self, pack, plan):
        self._pack, self._blocks, self._layout = pack, plan.forward, plan.forward_weights
        unpack = _UNPACK.get(pack)
        self.unpack = unpack and (lambda packed, w: unpack(packed, plan.forward, w))

    def __call__(self, w):
        return self._pack(w, self._blocks, self._layout)


def forward_laned(x, w_shape, y, stride, pad, dilation, group, epilogue, keep):
    """`forward_kept` where there is a `plan_laned`: gives a laned y."""
    geometry = stride, pad, dilation, group
    usual, own = plan_laned(x.shape, w_shape, y.shape, *geometry, x.itemsize)
    packed = keep(_Packing(direct_turned.pack, usual), direct_turned.pack)
    direct_turned.multiply_packed(x, packed, y, own, usual.forward_weights, epilogue)


def forward_separable(x, y, plans, epilogues, keep):
    """`forward_kept` of two convolutions, by `plan_separable`; epilogues and keep are pairs."""
    first, then, own = plans
    packed = [
        keep_one(_Packing(pack, plan), pack)
        for keep_one, pack, plan in zip(keep, separable.packs(own), (first, then), strict=True)
    ]
    blocks, layout = (first.forward, own), first.forward_weights
    separable.multiply_packed(x, packed, y, blocks, layout, epilogues)


def backward_input(w, dy, dx, stride, pad, dilation, group=1, adds=False):
    """dx = gradient of sum(dy * conv(x, w)) to x; assigned, or if it `adds` added to.

    By ways whose Plan says that it `adds`, as a convolution.
    """
    if dx.size == 0:
        return
    plan = plan_convolution(dx.shape, w.shape, dy.shape, stride, pad, dilation, group, dx.itemsize)
    if plan.input_weights is None:
        _SCATTER[type(plan.input_gradient)](w, dy, dx, plan.input_gradient)
        return
    multiply = _MULTIPLY[type(plan.input_gradient)].multiply
    plain = Epilogue.of(dx.dtype, dx.shape[1])
    addend = (dx,) if adds else ()
    multiply(dy, w, dx, plan.input_gradient, plan.input_weights, plain, *addend)


def backward_weight(x, dy, dw, stride, pad, dilation, group=1):
    """dw += gradient of sum(dy * conv(x, w)) to w."""
    if dy.size == 0 or dw.size == 0:
        return
    plan = plan_convolution(x.shape, dw.shape, dy.shape, stride, pad, dilation, group, x.itemsize)
    _ADD_GRADIENT[type(plan.weight_gradient)].add_gradient(x, dy, dw, plan.weight_gradient)
