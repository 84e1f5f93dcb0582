"""Kernels cut in shares, which numba's threads compute.

Numba would make three functions of each loop over its `prange`, and a fourth for one thread. Here
the kernel is compiled once, for a share of the work, and numba's threading layer, whichever of them
is loaded, is asked to call it: its `parallel_for` calls a function like a ufunc's loop, with the
positions of the turns that a thread has. An exception in a thread, such as MemoryError, becomes one
of the whole.

What a call comes to is a record: the function of the turns, how many parts and threads there are,
whether one failed, and the kernel's arguments as machine code takes them. Kept, it can be run again
without Python, which else looks at each argument, and at each field of those that are tuples.
"""

import inspect
from functools import cache

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_INDEX, _BYTES = ir.IntType(64), ir.IntType(8).as_pointer()
_TURNS = ir.FunctionType(  # of a thread: positions, their count, steps between them, data
    ir.VoidType(), [_BYTES.as_pointer(), _INDEX.as_pointer(), _INDEX.as_pointer(), _BYTES]
)
_PARALLEL_FOR = ir.FunctionType(  # function, positions, count, steps, data, 0, 1, threads
    ir.VoidType(),
    [_BYTES, _BYTES.as_pointer(), _INDEX.as_pointer(), _INDEX.as_pointer(), _BYTES, *[_INDEX] * 3],
)
_HEAD = [_BYTES, *[_INDEX] * 3]  # of a record, before the arguments
_FUNCTION, _PARTS, _THREADS, _FAILED, _ARGUMENTS = range(5)
SHARE = types.UniTuple(types.int64, 2)


@cache
def parallel_for():
    """The address of the function by which the threading layer, once there is one, is called."""
    numba.get_num_threads()
    return llvm.address_of_symbol("numba_parallel_for")


def run_parts(function):
    """What `launcher` makes, in Python, one part after the other."""

    def run(*arguments):
        *values, parts, _, _, _ = arguments
        for part in range(parts):
            function(*values, (part, parts))

    return run


def launcher(function, body):
    """The Python function that calls `body`, a kernel, for each part.

    It takes the arguments of `function` but the share, then parts, threads, `parallel_for()` and 0.
    In place of 0, the address of memory has the call's record stored there, if it fits: the first
    eight bytes say how many there are. Returns how many bytes a record takes.
    """
    *names, _ = inspect.signature(function).parameters
    values = ", ".join(names)
    source = f"def {function.__name__}({values}, parts, threads, address, room):\n"
    source += f"    return launch(({values},), parts, threads, address, room)"
    scope = {"__name__": function.__module__, "launch": _launch_of(body)}
    exec(compile(source, function.__code__.co_filename, "exec"), scope)
    return scope[function.__name__]


def _launch_of(body):
    @intrinsic
    def launch(typing_context, values, parts, threads, address, room):
        made = body.compiled((*values.types, SHARE))

        def emit(context, builder, signature, arguments):
            context.active_code_library.add_linking_library(made.library)
            given, parts, threads, address, room = arguments
            turns = _turns(context, builder.module, given.type, made.fndesc)
            head = [builder.bitcast(turns, _BYTES), parts, threads, ir.Constant(_INDEX, 0)]
            kept = _without_owners(context, builder, values, given)
            kept = cgutils.pack_struct(builder, [*head, kept])
            size = ir.Constant(_INDEX, context.get_abi_sizeof(kept.type))
            is_now = builder.icmp_signed("==", room, ir.Constant(_INDEX, 0))
            with builder.if_else(is_now) as (now, later):
                with now:
                    record = cgutils.alloca_once_value(builder, kept)
                    failed = _run(builder, builder.bitcast(record, _BYTES), address)
                    with cgutils.if_unlikely(builder, failed):
                        what = f"{made.fndesc.qualname}: {FAILED}"
                        context.call_conv.return_user_exc(builder, RuntimeError, (what,))
                with later:
                    there = builder.load(builder.inttoptr(room, _INDEX.as_pointer()))
                    with builder.if_then(builder.icmp_unsigned("<=", size, there)):
                        builder.store(kept, builder.inttoptr(room, kept.type.as_pointer()))
            return size

        return types.int64(values, types.int64, types.int64, types.int64, types.int64), emit

    return launch


