import numpy as np

from ...kernels.gemm import gemm
from ..activation.sigmoid import sigmoid
from ..base import register
from ._recurrent import Recurrent, times


@register("GRU")
class GRU(Recurrent):
    """h_t = z * h_(t-1) + (1 - z) * n, y = h, for T steps.

    The gates:
    r = sigmoid(W_r x_t + U_r h_(t-1) + b_r), z = sigmoid(W_z x_t + U_z h_(t-1) + b_z),
    n = tanh(W_n x_t + U_n (r * h_(t-1)) + b_n), or with reset_after
    n = tanh(W_n x_t + r * (U_n h_(t-1) + c_n) + b_n).
    Between batches the state goes on; no gradient does.

    With update_new, h_t = (1 - z) * h_(t-1) + z * n. Since 1 - sigmoid(a) = sigmoid(-a), weights of
    one form become those of the other when the rows z of W, static_weight, U and b change sign.

    Bottom
        0: x, (T, N, ...): T steps of N streams
        1: cont, (T, N): 0 where a stream starts anew, else 1; no gradient
        2: static, (N, ...), optional: seen at each step
        last: with expose_hidden, h_0, (1, N, H); no gradient
    Top
        0: h, (T, N, H)
        1: with expose_hidden, h_T, (1, N, H); gradients that arrive here are ignored
    Blobs
        input_weight, bias: W (3H, D) and b (3H), rows r, z, n
        static_weight: (3H, S), with static
        hidden_weight: U (3H, H)
        hidden_bias: c_n (H), with reset_after
    Options (gru_param)
        num_output: H
        weight_filler, bias_filler: of all weights, of all biases [constant 0]
        expose_hidden: take the first state as a bottom and give the last as a top [false]
        reset_after: let r act on the product with U_n, as cuDNN has it, not on the state [false]
        update_new: let z weigh n, as Chung et al. have it, not h_(t-1) [false]
    Source
        Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk, Bengio 2014, arXiv:1406.1078;
        Chung, Gulcehre, Cho, Bengio 2014, arXiv:1412.3555 (update_new)
    """

    options_field = "gru_param"
    rows = 3

    def add_hidden_blobs(self):
        options, h = self.options, self.units
        self.hidden_weight = self.add_blob("hidden_weight", (3 * h, h), options.weight_filler)
        if options.reset_after:
            self.hidden_bias = self.add_blob("hidden_bias", (h,), options.bias_filler)

    def run(self, sums, cont, states):
        self.gates, self.cont = sums, cont  # gates are taken in the place of their sums
        shape = *sums.shape[:2], self.units
        self.seen, self.product, h = np.empty((3, *shape), self.dtype)
        before, products = states[0], self._products(len(h), trans_b=True)
        for t in range(len(h)):
            np.multiply(cont[t], before, out=self.seen[t])
            self._step(products, sums[t], self.seen[t], self.product[t], h[t])
            before = h[t]
        return h, [before]

    def _products(self, steps, trans_b=False):
        """Functions as of `times`: with U_r and U_z, with U_n."""
        weight, two = self.hidden_weight.data, 2 * self.units
        return [times(part, steps, trans_b) for part in (weight[:two], weight[two:])]

    def _step(self, products, sums, seen, product, h):
        """`product` becomes what r is about: r * h_(t-1), or U_n h_(t-1) + c_n."""
        (of_gates, of_new), two = products, 2 * self.units
        of_gates(seen, out=sums[:, :two], accumulate=True)
        sigmoid(sums[:, :two], out=sums[:, :two])
        r, z, n = np.split(sums, 3, axis=1)
        if self.options.reset_after:
            product[...] = self.hidden_bias.data
            of_new(seen, out=product, accumulate=True)
            n += r * product
        else:
            np.multiply(r, seen, out=product)
            of_new(product, out=n, accumulate=True)
        np.tanh(n, out=n)
        weighed, other = self._weighed_by_z(seen, n)
        np.multiply(z, weighed - other, out=h)
        h += other

    def _weighed_by_z(self, seen, n):
        """(what z weighs, what 1 - z does), of the h before the step and of n."""
        return (n, seen) if self.options.update_new else (seen, n)

    def run_back(self, dy):
        dsums = np.empty_like(self.gates)
        dproduct = np.empty_like(self.product)
        dh, products = np.zeros_like(dy[0]), self._products(len(dy))
        for t in reversed(range(len(dy))):
            dh += dy[t]
            dh = self.cont[t] * self._step_back(products, t, dh, dsums[t], dproduct[t])
        self._add_to_diffs(dsums, dproduct)
        return dsums

    def _step_back(self, products, t, dh, dsums, dproduct):
        """Fill the gradients of a step's sums and product; returns that of the h it saw."""
        (of_gates, of_new), two = products, 2 * self.units
        seen, product = self.seen[t], self.product[t]
        r, z, n = np.split(self.gates[t], 3, axis=1)
        dr, dz, dn = np.split(dsums, 3, axis=1)
        weighed, other = self._weighed_by_z(seen, n)
        weight_of_seen, weight_of_n = self._weighed_by_z(z, 1 - z)
        dn[...] = dh * weight_of_n * (1 - n**2)
        dz[...] = dh * (weighed - other) * z * (1 - z)
        dseen = dh * weight_of_seen
        if self.options.reset_after:
            dr[...] = dn * product
            np.multiply(dn, r, out=dproduct)
            of_new(dproduct, out=dseen, accumulate=True)
        else:
            of_new(dn, out=dproduct)
            dr[...] = dproduct * seen
            dseen += dproduct * r
        dr *= r * (1 - r)
        of_gates(dsums[:, :two], out=dseen, accumulate=True)
        return dseen

    def _add_to_diffs(self, dsums, dproduct):
        two, h = 2 * self.units, self.units
        dsums, dproduct = dsums.reshape(-1, 3 * h), dproduct.reshape(-1, h)
        seen, product = self.seen.reshape(-1, h), self.product.reshape(-1, h)
        diff = self.hidden_weight.diff
        gemm(dsums[:, :two], seen, diff[:two], trans_a=True, accumulate=True)
        if self.options.reset_after:
            gemm(dproduct, seen, diff[two:], trans_a=True, accumulate=True)
            self.hidden_bias.diff[...] += dproduct.sum(axis=0)
        else:
            gemm(dsums[:, two:], product, diff[two:], trans_a=True, accumulate=True)
