"""The cell of an LSTM in vector registers: gates of their sums, and back; tanh and sigmoid."""

import math

from llvmlite import ir

from ._exp import parts_of_exp
from ._simd import call_linked, machine_code, operation
from ._vectors import INDEX, count_up

COUPLED, PEEPHOLE, PREVIOUS = 1, 2, 4
"""What adds up to a kind of cell: i = 1 - f; gates see the cell; o sees it as it was before."""
KINDS = [
    0,
    COUPLED,
    PEEPHOLE,
    PEEPHOLE + COUPLED,
    PEEPHOLE + PREVIOUS,
    COUPLED + PEEPHOLE + PREVIOUS,
]


# tanh and sigmoid

_SATURATED = {32: 18.5, 64: 40.0}  # x from which on tanh(x / 2) is 1


def _ratio(v, x):
    """tanh(x / 2) = (e^x - 1) / (e^x + 1), right to some units of the last place for any x."""
    builder = v.builder
    low, high = (v.number(sign * _SATURATED[v.align * 8]) for sign in (-1, 1))
    x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
    x = builder.select(builder.fcmp_ordered(">", x, high), high, x)
    scale, less_one = parts_of_exp(v, x)
    less_one = v.fma(scale, less_one, v.sub(scale, v.number(1)))  # e^x - 1
    return builder.fdiv(less_one, v.add(less_one, v.number(2)))


def _tanh(v, x):
    return _ratio(v, v.add(x, x))


def _sigmoid(v, x):
    return v.fma(_ratio(v, x), v.number(0.5), v.number(0.5))


# The cell


def _cell(
    kind, count, step, gates, gates_at, cont, cont_at, before, before_at, seen, seen_at,
    p, p_at, c, c_at, h, h_at,
):  # fmt: skip
    for u in range(count):
        places, peeps = _of_gates(kind, gates_at + u, step), _of_gates(kind, p_at + u, step)
        *early, o, g = (gates[at] for at in places)
        s = seen[seen_at + u] = cont[cont_at] * before[before_at + u]
        if kind & PEEPHOLE:
            early = [gate + p[at] * s for gate, at in zip(early, peeps, strict=False)]
        early = [_sigmoid_of(gate) for gate in early]
        i, f = (1 - early[0], early[0]) if kind & COUPLED else early
        g = math.tanh(g)
        after = c[c_at + u] = f * s + i * g
        if kind & PEEPHOLE:
            o += p[peeps[-2]] * (s if kind & PREVIOUS else after)
        o = _sigmoid_of(o)
        for at, gate in zip(places, (*early, o, g), strict=True):
            gates[at] = gate
        h[h_at + u] = o * math.tanh(after)


def _of_gates(kind, at, step):
    return [at + k * step for k in range(3 if kind & COUPLED else 4)]


def _sigmoid_of(x):
    return 0.5 * math.tanh(0.5 * x) + 0.5


@operation(_cell)
def cell(
    typing_context, kind, count, step, gates, gates_at, cont, cont_at, before, before_at,
    seen, seen_at, p, p_at, c, c_at, h, h_at,
):  # fmt: skip
    """Of `count` units of a stream, c and h after a step, from the sums of gates and c `before` it.

    Gates, i (if not COUPLED), f, o and g, take the place of their sums, each `step` values behind
    the other; so lie the peepholes p. `seen` becomes what the cell sees of the step before,
    cont * before, where cont is one number.
    """
    arguments = (
        kind, count, step, gates, gates_at, cont, cont_at, before, before_at, seen, seen_at,
        p, p_at, c, c_at, h, h_at,
    )  # fmt: skip
    return call_linked("cell", "iii@@@@@@@", arguments, KINDS)


def _cell_back(
    kind, count, step, gates, gates_at, seen, seen_at, c, c_at, p, p_at, dy, dy_at,
    later, later_at, dh, dh_at, dc, dc_at, dgates, dgates_at,
):  # fmt: skip
    for u in range(count):
        *early, o, g = (gates[at] for at in _of_gates(kind, gates_at + u, step))
        i, f = (1 - early[0], early[0]) if kind & COUPLED else early
        s, tanh_c = seen[seen_at + u], math.tanh(c[c_at + u])
        dhu = dy[dy_at + u] + later[later_at] * dh[dh_at + u]
        do = dhu * tanh_c * o * (1 - o)
        dcu = later[later_at] * dc[dc_at + u] + dhu * o * (1 - tanh_c**2)
        peeps = _of_gates(kind, p_at + u, step)
        if kind & PEEPHOLE and not kind & PREVIOUS:
            dcu += do * p[peeps[-2]]
        df = dcu * (s - g if kind & COUPLED else s) * f * (1 - f)
        dearly = [df] if kind & COUPLED else [dcu * g * i * (1 - i), df]
        dseen = dcu * f
        if kind & PEEPHOLE:
            dseen += sum(d * p[at] for d, at in zip(dearly, peeps, strict=False))
        if kind & PREVIOUS:
            dseen += do * p[peeps[-2]]
        found = *dearly, do, dcu * i * (1 - g**2)
        for at, value in zip(_of_gates(kind, dgates_at + u, step), found, strict=True):
            dgates[at] = value
        dc[dc_at + u] = dseen


