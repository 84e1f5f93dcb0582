"""Vector instructions: what the code of tiles is emitted with, through llvmlite.

Vector width and register count come from the CPU that numba compiles for (`NUMBA_CPU_NAME`
included), so the same source gives AVX-512, AVX2, SSE2 or NEON code. Positions in memory are
pointers to elements, and nothing is bounds-checked.
"""

import copy
from contextlib import contextmanager

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils
from numba.core.registry import cpu_target

INDEX = ir.IntType(64)
INT32 = ir.IntType(32)
BIT = ir.IntType(1)


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
BROADCASTS = VECTOR_BYTES > 16 or REGISTERS == 32
"""Whether one instruction fills a vector with a value of memory: not before AVX."""
LINE_BYTES = 64
"""Of a cache: a vector register has no more."""


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

    def widened(self):
        """The same lanes, in float64."""
        wide = copy.copy(self)
        wide.element, wide.align, wide.name = ir.DoubleType(), 8, f"v{self.lanes}f64"
        wide.type = ir.VectorType(wide.element, self.lanes)
        wide.zero = ir.Constant(wide.type, None)
        return wide

    def widen(self, value):
        """A vector in float64."""
        kind = ir.VectorType(ir.DoubleType(), self.lanes)
        return value if value.type == kind else self.builder.fpext(value, kind)

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

    def prefetch(self, pointer, writes=False, level=2):
        """Have the cache line at an address, which may be any, in the cache of a level soon."""
        byte = ir.IntType(8).as_pointer()
        f = self._function("llvm.prefetch.p0", ir.VoidType(), [byte, INT32, INT32, INT32])
        options = [ir.Constant(INT32, number) for number in (int(writes), 4 - level, 1)]
        self.builder.call(f, [self.builder.bitcast(pointer, byte), *options])

    def total(self, value):
        """Sum over lanes, by halves."""
        return self.reduced(value, self.builder.fadd)

    def reduced(self, value, combine):
        """What `combine` makes of all lanes, by halves."""
        lanes = self.lanes
        while lanes > 1:
            lanes //= 2
            low = self.shuffle(value, value, range(lanes))
            high = self.shuffle(value, value, range(lanes, 2 * lanes))
            value = combine(low, high)
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
