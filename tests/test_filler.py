"""Initial values of learnable blobs: their distributions, and what fillers refuse."""

import math

import numpy as np
import pytest
from google.protobuf import text_format
from scipy import stats

import caffelite
from caffelite import filler, rng
from caffelite.errors import NetError
from caffelite.proto.caffe_pb2 import FillerParameter, NetParameter
from caffelite.proto.text import parse
from caffelite.testing import make_layer

SHAPE = 40, 20, 6, 5  # fan in 600, fan out 1200


def param(text):
    return text_format.Parse(text, FillerParameter())


def filled(text, shape=SHAPE, dtype=np.float32, seed=0):
    """An array as the filler `text` fills it; what was there before does not show."""
    filler.check(param(text), shape)
    array = np.full(shape, np.nan, dtype)
    filler.fill(array, param(text), rng.generator(seed))
    return array


def uniform(low, high):
    return stats.uniform(low, high - low)


DRAWN = {
    'type: "uniform"': uniform(0, 1),
    'type: "uniform" min: -3 max: -1': uniform(-3, -1),
    'type: "gaussian"': stats.norm(0, 1),
    'type: "gaussian" mean: 2 std: 0.5': stats.norm(2, 0.5),
}
for norm, n in (("", 600), ("FAN_IN", 600), ("FAN_OUT", 1200), ("AVERAGE", 900)):
    option = norm and f"variance_norm: {norm}"
    DRAWN[f'type: "xavier" {option}'] = uniform(-math.sqrt(3 / n), math.sqrt(3 / n))
    DRAWN[f'type: "msra" {option}'] = stats.norm(0, math.sqrt(2 / n))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("text", DRAWN)
def test_values_have_the_distribution_that_the_filler_names(text, dtype):
    values = filled(text, dtype=dtype).astype(float).ravel()
    assert stats.kstest(values, DRAWN[text].cdf).pvalue > 1e-4
    assert (values != filled(text, dtype=dtype, seed=1).ravel()).mean() > 0.99


def test_constant_is_the_default_and_0_its_value():
    assert not filled("").any()
    assert (filled("value: -2.5") == -2.5).all()
    assert (filled('type: "uniform" min: 3 max: 3') == 3).all()


@pytest.mark.parametrize("sparse", [0, 10, 40])
def test_sparse_keeps_a_value_with_the_probability_sparse_to_outputs(sparse):
    kept = filled(f'type: "gaussian" mean: 9 sparse: {sparse}', (40, 5000)) != 0
    share = sparse / 40
    assert abs(kept.mean() - share) <= 4 * math.sqrt(share * (1 - share) / kept.size)
    assert (kept.sum(axis=0).std() > 0) == (0 < share < 1)  # each value by itself


def test_positive_unitball_is_uniform_with_the_sum_1_for_each_index_of_axis_0():
    values = filled('type: "positive_unitball"', dtype=np.float64)
    np.testing.assert_allclose(values.sum(axis=(1, 2, 3)), 1)
    values /= values.max(axis=(1, 2, 3), keepdims=True)
    assert stats.kstest(values.ravel(), uniform(0, 1).cdf).pvalue > 1e-4


@pytest.mark.parametrize(
    "ramp",
    [[1], [0.5, 0.5], [0.5, 1, 0.5], [0.25, 0.75, 0.75, 0.25], np.array([1, 2, 3, 2, 1]) / 3],
)
def test_bilinear_is_one_pyramid_for_all_channels(ramp):
    values = filled('type: "bilinear"', (2, 3, len(ramp), len(ramp)), np.float64)
    np.testing.assert_allclose(values, np.broadcast_to(np.outer(ramp, ramp), values.shape))


def test_a_diagonal_pyramid_leaves_each_channel_to_itself():
    """As FCN's surgery fills a Deconvolution that has no groups."""
    values = filled('type: "bilinear" diagonal: true', (3, 3, 4, 4), np.float64)
    each = filled('type: "bilinear" diagonal: true', (3, 1, 4, 4), np.float64)
    for i, j in np.ndindex(3, 3):
        np.testing.assert_array_equal(values[i, j], each[i, 0] if i == j else 0)
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 6))
    options = "num_output: 3 kernel_size: 4 stride: 2 bias_term: false {} weight_filler {{ {} }}"
    tops = []
    for group, filler_text in (
        ("", 'type: "bilinear" diagonal: true'),
        ("group: 3", 'type: "bilinear"'),
    ):
        text = f"convolution_param {{ {options.format(group, filler_text)} }}"
        layer, bottom, top = make_layer("Deconvolution", [x], text)
        layer.forward(bottom, top)
        tops.append(top[0].data)
    np.testing.assert_allclose(*tops, atol=1e-12)


