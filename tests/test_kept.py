"""What is kept of weights in TEST is made anew when somebody may have changed them."""

import numpy as np
import pytest

import caffelite
from caffelite.blob import Blob, Kept

NETS = {  # images, channels, size, kernel, group: each way packs weights as it wants them
    "pointwise": (1, 96, 5, 1, 1),
    "winograd": (1, 16, 16, 3, 1),
    "direct": (1, 3, 6, 3, 1),
    "depthwise": (1, 32, 6, 3, 32),
    "taps": (4, 6, 4, 3, 1),
}
NET = """
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: {0} dim: {1} dim: {2} dim: {2} }} }} }}
layer {{ name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param {{
  num_output: 32 kernel_size: {3} group: {4} weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "n" type: "BatchNorm" bottom: "c" top: "c" }}
layer {{ name: "s" type: "Scale" bottom: "c" top: "c" scale_param {{ bias_term: true }} }}
layer {{ name: "r" type: "ReLU" bottom: "c" top: "c" }}
"""  # noqa: E501


STAY = "winograd", "depthwise"
"""Ways from whose packed weights these do not come back, or are few."""


@pytest.fixture(params=["plain", "economized"])
def economized(request):
    return request.param == "economized"


@pytest.fixture(params=list(NETS))
def build(request, economized, tmp_path):
    """Makes nets in TEST, all with the same weights and input."""
    file = tmp_path / "net.prototxt"
    file.write_text(NET.format(*NETS[request.param]))

    def make():
        net, rng = caffelite.Net(file, caffelite.TEST), np.random.default_rng(0)
        net.blobs["x"].data[...] = rng.standard_normal(net.blobs["x"].shape)
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = rng.random(blob.shape)
        if economized:
            net.economize(forward_only=True)
        return net

    return make


def hold_whole(array):
    return array


def hold_part(array):
    return array[:1]


def hold_memory(array):
    return np.asarray(memoryview(array))


def hold_flat(array):
    return array.flat


HOLDS = pytest.mark.parametrize("hold", [hold_whole, hold_part, hold_memory, hold_flat])
PLACES = pytest.mark.parametrize(
    ("layer", "index"), [("c", 0), ("c", 1), ("n", 0), ("n", 1), ("n", 2), ("s", 0), ("s", 1)]
)


def fresh(build, layer, index, change):
    """What a net gives that was changed before it ever ran."""
    net = build()
    change(net.params[layer][index].data)
    return net.forward()["c"].copy()


def change(array):
    array[:3] = 0.3


@PLACES
def test_writes_in_place(build, layer, index):
    net = build()
    before = net.forward()["c"].copy()
    np.testing.assert_array_equal(net.forward()["c"], before)
    change(net.params[layer][index].data)
    found = net.forward()["c"].copy()
    assert (found != before).any()
    np.testing.assert_array_equal(found, fresh(build, layer, index, change))
    np.testing.assert_array_equal(net.forward()["c"], found)


@HOLDS
@PLACES
def test_writes_to_what_was_held_before(build, layer, index, hold):
    net = build()
    held = hold(net.params[layer][index].data)
    for value in (0.3, 0.7, 0.1):
        net.forward()
        net.forward()
        held[:1] = value

        def set_value(array, value=value):
            hold(array)[:1] = value

        expected = fresh(build, layer, index, set_value)
        np.testing.assert_array_equal(net.forward()["c"], expected)


def test_what_is_kept_is_made_once(build, monkeypatch):
    net = build()
    net.forward()
    before = net.forward()["c"].copy()
    monkeypatch.setattr("caffelite.kernels.epilogue.Epilogue.of", None)
    for module in ("_pack", "turned", "winograd", "depthwise", "taps"):
        monkeypatch.setattr(f"caffelite.kernels.{module}.aligned", None, raising=False)
    np.testing.assert_array_equal(net.forward()["c"], before)
    assert all(blob.seal for blobs in net.params.values() for blob in blobs)


def test_weights_that_come_from_elsewhere(build, tmp_path):
    net, other = build(), build()
    change(other.params["c"][0].data)
    expected = other.forward()["c"].copy()
    other.save(tmp_path / "other.caffemodel")
    net.forward()
    net.copy_from(tmp_path / "other.caffemodel")
    np.testing.assert_array_equal(net.forward()["c"], expected)

    net = build()
    net.forward()
    net.share_with(other)
    np.testing.assert_array_equal(net.forward()["c"], expected)
    other.params["c"][0].data[...] = 0
    assert (net.forward()["c"] != expected).any()
    np.testing.assert_array_equal(net.forward()["c"], other.forward()["c"])


