"""Tell what is installed, and what kernels run on: versions, threads, vector registers, caches.

    caffelite doctor
    caffelite doctor --tune
    mpiexec -n 4 caffelite doctor

The second measures from what sizes on Winograd's algorithm pays with these threads, and keeps that
beside the machine code for the runs to come. The third measures how fast these processes exchange
what they train with.

For reports of trouble, and for a look at what a new machine offers. The exit code is 1 if something
is amiss that caffelite needs; what is amiss stands at the end.
"""

import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys

from ..errors import CaffeliteError, DataError
from ..json_text import json_text
from ..reading import opened
from ..table import file_size
from ._color import paint

# Modules of packages that are imported under another name than they are installed by.
_MODULES = {"pyyaml": "yaml", "protobuf": "google.protobuf", "pillow": "PIL"}
_VARIABLES = re.compile(r"(NUMBA|CAFFELITE|OMP|OPENBLAS|MKL)_\w+|NO_COLOR|XDG_CACHE_HOME")


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--tune",
        action="store_true",
        help="measure from what sizes on Winograd's algorithm pays here, and keep that: trainings "
        "go by it from then on, and may give other last bits than before",
    )


def run(args):
    from ..parallel.launch import world

    comm = world()
    linked = _links(comm) if comm else {}
    if comm and comm.rank:
        return 0
    problems = []
    report = {
        "caffelite": _caffelite(),
        "machine": _machine(),
        "needed": _needed(problems),
        "extras": _extras(),
        "kernels": _kernels(problems, args.tune),
        "thread pools": _linear_algebra(),
        "MPI": _mpi() | linked,
        "environment": {k: v for k, v in sorted(os.environ.items()) if _VARIABLES.fullmatch(k)},
        "problems": problems,
    }
    print(json_text(report, indent=1) if args.json else "\n".join(_lines(report)))
    return 1 if problems else 0


def _lines(report):
    for heading, facts in report.items():
        if heading == "problems":
            continue
        if facts:
            yield paint(heading, "bold")
        for name, value in facts.items():
            yield f"  {name + ':':<21} {value}"
    for problem in report["problems"]:
        yield paint(f"problem: {problem}", "red")
    if not report["problems"]:
        yield paint("nothing is amiss", "green")


def _caffelite():
    from .. import __version__

    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return {"version": __version__, "folder": folder}


def _machine():
    return {
        "system": platform.platform(),
        "python": f"{platform.python_version()}, {sys.executable}",
        "processor": _processor(),
        "cores": f"{_usable_cores()} of {os.cpu_count()}",
        "memory": _memory(),
    }


def _processor():
    try:
        with opened("/proc/cpuinfo") as file:
            found = re.search(r"^model name\s*:\s*(.+)$", file.read(), re.MULTILINE)
            return found[1] if found else platform.machine()
    except DataError:
        return platform.processor() or platform.machine()