@pytest.mark.parametrize("norm, n", [("FAN_IN", 1), ("FAN_OUT", 900), ("AVERAGE", 450.5)])
def test_the_fan_out_of_one_axis_counts_all_of_it(norm, n):
    values = filled(f'type: "xavier" variance_norm: {norm}', (900,))
    assert abs(values).max() == pytest.approx(math.sqrt(3 / n), rel=0.02)


REFUSED = [
    ('type: "nope"', 'unknown filler type "nope"; known are bilinear, constant, '),
    ('type: "Xavier"', 'unknown filler type "Xavier"; did you mean "xavier"?'),
    ('type: "uniform" min: 2', "uniform filler: min 2 and max 1, expected finite numbers"),
    ('type: "gaussian" std: 0', "gaussian filler: std must be above 0, not 0"),
    ('type: "gaussian" std: -1', "gaussian filler: std must be above 0, not -1"),
    ('type: "gaussian" sparse: 4', "sparse must lie between 0 and the 3 outputs (or be -1"),
    ('type: "gaussian" sparse: -2', "sparse must lie between 0 and the 3 outputs (or be -1"),
    ('type: "bilinear"', "bilinear filler: needs 4 axes and a square kernel, not (3, 2)"),
]
for name in sorted(filler.FILLERS.keys() - {"gaussian"}):
    said = f'sparse is an option of the gaussian filler, not of "{name}"'
    REFUSED.append((f'type: "{name}" sparse: 0', said))


@pytest.mark.parametrize("text, said", REFUSED)
def test_what_a_filler_refuses_is_said_of_the_layer_and_its_blob(text, said):
    options = f"inner_product_param {{ num_output: 3 weight_filler {{ {text} }} }}"
    with pytest.raises(NetError) as caught:
        make_layer("InnerProduct", [(1, 2)], options)
    assert 'layer "layer" (InnerProduct): weight: ' in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text, said",
    [
        ('type: "uniform" max: nan', "max is nan"),
        ('type: "uniform" min: -inf', "min is -inf"),
        ('type: "uniform" max: inf', "max is inf"),
        ('type: "gaussian" std: nan', "std is nan"),
    ],
)
def test_numbers_that_are_none_are_refused_before_a_filler_sees_them(text, said):
    options = f"inner_product_param {{ num_output: 3 weight_filler {{ {text} }} }}"
    with pytest.raises(NetError, match=f'layer "layer" .*: {said}, expected a finite number'):
        make_layer("InnerProduct", [(1, 2)], options)


@pytest.mark.parametrize(
    "type, bottoms, options, what",
    [
        ("RNN", [(2, 1, 0), (2, 1)], "recurrent_param { num_output: 3 }", "input_weight"),
        ("DummyData", [], "dummy_data_param { shape { dim: 0 dim: 4 } }", "data_filler"),
    ],
)
def test_nothing_cannot_be_filled(type, bottoms, options, what):
    with pytest.raises(NetError, match=f"{what}: a filler cannot fill an empty blob, of shape"):
        make_layer(type, bottoms, options)


def test_bilinear_needs_a_square():
    options = "num_output: 1 kernel_h: 2 kernel_w: 3 weight_filler { type: 'bilinear' }"
    with pytest.raises(NetError, match=r"bilinear filler: .* not \(1, 1, 2, 3\)"):
        make_layer("Convolution", [(1, 1, 4, 4)], f"convolution_param {{ {options} }}")


def test_a_diagonal_needs_as_many_outputs_as_inputs():
    options = 'num_output: 2 kernel_size: 2 weight_filler { type: "bilinear" diagonal: true }'
    with pytest.raises(NetError, match=r"needs as many outputs as inputs, or group, not \(3, 2,"):
        make_layer("Deconvolution", [(1, 3, 4, 4)], f"convolution_param {{ {options} }}")


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
        (b"1 2 3 4 5 six", 'expected a number, not "six'),
        (b"1 2 \xff", "byte 0xff is not UTF-8"),
        (None, "no such file"),
    ],
)
def test_a_file_that_does_not_fit(net, text, problem):
    with pytest.raises(NetError, match=f"ip.*numbers.txt.*{problem}"):
        net(text)


def test_a_file_without_an_end_is_refused():
    with pytest.raises(NetError, match='filler file "/dev/zero": no such file'):
        filled('type: "file" file: "/dev/zero"')


def test_a_zero_may_have_a_sign():
    """NumPy refuses U(0, -0.0)."""
    values = np.ones((2, 3), np.float32)
    filler.fill(values, FillerParameter(type="uniform", min=0, max=-0.0), rng.generator(1))
    assert not values.any()