FAILED = "a thread failed, most likely for want of memory"


def _without_owners(context, builder, kind, value):
    """`value`, in which arrays do not know who owns their memory: it is counted nowhere."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        for i, part in enumerate(kind.types):
            own = _without_owners(context, builder, part, builder.extract_value(value, i))
            value = builder.insert_value(value, own, i)
    return value


@intrinsic
def run_record(typing_context, record, threads, address):
    """Run the record at an address, in so many threads if it has parts; whether one failed."""

    def emit(context, builder, signature, arguments):
        record, threads, address = arguments
        record = builder.inttoptr(record, _BYTES)
        one = ir.Constant(_INDEX, 1)
        parts = builder.load(_field(builder, record, _PARTS))
        is_one = builder.icmp_signed("==", parts, one)
        threads = builder.select(is_one, one, threads)
        builder.store(threads, _field(builder, record, _THREADS))
        builder.store(ir.Constant(_INDEX, 0), _field(builder, record, _FAILED))
        return _run(builder, record, address)

    return types.boolean(*[types.int64] * 3), emit


def _field(builder, record, *path, values=()):
    kind = ir.LiteralStructType([*_HEAD, *values]).as_pointer()
    return cgutils.gep_inbounds(builder, builder.bitcast(record, kind), 0, *path)


def _run(builder, record, address):
    """Let each of a record's threads call the function with its number, or call it here if there
    is but one; whether one failed."""
    zero, one = ir.Constant(_INDEX, 0), ir.Constant(_INDEX, 1)
    turns = builder.load(_field(builder, record, _FUNCTION))
    threads = builder.load(_field(builder, record, _THREADS))
    first = cgutils.alloca_once_value(builder, ir.Constant(_BYTES, None))  # a number, as a pointer
    count = cgutils.alloca_once_value(builder, threads)
    step = cgutils.alloca_once_value(builder, one)
    with builder.if_else(builder.icmp_signed(">", threads, one)) as (several, single):
        with several:
            run = builder.inttoptr(address, _PARALLEL_FOR.as_pointer())
            builder.call(run, [turns, first, count, step, record, zero, one, threads])
        with single:
            function = builder.bitcast(turns, _TURNS.as_pointer())
            builder.call(function, [first, count, step, record])
    failed = builder.load(_field(builder, record, _FAILED))
    return builder.icmp_signed("!=", failed, zero)


def _turns(context, module, values_type, described):
    """The function of the turns of a thread: turn i of n has the i-th of n parts of the shares."""
    turns = ir.Function(module, _TURNS, module.get_unique_name(f"turns_{described.mangled_name}"))
    turns.linkage = "internal"
    builder = ir.IRBuilder(turns.append_basic_block())
    first, count, _, record = turns.args

    def field(*path):
        return _field(builder, record, *path, values=[values_type])

    parts, threads = builder.load(field(_PARTS)), builder.load(field(_THREADS))
    turn = builder.ptrtoint(builder.load(first), _INDEX)
    last = builder.add(turn, builder.load(count))
    begin, end = (builder.sdiv(builder.mul(i, parts), threads) for i in (turn, last))
    values = [builder.load(field(_ARGUMENTS, i)) for i in range(len(described.argtypes) - 1)]
    function = context.declare_function(module, described)
    with cgutils.for_range_slice(builder, begin, end, ir.Constant(_INDEX, 1)) as (part, _):
        share = context.make_tuple(builder, SHARE, [part, parts])
        status, _ = context.call_conv.call_function(
            builder, function, described.restype, described.argtypes, [*values, share]
        )
        with cgutils.if_unlikely(builder, status.is_error):
            builder.store(ir.Constant(_INDEX, 1), field(_FAILED))
    builder.ret_void()
    return turns
