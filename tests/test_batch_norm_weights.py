"""BatchNorm's blobs as descendants of Caffe save them: other orders and shapes, a factor of 0."""

import math

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.errors import CaffeliteError, WeightsError
from caffelite.proto import caffe_pb2

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: CHANNELS } } }
layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" batch_norm_param { OPTIONS } }
"""
SCALED = "scale_bias: true"
MEAN, VARIANCE, SCALE, BIAS = [1, 2, 3], [4, 9, 16], [1, 1, 2], [0, 5, 0]
BY_FACTOR = [MEAN, VARIANCE, [1], SCALE, BIAS]


def net_of(text, phase=caffelite.TEST):
    return caffelite.Net(text_format.Parse(text, caffe_pb2.NetParameter()), phase)


def build(options="", channels=3):
    return net_of(NET.replace("CHANNELS", str(channels)).replace("OPTIONS", options))


def write(path, blobs, axes=1):
    """A weights file of the layer "bn", with vectors of 1 axis, or of 4: (1, C, 1, 1)."""
    shapes = [(len(b),) if axes == 1 else (1, len(b), 1, 1) for b in blobs]
    if path.suffix == ".h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            for index, (blob, shape) in enumerate(zip(blobs, shapes, strict=True)):
                file[f"data/bn/{index}"] = np.array(blob, "f4").reshape(shape)
        return path
    message = caffe_pb2.NetParameter()
    layer = message.layer.add(name="bn", type="BatchNorm")
    for blob, shape in zip(blobs, shapes, strict=True):
        if axes == "legacy":
            layer.blobs.add(num=1, channels=1, height=1, width=math.prod(shape), data=blob)
        else:
            layer.blobs.add(shape={"dim": shape}, data=blob)
    path.write_bytes(message.SerializeToString())
    return path


def loaded(net):
    return [blob.data.tolist() for blob in net.params["bn"]]


@pytest.mark.parametrize("ending", ["caffemodel", "h5"])
@pytest.mark.parametrize("scaled", [True, False])
def test_statistics_with_a_factor_of_0_are_used_as_they_are(tmp_path, caplog, ending, scaled):
    """As models of NVCaffe up to 0.16.4 have it; y was x / sqrt(eps), 300 times what it should."""
    blobs = [MEAN, VARIANCE, [0], SCALE, BIAS][: 5 if scaled else 3]
    path = write(tmp_path / f"w.{ending}", blobs)
    net = build(SCALED if scaled else "")
    net.copy_from(path)
    x = np.random.default_rng(0).standard_normal((2, 3)).astype("f")
    y = net.forward(data=x)["bn"]
    scale, bias = (SCALE, BIAS) if scaled else (1, 0)
    expected = scale * (x - MEAN) / np.sqrt(np.add(VARIANCE, 1e-5)) + bias
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    assert (
        f'{path}: layer "bn": mean and variance' in record.message
        and "factor of 0" in record.message
    )


def test_one_warning_names_all_layers_whose_factor_is_0(tmp_path, caplog):
    message = caffe_pb2.NetParameter()
    text = NET.replace("CHANNELS", "3").replace("OPTIONS", "")
    for name in ("bn", "second", "third"):
        factor = 0 if name != "second" else 2
        layer = message.layer.add(name=name)
        for data in (MEAN, VARIANCE, [factor]):
            layer.blobs.add(shape={"dim": [len(data)]}, data=data)
        if name != "bn":
            text += f'layer {{ name: "{name}" type: "BatchNorm" bottom: "bn" top: "{name}" }}'
    (tmp_path / "w.caffemodel").write_bytes(message.SerializeToString())
    net = net_of(text)
    net.copy_from(tmp_path / "w.caffemodel")
    assert [net.params[name][2].data[0] for name in ("bn", "second", "third")] == [1, 2, 1]
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    assert 'layers "bn", "third": ' in record.message


def test_the_nets_of_a_solver_say_it_once(tmp_path, caplog):
    path = write(tmp_path / "w.caffemodel", [MEAN, VARIANCE, [0]])
    net = NET.replace("CHANNELS", "3").replace("OPTIONS", "")
    net += 'layer { name: "l" type: "EuclideanLoss" bottom: "bn" bottom: "data" top: "l" }'
    solver = f"""
        base_lr: 1 lr_policy: "fixed" weights: "{path}" test_iter: 1 test_interval: 5
        net_param {{ {net} }}"""
    caffelite.get_solver(text_format.Parse(solver, caffe_pb2.SolverParameter()))
    assert caplog.text.count("factor of 0") == 1


def test_statistics_in_the_net_file_with_a_factor_of_0_are_used_as_they_are(caplog):
    blobs = "".join(
        f"blobs {{ data: {data} shape {{ dim: {len(data)} }} }}" for data in (MEAN, VARIANCE, [0])
    )
    text = NET.replace("CHANNELS", "3").replace("batch_norm_param { OPTIONS }", blobs)
    net = net_of(text)
    assert loaded(net) == [MEAN, VARIANCE, [1]]
    assert 'layer "bn" (BatchNorm): mean and variance' in caplog.text


def test_a_net_that_never_trained_keeps_its_factor_of_0(tmp_path, caplog):
    path = write(tmp_path / "w.caffemodel", [[0, 0, 0], [0, 0, 0], [0]])
    net = build()
    net.copy_from(path)
    assert loaded(net)[2] == [0] and "factor" not in caplog.text


def test_values_that_a_script_assigns_are_left_alone(tmp_path):
    """What a net computes of a factor of 0 is Caffe's: statistics of 0."""
    net = build()
    for blob, data in zip(net.params["bn"], (MEAN, VARIANCE, [0]), strict=True):
        blob.data[...] = data
    net.forward(data=np.ones((2, 3)))
    assert loaded(net)[2] == [0]
    np.testing.assert_allclose(net.blobs["bn"].data, 1 / np.sqrt(1e-5), rtol=1e-5)


