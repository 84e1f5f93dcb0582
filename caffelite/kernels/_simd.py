"""Vector code for kernels: how it is written, and how kernels call it.

Each operation is an intrinsic by which a kernel calls vector code of its own, see `_link.py`.
`machine_code` makes that code from a function that emits it, `call_linked` the call.

Arrays are 1-D and contiguous, positions are element indices: `c, at` means `c[at:]`. Nothing is
bounds-checked. With NUMBA_DISABLE_JIT=1 the Python function under each operation takes its place;
it says what the operation means.
"""

import inspect
import itertools
from functools import cache

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from ._link import address_of, call, call_at, linked
from ._vectors import INDEX, VECTOR_BYTES, Vectors, choose, count_up

EPILOGUE_VALUES = 8
"""int64 values that an epilogue becomes, see `_epilogue_values`."""


def operation(python):
    """Decorate the typing function of an intrinsic; `python` is used when JIT is disabled."""
    return (lambda define: python) if config.DISABLE_JIT else intrinsic(prefer_literal=True)


@cache
def variant(name, number, dtype):
    """By what a kernel calls the linked function `name``number` for a type of float.

    Where there are several of which most nets need one, only that is compiled.
    """
    return number if config.DISABLE_JIT else address_of(f"{name}{number}_{np.dtype(dtype)}")


def call_linked(name, layout, argument_types, variants=()):
    """Signature and code of a call to the linked function `name`_float32 or `name`_float64.

    `layout` has an "@" for each array of floats and the position after it, which become one
    address, a "#" for each such pair of an int64 array, a "&" for one of a float64 array, an "i"
    for each integer, and an "E" for an `Epilogue` and a channel, which become what
    `_epilogue.finish_rows` takes. Arrays are 1-D and contiguous, those of "@" and "E" of one type.
    With `variants`, the first integer chooses among the functions `name`1_float32,
    `name`2_float32, ...; where the name is None, it is a `variant`.
    """
    expanded = layout.translate({ord(letter): f"{letter}p" for letter in "@#&E"})
    arrays = {letter: [] for letter in "@#&"}
    for kind, letter in zip(argument_types, expanded, strict=True):
        if letter in arrays:
            arrays[letter].append(kind)
    if "E" in expanded:
        epilogue = argument_types[expanded.index("E")]
        if not isinstance(epilogue, types.NamedTuple):
            return None
        arrays["@"] += [kind for kind in epilogue.types if isinstance(kind, types.Array)]
    for kind in itertools.chain(*arrays.values()):
        if not (isinstance(kind, types.Array) and (kind.ndim, kind.layout) == (1, "C")):
            return None
    floats, integers, doubles = ({kind.dtype for kind in arrays[letter]} for letter in "@#&")
    if len(floats) != 1 or not floats <= {types.float32, types.float64}:
        return None
    if not (integers <= {types.int64} and doubles <= {types.float64}):
        return None
    suffix = f"_{floats.pop()}"
    signature_types = [
        kind if letter in "@#&E" else types.int64
        for kind, letter in zip(argument_types, expanded, strict=True)
    ]

    def emit(context, builder, signature, values):
        actual = []
        for letter, kind, value in zip(expanded, signature.args, values, strict=True):
            if letter in "@#&E":
                held, held_kind = value, kind
            elif letter != "p":
                actual.append(value)
            elif isinstance(held_kind, types.NamedTuple):
                actual += _epilogue_values(context, builder, held_kind, held, value)
            else:
                data = context.make_array(held_kind)(context, builder, held).data
                actual.append(builder.ptrtoint(builder.gep(data, [value]), INDEX))

        if name is None:
            call_at(builder, actual[0], actual[1:])
        elif variants:
            with choose(builder, actual[0], variants) as each:
                for number in each:
                    call(builder, f"{name}{number}{suffix}", actual[1:])
        else:
            call(builder, f"{name}{suffix}", actual)
        return context.get_dummy_value()

    return types.void(*signature_types), emit


def _epilogue_values(context, builder, kind, epilogue, channel):
    """The int64 values of an Epilogue for the rows from `channel` on; see `finish_rows`."""
    field = {
        name: (kind.types[i], builder.extract_value(epilogue, i))
        for i, name in enumerate(kind.fields)
    }

    def array(name):
        return context.make_array(field[name][0])(context, builder, field[name][1])

    addresses = [
        builder.ptrtoint(builder.gep(array(name).data, [channel]), INDEX)
        for name in ("center", "slope", "offset", "leak")
    ]
    limits = [builder.bitcast(field[name][1], INDEX) for name in ("low", "high")]
    return [*addresses, array("slope").nitems, field["activation"][1], *limits]


def machine_code(define, name=None):
    """Let `define(v, *values)` write linked functions, see `_link.py`, for each type of float.

    Of `_tile_code` they are tile_float32 and tile_float64, which take int64 values, and `v` emits
    vectors of that type; a parameter `epilogue` stands for all of an epilogue's values.
    """
    name = name or define.__name__.strip("_").removesuffix("_code")
    parameters = list(inspect.signature(define).parameters)[1:]
    counts = [EPILOGUE_VALUES if p == "epilogue" else 1 for p in parameters]

    def link_for(bits):
        @intrinsic
        def body(typing_context, values):
            def emit(context, builder, signature, arguments):
                given = iter(cgutils.unpack_tuple(builder, arguments[0]))
                grouped = [list(itertools.islice(given, count)) for count in counts]
                single = [group[0] if len(group) == 1 else group for group in grouped]
                define(Vectors(builder, bits), *single)
                return context.get_dummy_value()

            return types.void(values), emit

        linked(f"{name}_float{bits}", sum(counts), body, define)

    for bits in (32, 64):
        link_for(bits)
    return define


