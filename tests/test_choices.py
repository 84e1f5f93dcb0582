"""What layers and nets compute depends on no choice of kernel, processor or threads."""

import os
import platform
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import tests.cases  # noqa: F401  (fills the table)
from caffelite.kernels import (
    convolve,
    direct,
    direct_weight,
    im2col_multiply,
    im2col_scatter,
    im2col_weight,
    phases,
    plan,
    taps,
    winograd,
    winograd_weight,
)
from caffelite.testing import cases

HERE = Path(__file__).parent
KERNELS = sorted(map(str, HERE.glob("test_kernels*.py")))
EVERYTHING = [*(str(HERE / f"test_{name}.py") for name in ("golden", "layers", "steps")), *KERNELS]

PROCESS = """
import sys, numba, pytest
from caffelite.kernels import (
    _problem, _vectors, direct, direct_weight, eltwise, gemm, im2col_multiply, im2col_scatter,
    im2col_weight, lrn, plan, pointwise, relu, taps, turned, winograd_line,
    winograd_line_weight, winograd_weight,
)
from caffelite.solver import base
{before}
code = pytest.main(["-p", "no:cacheprovider", *sys.argv[1:]])
assert {held}
sys.exit(code)
"""
SMALL_BLOCKS = """
base.PIECE = 3
relu.PART = eltwise.PART = lrn.BLOCK = 8
gemm.DEPTH_BLOCK, gemm.ROW_BLOCK, gemm.PANEL_BLOCK, gemm.DOT_LIMIT = 3, 5, 1, 0
gemm.SMALL = 0
im2col_multiply.DEPTH_BLOCK, im2col_multiply.BLOCK_BYTES, im2col_weight.ROW_BLOCK = 4, 1, 2
im2col_scatter.DEPTH_BLOCK = 4
im2col_scatter.BLOCK_BYTES = im2col_weight.BLOCK_BYTES = im2col_multiply.STAGED_TILES = 1
direct.BAND_BYTES = direct_weight.BAND_BYTES = direct_weight.DENSE_BYTES = 1
direct_weight.BAND_PIXELS = _problem.LONG_LINE = 1
_problem.SMALL_WEIGHTS = winograd_weight.SMALL_WEIGHTS = 0
taps.CELLS = 3
pointwise.FEW_PANELS, pointwise.ENOUGH_TILES, pointwise.BLOCK_BYTES = 99, 1, 1 << 9
turned.MIN_ROWS = turned.MIN_DEPTH = turned.BLOCK_BYTES = turned.SMALL_INPUT = 1
winograd_weight.TILES, winograd_weight.CHANNELS = 3, 2
winograd_line.TOGETHER, winograd_line_weight.PLACES, winograd_line_weight.CHANNELS = 2, 5, 1
"""


def ways(names):
    held = f"plan.FORCED == {names.split(',')}"
    return {"CAFFELITE_CONVOLUTION": names}, held, "convolution or golden or steps"


def processor(name, features, vector_bytes):
    variables = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    return variables, f"_vectors.VECTOR_BYTES == {vector_bytes}"


def layer(name):
    return {"NUMBA_THREADING_LAYER": name}, f"numba.threading_layer() == {name!r}"


def threads(count):
    return {"NUMBA_NUM_THREADS": str(count)}, f"numba.get_num_threads() == {count}"


SETTINGS = {  # the environment, what then holds, and which tests it is of consequence for
    "im2col": ways("im2col"),
    "direct": ways("direct"),
    "winograd": ways("winograd"),
    "winograd and direct": ways("winograd,direct"),
    "taps": ways("taps"),
    "turned and pointwise": ways("turned,pointwise"),
    "layer by layer": ({"CAFFELITE_PLAN": "off"}, "True", "golden or steps"),
    "workqueue": layer("workqueue"),
    "omp": layer("omp"),
    "1 thread": threads(1),
    "3 threads": threads(3),
    "16 threads": threads(16),
}
if platform.machine() in ("x86_64", "AMD64"):
    SETTINGS["haswell"] = processor("haswell", "+avx,+avx2,+fma", 32)
    SETTINGS["generic"] = processor("generic", "", 16)


