"""The machine that benchmarks run on: its name, memory, threads, and how it passes for another."""

import os
import platform
import sys
from importlib import import_module
from pathlib import Path

AVX2 = {  # what lets each library do without AVX-512
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+fma",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENCV_CPU_DISABLE": "AVX512-SKX",
}
STILL = "ONNX Runtime has no such switch: where the CPU has AVX-512, it uses it."


def as_avx2(argv):
    """Start this program anew, so that all libraries find what AVX2 offers and no more.

    Where it was started so already, say so and return.
    """
    if all(os.environ.get(name) == value for name, value in AVX2.items()):
        settings = " ".join(f"{name}='{value}'" for name, value in AVX2.items())
        print(f"As on a CPU with AVX2 only: {settings}. {STILL}")
        return
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *argv], {**os.environ, **AVX2})


def machine(modules):
    """What this ran on, and the versions of Python and of modules."""
    from numba.core.registry import cpu_target

    from caffelite.kernels._vectors import REGISTERS, VECTOR_BYTES

    versions = {"python": platform.python_version()}
    versions |= {name: found(name).__version__ for name in modules}
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    name = cpu_target.target_context.codegen().magic_tuple()[1]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "kernels": f"{name}, {REGISTERS} registers of {VECTOR_BYTES // 4} floats",
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


PACKAGES = {"cv2": "opencv-python-headless<5"}


def found(module):
    """A module that a comparison needs."""
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        package = PACKAGES.get(missing.name, missing.name)
        sys.exit(f"the comparison needs {missing.name}: pip install '{package}'")


def described(about):
    """The line above a table: what `machine` found."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['system']}; "
        f"kernels for {about['kernels']}; {versions}"
    )


def cores():
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # no affinity on this system
        return os.cpu_count()


def peak():
    """The most memory this process has had, in MB."""
    try:  # ru_maxrss of a child starts at its parent's
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except OSError:
        import resource

        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def set_threads(count):
    """Let all that runs here, and the BLAS below it, use `count` threads."""
    import numba
    import threadpoolctl

    numba.set_num_threads(count)
    threadpoolctl.threadpool_limits(count, user_api="blas")
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(count)
