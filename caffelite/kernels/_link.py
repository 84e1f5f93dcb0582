"""Machine code that is compiled once per process and called from every kernel by name.

Numba copies a kernel's callees into the kernel and compiles them again; for register tiles that
is most of the compile time. A linked function is instead a symbol that kernels call. The symbol
is a two-instruction jump through a slot. The slot first leads back into Python, which compiles
the function (or finds it on disk) and puts its address into the slot.
"""

import ctypes
import threading

import llvmlite.binding as llvm
import numba
from numba.core.ccallback import CFunc
from numba.core.registry import cpu_target

from ._jit import kept_in_user_cache, stamp_with_neighbours

_keep_alive = []
_lock = threading.Lock()


def linked(function):
    """Let kernels call `function`, which takes int64 arguments and returns nothing.

    Returns the symbol's name. Nothing is compiled until the first call at run time.
    """
    count = function.__code__.co_argcount
    name = f"caffelite_{function.__name__}"
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * count)
    slot = ctypes.c_int64()
    compiled = []

    def first_call(*arguments):
        with _lock:
            if not compiled:
                signature = numba.void(*[numba.int64] * count)
                compiled.append(_compile(function, signature))
                slot.value = compiled[0].address
        prototype(compiled[0].address)(*arguments)

    callback = prototype(first_call)
    slot.value = ctypes.cast(callback, ctypes.c_void_p).value
    engine = _jump_through(name, count, ctypes.addressof(slot))
    llvm.add_symbol(name, engine.get_function_address(name))
    _keep_alive.extend([slot, callback, engine, compiled])
    return name


def _compile(function, signature):
    """What `numba.cfunc(signature, cache=True)` does, but see `stamp_with_neighbours`."""
    made = CFunc(function, (signature.args, signature.return_type), {}, {"nopython": True})
    with kept_in_user_cache():
        made.enable_caching()
    stamp_with_neighbours(made, function)
    made.compile()
    return made


def _jump_through(name, count, slot):
    """An LLVM engine holding the function `name`, which jumps to the address found in `slot`."""
    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    arguments = ", ".join(f"i64 %a{i}" for i in range(count))
    module = llvm.parse_assembly(
        f"""define void @{name}({arguments}) {{
            %slot = inttoptr i64 {slot} to ptr
            %target = load atomic ptr, ptr %slot acquire, align 8
            tail call void %target({arguments})
            ret void
        }}"""
    )
    module.triple = triple
    machine = llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=1, jit=True
    )
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine
