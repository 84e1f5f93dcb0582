"""Machine code that is compiled once per process and called from every kernel by name.

Numba copies a kernel's callees into the kernel and compiles them again; for register tiles that
is most of the compile time. A linked function is instead a symbol: kernels call it by name, and
LLVM puts its address there. So it is compiled, or found on disk, before the first kernel that calls
it is, and nothing is left to be done, or to go wrong, while a kernel runs.
"""

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba.core import cgutils
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock

from ._cache import PREFIX, KernelCache
from ._compile import compile_linked

_functions = {}  # by symbol
_provided = {}  # those that are compiled, which must stay


def linked(name, count, body, origin):
    """Let kernels call `name`, which takes `count` int64 values and gives `body` a tuple of them.

    `origin` is the function whose source says what `body` is.
    """
    # Numba compiles functions with parameters, of which these have as many as they need.
    values = ", ".join(f"value{i}" for i in range(count))
    source = compile(
        f"def {name}({values}):\n    body(({values},))", origin.__code__.co_filename, "exec"
    )
    scope = {"__name__": origin.__module__, "body": body}
    exec(source, scope)
    _functions[PREFIX + name] = scope[name]


def call(builder, name, arguments):
    """Emit a call to the linked function `name` with int64 values."""
    provide(PREFIX + name)
    kind = _kind(arguments)
    builder.call(cgutils.get_or_insert_function(builder.module, kind, PREFIX + name), arguments)


def call_at(builder, address, arguments):
    """Emit a call to the linked function that lies at an address."""
    builder.call(builder.inttoptr(address, _kind(arguments).as_pointer()), arguments)


def _kind(arguments):
    return ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * len(arguments))


def address_of(name):
    """Where the machine code of the linked function `name` is."""
    provide(PREFIX + name)
    return _provided[PREFIX + name].address


def provide(symbol):
    """Have the machine code behind a symbol, so that code that calls it can be linked."""
    if symbol not in _provided:
        with global_compiler_lock:  # which two threads may want for the same function
            if symbol not in _provided:
                _provide(symbol)


def _provide(symbol):
    function = _functions[symbol]
    arguments = (numba.int64,) * function.__code__.co_argcount
    made = CFunc(function, (arguments, numba.void), {}, {"nopython": True})
    made._cache = KernelCache(function, provide)
    compile_linked(made)
    made.compile()
    llvm.add_symbol(symbol, made.address)
    _provided[symbol] = made
