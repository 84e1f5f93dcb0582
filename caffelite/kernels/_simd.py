"""Vector registers from numba: the vocabulary in which tiles are written.

Each operation is LLVM vector code wrapped as a numba intrinsic. Vector width and register count
come from the CPU that numba compiles for (`NUMBA_CPU_NAME` included), so the same source gives
AVX-512, AVX2, SSE2 or NEON code.

Arrays are 1-D and contiguous, positions are element indices: `c, at` means `c[at:]`. Nothing is
bounds-checked. With NUMBA_DISABLE_JIT=1 the Python function under each operation takes its place;
it says what the operation means.
"""

import inspect
import itertools
from contextlib import contextmanager

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from ._link import call, linked

INDEX = ir.IntType(64)
INT32 = ir.IntType(32)
BIT = ir.IntType(1)
EPILOGUE_VALUES = 8
"""int64 values that an epilogue becomes, see `_epilogue_values`."""


def _vector_registers():
    """Bytes per vector register and their number, for the CPU that numba compiles for.

    Read off the machine code for a 64-byte addition: names and features of CPUs are many.
    """
    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features)
    source = """define <16 x float> @double(<16 x float> %x) {
        %y = fadd <16 x float> %x, %x
        ret <16 x float> %y
    }"""
    assembly = machine.emit_assembly(llvm.parse_assembly(source))
    if "zmm" in assembly:
        return 64, 32
    if "ymm" in assembly:
        return 32, 16
    return 16, 16 if "xmm" in assembly else 32


VECTOR_BYTES, REGISTERS = _vector_registers()


def operation(python):
    """Decorate the typing function of an intrinsic; `python` is used when JIT is disabled."""
    return (lambda define: python) if config.DISABLE_JIT else intrinsic(prefer_literal=True)


def call_linked(name, layout, argument_types, variants=()):
    """Signature and code of a call to the linked function `name`_float32 or `name`_float64.

    `layout` has an "@" for each array of floats and the position after it, which become one
    address, a "#" for each such pair of an int64 array, an "i" for each integer, and an "E" for an
    `Epilogue` and a channel, which become what `_epilogue.finish_rows` takes. Arrays are 1-D and
    contiguous, those of floats of the same type. With `variants`, the first integer chooses among
    the functions `name`1_float32, `name`2_float32, ...
    """
    expanded = layout.replace("@", "@p").replace("#", "#p").replace("E", "Ep")
    arrays = [a for a, letter in zip(argument_types, expanded, strict=True) if letter in "@#"]
    if "E" in expanded:
        epilogue = argument_types[expanded.index("E")]
        if not isinstance(epilogue, types.NamedTuple):
            return None
        arrays += [kind for kind in epilogue.types if isinstance(kind, types.Array)]
    if not all(isinstance(a, types.Array) and (a.ndim, a.layout) == (1, "C") for a in arrays):
        return None
    floats = {a.dtype for a in arrays} - {types.int64}
    if len(floats) != 1 or not floats <= {types.float32, types.float64}:
        return None
    suffix = f"_{floats.pop()}"
    signature_types = [
        kind if letter in "@#E" else types.int64
        for kind, letter in zip(argument_types, expanded, strict=True)
    ]

    def emit(context, builder, signature, values):
        actual = []
        for letter, kind, value in zip(expanded, signature.args, values, strict=True):
            if letter in "@#E":
                held, held_kind = value, kind
            elif letter != "p":
                actual.append(value)
            elif isinstance(held_kind, types.NamedTuple):
                actual += _epilogue_values(context, builder, held_kind, held, value)
            else:
                data = context.make_array(held_kind)(context, builder, held).data
                actual.append(builder.ptrtoint(builder.gep(data, [value]), INDEX))

        if variants:
            with choose(builder, actual[0], variants) as each:
                for variant in each:
                    call(builder, f"{name}{variant}{suffix}", actual[1:])
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


