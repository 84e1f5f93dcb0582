import math
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from caffelite.testing import case

from ..reference import activation as ref

X = [(2, 3, 4, 5)]
INF = np.inf

case("ELU", X, expect=ref.elu)
case("ELU", X, "elu_param { alpha: 0.7 }", expect=partial(ref.elu, alpha=0.7))
case("ELU", X, "elu_param { alpha: -0.7 }", kink=0, expect=partial(ref.elu, alpha=-0.7))

case("GELU", X, expect=np.vectorize(lambda x: x * (1 + math.erf(x / 2**0.5)) / 2))
case("GELU", [(3,)], values={0: [0, 1, 40]}, golden=[0, 0.8413447460685429, 40])

case("ReLU", X, kink=0, expect=ref.relu)
case("ReLU", X, "relu_param { negative_slope: 0.1 }", kink=0, expect=partial(ref.relu, slope=0.1))
case("ReLU", X, "relu_param { negative_slope: -2 }", kink=0, expect=partial(ref.relu, slope=-2))
case("ReLU", [(7,)], "relu_param { engine: CAFFE }", kink=0, expect=ref.relu)
case("ReLU", [(70, 3, 400)], kink=0, expect=ref.relu)  # two threads
case(
    "ReLU",
    [(5,)],
    values={0: [0, np.nan, INF, -INF, 2]},
    golden=[0, np.nan, INF, np.nan, 2],
    gradient=False,
)
case("ReLU", X, "relu_param { engine: CUDNN }", error="engine: CUDNN needs a GPU")

case("Sigmoid", X, expect=ref.sigmoid)
case("Sigmoid", [(5,)], values={0: [0, 800, -800, INF, -INF]}, golden=[0.5, 1, 0, 1, 0])
case("Sigmoid", X, "sigmoid_param { engine: CUDNN }", error="engine: CUDNN needs a GPU")

case("TanH", X, expect=ref.tanh)
case("TanH", [(5,)], values={0: [0, 800, -800, INF, -INF]}, golden=[0, 1, -1, 1, -1])
case("TanH", X, "tanh_param { engine: CUDNN }", error="engine: CUDNN needs a GPU")

case("AbsVal", X, kink=0, expect=ref.abs_val)
case("AbsVal", [(3,)], values={0: [0]}, golden=[0, 0, 0], gradient=False)

case("BNLL", X, expect=ref.bnll)
case(
    "BNLL", [(4,)], values={0: [0, 800, -800, INF]}, golden=[np.log(2), 800, 0, INF], gradient=False
)


def clip(low, high):
    return f"clip_param {{ min: {low} max: {high} }}"


case("Clip", X, clip(-0.5, 1.25), kink=(-0.5, 1.25), expect=partial(ref.clip, low=-0.5, high=1.25))
case(
    "Clip",
    [(4,)],
    clip(-1, 1),
    values={0: [np.nan, INF, -1, 1]},
    golden=[np.nan, 1, -1, 1],
    gradient=False,
)
case("Clip", X, "clip_param { max: 1 }", error="min is missing; Clip needs both")
case("Clip", X, "clip_param { min: 1 }", error="max is missing; Clip needs both")
case("Clip", X, error="min is missing")
case("Clip", X, clip(2, 1), error="min is 2, above max, 1")

for base, value in ((-1, np.e), (2, 2), (0.3, 0.3)):
    given = f"base: {base} scale: 0.5 shift: 0.1"
    options = dict(base=value, scale=0.5, shift=0.1)
    case("Exp", X, f"exp_param {{ {given} }}", expect=partial(ref.exp, **options))
    case("Log", X, f"log_param {{ {given} }}", positive=True, expect=partial(ref.log, **options))
case("Exp", X, expect=ref.exp)
case("Exp", X, "exp_param { base: 1 }", expect=lambda x: x**0)
case(
    "Exp", X, "exp_param { base: 10 shift: 400 }", error="shift is 400, and base ^ shift too large"
)
for base in (0, -2, "inf", "nan"):
    said = "a number above 0" if base in (0, -2) else "a finite number"
    for type in ("Exp", "Log"):
        options = f"{type.lower()}_param {{ base: {base} }}"
        case(type, X, options, error=f"base is {base}, expected {said}")
case("Log", X, positive=True, expect=ref.log)
case("Log", [()], positive=True, expect=ref.log)
case("Log", [(3,)], values={0: [0, -1, INF]}, golden=[-INF, np.nan, INF], gradient=False)
case("Log", X, "log_param { base: 1 }", error="base is 1")

case("Power", X, expect=lambda x: x)
for power in (1, 2, 3, -1, 2.5, 0.5):
    case(
        "Power",
        X,
        f"power_param {{ power: {power} scale: 0.5 shift: 0.25 }}",
        positive=True,
        expect=partial(ref.power, power=power, scale=0.5, shift=0.25),
    )
