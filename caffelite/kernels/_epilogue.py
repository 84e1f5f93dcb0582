"""The epilogue in vector instructions: what `epilogue.stored` says, for rows of a tile."""

import itertools

from llvmlite import ir

from ._vectors import INDEX, when
from .epilogue import LEAKY


def finish_rows(v, rows, epilogue, by_lane=None):
    """`epilogue.stored` for lists of vectors; rows[r] are those of the r-th of the channels.

    With `by_lane`, a mask for each row, each lane of the vectors rows[r] is a channel of its own:
    the r-th of as many as a vector has lanes.

    `epilogue` is what `call_linked` makes of an Epilogue and the first row's channel: addresses of
    center, slope, offset and leak, whether there is a map, the activation, and low and high.
    """
    builder = v.builder
    center, slope, offset, leak = map(v.pointer, epilogue[:4])
    mapped, activation, low, high = epilogue[4:]

    def number(array, r):
        if by_lane:
            return v.masked_load(v.shift(array, r * v.lanes), by_lane[r])
        return v.splat(builder.load(v.shift(array, r)))

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

    def mapped_and_held(r):
        numbers = [number(array, r) for array in (center, slope, offset)]
        least, most = v.splat(v.number_of(low)), v.splat(v.number_of(high))

        def change(x):
            x = v.fma(v.sub(x, numbers[0]), numbers[1], numbers[2])
            x = builder.select(builder.fcmp_ordered("<", x, least), least, x)
            return builder.select(builder.fcmp_ordered(">", x, most), most, x)

        return change

    def leaky(r):
        factor = number(leak, r)

        def change(x):
            below = v.add(v.mul(x, factor), v.zero)  # no fma: -0 becomes 0, as in relu.py
            return builder.select(builder.fcmp_ordered(">", x, v.zero), x, below)

        return change

    values = [value for row in rows for value in row]
    is_mapped = builder.icmp_signed("!=", mapped, ir.Constant(INDEX, 0))
    values = when(builder, is_mapped, values, by_row(mapped_and_held))
    is_leaky = builder.icmp_signed("==", activation, ir.Constant(INDEX, LEAKY))
    return when(builder, is_leaky, values, by_row(leaky))
