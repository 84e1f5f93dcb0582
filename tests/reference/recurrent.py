"""One stream and one step at a time. `weights` are the blobs in order, W_x and b first."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def unroll(step, num_states, units, x, cont, more, exposed, weights):
    """Outputs (T, N, H) and last states; step(sums, *states) gives (output, *states)."""
    more, weights = list(more), list(weights)
    states = [np.zeros((x.shape[1], units)) for _ in range(num_states)]
    if exposed:
        states = [more.pop(-num_states + k)[0].copy() for k in range(num_states)]
    static_weight = weights.pop(2) if more else None
    outputs = np.zeros((*x.shape[:2], units))
    for n in range(x.shape[1]):
        for t in range(x.shape[0]):
            sums = weights[0] @ x[t, n].ravel() + weights[1]
            if more:
                sums = sums + static_weight @ more[0][n].ravel()
            seen = [cont[t, n] * state[n] for state in states]
            outputs[t, n], *after = step(sums, *seen, *weights[2:])
            for state, values in zip(states, after, strict=True):
                state[n] = values
    return [outputs, *(state[None] for state in states)] if exposed else outputs


def relu(x):
    return np.where(x > 0, x, 0)


def rnn(x, cont, *rest, static=False, exposed=False, f=np.tanh, g=np.tanh):
    """g None: the output is the state."""

    def step(sums, h, hidden_weight, output_weight=None, output_bias=None):
        h = f(hidden_weight @ h + sums)
        return h if g is None else g(output_weight @ h + output_bias), h

    more, weights = rest[: static + exposed], rest[static + exposed :]
    return unroll(step, 1, len(weights[-1]), x, cont, more, exposed, weights)


def lstm(
    x, cont, *rest, static=False, exposed=False, coupled=False, forget_bias=0.0, previous=False
):
    def step(sums, h, c, hidden_weight, peepholes=None):
        rows = np.split(hidden_weight @ h + sums, 3 if coupled else 4)
        p = np.zeros((3, len(h))) if peepholes is None else peepholes
        f = sigmoid(rows[-3] + p[-2] * c + forget_bias)
        i = 1 - f if coupled else sigmoid(rows[0] + p[0] * c)
        before, c = c, f * c + i * np.tanh(rows[-1])
        h = sigmoid(rows[-2] + p[-1] * (before if previous else c)) * np.tanh(c)
        return h, h, c

    more, weights = rest[: static + 2 * exposed], rest[static + 2 * exposed :]
    units = weights[3 if static else 2].shape[1]
    return unroll(step, 2, units, x, cont, more, exposed, weights)


def lstm_rows(x, *rest, streams=1, clipped=False):
    """Rows t * streams + n; the blobs are W_x, W_h, b."""
    *clip, w, u, b = rest
    cont = np.minimum(np.arange(len(x)) // streams, 1) if not clipped else clip[0]
    by_step = x.reshape(-1, streams, x[:1].size) if len(x) else x.reshape(0, streams, w.shape[1])
    y = lstm(by_step, cont.reshape(-1, streams), w, b, u)
    return y.reshape(len(x), u.shape[1])


def gru(x, cont, *rest, static=False, exposed=False, reset_after=False, update_new=False):
    def step(sums, h, hidden_weight, hidden_bias=None):
        (xr, xz, xn), (ur, uz, un) = np.split(sums, 3), np.split(hidden_weight, 3)
        r, z = sigmoid(xr + ur @ h), sigmoid(xz + uz @ h)
        n = np.tanh(xn + (r * (un @ h + hidden_bias) if reset_after else un @ (r * h)))
        h = (1 - z) * h + z * n if update_new else z * h + (1 - z) * n
        return h, h

    more, weights = rest[: static + exposed], rest[static + exposed :]
    units = weights[3 if static else 2].shape[1]
    return unroll(step, 1, units, x, cont, more, exposed, weights)


def lstm_unit(c, sums, cont):
    i, f, o, g = np.split(sums, 4, axis=2)
    c = cont[:, :, None] * sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return [c, sigmoid(o) * np.tanh(c)]