case("Power", X, "power_param { power: 2 scale: -0.5 }", expect=lambda x: x**2 / 4)
case("Power", [(2,)], "power_param { power: 3 }", values={0: [0]}, golden=[0, 0])  # slope 0, too
for given, constant in (
    ("power: 0", 1),
    ("power: 0 shift: 2", 1),
    ("power: 3 scale: 0 shift: 2", 8),
):
    case(
        "Power",
        [(4,)],
        f"power_param {{ {given} }}",
        values={0: [0, -1, INF, np.nan]},
        golden=[constant] * 4,
    )
case(
    "Power",
    [(2,)],
    "power_param { power: 0.5 }",
    values={0: [-1, 4]},
    golden=[np.nan, 2],
    gradient=False,
)

case("PReLU", X, kink=0, expect=ref.prelu)
case("PReLU", [(4, 3)], kink=0, expect=ref.prelu)
case("PReLU", X, "prelu_param { channel_shared: true }", kink=0, expect=ref.prelu)
case(  # another number of channels
    "PReLU",
    [(2, 3, 4)],
    "prelu_param { channel_shared: true }",
    batch_axis=1,
    empty=False,
    kink=0,
    expect=ref.prelu,
)
case("PReLU", X, kink=0, blobs="filler", expect=ref.prelu)
case("PReLU", [(1, 2)], values={0: [-4, 4]}, blobs="filler", golden=[[-1, 4]])
case(
    "PReLU",
    [(1, 2)],
    'prelu_param { filler { type: "constant" value: 0.5 } }',
    values={0: [-4, 4]},
    blobs="filler",
    golden=[[-2, 4]],
)
case("PReLU", [(2, 3, 0)], expect=ref.prelu)
case("PReLU", [(5,)], error='bottom[0] "x0" has shape (5,), expected at least 2 axes')
case("PReLU", [(2, 0)], error="has shape (2, 0), expected at least 2 axes, with channels along")
case("PReLU", X, 'prelu_param { filler { type: "foo" } }', error="slope: unknown filler type")
case(
    "PReLU", X, "blobs { data: 1 }", error="slope: the net file brings 1 values for it, expected 3"
)

case("ReLU6", X, kink=0, expect=ref.relu6)
case(
    "ReLU6",
    X,
    "relu6_param { negative_slope: 0.1 }",
    values={0: lambda generator, shape: generator.uniform(-9, 9, shape)},
    expect=partial(ref.relu6, slope=0.1),
)
case("ReLU6", X, "relu6_param { negative_slope: -2 }", kink=0, expect=partial(ref.relu6, slope=-2))
case("ReLU6", [(3,)], values={0: [np.nan, INF, 6]}, golden=[np.nan, 6, 6], gradient=False)
case("ReLU6", X, "relu6_param { engine: CUDNN }", error="engine: CUDNN needs a GPU")

case("Swish", X, expect=ref.swish)
case("Swish", [()], expect=ref.swish)
case("Swish", X, "swish_param { beta: 1.7 }", expect=partial(ref.swish, beta=1.7))
case("Swish", X, "swish_param { beta: 0 }", expect=lambda x: x / 2)

case("ReLUX", X, kink=0, expect=ref.relu6)
case(
    "ReLUX",
    X,
    "relux_param { negative_slope: 0.1 maximal_value: 1 }",
    kink=(0, 1),
    expect=partial(ref.relu6, slope=0.1, limit=1),
)
case("ReLUX", X, "relux_param { maximal_value: 0 }", error="maximal_value is 0, expected a number")

case("SeLu", X, expect=ref.selu)
case("SeLu", X, "selu_param { lambda: 2 alpha: 0.5 }", kink=0, expect=lambda x: 2 * ref.elu(x, 0.5))
case("SeLu", X, "selu_param { alpha: -1 }", kink=0, expect=partial(ref.selu, alpha=-1))

case("Threshold", X, expect=ref.threshold)
case(
    "Threshold",
    X,
    "threshold_param { threshold: 0.5 }",
    expect=partial(ref.threshold, threshold=0.5),
)
case("Threshold", [(3,)], values={0: [0, np.nan, INF]}, golden=[0, 0, 1])
case("Threshold", X, error="this layer type has no gradient")

_folder = tempfile.TemporaryDirectory()
shift_file = Path(_folder.name) / "shift.txt"
shift_file.write_text("0.5\n -2 ")
SHIFT = f'power_file_param {{ shift_file: "{shift_file}" }}'
case("PowerFile", X, expect=lambda x: x)
case("PowerFile", [(3, 2)], SHIFT, expect=lambda x: x + np.array([0.5, -2]))
case("PowerFile", [(3, 4)], SHIFT, error="has 2 numbers, expected 4")
case("PowerFile", [(3, 2)], SHIFT.replace("shift.", "none."), error="shift_file: filler file")
case("PowerFile", [()], error="expected at least one axis")
