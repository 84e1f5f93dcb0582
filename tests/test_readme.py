"""The code that README shows for a layer of one's own does what README says."""

import re
from pathlib import Path

import numpy as np

from caffelite.layers import base
from caffelite.testing import make_layer

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_first_layer_grows_as_shown(monkeypatch):
    monkeypatch.setattr(base, "_types", dict(base._types))
    part = README[README.index("## Your first layer") :]
    plain, gradient, learned, question = re.findall(r"```python\n(.*?)```", part, re.S)[:4]
    names = {}
    exec(plain, names)
    layer, bottom, top = make_layer("Double", [(2, 3)])
    layer.forward(bottom, top)
    np.testing.assert_array_equal(top[0].data, 2 * bottom[0].data)
    head = plain[: plain.index("    def forward")]
    for body in (plain.removeprefix(head) + "\n" + gradient, learned):
        exec(head + body, names)  # registers the type anew
        exec(question, names)
