"""tools/benchmark.py: both sides compute the same; it measures, reports and draws."""

import json
import sys

import numba
import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.proto import caffe_pb2
from caffelite.proto.caffe_pb2 import TEST, TRAIN
from tools import benchmark, benchmark_nets, benchmark_report
from tools.benchmark_machine import set_threads

torch = pytest.importorskip("torch")
torch_twin = pytest.importorskip("tools.torch_twin")

EVERYTHING = """
layer { name: "in" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 3 dim: 4 dim: 13 dim: 11 } shape { dim: 3 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 6 kernel_h: 3 kernel_w: 2 stride: 2 pad_h: 2 pad_w: 1 group: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1"
  lrn_param { local_size: 3 alpha: 0.7 beta: 0.6 k: 1.3 } }
layer { name: "conv2" type: "Convolution" bottom: "norm1" top: "conv2"
  convolution_param { num_output: 8 kernel_size: 3 pad: 2 dilation: 2 bias_term: false } }
layer { name: "bn2" type: "BatchNorm" bottom: "conv2" top: "conv2" }
layer { name: "scale2" type: "Scale" bottom: "conv2" top: "conv2" scale_param { bias_term: true } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "norm2" type: "LRN" bottom: "conv2" top: "norm2"
  lrn_param { local_size: 3 alpha: 0.9 beta: 0.75 norm_region: WITHIN_CHANNEL } }
layer { name: "conv3" type: "Convolution" bottom: "conv2" top: "conv3"
  convolution_param { num_output: 8 kernel_size: 1 } }
layer { name: "bn3" type: "BatchNorm" bottom: "conv3" top: "conv3" batch_norm_param { eps: 0.01 } }
layer { name: "sum" type: "Eltwise" bottom: "norm2" bottom: "conv3" top: "sum" }
layer { name: "relu3" type: "ReLU" bottom: "sum" top: "sum" relu_param { negative_slope: 0.2 } }
layer { name: "pool1" type: "Pooling" bottom: "sum" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "pool2" type: "Pooling" bottom: "sum" top: "pool2"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "cat" type: "Concat" bottom: "pool1" bottom: "pool2" bottom: "pool1" top: "cat" }
layer { name: "pool3" type: "Pooling" bottom: "cat" top: "pool3"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool3" top: "ip1"
  inner_product_param { num_output: 10 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip1" bottom: "label" top: "loss" }
layer { name: "pool4" type: "Pooling" bottom: "sum" top: "pool4"
  pooling_param { pool: MAX global_pooling: true } }
layer { name: "drop4" type: "Dropout" bottom: "pool4" top: "pool4" }
layer { name: "ip2" type: "InnerProduct" bottom: "pool4" top: "ip2"
  inner_product_param { num_output: 10 bias_term: false } }
layer { name: "loss2" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss2"
  loss_weight: 0.3 }
"""


def everything(phase):
    param = text_format.Parse(EVERYTHING, caffe_pb2.NetParameter())
    param.state.phase = phase
    return param


def without_dropout(param):
    """The two sides draw their own random numbers."""
    kept, below = caffe_pb2.NetParameter(), {}
    kept.CopyFrom(param)
    del kept.layer[:]
    for layer in param.layer:
        if layer.type == "Dropout":
            below[layer.top[0]] = layer.bottom[0]
        else:
            kept.layer.add().CopyFrom(layer)
            kept.layer[-1].bottom[:] = [below.get(name, name) for name in layer.bottom]
    return kept


def pair(param, dtype=np.float64, in_place=True):
    """A net and its twin with the same weights, one forward and, for training, backward."""
    net = caffelite.Net(param, param.state.phase, dtype=dtype)
    inputs = benchmark_nets.samples(param)
    generator = np.random.default_rng(2)
    benchmark_nets.fill(net)
    for layer in net.layers:
        learned = layer.blobs if layer.type not in ("BatchNorm", "Normalize") else ()
        for blob in learned:  # Normalize gives SSD's gradient only where its scales are equal
            blob.data[...] += 0.01 * generator.standard_normal(blob.shape)
        if layer.type == "BatchNorm" and param.state.phase == TEST:
            mean, variance, factor = (blob.data for blob in layer.blobs)
            mean[...], variance[...], factor[...] = 0.3, 1.7, 1.9
    net.forward(**inputs)
    twin = torch_twin.Twin(param, in_place).to(torch.from_numpy(np.empty(0, dtype)).dtype)
    twin.train(param.state.phase == TRAIN)
    values = {name: [blob.data for blob in blobs] for name, blobs in net.params.items()}
    if param.state.phase == TRAIN:  # forward counted the batch: statistics before it are 0
        values.update({name: [0 * a for a in values[name]] for name in twin.batch_norms})
    twin.load(values)
    outputs = twin(**{name: torch.from_numpy(x.astype(dtype)) for name, x in inputs.items()})
    if param.state.phase == TRAIN:
        net.backward()
        twin.loss(outputs).backward()
    return net, twin, outputs


