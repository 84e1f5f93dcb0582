"""An LSTM, one unit of one stream at a time, and back, by hand."""

import numpy as np

from caffelite.kernels._cell import COUPLED, PEEPHOLE, PREVIOUS

from .panels import multiply_rows


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def of_unit(kind, units, array, start, u):
    """The values of a unit's gates, each `units` behind the other."""
    return [start + k * units + u for k in range(3 if kind & COUPLED else 4)]


def forward(
    kind, units, streams, begin, end, gates, cont, seen_h, seen_c, p, c, h, packed, work, size,
    share,
):  # fmt: skip
    width, ahead = len(gates) // len(cont), streams * units
    for n in range(begin * streams, end * streams):
        for at in range(n * units, (n + 1) * units):
            seen_h[at], seen_c[at] = cont[n] * h[at], cont[n] * c[at]
        if len(packed):
            product = packed, units, width, (0, 1), gates, n * width, width, True, None, 0
            multiply_rows(seen_h, n * units, units, 1, *product)
        for u in range(units):
            places, at = of_unit(kind, units, gates, n * width, u), n * units + u
            *early, o, g = gates[places]
            p_early, p_o = [0, 0], 0
            if kind & PEEPHOLE:
                *p_early, p_o = p[u::units]
            early = [sigmoid(x + w * seen_c[at]) for x, w in zip(early, p_early, strict=False)]
            i = 1 - early[0] if kind & COUPLED else early[0]
            after = c[at + ahead] = early[-1] * seen_c[at] + i * np.tanh(g)
            o = sigmoid(o + p_o * (seen_c[at] if kind & PREVIOUS else after))
            h[at + ahead] = o * np.tanh(after)
            gates[places] = [*early, o, np.tanh(g)]


def backward(
    kind, units, streams, begin, end, limit, gates, later, seen_c, p, c, dy, dh, dc, dgates,
    packed, work, size, share,
):  # fmt: skip
    width, ahead = len(gates) // len(later), streams * units
    for n in reversed(range(begin * streams, end * streams)):
        for u in range(units):
            places, at = of_unit(kind, units, gates, n * width, u), n * units + u
            of = at % ahead
            *early, o, g = gates[places]
            f, i = early[-1], 1 - early[0] if kind & COUPLED else early[0]
            p_early, p_o = [0, 0], 0
            if kind & PEEPHOLE:
                *p_early, p_o = p[u::units]
            at_h, tanh_c = dy[at] + later[n] * dh[of], np.tanh(c[at + ahead])
            of_o = at_h * tanh_c * o * (1 - o)
            at_c = later[n] * dc[of] + at_h * o * (1 - tanh_c**2)
            at_c += 0 if kind & PREVIOUS else p_o * of_o
            of_g = at_c * i * (1 - g**2)
            if kind & COUPLED:
                of_early = [at_c * (seen_c[at] - g) * f * (1 - f)]
            else:
                of_early = [at_c * g * i * (1 - i), at_c * seen_c[at] * f * (1 - f)]
            dgates[places] = [*of_early, of_o, of_g]
            dc[of] = at_c * f + sum(d * w for d, w in zip(of_early, p_early, strict=False))
            dc[of] += p_o * of_o if kind & PREVIOUS else 0
        own = slice(n * width, (n + 1) * width)
        if limit > 0:
            dgates[own] = np.clip(dgates[own], -limit, limit)
        if len(packed):
            product = packed, width, units, (0, 1), dh, n % streams * units, units, False, None, 0
            multiply_rows(dgates, n * width, width, 1, *product)
