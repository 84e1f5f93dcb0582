from functools import partial

import numpy as np

from caffelite.testing import case

from ..reference import activation as ref

X = [(2, 3, 4, 5)]
INF = np.inf

case("ELU", X, expect=ref.elu)
case("ELU", X, "elu_param { alpha: 0.7 }", expect=partial(ref.elu, alpha=0.7))
case("ELU", X, "elu_param { alpha: -0.7 }", kink=0, expect=partial(ref.elu, alpha=-0.7))

case("ReLU", X, kink=0, expect=ref.relu)
case("ReLU", X, "relu_param { negative_slope: 0.1 }", kink=0, expect=partial(ref.relu, slope=0.1))
case("ReLU", X, "relu_param { negative_slope: -2 }", kink=0, expect=partial(ref.relu, slope=-2))
case("ReLU", [(7,)], "relu_param { engine: CAFFE }", kink=0, expect=ref.relu)
case("ReLU", [(70, 3, 400)], kink=0, expect=ref.relu)  # two threads
case(
    "ReLU",
    [(5,)],
    values={0: [0, np.nan, INF, -3, 2]},
    golden=[0, np.nan, INF, 0, 2],
    gradient=False,
)
case("ReLU", X, "relu_param { engine: CUDNN }", error="engine: CUDNN needs a GPU")

case("Sigmoid", X, expect=ref.sigmoid)
case("Sigmoid", [(5,)], values={0: [0, 800, -800, INF, -INF]}, golden=[0.5, 1, 0, 1, 0])
case("Sigmoid", X, "sigmoid_param { engine: CUDNN }", error="engine: CUDNN needs a GPU")

case("TanH", X, expect=ref.tanh)
case("TanH", [(5,)], values={0: [0, 800, -800, INF, -INF]}, golden=[0, 1, -1, 1, -1])
case("TanH", X, "tanh_param { engine: CUDNN }", error="engine: CUDNN needs a GPU")
