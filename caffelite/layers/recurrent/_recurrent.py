"""What RNN, LSTM and GRU share: bottoms, tops, the products with x, the state between batches."""

import logging
import math
from functools import partial

import numpy as np

from ...blob import Blob
from ...kernels.gemm import gemm
from ...kernels.panels import Panels
from ..base import Layer

log = logging.getLogger("caffelite")

FEW_STEPS = 4  # for which weights are not worth packing


class Recurrent(Layer):
    """T steps over N streams: step t sees x_t and, where cont_t is not 0, the state after t - 1.

    A subclass has `num_states` states of (N, H), and `rows` sums of inputs per unit. It makes the
    blobs of its hidden side in `add_hidden_blobs()`, and computes

    run(sums, cont, states)
        from `sums`, (T, N, rows * H), that x, static and bias give; returns the output (T, N, H)
        and the states after the last step
    run_back(dy)
        from the output's gradient; adds to the diffs of its own blobs and returns that of `sums`
    """

    options_field = "recurrent_param"
    learns = True
    rows_are_steps = True
    drawn_as = "dense"
    ignored = {"recurrent_param.debug_info": "write it in the net or the solver"}
    num_states = 1
    rows = 1
    sequence_axes = 2  # of x, that its steps and streams lie along

    @property
    def exposed(self):
        """How many states are bottoms and tops."""
        return self.num_states if self.options.expose_hidden else 0

    @property
    def bottoms(self):
        return 2 + self.exposed, 3 + self.exposed

    @property
    def tops(self):
        return 1 + self.exposed

    @property
    def has_static(self):
        return len(self.param.bottom) == 3 + self.exposed

    @property
    def no_gradient(self):
        return 1, *range(2 + self.has_static, len(self.param.bottom))

    def setup(self, bottom_shapes):
        options = self.options
        self.units = options.num_output
        if self.units == 0:
            raise self.error("num_output is missing; it is the length of the hidden state")
        self.steps = self.values = self.static_values = None
        self._room, self._is_first, self._told_odd = {}, True, False
        self.infer_shapes(bottom_shapes)
        self.steps = bottom_shapes[0][0]
        self.values = math.prod(bottom_shapes[0][self.sequence_axes :])
        if self.has_static:
            self.static_values = math.prod(bottom_shapes[2][1:])
        self.add_blobs()
        states = 0 if self.exposed else self.num_states
        self.carried = [Blob(dtype=self.dtype) for _ in range(states)]

    def add_blobs(self):
        """Make the learnable blobs, in the order of their files."""
        self.add_input_weight()
        self.add_bias()
        if self.has_static:
            shape = self.rows * self.units, self.static_values
            self.static_weight = self.add_blob("static_weight", shape, self.options.weight_filler)
        self.add_hidden_blobs()

    def add_input_weight(self):
        shape = self.rows * self.units, self.values
        self.input_weight = self.add_blob("input_weight", shape, self.options.weight_filler)

    def add_bias(self):
        self.bias = self.add_blob("bias", (self.rows * self.units,), self.options.bias_filler)

    def infer_shapes(self, bottom_shapes):
        x, cont = (tuple(shape) for shape in bottom_shapes[:2])
        if len(x) < 2 or x[0] == 0:
            raise self.shape_error(0, x, "at least 2 axes, (steps, streams, ...), and one step")
        if self.steps not in (None, x[0]):
            raise self.shape_error(0, x, f"{self.steps} steps (axis 0), as at setup")
        if self.values not in (None, math.prod(x[2:])):
            raise self.shape_error(0, x, f"{self.values} values from axis 2 on, as at setup")
        if cont != x[:2]:
            turned = "; a Permute with order: 1 order: 0 turns it" if cont == x[1::-1] else ""
            raise self.shape_error(1, cont, f"{x[:2]}, a number for each step and stream{turned}")
        if self.has_static:
            self._check_static(bottom_shapes[2], x[1])
        state = 1, x[1], self.units
        for index in range(2 + self.has_static, len(bottom_shapes)):
            if tuple(bottom_shapes[index]) != state:
                raise self.shape_error(index, bottom_shapes[index], f"{state}, a first state")
        return [(*x[:2], self.units)] + [state] * self.exposed

    def _check_static(self, shape, streams):
        if tuple(shape[:1]) != (streams,):
            raise self.shape_error(2, shape, f"{streams} streams (axis 0)")
        if self.static_values not in (None, math.prod(shape[1:])):
            expected = f"{self.static_values} values from axis 1 on, as at setup"
            raise self.shape_error(2, shape, expected)

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        _, streams = self.extent(bottom[0].shape)
        for state in self.carried:
            state.reshape(1, streams, self.units)

    def extent(self, shape):
        """(steps, streams) of an x of this shape."""
        return shape[:2]

    def goes_on(self, bottom):
        """cont, as (T, N, 1)."""
        cont = bottom[1].data
        self.tell_missing_start(cont)
        known = (cont == 0) | (cont == 1)
        if not (self._told_odd or known.all()):  # which Caffe takes, too
            self._told_odd = True
            t, n = np.argwhere(~known)[0]
            log.warning(
                '%s: bottom[1] "%s" holds %g at [%d, %d], expected 0 where a stream begins, '
                "else 1; the state is multiplied by it",
                *(self.at, self.param.bottom[1], cont[t, n], t, n),
            )
        return cont[:, :, None]

    def tell_missing_start(self, cont):
        """Warn where a first batch, (T, N), goes on, though there is no state to go on from."""
        if not self._is_first:
            return
        self._is_first, streams = False, np.flatnonzero(cont[0])
        begins = self.carried and not any(blob.data.any() for blob in self.carried)
        if begins and len(streams):
            log.warning(
                '%s: bottom[1] "%s" is not 0 at step 0 of stream %d, and nothing comes before it: '
                "its state is 0 now, but each later pass through the data goes on from the end of "
                "the pass before; let it be 0 where a stream begins",
                *(self.at, self.param.bottom[1], streams[0]),
            )

    def room(self, name, shape):
        """Memory for what a pass keeps: that of the pass before, if it has the shape."""
        if name not in self._room or self._room[name].shape != shape:
            self._room[name] = np.empty(shape, self.dtype)
        return self._room[name]

    def forward(self, bottom, top):
        steps, streams = self.extent(bottom[0].shape)
        sums = self.room("sums", (steps, streams, self.rows * self.units))
        sums[...] = self.bias.data
        if self.has_static:
            static = _matrix(bottom[2].data, 1)
            gemm(static, self.static_weight.data, sums[0], trans_b=True, accumulate=True)
            sums[1:] = sums[0]
        x = _matrix(bottom[0].data, self.sequence_axes)
        of_x = times(self.input_weight.data, steps, trans_b=True)
        of_x(x, out=_matrix(sums, 2), accumulate=True)
        before, after = self.carried, self.carried
        if self.exposed:
            before, after = bottom[-self.exposed :], top[1:]
        states = [blob.data[0] for blob in before]
        y, states = self.run(sums, self.goes_on(bottom), states)
        top[0].data[...] = y.reshape(top[0].shape)
        for blob, state in zip(after, states, strict=True):
            blob.data[0] = state

    def backward(self, top, propagate_down, bottom):
        if any(propagate_down[1:2]):
            raise self.error("there is no gradient for cont, bottom[1]")
        dsums = self.run_back(top[0].diff.reshape(*self.extent(bottom[0].shape), self.units))
        flat = _matrix(dsums, 2)
        x = _matrix(bottom[0].data, self.sequence_axes)
        gemm(flat, x, self.input_weight.diff, trans_a=True, accumulate=True)
        self.bias.diff[...] += flat.sum(axis=0)
        if propagate_down[0]:
            dx = _matrix(bottom[0].diff, self.sequence_axes)
            times(self.input_weight.data, len(dsums))(flat, out=dx)
        if self.has_static:
            dsums, static = dsums.sum(axis=0), _matrix(bottom[2].data, 1)
            gemm(dsums, static, self.static_weight.diff, trans_a=True, accumulate=True)
            if propagate_down[2]:
                gemm(dsums, self.static_weight.data, _matrix(bottom[2].diff, 1))

    def macs(self, bottom_shapes, top_shapes):
        steps, streams = self.extent(bottom_shapes[0])
        once = self.static_weight.count if self.has_static else 0
        each = sum(blob.count for blob in self.blobs if len(blob.shape) == 2) - once
        return streams * (steps * each + once)


def times(weight, steps, trans_b=False):
    """A function (a, out, accumulate): out = a W or out += a W, or with W', for so many steps."""
    if steps < FEW_STEPS:
        return partial(gemm, b=weight, trans_b=trans_b)
    return Panels(weight, trans_b).multiply


def _matrix(array, axes):
    """The array with its first `axes` axes made one, and the others made one."""
    return array.reshape(math.prod(array.shape[:axes]), math.prod(array.shape[axes:]))