@operation(_cell_back)
def cell_back(
    typing_context, kind, count, step, gates, gates_at, seen, seen_at, c, c_at, p, p_at, dy, dy_at,
    later, later_at, dh, dh_at, dc, dc_at, dgates, dgates_at,
):  # fmt: skip
    """The gradients of the sums of a step's gates, and in `dc` that of the cell it saw.

    The others are as `cell` left them. The gradients at h and c after the step are
    dy + later * dh and later * dc; `later` is cont of the step after it, one number.
    """
    arguments = (
        kind, count, step, gates, gates_at, seen, seen_at, c, c_at, p, p_at, dy, dy_at,
        later, later_at, dh, dh_at, dc, dc_at, dgates, dgates_at,
    )  # fmt: skip
    return call_linked("cell_back", "iii@@@@@@@@@", arguments, KINDS)


def _over_units(v, count, body):
    """body(at, load, store) for each vector of `count` units, the last one by a mask."""
    builder, per_vector = v.builder, ir.Constant(INDEX, v.lanes)
    whole = builder.sdiv(count, per_vector)
    i, _, close = count_up(builder, whole, [])
    body(builder.mul(i, per_vector), v.load, v.store)
    close([])
    end = builder.mul(whole, per_vector)
    rest = builder.sub(count, end)
    mask = v.first(rest)
    with builder.if_then(builder.icmp_signed(">", rest, ir.Constant(INDEX, 0))):
        body(
            end,
            lambda pointer: v.masked_load(pointer, mask),
            lambda value, pointer: v.masked_store(value, pointer, mask),
        )


def _one(v, address):
    """A vector of the one number at an address."""
    return v.splat(v.builder.load(v.pointer(address)))


def _from(v, address, at):
    return v.builder.gep(v.pointer(address), [at])


def _cell_code(kind):
    rows, sees = 3 if kind & COUPLED else 4, bool(kind & PEEPHOLE)

    def define(v, count, step, gates, cont, before, seen, p, c, h):
        goes_on, one = _one(v, cont), v.number(1)

        def body(at, load, store):
            places = v.rows(_from(v, gates, at), step, rows)
            *early, o, g = (load(place) for place in places)
            s = v.mul(goes_on, load(_from(v, before, at)))
            if sees:
                peeps = [load(place) for place in v.rows(_from(v, p, at), step, rows - 1)]
                early = [v.fma(x, s, gate) for x, gate in zip(peeps, early, strict=False)]
            early = [_sigmoid(v, gate) for gate in early]
            i, f = (v.sub(one, early[0]), early[0]) if kind & COUPLED else early
            g = _tanh(v, g)
            after = v.fma(f, s, v.mul(i, g))
            if sees:
                o = v.fma(peeps[-1], s if kind & PREVIOUS else after, o)
            o = _sigmoid(v, o)
            for value, place in zip((*early, o, g), places, strict=True):
                store(value, place)
            store(s, _from(v, seen, at))
            store(after, _from(v, c, at))
            store(v.mul(o, _tanh(v, after)), _from(v, h, at))

        _over_units(v, count, body)

    return define


def _cell_back_code(kind):
    rows, sees = 3 if kind & COUPLED else 4, bool(kind & PEEPHOLE)

    def define(v, count, step, gates, seen, c, p, dy, later, dh, dc, dgates):
        later, one = _one(v, later), v.number(1)

        def slope(gate):
            return v.mul(gate, v.sub(one, gate))

        def tanh_slope(y):
            return v.sub(one, v.mul(y, y))

        def body(at, load, store):
            *early, o, g = (load(place) for place in v.rows(_from(v, gates, at), step, rows))
            i, f = (v.sub(one, early[0]), early[0]) if kind & COUPLED else early
            s, tanh_c = load(_from(v, seen, at)), _tanh(v, load(_from(v, c, at)))
            dh_all = v.fma(later, load(_from(v, dh, at)), load(_from(v, dy, at)))
            dc_all = v.mul(later, load(_from(v, dc, at)))
            do = v.mul(v.mul(dh_all, tanh_c), slope(o))
            dc_all = v.fma(v.mul(dh_all, o), tanh_slope(tanh_c), dc_all)
            if sees:
                peeps = [load(place) for place in v.rows(_from(v, p, at), step, rows - 1)]
                if not kind & PREVIOUS:
                    dc_all = v.fma(do, peeps[-1], dc_all)
            moved = v.sub(s, g) if kind & COUPLED else s
            found = [v.mul(v.mul(dc_all, moved), slope(f))]
            if not kind & COUPLED:
                found.insert(0, v.mul(v.mul(dc_all, g), slope(i)))
            dseen = v.mul(dc_all, f)
            if sees:
                for gradient, x in zip(found, peeps, strict=False):
                    dseen = v.fma(gradient, x, dseen)
                if kind & PREVIOUS:
                    dseen = v.fma(do, peeps[-1], dseen)
            found += [do, v.mul(v.mul(dc_all, i), tanh_slope(g))]
            for value, place in zip(found, v.rows(_from(v, dgates, at), step, rows), strict=True):
                store(value, place)
            store(dseen, _from(v, dc, at))

        _over_units(v, count, body)

    return define


for _kind in KINDS:
    machine_code(_cell_code(_kind), f"cell{_kind}")
    machine_code(_cell_back_code(_kind), f"cell_back{_kind}")