def _usable_cores():
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _memory():
    try:
        return file_size(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return "unknown"


def _requirements():
    """(package, extra or "") of each package that caffelite is installed with."""
    for line in importlib.metadata.requires("caffelite") or ():
        package = re.match(r"[\w.-]+", line)[0]
        extra = re.search(r"extra == ['\"]([^'\"]+)", line)
        yield package, extra[1] if extra else ""


def _needed(problems):
    """Versions of what caffelite cannot do without; each is imported, since it may be broken."""
    found = {}
    try:
        packages = [package for package, extra in _requirements() if not extra]
    except importlib.metadata.PackageNotFoundError:
        problems.append("caffelite is not installed: pip install -e . in its folder")
        return {}
    for package in packages:
        found[package] = _version(package)
        try:
            importlib.import_module(_MODULES.get(package, package))
        except Exception as problem:  # whatever a package raises that is broken
            problems.append(f"{package} cannot be imported: {problem}")
    return found


def _extras():
    """{package of an extra: version, or how to get it}"""
    try:
        wanted = {p: extra for p, extra in _requirements() if extra not in ("", "all", "test")}
    except importlib.metadata.PackageNotFoundError:
        return {}
    hint = "not installed; pip install 'caffelite[{}]'"
    found = {p: _version(p) or hint.format(extra) for p, extra in sorted(wanted.items())}
    return found | {"Graphviz's dot": shutil.which("dot") or "not installed"}


def _mpi():
    """The MPI that training in several processes runs on, and its launcher."""
    from ..parallel import launch

    try:
        library = launch.load().Get_library_version()
    except CaffeliteError:
        return {}  # the extras tell how to get it
    words = " ".join(library.rstrip("\0").split("\n")[0].split())
    return {"library": words, "launcher": shutil.which("mpiexec") or launch.of_wheel("mpiexec")}


def _links(comm):
    """How fast the processes that mpiexec has started exchange, measured."""
    from ..parallel import links

    first, *rest = links.lines(comm)
    return {"exchange": first, "links": "\n    ".join(rest)}


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _kernels(problems, tune):
    try:
        import numba
        from numba.core.registry import cpu_target

        from ..kernels import _cache, _vectors
    except Exception as problem:
        problems.append(f"kernels cannot be compiled: {problem}")
        return {}
    numba.get_num_threads()  # starts the threads, and so the layer
    folder = _cache.cache_folder()
    if not _is_writable(folder):
        problems.append(f"{folder} cannot be written: kernels are compiled anew in every run")
    if numba.config.DISABLE_JIT:
        problems.append("NUMBA_DISABLE_JIT is set: kernels run as Python, hundreds of times slower")
    elif tune:
        _tune(problems)
    return {
        "compiled for": cpu_target.target_context.codegen().magic_tuple()[1] or "a generic CPU",
        "vector registers": f"{_vectors.REGISTERS} of {8 * _vectors.VECTOR_BYTES} bits, "
        f"{_vectors.VECTOR_BYTES // 4} floats",
        "threads": numba.get_num_threads(),
        "threading layer": numba.threading_layer(),
        "machine code": folder,
        "its size": _folder_size(folder),
        "thresholds": _thresholds(),
    }


def _tune(problems):
    """Measure thresholds, and keep them for the next runs."""
    from ..atomic import write_atomically
    from ..kernels import tuning

    found, is_busy = tuning.measure()
    file = tuning.path(tuning.threads_here())
    try:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        write_atomically(file, tuning.text_of(found).encode())
    except (OSError, CaffeliteError) as problem:
        problems.append(f"what was measured cannot be kept: {problem}")
    tuning.take(None)
    if is_busy:
        problems.append(
            "other programs were at work while it was measured: repeat doctor --tune when "
            "the machine is idle"
        )


def _thresholds():
    """By which convolutions choose their way: fixed, or a file, and the numbers."""
    from ..kernels import tuning

    numbers = tuning.thresholds(tuning.threads_here())._asdict()
    return f"{tuning.told()} ({', '.join(f'{k} {v}' for k, v in numbers.items())})"


def _is_writable(folder):
    """Whether files can be made in a folder, or the folder itself."""
    while not os.path.exists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _folder_size(folder):
    sizes = [
        os.path.getsize(os.path.join(where, name))
        for where, _, names in os.walk(folder)
        for name in names
        if os.path.isfile(os.path.join(where, name))
    ]
    return f"{file_size(sum(sizes))} in {len(sizes)} files"


def _linear_algebra():
    """What numpy multiplies matrices with, and other libraries that have threads of their own."""
    try:
        import numpy as np
        import threadpoolctl
    except Exception:  # told already
        return {}
    np.ones((2, 2)) @ np.ones((2, 2))
    found = {}
    for pool in threadpoolctl.threadpool_info():
        facts = [pool["version"], pool.get("architecture"), f"{pool['num_threads']} threads"]
        found[pool["internal_api"]] = ", ".join(filter(None, facts))
    return found
