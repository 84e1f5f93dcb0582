"""A step of an LSTM, one unit of one stream at a time, and back, by hand."""

import numpy as np

from caffelite.kernels._cell import COUPLED, PEEPHOLE, PREVIOUS


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def of_unit(kind, units, array, start, u):
    """The values of a unit's gates, each `units` behind the other."""
    return [start + k * units + u for k in range(3 if kind & COUPLED else 4)]


def forward(kind, units, gates, cont, before, seen, p, c, h):
    width = len(gates) // len(cont)
    for n in range(len(cont)):
        for u in range(units):
            places, at = of_unit(kind, units, gates, n * width, u), n * units + u
            *early, o, g = gates[places]
            p_early, p_o = [0, 0], 0
            if kind & PEEPHOLE:
                *p_early, p_o = p[u::units]
            seen[at] = cont[n] * before[at]
            early = [sigmoid(x + w * seen[at]) for x, w in zip(early, p_early, strict=False)]
            i = 1 - early[0] if kind & COUPLED else early[0]
            c[at] = early[-1] * seen[at] + i * np.tanh(g)
            o = sigmoid(o + p_o * (seen[at] if kind & PREVIOUS else c[at]))
            h[at] = o * np.tanh(c[at])
            gates[places] = [*early, o, np.tanh(g)]


def backward(kind, units, gates, seen, c, p, dy, later, dh, dc, dgates):
    width = len(gates) // len(later)
    for n in range(len(later)):
        for u in range(units):
            places, at = of_unit(kind, units, gates, n * width, u), n * units + u
            *early, o, g = gates[places]
            f, i = early[-1], 1 - early[0] if kind & COUPLED else early[0]
            p_early, p_o = [0, 0], 0
            if kind & PEEPHOLE:
                *p_early, p_o = p[u::units]
            at_h, tanh_c = dy[at] + later[n] * dh[at], np.tanh(c[at])
            of_o = at_h * tanh_c * o * (1 - o)
            at_c = later[n] * dc[at] + at_h * o * (1 - tanh_c**2)
            at_c += 0 if kind & PREVIOUS else p_o * of_o
            of_g = at_c * i * (1 - g**2)
            if kind & COUPLED:
                of_early = [at_c * (seen[at] - g) * f * (1 - f)]
            else:
                of_early = [at_c * g * i * (1 - i), at_c * seen[at] * f * (1 - f)]
            dgates[places] = [*of_early, of_o, of_g]
            dc[at] = at_c * f + sum(d * w for d, w in zip(of_early, p_early, strict=False))
            dc[at] += p_o * of_o if kind & PREVIOUS else 0