def test_weights_come_back_bit_for_bit(build, economized, tmp_path):
    net, other = build(), build()
    for values in net.params["c"][0].data, other.params["c"][0].data:
        values[0, 0] = -0.0
        values.view(np.uint32)[1, 0] = 0x7FC12345  # a NaN with bits of its own
    expected = other.params["c"][0].data.view(np.uint32).copy()
    weight, node = net.params["c"][0], net.nodes[1]
    for _ in range(4):
        net.forward()
    gives_up = economized and node.layer.path(*node.shapes) not in STAY
    assert (weight._data.flat is None) == gives_up
    seal = weight.seal
    np.testing.assert_array_equal(weight.read().view(np.uint32), expected)
    assert weight.seal is seal
    for _ in range(3):
        net.forward()
    net.save(tmp_path / "net.caffemodel")
    other.params["c"][0].data[...] = 0
    other.copy_from(tmp_path / "net.caffemodel")
    for each in net, other:
        np.testing.assert_array_equal(each.params["c"][0].data.view(np.uint32), expected)


def test_memory_given_up_comes_back_whole_to_whoever_looks_at_a_part():
    blob, values = Blob((2, 3)), np.arange(6).reshape(2, 3)
    blob.data[...] = values
    seal = blob.seal
    held = blob.read()
    blob.restore_later(None)  # nothing, as long as somebody holds it
    assert held is blob.read()
    del held
    blob.restore_later(lambda array: np.copyto(array, values))
    assert blob._data.flat is None and blob.seal is seal
    blob.reshape(2)
    assert blob.read().tolist() == [0, 1]
    blob.reshape(2, 3)
    assert (blob.read() == values).all() and blob.seal is seal
    blob.restore_later(lambda array: np.copyto(array, values))
    blob.fill_later(lambda array: array.fill(7))
    assert (blob.read() == 7).all() and blob.seal is not seal
    Blob((6,)).share_data(blob)
    assert blob.seal
    blob.restore_later(None)
    assert (blob.read() == 7).all()


def test_another_batch(build):
    net = build()
    one = net.forward()["c"].copy()
    x = np.repeat(net.blobs["x"].data, 3, axis=0)
    np.testing.assert_allclose(
        net.forward(x=x)["c"], np.repeat(one, 3, axis=0), rtol=1e-5, atol=1e-5
    )
    change(net.params["c"][0].data)
    expected = net.forward()["c"][:1].copy()
    np.testing.assert_allclose(net.forward(x=x[:1])["c"], expected, rtol=1e-5, atol=1e-5)


def test_test_nets_see_each_step_of_the_solver(tmp_path):
    lines = NET.format(*NETS["winograd"]).splitlines()
    net = "\n".join(line for line in lines if "Norm" not in line and "Scale" not in line)
    (tmp_path / "net.prototxt").write_text(
        net
        + """
        layer { name: "t" type: "DummyData" top: "t" dummy_data_param {
          shape { dim: 1 dim: 32 dim: 14 dim: 14 } data_filler { type: "constant" value: 1 } } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "c" bottom: "t" top: "loss" }
        """
    )
    (tmp_path / "solver.prototxt").write_text(
        f'''net: "{tmp_path / "net.prototxt"}" base_lr: 1e-5 lr_policy: "fixed" random_seed: 1
        test_iter: 1 test_interval: 1000'''
    )
    solver = caffelite.get_solver(tmp_path / "solver.prototxt")
    solver.net.blobs["x"].data[...] = 1
    seen = []
    for _ in range(3):
        solver.step(1)
        solver.test_nets[0].blobs["x"].data[...] = 1
        seen.append(solver.test_nets[0].forward()["loss"].copy())
        np.testing.assert_array_equal(solver.test_nets[0].forward()["loss"], seen[-1])
        alone = caffelite.Net(tmp_path / "net.prototxt", caffelite.TEST)
        alone.blobs["x"].data[...] = 1
        solver.net.save(tmp_path / "now.caffemodel")
        alone.copy_from(tmp_path / "now.caffemodel")
        np.testing.assert_array_equal(alone.forward()["loss"], seen[-1])
    assert len({float(loss) for loss in seen}) == 3


def test_a_seal_breaks_by_a_look_and_is_none_while_arrays_are_held():
    blob, kept = Blob((2, 3)), Kept()
    seal = blob.seal
    assert seal is not None and blob.seal is seal
    blob.data  # noqa: B018
    assert blob.seal not in (None, seal)
    row = blob.data[1]
    assert blob.seal is None
    del row
    assert blob.seal is not None
    other = Blob((6,))
    other.share_data(blob)
    seal = blob.seal
    assert other.seal is seal
    other.data[...] = 1
    assert blob.seal not in (None, seal)
    made = [kept.get([blob], object) for _ in range(2)]
    assert made[0] is made[1] and kept.get([blob], object, use="another") is not made[0]
