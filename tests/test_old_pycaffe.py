"""Calls of the pycaffe of 2014 and 2015: each works, and warns of what takes its place."""

import numpy as np
import pytest

import caffelite as caffe
from caffelite.data import binaryproto
from caffelite.errors import DataError, NetError
from caffelite.net import old_calls
from caffelite.net.old_calls import OldCall
from caffelite.proto.caffe_pb2 import NetParameter
from caffelite.proto.text import parse

DEPLOY = """
input: "data" input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 5
layers { name: "ip" type: INNER_PRODUCT bottom: "data" top: "ip"
  inner_product_param { num_output: 6 weight_filler { type: "gaussian" std: 0.01 } } }
layers { name: "drop" type: DROPOUT bottom: "ip" top: "ip" }
layers { name: "prob" type: SOFTMAX bottom: "ip" top: "prob" }
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(DEPLOY)
    caffe.Net("net.prototxt", caffe.TEST).save("net.caffemodel")
    return "net.prototxt", "net.caffemodel"


@pytest.fixture
def net(files):
    return caffe.Net(files[0], caffe.TEST, weights=files[1])


@pytest.fixture
def picture():
    return np.random.default_rng(0).random((4, 5, 3), np.float32)


@pytest.fixture
def mean():
    return np.random.default_rng(1).random((3, 4, 5)) * 100


def chw(picture, mean, before=1.0, after=1.0, swap=(0, 1, 2)):
    """What a picture is to become."""
    return (picture.transpose(2, 0, 1)[list(swap)] * before - mean) * after


# Nets


def test_a_net_without_a_phase_is_for_tests(files):
    with pytest.warns(OldCall, match=r"Net\(file, weights\).*Net\(file, phase, weights=weights\)"):
        net = caffe.Net(*files)
    assert net.phase == caffe.TEST
    expected = caffe.Net(files[0], caffe.TEST, weights=files[1]).params["ip"][0].data
    np.testing.assert_array_equal(net.params["ip"][0].data, expected)
    with pytest.warns(OldCall, match=r"Net\(file\)"):
        assert caffe.Net(files[0]).phase == caffe.TEST


def test_a_warning_names_the_line_that_calls(files):
    with pytest.warns(OldCall) as seen:
        net = caffe.Net(*files)
        caffe.Net(*files, caffe.TEST)
        net.set_mode_gpu()
        caffe.set_phase_test()
        caffe.Classifier(*files, gpu=True)
        caffe.Detector(*files, gpu=False)
        net.mean  # noqa: B018
    assert [warning.filename for warning in seen] == [__file__] * 7


@pytest.mark.parametrize("of", ["caffe", "caffe.Net"])
def test_the_phase_of_the_program_is_that_of_nets_to_come(files, of, monkeypatch):
    monkeypatch.setitem(old_calls._phase, "of nets to come", caffe.TEST)
    owner = caffe if of == "caffe" else caffe.Net
    with pytest.warns(OldCall):
        owner.set_phase_train()
        assert caffe.Net(files[0]).phase == caffe.TRAIN
        owner.set_phase_test()
        assert caffe.Net(files[0]).phase == caffe.TEST


def test_a_net_changes_its_phase(net):
    net.blobs["data"].data[...] = 1
    whole = net.forward(end="drop")["ip"].copy()
    with pytest.warns(OldCall, match="set_phase_train"):
        net.set_phase_train()
    halved = net.forward(end="drop")["ip"].copy()
    assert np.all((halved == 0) | np.isclose(halved, 2 * whole)) and np.any(halved == 0)
    with pytest.warns(OldCall, match="set_phase_test"):
        net.set_phase_test()
    np.testing.assert_array_equal(net.forward(end="drop")["ip"], whole)


@pytest.mark.parametrize("bn", ["BatchNorm", "BN"])
def test_statistics_go_by_the_phase_of_now(bn):
    text = f"""
    layer {{ name: "data" type: "Input" top: "x"
      input_param {{ shape {{ dim: 4 dim: 2 dim: 3 }} }} }}
    layer {{ name: "conv" type: "InnerProduct" bottom: "x" top: "y"
      inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}
    layer {{ name: "bn" type: "{bn}" bottom: "y" top: "z" }}"""
    param = parse(text, NetParameter)
    train, test = caffe.Net(param, caffe.TRAIN, seed=1), caffe.Net(param, caffe.TEST, seed=1)
    x = np.random.default_rng(0).random((4, 2, 3))
    with pytest.warns(OldCall):
        test.set_phase_train()
    for net in (train, test):
        net.forward(x=x)
    np.testing.assert_array_equal(test.blobs["z"].data, train.blobs["z"].data)
    for ours, theirs in zip(test.params["bn"], train.params["bn"], strict=True):
        np.testing.assert_array_equal(ours.data, theirs.data)


def test_the_gpu_is_waved_off(net):
    with pytest.warns(OldCall, match="running on the CPU") as seen:
        net.set_mode_gpu()
        net.set_device(0)
        caffe.Net.set_device(1)
    assert len(seen) == 3
    with pytest.warns(OldCall, match=r"caffe\.set_mode_cpu\(\)"):
        caffe.Net.set_mode_cpu()


# What pictures go through


@pytest.mark.filterwarnings("ignore::caffelite.net.old_calls.OldCall")
class TestPictures:
    def test_settings_of_the_net(self, net, picture, mean):
        net.set_mean("data", mean)
        net.set_raw_scale("data", 255)
        net.set_input_scale("data", 0.5)
        net.set_channel_swap("data", (2, 1, 0))
        made = net.preprocess("data", picture)
        expected = chw(picture, mean, before=255, after=0.5, swap=(2, 1, 0))
        np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(net.deprocess("data", made), picture, atol=1e-5)
        np.testing.assert_array_equal(net.format_image("data", picture), made[None])
        np.testing.assert_allclose(net.decaffeinate_image("data", made), picture, atol=1e-5)
        assert (net.raw_scale, net.input_scale) == ({"data": 255}, {"data": 0.5})
        np.testing.assert_array_equal(net.mean["data"], mean)
        assert net.channel_swap == {"data": (2, 1, 0)}

    @pytest.mark.parametrize("form", ["npy", "binaryproto"])
    def test_a_mean_in_a_file_is_subtracted_after_the_scale(self, net, picture, mean, form):
        name = f"mean.{form}"
        if form == "npy":
            np.save(name, mean)
        else:
            binaryproto.write(name, mean[None])
        net.set_mean("data", name)
        net.set_channel_swap("data", (2, 1, 0))
        net.set_input_scale("data", 255)
        made = net.preprocess("data", picture)
        np.testing.assert_allclose(
            made, chw(picture, mean, 255, swap=(2, 1, 0)), rtol=1e-5, atol=1e-4
        )
        np.testing.assert_allclose(net.deprocess("data", made), picture, atol=1e-5)

    def test_a_mean_in_a_file_with_a_raw_scale(self, net, picture, mean):
        np.save("mean.npy", mean)
        net.set_mean("data", "mean.npy")
        net.set_raw_scale("data", 255)
        net.set_input_scale("data", 0.5)
        made = net.preprocess("data", picture)
        np.testing.assert_allclose(made, chw(picture, mean, 255, 0.5), rtol=1e-5, atol=1e-4)

    def test_modes_of_the_mean(self, net, picture, mean):
        larger = np.random.default_rng(2).random((3, 9, 7))
        net.set_mean("data", larger, mode="channel")
        expected = chw(picture, larger.mean((1, 2))[:, None, None])
        np.testing.assert_allclose(net.preprocess("data", picture), expected, rtol=1e-5, atol=1e-4)
        net.set_mean("data", mean, "image")
        np.testing.assert_allclose(
            net.preprocess("data", picture), chw(picture, mean), rtol=1e-5, atol=1e-4
        )
        with pytest.raises(NetError, match="elementwise"):
            net.set_mean("data", mean, "pixel")

    def test_a_mean_of_each_channel_is_taken_as_it_is(self, net, picture):
        net.set_mean("data", (1, 2, 3), mode="channel")
        expected = chw(picture, np.array([1, 2, 3])[:, None, None])
        np.testing.assert_allclose(net.preprocess("data", picture), expected, rtol=1e-5, atol=1e-4)
        with pytest.raises(NetError, match=r"\(1, 3, 8, 8\); give mean\[0\]"):
            net.set_mean("data", np.ones((1, 3, 8, 8)), mode="channel")

    @pytest.mark.parametrize("content", [b"\x93NUMPY", b"\x93NUMPY\x01\x00v\x00{", b"no mean"])
    def test_a_file_of_no_mean(self, net, tmp_path, content):
        (tmp_path / "mean.npy").write_bytes(content)
        with pytest.raises(DataError, match=r"mean\.npy"):
            net.set_mean("data", "mean.npy")

    def test_a_reshaped_input(self, net):
        net.blobs["data"].reshape(1, 3, 2, 2)
        assert net.preprocess("data", np.ones((8, 8, 3))).shape == (3, 2, 2)

    def test_a_script_may_use_these_names(self, files, mean):
        class Mine(caffe.Net):
            def __init__(self):
                caffe.Net.__init__(self, *files, caffe.TEST)
                self.mean, self.raw_scale, self.transformer = mean, 255, None

        mine = Mine()
        assert (mine.mean is mean, mine.raw_scale, mine.transformer) == (True, 255, None)

    def test_settings_of_a_classifier(self, files, mean):
        np.save("mean.npy", mean)
        pictures = np.random.default_rng(3).random((3, 4, 5, 3))
        net = caffe.Classifier(*files)
        net.set_phase_test()
        net.set_mean("data", "mean.npy")
        net.set_channel_swap("data", (2, 1, 0))
        net.set_input_scale("data", 255)
        expected = caffe.Classifier(*files, mean=mean, raw_scale=255, channel_swap=(2, 1, 0))
        np.testing.assert_array_equal(net.predict(pictures), expected.predict(pictures))

    @pytest.mark.parametrize(
        ("words", "names"),
        [
            ([(4, 5), False, "MEAN", None, 255, (2, 1, 0)], {}),
            ([(4, 5), False, "FILE", 255, (2, 1, 0)], {}),
            ([(4, 5), "MEAN", None, 255, (2, 1, 0)], {}),
            ([None, True], {"mean": "MEAN", "raw_scale": 255, "channel_swap": (2, 1, 0)}),
            ([], {"gpu": True, "mean_file": "FILE", "input_scale": 255, "channel_swap": (2, 1, 0)}),
        ],
    )
    def test_orders_of_options(self, files, mean, words, names):
        np.save("mean.npy", mean)
        values = {"MEAN": mean, "FILE": "mean.npy"}

        def put(x):
            return values.get(x, x) if isinstance(x, str) else x

        net = caffe.Classifier(*files, *map(put, words), **{k: put(v) for k, v in names.items()})
        picture = np.random.default_rng(3).random((4, 5, 3))
        made = net.transformer.preprocess("data", picture)
        np.testing.assert_allclose(
            made, chw(picture, mean, 255, swap=(2, 1, 0)), rtol=1e-5, atol=1e-4
        )

    def test_a_detector_of_then(self, files, mean):
        then = caffe.Detector(*files, True, mean, None, 255, (2, 1, 0), 1)
        now = caffe.Detector(
            *files, mean=mean, raw_scale=255, channel_swap=(2, 1, 0), context_pad=1
        )
        np.testing.assert_array_equal(then.crop_mean, now.crop_mean)
        assert (then.context_pad, then.transformer.raw_scale) == (1, now.transformer.raw_scale)

    @pytest.mark.parametrize(
        ("words", "names", "said"),
        [
            ([None, 1, 2, 3, 4, True, 6], {}, "at most mean, input_scale"),
            ([None, 1], {"mean": 2}, "mean twice"),
        ],
    )
    def test_options_that_are_too_many(self, files, words, names, said):
        with pytest.raises(TypeError, match=said):
            caffe.Classifier(*files, *words, **names)


# Passes


def test_passes_of_the_first_months(net):
    x = np.random.default_rng(0).random((2, 3, 4, 5), np.float32)
    expected = net.forward(data=x)["prob"].copy()
    made = np.zeros_like(expected)
    with pytest.warns(OldCall):
        net.Forward([x], [made])
    np.testing.assert_array_equal(made, expected)
    net.blobs["data"].data[...] = x[::-1]
    with pytest.warns(OldCall):
        np.testing.assert_array_equal(net.forward_prefilled()["prob"], expected[::-1])
        assert net.ForwardPrefilled().keys() == {"prob"}


def test_backward_passes_of_the_first_months(files):
    param = parse(DEPLOY, NetParameter)
    param.force_backward = True
    net = caffe.Net(param, caffe.TEST)
    net.forward(data=np.ones((2, 3, 4, 5)))
    dy, dx = np.eye(2, 6), np.zeros((2, 3, 4, 5))
    expected = net.backward(prob=dy)["data"].copy()
    with pytest.warns(OldCall):
        net.Backward([dy], [dx])
        np.testing.assert_array_equal(net.backward_prefilled()["data"], expected)
        net.BackwardPrefilled()
    np.testing.assert_array_equal(dx, expected)
