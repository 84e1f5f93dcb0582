from functools import partial

from caffelite.testing import case

from ..reference import activation as ref

case("ELU", [(2, 3, 4, 5)], expect=ref.elu)
case("ELU", [(2, 3, 4, 5)], "elu_param { alpha: 0.7 }", expect=partial(ref.elu, alpha=0.7))
case(
    "ELU", [(2, 3, 4, 5)], "elu_param { alpha: -0.7 }", kink=0, expect=partial(ref.elu, alpha=-0.7)
)
