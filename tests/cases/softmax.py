from functools import partial

from caffelite.testing import case

from ..reference import loss as ref

case("Softmax", [(4, 5)], expect=ref.softmax)
case("Softmax", [(2, 5, 3, 4)], expect=ref.softmax)
case("Softmax", [(2, 3, 5)], "softmax_param { axis: -1 }", expect=partial(ref.softmax, axis=2))
case("Softmax", [(3, 5)], "softmax_param { axis: 0 }", expect=partial(ref.softmax, axis=0))
case("Softmax", [(1, 3)], values={0: [1000, 1000, -1000]}, golden=[[0.5, 0.5, 0]])
case("Softmax", [(4, 5)], "softmax_param { axis: 2 }", error="axis: 2 is out of range")
case("Softmax", [(4, 5)], "softmax_param { engine: CUDNN }", error="engine: CUDNN needs a GPU")