FEW = "k3s2p1 or depthwise or Net/residual or inplace_chain or BatchNorm/train or sgd_fixed"


def run(files, environment, held="True", selection="", before=""):
    code = PROCESS.format(before=before, held=held)
    arguments = [sys.executable, "-c", code, "-k", selection, *files]
    subprocess.run(arguments, env=os.environ | environment, cwd=HERE.parent, check=True)


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=list(SETTINGS))
def test_everything_agrees(setting, require_threading_layer):
    require_threading_layer(setting[0].get("NUMBA_THREADING_LAYER", "workqueue"))
    run(EVERYTHING, *setting)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["haswell", "generic", "1 thread", "layer by layer"])
def test_a_few_agree(name):
    """What is run for every change, of all the settings above: a few nets that Caffe has run."""
    if name not in SETTINGS:
        pytest.skip(f"{name} is a processor of another kind than this")
    environment, held, *_ = SETTINGS[name]
    run([str(HERE / "test_golden.py")], environment, held, FEW)


@pytest.mark.slow
def test_everything_agrees_in_small_blocks(tmp_path):
    """Whatever works through large arrays in blocks does so with the small ones of these tests."""
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}  # compiled with sizes that nobody else wants
    run(EVERYTHING, cache, before=SMALL_BLOCKS)


ON_THREADS = """
from caffelite.kernels import _jit
_jit.ALONE = _problem.ALONE = 0
launch, used = _jit.Parallel._launch, set()

def watched(kernel, parts, *arguments):
    used.update([kernel] if parts > 1 else [])
    launch(kernel, parts, *arguments)

_jit.Parallel._launch = watched

def unused():
    modules = [m for name, m in sys.modules.items() if name.startswith("caffelite.kernels.")]
    loops = {v for m in modules for v in vars(m).values() if isinstance(v, _jit.Parallel)}
    return [loop.py_func for loop in loops - used]
"""


@pytest.mark.slow
def test_kernels_agree_on_all_threads_however_small_the_arrays():
    """Each loop for all threads runs; other tests leave most to one."""
    marks = ["--runslow", "-m", "not slow and not long"]
    environment = {"NUMBA_NUM_THREADS": "2"}
    run([*marks, *KERNELS], environment, "not unused(), unused()", "not float64", ON_THREADS)


@pytest.mark.slow
def test_kernels_agree_without_compilation():
    run(KERNELS, {"NUMBA_DISABLE_JIT": "1"})


IM2COL, DIRECT, WINOGRAD = {"im2col"}, {"direct", "im2col"}, {"winograd", "im2col"}
TAPS = {"taps", "im2col"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("forced", "ways"),
    [
        (None, DIRECT),
        (["im2col"], IM2COL),
        (["direct"], DIRECT),
        (["winograd"], WINOGRAD),
        (["winograd", "direct"], WINOGRAD | DIRECT),
        (["taps"], TAPS),
    ],
)
def test_rows_take_every_way_through_a_convolution(forced, ways, monkeypatch):
    product, seen = None, defaultdict(set)

    def watch(module, name, way=None):
        function = getattr(module, name)

        def watched(*arguments):
            nonlocal product
            if way is None:
                product = name
            else:
                seen[product].add(way)
            return function(*arguments)

        monkeypatch.setattr(module, name, watched)

    monkeypatch.setattr(plan, "FORCED", forced)
    for name in ("forward", "backward_input", "backward_weight"):
        watch(convolve, name)
    for module in (winograd, direct, taps, im2col_multiply):
        watch(module, "multiply", module.Plan.way)
    for module in (winograd_weight, direct_weight, taps, im2col_weight):
        watch(module, "add_gradient", module.Plan.way)
    for module in (im2col_scatter, phases, taps):
        watch(module, "scatter", module.Plan.way)
        monkeypatch.setitem(convolve._SCATTER, module.Plan, module.scatter)
    for row in cases:
        if row.type == "Convolution" and row.error is None:
            layer, bottom, top = row.build()
            layer.forward(bottom, top)
            layer.backward(top, [True] * len(bottom), bottom)
    assert seen == {
        "forward": ways,
        "backward_input": ways
        | {"scatter"}
        | ({"phases"} if "direct" in (forced or ()) else set()),
        "backward_weight": ways,
    }
