"""Initial values of learnable blobs, where the nets of other tests do not need them."""

import numpy as np
import pytest

import caffelite
from caffelite.errors import NetError
from caffelite.proto.caffe_pb2 import NetParameter
from caffelite.proto.text import parse

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {
  num_output: 3 bias_term: false weight_filler { type: "file" file: "numbers.txt" } } }"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def build(text):
        if text is not None:
            (tmp_path / "numbers.txt").write_bytes(text)
        return caffelite.Net(parse(NET, NetParameter), caffelite.TRAIN)

    return build


def test_numbers_from_a_file(net):
    weight = net(b"1 -2\n\n3e0\t4\n5 6.5").params["ip"][0].data
    assert np.array_equal(weight, [[1, -2], [3, 4], [5, 6.5]])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"1 2 3 4 5", "has 5 numbers, expected 6"),
        (b"1 2 3 4 5 six", "could not convert"),
        (b"\xff\xfe", "codec can't decode"),
        (None, "No such file"),
    ],
)
def test_a_file_that_does_not_fit(net, text, problem):
    with pytest.raises(NetError, match=f'ip.*filler file "numbers.txt".*{problem}'):
        net(text)
