"""SpatialTransformer where theta leads astray, and in a net that learns."""

import logging
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.testing import make_layer
from tools.draw_looks import looks

ROOT = Path(__file__).parent.parent
X = np.arange(1, 9.0).reshape(1, 1, 2, 4)
HERE = [[1, 0, 0, 0, 1, 0]]
AWAY = [[1, 0, 0, 0, 1, 3]]


def test_a_sample_beyond_the_picture_is_zero_and_told_once(caplog):
    layer, bottom, top = make_layer("SpatialTransformer", [X, np.array(AWAY, float)])
    with caplog.at_level(logging.WARNING, "caffelite"):
        for _ in range(2):
            layer.forward(bottom, top)
    assert not top[0].data.any()
    assert len(caplog.records) == 1
    said = caplog.text
    assert 'layer "layer" (SpatialTransformer): theta, bottom[1] "x1", of sample 0 lies' in said
    assert "an STLoss on theta keeps it inside" in said


def test_an_edge_that_is_still_seen_is_not_told(caplog):
    layer, bottom, top = make_layer("SpatialTransformer", [X, np.array([[1, 0, 0, 0, 1, 1.9]])])
    layer.forward(bottom, top)
    assert top[0].data.any() and not caplog.records


def test_in_training_a_theta_that_is_no_number_spreads_in_its_sample_alone():
    theta = np.array(HERE + [[np.nan, 0, 0, 0, 1, 0]])
    layer, bottom, top = make_layer("SpatialTransformer", [np.repeat(X, 2, 0), theta])
    layer.forward(bottom, top)
    np.testing.assert_array_equal(top[0].data[0], X[0])
    assert np.isnan(top[0].data[1]).all()
    top[0].diff[...] = 1
    layer.backward(top, [True, True], bottom)
    assert np.isfinite(bottom[1].diff[0]).all() and np.isnan(bottom[1].diff[1]).all()


def test_no_gradient_to_the_picture_is_zero():
    layer, bottom, top = make_layer(
        "SpatialTransformer", [X, np.array(HERE) * 0.9], "st_param { to_compute_dU: false }"
    )
    layer.forward(bottom, top)
    top[0].diff[...], bottom[0].diff[...] = 1, 7
    layer.backward(top, [True, True], bottom)
    assert not bottom[0].diff.any()
    assert bottom[1].diff.any()


def test_it_finds_where_another_looked():
    s, t = np.indices((20, 24))
    x = np.exp(-((s - 8) ** 2 / 30 + (t - 14) ** 2 / 50))[None, None]
    theta = np.array([[0.2, -0.1]])
    layer, bottom, top = make_layer("SpatialTransformer", [x, theta], SMALLER)
    layer.forward(bottom, top)
    seen = top[0].data.copy()
    bottom[1].data[...] = 0
    for _ in range(60):
        layer.forward(bottom, top)
        top[0].diff[...] = top[0].data - seen
        layer.backward(top, [False, True], bottom)
        bottom[1].data[...] -= 0.01 * bottom[1].diff
    np.testing.assert_allclose(bottom[1].data, theta, atol=1e-4)


SMALLER = """st_param { output_H: 10 output_W: 12
  theta_1_1: 0.8 theta_1_2: 0.1 theta_2_1: -0.2 theta_2_2: 0.9 }"""
NET = """
layer { name: "data" type: "DummyData" top: "x"
  dummy_data_param { shape { dim: 4 dim: 1 dim: 9 dim: 8 } data_filler { type: "uniform" } } }
layer { name: "shifts" type: "InnerProduct" bottom: "x" top: "theta"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "st" type: "SpatialTransformer" bottom: "x" bottom: "theta" top: "y"
  st_param { output_H: 5 output_W: 4 theta_1_1: 0.5 theta_1_2: 0 theta_2_1: 0 theta_2_2: 0.5 } }
layer { name: "sum" type: "Reduction" bottom: "y" top: "sum" loss_weight: 1 }
layer { name: "inside" type: "LocLoss" bottom: "theta" top: "inside"
  loc_loss_param { threshold: 0.5 } }
"""


def test_a_net_that_diverges_says_which_layer_did(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 1e38 lr_policy: "fixed" max_iter: 30 random_seed: 1'
    )
    solver = caffelite.get_solver("solver.prototxt")
    with pytest.raises(caffelite.CaffeliteError, match='layer "shifts"'):
        solver.step(30)


LOOKING = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 dim: 4 dim: 8 } } }
layer { name: "theta" type: "Input" top: "theta" input_param { shape { dim: 1 dim: 6 } } }
layer { name: "st" type: "SpatialTransformer" bottom: "x" bottom: "theta" top: "y" }
"""


def test_what_it_looks_at_is_drawn_from_corner_to_corner(tmp_path):
    (tmp_path / "net.prototxt").write_text(LOOKING)
    net = caffelite.Net(str(tmp_path / "net.prototxt"), caffelite.TEST)
    for theta, corners in [
        (HERE, [(0, 0), (0, 8), (4, 8), (4, 0)]),
        ([[0.5, 0, 0.5, 0, 0.5, -0.5]], [(2, 0), (2, 4), (4, 4), (4, 0)]),
    ]:
        net.blobs["theta"].data[...] = theta
        net.forward()
        ((found, seen),) = looks(net)
        np.testing.assert_allclose(found[0], corners)
        assert seen.shape == (1, 1, 4, 8)


@pytest.mark.parametrize("name", ["clutter-st", "clutter-st-2", "clutter-st-4"])
def test_a_window_lies_where_its_map_is_high(name):
    """In the middle at first; with a digit's square known, that is the window's middle."""
    folder = ROOT / "models" / name
    net = caffelite.Net(str(folder / "deploy.prototxt"), caffelite.TEST)
    (weight,) = net.params["where"]
    weight.data[...] = np.loadtxt(folder / "places.txt").reshape(2, 225)
    maps = net.blobs["where_maps"].data
    for row, column in [(0, 0), (7, 7), (2, 14)]:
        maps[...] = 0
        maps[..., row, column] = 50
        net.forward(start="where_rows")
        for corners, _ in looks(net):
            np.testing.assert_allclose(corners[0].mean(0), [4 * row + 2, 4 * column + 2], atol=1e-2)
    maps[...] = 0
    net.forward(start="where_rows")
    for corners, _ in looks(net):
        np.testing.assert_allclose(corners[0], [(15, 15), (15, 45), (45, 45), (45, 15)])