def assert_same_step(net, twin, outputs, tolerance):
    """The same loss, and gradients within `tolerance` of the largest of their layer.

    (A bias before a BatchNorm has none at all: both sides compute rounding errors.)
    """
    loss = sum(w * float(net.blobs[name].data) for name, w in twin.loss_weights.items())
    assert loss == pytest.approx(twin.loss(outputs).item(), rel=tolerance)
    for name, parameters in twin.learnable.items():
        theirs = [p.grad.numpy() for p in parameters if p.requires_grad]
        if not theirs:  # of fixed layers, both sides leave the gradient out
            assert not any(blob.diff.any() for blob in net.params[name]), name
            continue
        largest = max(abs(grad).max() for grad in theirs)
        for blob, grad in zip(net.params[name], theirs, strict=True):
            distance = abs(blob.diff - grad.reshape(blob.shape)).max()
            assert distance <= tolerance * largest, name


SSD = """
layer { name: "in" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 3 dim: 3 dim: 24 dim: 20 } shape { dim: 1 dim: 1 dim: 6 dim: 8 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 6 kernel_size: 3 stride: 4 pad: 1 } }
layer { name: "norm1" type: "Normalize" bottom: "conv1" top: "norm1"
  norm_param { across_spatial: false channel_shared: false scale_filler { value: 20 } } }
layer { name: "loc" type: "Convolution" bottom: "norm1" top: "loc"
  convolution_param { num_output: 16 kernel_size: 1 } }
layer { name: "loc_perm" type: "Permute" bottom: "loc" top: "loc_perm"
  permute_param { order: [0, 2, 3, 1] } }
layer { name: "loc_flat" type: "Flatten" bottom: "loc_perm" top: "loc_flat" }
layer { name: "conf" type: "Convolution" bottom: "norm1" top: "conf"
  convolution_param { num_output: 44 kernel_size: 1 } }
layer { name: "conf_perm" type: "Permute" bottom: "conf" top: "conf_perm"
  permute_param { order: [0, 2, 3, 1] } }
layer { name: "conf_flat" type: "Flatten" bottom: "conf_perm" top: "conf_flat" }
layer { name: "priors" type: "PriorBox" bottom: "norm1" bottom: "data" top: "priors"
  prior_box_param { min_size: 6 max_size: 9 aspect_ratio: 2 variance: [0.1, 0.1, 0.2, 0.2] } }
layer { name: "loss" type: "MultiBoxLoss"
  bottom: "loc_flat" bottom: "conf_flat" bottom: "priors" bottom: "label" top: "loss"
  propagate_down: [true, true, false, false]
  multibox_loss_param { num_classes: 11 code_type: CENTER_SIZE neg_pos_ratio: 2 } }
"""


def test_a_step_of_ssd_s_twin_is_a_step_of_the_net():
    param = text_format.Parse(SSD, caffe_pb2.NetParameter())
    param.state.phase = TRAIN
    assert_same_step(*pair(param), 1e-6)