@pytest.mark.parametrize("ending", ["caffemodel", "h5"])
@pytest.mark.parametrize("axes", [1, 4])
@pytest.mark.parametrize("factor", [0, 1, 4])
def test_scale_and_bias_in_front_find_their_places(tmp_path, ending, axes, factor):
    """The order of NVCaffe 0.15, and of early Intel Caffe, whose factor is one."""
    path = write(tmp_path / f"w.{ending}", [SCALE, BIAS, MEAN, VARIANCE, [factor]], axes)
    net = build(SCALED)
    net.copy_from(path)
    assert loaded(net) == [MEAN, VARIANCE, [factor or 1], SCALE, BIAS]


@pytest.mark.parametrize("axes", [1, 4, "legacy"])
def test_todays_order_comes_in_several_shapes(tmp_path, axes):
    net = build(SCALED)
    net.copy_from(write(tmp_path / "w.caffemodel", BY_FACTOR, axes))
    assert loaded(net) == BY_FACTOR


def test_of_a_single_channel_the_axes_tell_the_order(tmp_path):
    net = build(SCALED, channels=1)
    net.copy_from(write(tmp_path / "new.caffemodel", [[1], [2], [3], [4], [5]]))
    assert loaded(net) == [[1], [2], [3], [4], [5]]
    net.copy_from(write(tmp_path / "old.caffemodel", [[4], [5], [1], [2], [3]], axes=4))
    assert loaded(net) == [[1], [2], [3], [4], [5]]


@pytest.mark.parametrize("ending", ["caffemodel", "h5"])
def test_a_count_that_does_not_fit_names_the_option_that_would(tmp_path, ending):
    path = write(tmp_path / f"w.{ending}", BY_FACTOR)
    with pytest.raises(WeightsError, match='"bn".*5 blobs.*expected 3.*scale_bias: true'):
        build().copy_from(path)
    if ending == "caffemodel":
        path = write(tmp_path / f"few.{ending}", BY_FACTOR[:3])
        with pytest.raises(WeightsError, match='"bn".*3 blobs.*expected 5.*Scale layer'):
            build(SCALED).copy_from(path)


@pytest.mark.parametrize("wrong", [[MEAN, VARIANCE, [1, 2]], [MEAN, VARIANCE[:2], [1]]])
def test_shapes_that_fit_in_no_order_are_refused(tmp_path, wrong):
    with pytest.raises(CaffeliteError, match='"bn".*expected'):
        build().copy_from(write(tmp_path / "w.caffemodel", wrong))


def test_a_net_with_its_specs_in_the_old_order_trains_scale_and_bias():
    """As DIGITS writes it; a rate of 0 meant for the variance would have frozen the scale."""
    specs = "".join(f"param {{ lr_mult: {rate} decay_mult: 0 }}" for rate in (1, 1, 0, 0))
    text = NET.replace("CHANNELS", "3").replace("OPTIONS", "scale_filler { value: 1 }")
    text = text.replace("batch_norm_param", f"{specs} batch_norm_param")
    text += 'layer { name: "l" type: "EuclideanLoss" bottom: "bn" bottom: "data" top: "l" }'
    net = net_of(text, caffelite.TRAIN)
    net.forward(data=np.random.default_rng(0).standard_normal((2, 3)))
    net.backward()
    assert [entry.lr_mult for entry in net.learnable] == [0, 0, 0, 1, 1]
    assert all(net.params["bn"][at].diff.any() for at in (3, 4))