class Vectors:
    """Emits vector instructions for floats of 32 or 64 bits into one LLVM function."""

    def __init__(self, builder, bits):
        self.builder, self.lanes = builder, VECTOR_BYTES * 8 // bits
        self.element = ir.FloatType() if bits == 32 else ir.DoubleType()
        self.type = ir.VectorType(self.element, self.lanes)
        self.mask = ir.VectorType(BIT, self.lanes)
        self.align = bits // 8
        self.name = f"v{self.lanes}f{bits}"
        self.zero = ir.Constant(self.type, None)

    def _pointer(self, pointer):
        return self.builder.bitcast(pointer, self.type.as_pointer())

    def _function(self, name, result, arguments):
        return cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(result, arguments), name
        )

    def pointer(self, address):
        return self.builder.inttoptr(address, self.element.as_pointer())

    def table(self, address):
        return self.builder.inttoptr(address, INDEX.as_pointer())

    def shift(self, pointer, elements):
        return self.builder.gep(pointer, [ir.Constant(INDEX, elements)])

    def rows(self, start, step, count):
        """Pointers to `count` rows, `step` elements apart."""
        steps = [self.builder.mul(step, ir.Constant(INDEX, i)) for i in range(count)]
        return [self.builder.gep(start, [at]) for at in steps]

    def integer(self, table, at):
        """Entry `at` of an int64 table, for both a pointer or an index known now or at run time."""
        at = ir.Constant(INDEX, at) if isinstance(at, int) else at
        return self.builder.load(self.builder.gep(table, [at]))

    def load(self, pointer):
        return self.builder.load(self._pointer(pointer), align=self.align)

    def store(self, value, pointer):
        self.builder.store(value, self._pointer(pointer), align=self.align)

    def splat(self, scalar, kind=None):
        kind = kind or self.type
        one = self.builder.insert_element(
            ir.Constant(kind, ir.Undefined), scalar, ir.Constant(INT32, 0)
        )
        zeros = ir.Constant(ir.VectorType(INT32, self.lanes), None)
        return self.builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)

    def shuffle(self, x, y, picks):
        """Lanes of x, then y, in the order of `picks`."""
        picks = [ir.Constant(INT32, i) for i in picks]
        return self.builder.shuffle_vector(
            x, y, ir.Constant(ir.VectorType(INT32, len(picks)), picks)
        )

    def number(self, value):
        return ir.Constant(self.type, [ir.Constant(self.element, value)] * self.lanes)

    def number_of(self, bits):
        """A float64 that came as an int64 with its bits, rounded to the element's type."""
        number = self.builder.bitcast(bits, ir.DoubleType())
        is_double = self.element == ir.DoubleType()
        return number if is_double else self.builder.fptrunc(number, self.element)

    def add(self, x, y):
        return self.builder.fadd(x, y)

    def sub(self, x, y):
        return self.builder.fsub(x, y)

    def mul(self, x, y):
        return self.builder.fmul(x, y)

    def fma(self, x, y, z):
        """x * y + z; fused where the CPU can."""
        f = self._function(f"llvm.fmuladd.{self.name}", self.type, [self.type] * 3)
        return self.builder.call(f, [x, y, z])

    def first(self, count):
        """Mask of the first `count` lanes; count may be negative or beyond the last lane."""
        kind = ir.VectorType(INDEX, self.lanes)
        lane = ir.Constant(kind, list(range(self.lanes)))
        return self.builder.icmp_signed("<", lane, self.splat(count, kind))

    def masked_load(self, pointer, mask):
        """Lanes where the mask is set, zero in the others, whose memory is not touched."""
        kind = self.type.as_pointer()
        f = self._function(
            f"llvm.masked.load.{self.name}.p0", self.type, [kind, INT32, self.mask, self.type]
        )
        align = ir.Constant(INT32, self.align)
        return self.builder.call(f, [self._pointer(pointer), align, mask, self.zero])

    def masked_store(self, value, pointer, mask):
        kind = self.type.as_pointer()
        f = self._function(
            f"llvm.masked.store.{self.name}.p0", ir.VoidType(), [self.type, kind, INT32, self.mask]
        )
        align = ir.Constant(INT32, self.align)
        self.builder.call(f, [value, self._pointer(pointer), align, mask])

    def total(self, value):
        """Sum over lanes, by halves."""
        lanes = self.lanes
        while lanes > 1:
            lanes //= 2
            low = self.shuffle(value, value, range(lanes))
            high = self.shuffle(value, value, range(lanes, 2 * lanes))
            value = self.builder.fadd(low, high)
        return self.builder.extract_element(value, ir.Constant(INT32, 0))