PIXELS = """
layer { name: "in" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 2 dim: 3 dim: 15 dim: 18 } shape { dim: 2 dim: 1 dim: 15 dim: 18 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }
layer { name: "bn1" type: "BN" bottom: "conv1" top: "conv1"
  bn_param { scale_filler { value: 1 } shift_filler { value: 0.1 } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" top: "mask1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }
layer { name: "upsample1" type: "Upsample" bottom: "conv2" bottom: "mask1" top: "upsample1"
  upsample_param { scale: 2 pad_out_h: true } }
layer { name: "repeat" type: "Upsample" bottom: "conv2" top: "repeat" upsample_param { scale: 2 } }
layer { name: "repeatc" type: "Crop" bottom: "repeat" bottom: "data" top: "repeatc"
  crop_param { axis: 2 offset: 1 offset: 0 } }
layer { name: "interp" type: "Interp" bottom: "conv2" top: "interp"
  interp_param { height: 15 width: 18 } }
layer { name: "up" type: "Deconvolution" bottom: "conv2" top: "up"
  convolution_param { num_output: 4 kernel_size: 4 stride: 2 group: 2 } }
layer { name: "upc" type: "Crop" bottom: "up" bottom: "data" top: "upc" crop_param { offset: 2 } }
layer { name: "fixed" type: "Deconvolution" bottom: "upc" top: "fixed" param { lr_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 bias_term: false } }
layer { name: "cat" type: "Concat" bottom: "upsample1" bottom: "repeatc" bottom: "interp"
  bottom: "fixed" top: "cat" }
layer { name: "score" type: "Convolution" bottom: "cat" top: "score"
  convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  loss_param { ignore_label: 1 } }
layer { name: "sum" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "sum"
  loss_param { normalization: BATCH_SIZE } }
"""


def test_a_step_of_the_twin_of_a_net_for_pixels_is_a_step_of_the_net():
    param = text_format.Parse(PIXELS, caffe_pb2.NetParameter())
    param.state.phase = TRAIN
    assert_same_step(*pair(param), 1e-9)


@pytest.mark.long
@pytest.mark.parametrize(
    ("folder", "size", "phase"),
    [
        ("fcn-8s", (40, 72), TRAIN), ("u-net", (204, 220), TRAIN), ("segnet", (360, 480), TEST),
    ],
)  # fmt: skip
def test_a_net_for_pixels_and_its_twin_agree(folder, size, phase):
    param = without_dropout(benchmark_nets.in_memory(folder, phase, 1, size))
    net, twin, outputs = pair(param, np.float32)
    if phase == TRAIN:
        assert_same_step(net, twin, outputs, 1e-2)
    for name in net.outputs:
        theirs, ours = outputs[name].detach().numpy(), net.blobs[name].data
        apart = abs(ours - theirs) > 1e-3 * abs(theirs).max()
        assert apart.mean() <= 1e-2  # of masks, rounding may decide


@pytest.mark.long
@pytest.mark.parametrize("in_place", [True, False])
def test_a_step_of_the_twin_is_a_step_of_the_net(in_place):
    """Loss and all gradients, in float64, over every kind of layer that has a translation."""
    assert_same_step(*pair(without_dropout(everything(TRAIN)), in_place=in_place), 1e-9)


