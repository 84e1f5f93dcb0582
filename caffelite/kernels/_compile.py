"""How little of numba's way from a function to machine code kernels take.

Numba makes machine code of every function that a kernel calls, with all that Python needs to call
it, then takes the function's LLVM code into the kernel and does the work again: a callee of a
callee is optimized and translated three times. Here a callee is typed and lowered, once in a
process for each signature, and optimized where it is called. Linked functions (`_link.py`) are
written in the vector instructions that they are to become, thousands of them; most passes of LLVM's
find nothing there to do.
"""

from numba.core import compiler, types, typing
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock

LONG = 1000
"""Instructions of a linked function from which on it is translated as it was written."""


class _Library(JITCodeLibrary):
    """What becomes machine code, by one round of passes."""

    def _optimize_functions(self, module):
        """Numba's round over single functions finds nothing that those over the whole do not."""
        module.data_layout = self._codegen._data_layout


class _Callee(_Library):
    """LLVM code that callers take in, as it was lowered."""

    def _optimize_final_module(self):
        """The caller's passes see all that it calls."""

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True

    def get_pointer_to_function(self, name):
        """Null: there is no machine code."""
        self._ensure_finalized()
        return 0


class _Linked(_Library):
    """A linked function."""

    _instructions = 0

    def add_ir_module(self, module):
        blocks = [block for function in module.functions for block in function.blocks]
        self._instructions += sum(len(block.instructions) for block in blocks)
        super().add_ir_module(module)

    def _optimize_final_module(self):
        if self._instructions < LONG:
            return super()._optimize_final_module()
        passes, builder = self._codegen._module_pass_manager(
            opt=0, loop_vectorize=False, slp_vectorize=False, cost="cheap"
        )
        passes.run(self._final_module, builder)


def compile_with(function_compiler, library_class):
    """Let a dispatcher's or CFunc's compiler make a library of a class.

    It runs while numba's lock is held, so that nobody else finds what is set here.
    """
    codegen = function_compiler.targetdescr.target_context.codegen()
    compile_core = function_compiler._compile_core

    def compile_and_restore(arguments, return_type):
        own = vars(codegen)
        before = own.copy()
        own["create_library"] = lambda name, **options: library_class(codegen, name, **options)
        try:
            return compile_core(arguments, return_type)
        finally:
            own.clear()
            own.update(before)

    function_compiler._compile_core = compile_and_restore


def compile_kernel(dispatcher):
    """Let numba's dispatcher of a kernel compile in this way; returns what it is for callers."""
    compile_with(dispatcher._compiler, _Library)
    callees = _Callees(dispatcher)
    dispatcher.get_call_template = callees.get_call_template
    dispatcher.get_overload = callees.get_overload
    return callees


def compile_linked(made):
    """Let numba's CFunc compile in this way."""
    compile_with(made._compiler, _Linked)


class _Callees:
    """What a kernel is for those that call it: one compilation for each signature."""

    def __init__(self, dispatcher):
        self._dispatcher, self._compiled = dispatcher, {}

    def get_call_template(self, arguments, named):
        """What numba's typing asks a dispatcher for.

        Where a kernel calls another with a constant, that is compiled for its type, not its value.
        LLVM knows the value all the same where it takes the callee's code into the caller.
        """
        signature, arguments = self._dispatcher._compiler.fold_argument_types(
            [types.unliteral(argument) for argument in arguments], named
        )
        arguments = tuple(arguments)
        name = self._dispatcher.py_func.__name__
        template = typing.make_concrete_template(
            name, key=name, signatures=[self.compiled(arguments).signature]
        )
        return template, signature, arguments, {}

    def get_overload(self, arguments):
        """What numba's lowering looks the code up by."""
        return self._dispatcher, arguments

    def compiled(self, arguments):
        """The function for arguments of these types, typed and lowered."""
        if arguments not in self._compiled:
            self._compiled[arguments] = self._compile(arguments)
        return self._compiled[arguments]

    def _compile(self, arguments):
        dispatcher, flags = self._dispatcher, compiler.Flags()
        described = dispatcher.targetdescr
        described.options.parse_as_flags(flags, dispatcher.targetoptions)
        flags.no_cpython_wrapper = flags.no_cfunc_wrapper = flags.no_compile = True
        context = described.target_context
        with global_compiler_lock:
            made = compiler.compile_extra(
                described.typing_context,
                context,
                dispatcher.py_func,
                args=arguments,
                return_type=None,
                flags=flags,
                locals={},
                library=_Callee(context.codegen(), dispatcher.py_func.__qualname__),
            )
            key = self.get_overload(arguments)
            context.insert_user_function(key, made.fndesc, [made.library])
        return made
