"""The epilogue in vector instructions: what `epilogue.stored` says, for rows of a tile."""

import itertools

from llvmlite import ir

from ._vectors import INDEX, when
from .epilogue import LEAKY


def finish_rows(v, rows, epilogue, by_lane=None, add=None):
    """`epilogue.stored` for lists of vectors; rows[r] are those of the r-th of the channels.

    With `by_lane`, a mask for each row, each lane of the vectors rows[r] is a channel of its own:
    the r-th of as many as a vector has lanes. `add` is what happens to the values after the map, or
    a true value where the caller is to add, and to `hold` them, itself.

    `epilogue` is what `call_linked` makes of an Epilogue and the first row's channel: addresses of
    center, slope, offset and leak, whether there is a map, the activation, and low and high.
    """
    pointers = list(map(v.pointer, epilogue[:4]))

    def number(at, r):
        if by_lane:
            return v.masked_load(v.shift(pointers[at], r * v.lanes), by_lane[r])
        return v.splat(v.builder.load(v.shift(pointers[at], r)))

    return _finish(v, rows, epilogue, number, add)


def finisher(v, epilogue, readable):
    """A function that finishes lists of vectors of one channel, whose numbers are read before.

    Where the epilogue has none, they are read from the address `readable`, and not used. The
    function takes an `add` as `finish_rows` does.
    """
    builder = v.builder
    mapped, leaky = _has_map(v, epilogue), _is_leaky(v, epilogue)
    numbers = []
    for address, given in zip(epilogue[:4], (mapped, mapped, mapped, leaky), strict=True):
        address = builder.select(given, address, readable)
        numbers.append(v.splat(builder.load(v.pointer(address))))
    return lambda row, add=None: _finish(v, [row], epilogue, lambda at, r: numbers[at], add)


def from_channel(v, epilogue, c):
    """The epilogue from the c-th of its channels on."""
    further = v.builder.mul(c, INDEX(v.align))
    return [*(v.builder.add(address, further) for address in epilogue[:4]), *epilogue[4:]]


def _has_map(v, epilogue):
    return v.builder.icmp_signed("!=", epilogue[4], ir.Constant(INDEX, 0))


def _is_leaky(v, epilogue):
    return v.builder.icmp_signed("==", epilogue[5], ir.Constant(INDEX, LEAKY))


def _finish(v, rows, epilogue, number, add=None):
    """What `finish_rows` says, where number(at, r) is center, slope, offset or leak of row r."""
    builder = v.builder
    low, high = epilogue[6:]

    def by_row(change):
        """A function on the flat list of all rows' values; change(r) gives one for row r's."""

        def changed(values):
            values = iter(values)
            return [
                new(value)
                for new, row in ((change(r), row) for r, row in enumerate(rows))
                for value in itertools.islice(values, len(row))
            ]

        return changed

    def linear(r):
        center, slope, offset = (number(at, r) for at in range(3))
        return lambda x: v.fma(v.sub(x, center), slope, offset)

    def mapped_and_held(r):
        to_line = linear(r)
        return lambda x: hold(v, to_line(x), low, high)

    def leaky(r):
        factor = number(3, r)

        def change(x):
            below = v.add(v.mul(x, factor), v.zero)  # no fma: -0 becomes 0, as in relu.py
            return builder.select(builder.fcmp_ordered(">", x, v.zero), x, below)

        return change

    values = [value for row in rows for value in row]
    values = when(
        builder, _has_map(v, epilogue), values, by_row(linear if add else mapped_and_held)
    )
    if callable(add):
        values = [hold(v, value, low, high) for value in add(values)]
    return when(builder, _is_leaky(v, epilogue), values, by_row(leaky))


def hold(v, x, low, high):
    """x held between the limits of an epilogue; what is no number stays so."""
    least, most = v.splat(v.number_of(low)), v.splat(v.number_of(high))
    x = v.builder.select(v.builder.fcmp_ordered("<", x, least), least, x)
    return v.builder.select(v.builder.fcmp_ordered(">", x, most), most, x)
