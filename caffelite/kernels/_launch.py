"""Kernels cut in shares, which numba's threads compute.

Numba would make three functions of each loop over its `prange`, and a fourth for one thread. Here
the kernel is compiled once, for a share of the work, and numba's threading layer, whichever of them
is loaded, is asked to call it: its `parallel_for` calls a function like a ufunc's loop, with the
positions of the turns that a thread has. An exception in a thread, such as MemoryError, becomes one
of the whole.
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
SHARE = types.UniTuple(types.int64, 2)


@cache
def parallel_for():
    """The address of the function by which the threading layer, once there is one, is called."""
    numba.get_num_threads()
    return llvm.address_of_symbol("numba_parallel_for")


def run_parts(function):
    """What `launcher` makes, in Python, one part after the other."""

    def run(*arguments):
        *values, parts, _, _ = arguments
        for part in range(parts):
            function(*values, (part, parts))

    return run


def launcher(function, body):
    """The Python function that calls `body`, a kernel, for each part.

    It takes the arguments of `function` but the share, then parts, threads and `parallel_for()`.
    """
    *names, _ = inspect.signature(function).parameters
    values = ", ".join(names)
    source = f"def {function.__name__}({values}, parts, threads, address):\n"
    source += f"    launch(({values},), parts, threads, address)"
    scope = {"__name__": function.__module__, "launch": _launch_of(body)}
    exec(compile(source, function.__code__.co_filename, "exec"), scope)
    return scope[function.__name__]


def _launch_of(body):
    @intrinsic
    def launch(typing_context, values, parts, threads, address):
        made = body.compiled((*values.types, SHARE))

        def emit(context, builder, signature, arguments):
            context.active_code_library.add_linking_library(made.library)
            turns = _turns(context, builder.module, arguments[0].type, made.fndesc)
            failed = _call(builder, turns, *arguments)
            with cgutils.if_unlikely(builder, failed):
                what = f"{made.fndesc.qualname}: a thread failed, most likely for want of memory"
                context.call_conv.return_user_exc(builder, RuntimeError, (what,))
            return context.get_dummy_value()

        return types.void(values, types.int64, types.int64, types.int64), emit

    return launch


def _call(builder, turns, values, parts, threads, address):
    """Let each of the threads call `turns` with its number, or call it here; whether one failed."""
    one = ir.Constant(_INDEX, 1)
    kept = cgutils.pack_struct(builder, [values, parts, threads, cgutils.false_bit])
    data = cgutils.alloca_once_value(builder, kept)
    first = cgutils.alloca_once_value(builder, ir.Constant(_BYTES, None))  # a number, as a pointer
    count = cgutils.alloca_once_value(builder, threads)
    step = cgutils.alloca_once_value(builder, one)
    arguments = [first, count, step, builder.bitcast(data, _BYTES)]
    with builder.if_else(builder.icmp_signed(">", threads, one)) as (several, single):
        with several:
            run = builder.inttoptr(address, _PARALLEL_FOR.as_pointer())
            zero = ir.Constant(_INDEX, 0)
            builder.call(run, [builder.bitcast(turns, _BYTES), *arguments, zero, one, threads])
        with single:
            builder.call(turns, arguments)
    return builder.load(cgutils.gep_inbounds(builder, data, 0, 3))


def _turns(context, module, values_type, described):
    """The function of the turns of a thread: turn i of n has the i-th of n parts of the shares."""
    turns = ir.Function(module, _TURNS, module.get_unique_name(f"turns_{described.mangled_name}"))
    turns.linkage = "internal"
    builder = ir.IRBuilder(turns.append_basic_block())
    first, count, _, data = turns.args
    kept = ir.LiteralStructType([values_type, _INDEX, _INDEX, cgutils.bool_t]).as_pointer()
    data = builder.bitcast(data, kept)

    def field(*path):
        return cgutils.gep_inbounds(builder, data, 0, *path)

    parts, threads = builder.load(field(1)), builder.load(field(2))
    turn = builder.ptrtoint(builder.load(first), _INDEX)
    last = builder.add(turn, builder.load(count))
    begin, end = (builder.sdiv(builder.mul(i, parts), threads) for i in (turn, last))
    values = [builder.load(field(0, i)) for i in range(len(described.argtypes) - 1)]
    function = context.declare_function(module, described)
    with cgutils.for_range_slice(builder, begin, end, ir.Constant(_INDEX, 1)) as (part, _):
        share = context.make_tuple(builder, SHARE, [part, parts])
        status, _ = context.call_conv.call_function(
            builder, function, described.restype, described.argtypes, [*values, share]
        )
        with cgutils.if_unlikely(builder, status.is_error):
            builder.store(cgutils.true_bit, field(3))
    builder.ret_void()
    return turns