def lane_count(array):
    return VECTOR_BYTES // array.itemsize


@operation(lane_count)
def lanes(typing_context, array):
    """Elements of `array` per vector register."""
    count = VECTOR_BYTES * 8 // array.dtype.bitwidth

    def emit(context, builder, signature, arguments):
        return ir.Constant(INDEX, count)

    return types.int64(array), emit


# Runs of elements. A loop over c[c_at + i] in a kernel does not vectorize, since numba looks
# whether each index is negative; these do not look.


def _copy(count, x, x_at, x_step, c, c_at, c_step):
    for i in range(count):
        c[c_at + i * c_step] = x[x_at + i * x_step]


@operation(_copy)
def copy(typing_context, count, x, x_at, x_step, c, c_at, c_step):
    """c[i] = x[i] for `count` elements, each array in its own steps."""
    return call_linked("copy", "i@i@i", (count, x, x_at, x_step, c, c_at, c_step))


def _add(count, x, x_at, x_step, c, c_at, c_step):
    for i in range(count):
        c[c_at + i * c_step] += x[x_at + i * x_step]


@operation(_add)
def add(typing_context, count, x, x_at, x_step, c, c_at, c_step):
    """c[i] += x[i] for `count` elements, each array in its own steps."""
    return call_linked("add", "i@i@i", (count, x, x_at, x_step, c, c_at, c_step))


def _clear(count, c, c_at):
    for i in range(count):
        c[c_at + i] = 0


@operation(_clear)
def clear(typing_context, count, c, c_at):
    """c[i] = 0 for `count` elements."""
    return call_linked("clear", "i@", (count, c, c_at))


def _run_code(combine):
    """Code of c[i] = combine(x[i], c[i]): in vectors where c's step is 1, and x's 1 or 2."""

    def define(v, count, x, x_step, c, c_step):
        builder = v.builder
        x, c = v.pointer(x), v.pointer(c)
        whole = builder.sdiv(count, INDEX(v.lanes))
        evens = [*range(0, v.lanes, 2), *range(v.lanes + 1, 2 * v.lanes, 2)]

        def every(at):
            return v.load(builder.gep(x, [at]))

        def every_second(at):
            # the later of the two ends with the last value that is wanted: there may be none behind
            early = builder.gep(x, [builder.mul(at, INDEX(2))])
            return v.shuffle(v.load(early), v.load(v.shift(early, v.lanes - 1)), evens)

        def vectors(read):
            i, _, close = count_up(builder, whole, [])
            at = builder.mul(i, INDEX(v.lanes))
            to = builder.gep(c, [at])
            v.store(combine(builder, read(at), lambda: v.load(to)), to)
            close([])

        is_dense = builder.icmp_signed("==", c_step, INDEX(1))
        done = INDEX(0)
        for step, read in ((1, every), (2, every_second)):
            runs = builder.and_(is_dense, builder.icmp_signed("==", x_step, INDEX(step)))
            with builder.if_then(runs):
                vectors(read)
            done = builder.select(runs, builder.mul(whole, INDEX(v.lanes)), done)
        i, _, close = count_up(builder, builder.sub(count, done), [])
        at = builder.add(done, i)
        to = builder.gep(c, [builder.mul(at, c_step)])
        value = builder.load(builder.gep(x, [builder.mul(at, x_step)]))
        builder.store(combine(builder, value, lambda: builder.load(to)), to)
        close([])

    return define


machine_code(_run_code(lambda builder, new, old: new), "copy")
machine_code(_run_code(lambda builder, new, old: builder.fadd(old(), new)), "add")


def _total(count, x, x_at, y, y_at):
    y[y_at] = x[x_at : x_at + count].sum()


@operation(_total)
def total(typing_context, count, x, x_at, y, y_at):
    """y[y_at] = the sum of `count` elements of x, in an order of its own."""
    return call_linked("total", "i@@", (count, x, x_at, y, y_at))


@machine_code
def _total_code(v, count, x, y):
    builder, x = v.builder, v.pointer(x)
    left, sums = count, [v.zero] * 4  # that do not wait for each other
    for several in len(sums), 1:
        size = INDEX(several * v.lanes)
        i, sums, close = count_up(builder, builder.sdiv(left, size), sums)
        here = builder.gep(x, [builder.mul(i, size)])
        read = [v.load(v.shift(here, k * v.lanes)) for k in range(several)]
        sums = close([*map(v.add, sums, read), *sums[several:]])
        done = builder.sub(left, builder.srem(left, size))
        x, left = builder.gep(x, [done]), builder.sub(left, done)
    first, second, third, last = sums
    last = v.add(last, v.masked_load(x, v.first(left)))
    whole = v.total(v.add(v.add(first, second), v.add(third, last)))
    builder.store(whole, v.pointer(y))


@machine_code
def _clear_code(v, count, c):
    size = v.builder.mul(count, ir.Constant(INDEX, v.align))
    cgutils.memset(v.builder, v.builder.inttoptr(c, ir.IntType(8).as_pointer()), size, 0)