@pytest.mark.long
def test_the_twin_gives_the_same_scores_in_the_test_phase():
    net, _, outputs = pair(everything(TEST))
    for name in ("loss", "loss2"):
        assert outputs[name].item() == pytest.approx(float(net.blobs[name].data), rel=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("folder", ["lenet", "cifar10-full"])
def test_a_small_net_and_its_twin_take_the_same_step(folder):
    assert_same_step(*pair(without_dropout(benchmark_nets.in_memory(folder, TRAIN, 3))), 1e-8)


@pytest.mark.long
@pytest.mark.parametrize(
    "folder",
    ["alexnet", "googlenet", "resnet-50", "vgg-16", "mobilenet-v1", "densenet-121", "inception-v3"],
)
def test_a_large_net_and_its_twin_take_the_same_step(folder):
    assert_same_step(*pair(without_dropout(benchmark_nets.in_memory(folder, TRAIN, 2))), 1e-6)


def test_the_twin_keeps_no_blob_longer_than_it_is_read():
    param = everything(TEST)
    twin = torch_twin.Twin(param).eval()
    inputs = {name: torch.from_numpy(x) for name, x in benchmark_nets.samples(param).items()}
    assert set(twin(**inputs)) == {"loss", "loss2"}


def test_a_layer_without_translation_is_named():
    param = everything(TRAIN)
    param.layer[2].type = "ELU"
    with pytest.raises(NotImplementedError, match=r'"relu1": ELU'):
        torch_twin.Twin(param)


def run(capsys, *flags):
    benchmark.main([*flags, "--nets", "lenet", "--batch", "2", "--threads", "1"])
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def threads():
    before = numba.get_num_threads()
    yield
    set_threads(before)


def test_a_run_reports_both_sides_of_a_step(capsys, tmp_path):
    file = tmp_path / "figures.json"
    out = run(capsys, "--repeats", "5", "--update", "--layers", "3", "--json", str(file))
    about, heading, *_ = out.splitlines()
    assert "torch" in about and "cores" in about and "caffelite" in heading
    figures = json.loads(file.read_text())
    (result,) = figures["results"]
    assert set(result["ms"]) == {"caffelite", "PyTorch"}
    for times in result["ms"].values():
        assert {part: len(ms) for part, ms in times.items()} == {
            "forward": 5,
            "backward": 5,
            "update": 5,
        }
        assert all(ms > 0 for part in times.values() for ms in part)
    ours, theirs = (benchmark_report.steps(result["ms"][side]) for side in ("caffelite", "PyTorch"))
    assert result["best_speed"] == pytest.approx(min(theirs) / min(ours))
    rows = {row["layer"]: row for row in result["layers"]}
    macs = [2 * 20 * 24 * 24 * 5 * 5, 2 * 50 * 8 * 8 * 20 * 5 * 5]
    assert rows["conv1"]["macs"] == [macs[0], macs[0]]  # no gradient to the data
    assert rows["conv2"]["macs"] == [macs[1], 2 * macs[1]]
    assert all(ms > 0 for way in rows["conv2"]["ms"].values() for ms in way)
    assert sum(line.startswith("  conv") for line in out.splitlines()) >= 1


@pytest.mark.long
def test_memory_is_that_of_processes_of_their_own(capsys):
    """A parent that holds much must not show in them."""
    ballast = np.ones(150 * 2**20, np.float64)  # 1.2 GB
    out = run(capsys, "--memory")
    peaks = [float(word) for word in out.splitlines()[-1].split() if word.isdigit()][2:]
    assert len(peaks) == 2 and all(50 < peak < 1000 for peak in peaks), out
    assert ballast[-1] == 1


def test_the_plot_is_a_picture(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    run(capsys, "--repeats", "5", "--plot", str(tmp_path / "bars.png"))
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--repeats 3", "at least 5"),
        ("--inference --nets lenet5", "invalid choice: 'lenet5'"),
        ("--inference --threads 9999", "the cores that"),
        ("--inference --memory --layers", "does not measure"),
        ("--memory --plot x.png", "draws times"),
        ("--threads 9999", "the cores that"),
        ("--nets lenet5", "invalid choice: 'lenet5'"),
    ],
)
def test_flags_that_make_no_sense_are_refused(capsys, flags, message):
    with pytest.raises(SystemExit):
        benchmark.main(flags.split())
    assert message in capsys.readouterr().err


def test_a_missing_torch_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SystemExit, match="pip install 'torch'"):
        benchmark.main(["--nets", "lenet"])


def test_layers_for_pixels_answer_as_pytorch_does(monkeypatch):
    from tools import benchmark_segmentation

    monkeypatch.setattr(benchmark_segmentation, "set_threads", lambda count: None)
    found = benchmark_segmentation.main(["--parts", "crop", "--repeats", "1"])
    assert len(found) == len(benchmark_segmentation.CROPS)
    assert all(ms > 0 for row in found.values() for ms in row)


def test_layers_over_sequences_answer_as_pytorch_does(monkeypatch):
    pytest.importorskip("torch")
    from tools import benchmark_recurrent

    monkeypatch.setattr(benchmark_recurrent, "set_threads", lambda count: None)
    found = benchmark_recurrent.main(["--units", "8", "--repeats", "1"])
    assert [type for type, _ in found] == ["LSTM", "GRU", "RNN"]
    assert all(ms > 0 for parts in found.values() for pair in parts.values() for ms in pair)


@pytest.mark.slow
def test_a_turn_of_players_has_the_losses_of_pytorch(monkeypatch):
    pytest.importorskip("torch")
    from tools import benchmark_adversarial

    monkeypatch.setattr(benchmark_adversarial, "set_threads", lambda count: None)
    found = benchmark_adversarial.main(["--repeats", "1"])
    assert all(ms > 0 for pair in found.values() for ms in pair)