def count_up(builder, count, start_values):
    """Open `for i in range(count)` carrying values; yields (i, values, close).

    `close(new_values)` ends the body and returns the values after the loop.
    """
    before = builder.basic_block
    head = builder.append_basic_block("head")
    body = builder.append_basic_block("body")
    done = builder.append_basic_block("done")
    builder.branch(head)
    builder.position_at_end(head)
    i = builder.phi(INDEX)
    i.add_incoming(ir.Constant(INDEX, 0), before)
    carried = []
    for value in start_values:
        phi = builder.phi(value.type)
        phi.add_incoming(value, before)
        carried.append(phi)
    builder.cbranch(builder.icmp_signed("<", i, count), body, done)
    builder.position_at_end(body)

    def close(new_values):
        end = builder.basic_block
        i.add_incoming(builder.add(i, ir.Constant(INDEX, 1)), end)
        for phi, value in zip(carried, new_values, strict=True):
            phi.add_incoming(value, end)
        builder.branch(head)
        builder.position_at_end(done)
        return carried

    return i, carried, close


def when(builder, condition, values, change):
    """`change(values)` where `condition` holds, `values` elsewhere."""
    before = builder.basic_block
    with builder.if_then(condition):
        changed = change(values)
        inside = builder.basic_block
    merged = []
    for old, new in zip(values, changed, strict=True):
        phi = builder.phi(old.type)
        phi.add_incoming(old, before)
        phi.add_incoming(new, inside)
        merged.append(phi)
    return merged


@contextmanager
def choose(builder, value, cases):
    """Open a switch: `with choose(...) as each: for case in each: emit code for it`."""
    done = builder.append_basic_block("chosen")
    switch = builder.switch(value, done)

    def each():
        for case in cases:
            block = builder.append_basic_block("case")
            switch.add_case(ir.Constant(INDEX, case), block)
            builder.position_at_end(block)
            yield case
            builder.branch(done)

    yield each()
    builder.position_at_end(done)


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
    """Code of c[i] = combine(x[i], c[i]): in vectors where both steps are 1."""

    def define(v, count, x, x_step, c, c_step):
        builder = v.builder
        x, c = v.pointer(x), v.pointer(c)
        one, per_vector = ir.Constant(INDEX, 1), ir.Constant(INDEX, v.lanes)

        def element(at_x, at_c):
            to = builder.gep(c, [at_c])
            value = builder.load(builder.gep(x, [at_x]))
            builder.store(combine(builder, value, lambda: builder.load(to)), to)

        dense = builder.and_(
            builder.icmp_signed("==", x_step, one), builder.icmp_signed("==", c_step, one)
        )
        with builder.if_else(dense) as (together, apart):
            with together:
                whole = builder.sdiv(count, per_vector)
                i, _, close = count_up(builder, whole, [])
                at = builder.mul(i, per_vector)
                to = builder.gep(c, [at])
                value = v.load(builder.gep(x, [at]))
                v.store(combine(builder, value, lambda: v.load(to)), to)
                close([])
                done = builder.mul(whole, per_vector)
                i, _, close = count_up(builder, builder.sub(count, done), [])
                element(builder.add(done, i), builder.add(done, i))
                close([])
            with apart:
                i, _, close = count_up(builder, count, [])
                element(builder.mul(i, x_step), builder.mul(i, c_step))
                close([])

    return define


machine_code(_run_code(lambda builder, new, old: new), "copy")
machine_code(_run_code(lambda builder, new, old: builder.fadd(old(), new)), "add")


@machine_code
def _clear_code(v, count, c):
    size = v.builder.mul(count, ir.Constant(INDEX, v.align))
    cgutils.memset(v.builder, v.builder.inttoptr(c, ir.IntType(8).as_pointer()), size, 0)
