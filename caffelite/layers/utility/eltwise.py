import math

import numpy as np

from ...kernels import eltwise
from ...kernels.epilogue import Epilogue
from ..base import TRAIN, Layer, register


@register("Eltwise")
class Eltwise(Layer):
    """y = sum of coeff_i * x_i, or the product or the maximum of the x_i, value by value.

    Bottom
        0...: x_i, of one shape
        last: with coeff_blob, the coefficients: one row per x_i, each the shape of the first axes
            of x_i, so that samples can have coefficients of their own; no gradient
    Top
        0: y, the shape of x_i
    Options (eltwise_param)
        operation: SUM, PROD, MAX or STOCHASTIC_SUM [SUM]. MAX: of two equal numbers, bottom 1
            wins over 0, then the earlier one. STOCHASTIC_SUM: training adds x_i with
            probability coeff_i, decided anew for each batch, and layers that serve nothing but an
            x_i that is left out do not run: their blobs hold 0 in that pass, statistics stay, and
            learnable blobs get no gradient, though momentum and weight decay go on as always;
            testing adds coeff_i * x_i
        coeff: one per x_i, for the sums [1 each]
        stable_prod_grad: dx_i of PROD is dy times the others; if false, dy * y / x_i [true]
        coeff_blob: multiply coefficients from the last bottom, for SUM [false]
    Source
        STOCHASTIC_SUM: Huang, Sun, Liu, Sedra, Weinberger 2016, arXiv:1603.09382
    """

    options_field = "eltwise_param"
    role = "middle"
    pointwise = True
    bottoms = (2, None)

    def setup(self, bottom_shapes):
        options = self.options
        self.operation = options.EltwiseOp.Name(options.operation)
        self.num_terms = len(bottom_shapes) - options.coeff_blob
        self.coeffs = list(options.coeff) or [1] * self.num_terms
        if options.coeff and self.operation == "PROD":
            raise self.error("coeff: a product takes none; leave coeff out or use operation: SUM")
        if len(self.coeffs) != self.num_terms:
            raise self.error(
                f"coeff has {len(self.coeffs)} entries, expected none or one for each of "
                f"{self.num_terms} bottoms"
            )
        if options.coeff_blob and self.operation != "SUM":
            raise self.error(f"coeff_blob needs operation: SUM, not {self.operation}")
        if self.operation == "STOCHASTIC_SUM" and not all(0 <= p <= 1 for p in self.coeffs):
            raise self.error("coeff: STOCHASTIC_SUM needs probabilities, from 0 to 1")

    @property
    def chooses(self):
        return self.operation == "STOCHASTIC_SUM" and self.phase == TRAIN

    def choose(self):
        drawn = self.random().random(self.num_terms)
        self.count_draw()
        return [bool(u < p) for u, p in zip(drawn, self.coeffs, strict=True)]

    @property
    def is_plain_sum(self):
        """Whether y = x_0 + x_1, which has kernels of its own."""
        factors = [*self.coeffs, *[0] * self.options.coeff_blob]
        return self.operation == "SUM" and factors == [1, 1]

    @property
    def replays(self):
        return self.is_plain_sum

    @property
    def no_gradient(self):
        return (len(self.param.bottom) - 1,) if self.options.coeff_blob else ()

    def infer_shapes(self, bottom_shapes):
        first = tuple(bottom_shapes[0])
        for index, shape in enumerate(bottom_shapes[: self.num_terms]):
            if tuple(shape) != first:
                raise self.shape_error(index, shape, f"{first}, that of bottom[0]")
        if self.options.coeff_blob:
            rows, *axes = bottom_shapes[-1] or (0,)
            if rows != self.num_terms or tuple(axes) != first[: len(axes)]:
                raise self.shape_error(
                    self.num_terms,
                    bottom_shapes[-1],
                    f"{self.num_terms} rows of coefficients, each the shape of the first axes of "
                    f"{first}",
                )
        return [first]

    @property
    def takes_epilogue(self):
        return "activation" if self.is_plain_sum else None

    def epilogue(self, **activation):
        """An activation of the sum."""
        return Epilogue.of(self.dtype, 1, **activation)

    def forward(self, bottom, top):
        if self.is_plain_sum:
            self.forward_with(bottom, top, self.epilogue())
        else:
            self._forward(bottom, top)

    def forward_with(self, bottom, top, epilogue):
        """Forward of a plain sum, with this epilogue."""
        self.factors = {0: None, 1: None}
        a, b, y = (blob.data.reshape(-1) for blob in (*bottom, *top))
        eltwise.add(a, b, epilogue, y)

    def _forward(self, bottom, top):
        x, y = [b.data for b in bottom[: self.num_terms]], top[0].data
        if self.operation == "PROD":
            _fold(np.multiply, x, y)
        elif self.operation == "MAX":
            self.winner = _maximum(x, y)
        else:
            self.factors = self._factors(bottom)
            terms = [x[i] if f is None else f * x[i] for i, f in self.factors.items()]
            _fold(np.add, terms or [0], y)

    def _factors(self, bottom):
        """{i: what x_i is multiplied by}, of those that are added; None stands for 1."""
        if self.chooses:
            chosen = self.chosen or self.choose()
            return {i: None for i, wanted in enumerate(chosen) if wanted}
        factors = [None if c == 1 else c for c in self.coeffs]
        if self.options.coeff_blob:
            rows = bottom[-1].data
            axes = bottom[0].shape
            rows = rows.reshape(*rows.shape, *(1,) * (len(axes) + 1 - rows.ndim))
            factors = [rows[i] if f is None else rows[i] * f for i, f in enumerate(factors)]
        return dict(enumerate(factors))

    def backward(self, top, propagate_down, bottom):
        if self.is_plain_sum and all(propagate_down):
            self.backward_with(top, propagate_down, bottom, self.epilogue())
            return
        if self.options.coeff_blob and propagate_down[-1]:
            raise self.error("coeff_blob: there is no gradient for the coefficients, bottom[-1]")
        for i in range(self.num_terms):
            if propagate_down[i]:
                self._backward_to(i, [b.data for b in bottom], top[0].diff, bottom[i].diff)

    def backward_takes_activation(self, propagate_down):
        """Whether both bottoms want the gradient: they get it in one pass."""
        return all(propagate_down)

    def backward_with(self, top, propagate_down, bottom, epilogue):
        """Backward of a plain sum, both of whose bottoms want the gradient, with this epilogue."""
        y, dy = top[0].data.reshape(-1), top[0].diff.reshape(-1)
        da, db = (blob.diff.reshape(-1) for blob in bottom)
        eltwise.spread(y, dy, epilogue, da, db)

    def _backward_to(self, i, x, dy, dx):
        if self.operation == "MAX":
            dx[...] = 0
            np.copyto(dx, dy, where=self.winner == i)
        elif self.operation != "PROD":
            if i in self.factors:
                factor = self.factors[i]
                np.multiply(dy, 1 if factor is None else factor, out=dx)
            else:
                dx[...] = 0
        elif self.options.stable_prod_grad:
            _fold(np.multiply, [dy, *x[:i], *x[i + 1 :]], dx)
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                np.divide(dy * math.prod(x), x[i], out=dx)


def _fold(operation, arrays, out):
    """out = arrays[0] operation arrays[1] operation ..."""
    arrays = iter(arrays)
    result = next(arrays)
    for array in arrays:
        result = operation(result, array, out=out)
    if result is not out:
        out[...] = result


def _maximum(x, y):
    """Fill y with the largest of the arrays x; returns the index of each value's winner."""
    first = x[0] > x[1]
    np.copyto(y, x[1])
    np.copyto(y, x[0], where=first)
    winner = np.where(first, 0, 1).astype(np.min_scalar_type(len(x)))
    for i, array in enumerate(x[2:], 2):
        larger = array > y
        np.copyto(y, array, where=larger)
        winner[larger] = i
    return winner
