"""Words of forks: each is done with the numbers of its fork, passed over, or refused."""

import logging
import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite import Net, get_solver
from caffelite.cli import main
from caffelite.data.transform import DataTransformer
from caffelite.errors import CaffeliteError, SolverError
from caffelite.layers import layer_types
from caffelite.lint import lint_text
from caffelite.proto import caffe_pb2, forks
from caffelite.proto.text import parse, passing_over_unknown
from caffelite.solver.base import unread
from caffelite.solver.lr_policy import rate_at
from caffelite.testing import make_layer

NET = """
layer { name: "d" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 1 }
  data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param {
  num_output: 1 bias_term: false weight_filler { type: "constant" value: 2 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "loss" }
"""


SOLVER = caffe_pb2.SolverParameter
LENGTH = "base_lr: 0.1 max_iter: 10 "
FIXED = LENGTH + 'lr_policy: "fixed" '


def param(text, net=NET):
    solver = parse(text, SOLVER)
    solver.net_param.MergeFrom(parse(net, caffe_pb2.NetParameter))
    return solver


def every_message():
    found, left = {}, list(caffe_pb2.DESCRIPTOR.message_types_by_name.values())
    for message in left:
        found[message.name] = message
        left += message.nested_types
    return found


# The table


def test_every_word_is_a_field_of_the_schema():
    messages = every_message()
    for name in forks.WORDS:
        message, _, rest = name.partition(".")
        field, _, value = rest.partition(": ")
        assert field in messages[message].fields_by_name, name
        if value:
            assert value in messages[message].fields_by_name[field].enum_type.values_by_name, name


def test_types_and_messages_of_others_are_not_ours():
    assert not set(forks.TYPES) & set(layer_types())
    assert not set(forks.MESSAGES) & set(caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name)
    messages = every_message()
    for message, field in (name.split(".") for name in forks.FIELDS):
        assert field not in messages[message].fields_by_name, field


def test_every_word_that_is_not_done_says_why():
    for name, word in forks.WORDS.items():
        assert bool(word.words) == (word.kind != "done"), name
        assert word.kind in ("done", "passed", "refused")


# Learning rates


@pytest.mark.parametrize(
    ("options", "i", "rate"),
    [
        ("rampup_interval: 8 rampup_lr: 0.02", 0, 0.02),
        ("rampup_interval: 8 rampup_lr: 0.02", 2, 0.02 + 0.08 / 16),
        ("rampup_interval: 8", 6, 0.1 * 0.75**2),
        ("rampup_interval: 8", 8, 0.1),
        ("rampup_interval: 8 min_lr: 0.03", 1, 0.03),
    ],
)
def test_a_ramp_up_is_a_parabola(options, i, rate):
    assert rate_at(param(FIXED + options), i, 0)[0] == pytest.approx(rate)


def test_poly_and_min_lr_go_on_behind_a_ramp_up():
    text = 'base_lr: 1 lr_policy: "poly" power: 2 max_iter: 100 min_lr: 0.2 rampup_interval: 10'
    assert rate_at(param(text), 50, 0)[0] == pytest.approx(0.2 + 0.8 * 0.25)


def test_cosine_starts_behind_a_ramp_up():
    text = 'base_lr: 1 lr_policy: "cosine" max_iter: 30 rampup_interval: 10'
    assert rate_at(param(text), 20, 0)[0] == pytest.approx(0.5)


def test_multifixed_has_a_rate_for_each_stage():
    text = 'base_lr: 9 lr_policy: "multifixed" max_iter: 9 stagelr: [0.1, 0.5, 0.2] '
    solver = param(text + "stageiter: [2, 5, 7]")
    rates = [rate_at(solver, i, 0)[0] for i in range(10)]
    assert rates == pytest.approx([0.1] * 3 + [0.5] * 3 + [0.2] * 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("rampup_interval: 2 warmup_iter: 2", "both given; keep one"),
        ("rampup_lr: -1", "rampup_lr must be a number of at least 0"),
        ('lr_policy: "multifixed" stagelr: 1', "has 1 of stagelr and 0 of stageiter"),
        ('lr_policy: "stepearly" gamma: 0.5 stepearly: 0', "needs a stepearly above 0"),
        ("larc: true larc_eta: 0", "larc_eta must be a number above 0"),
        ('larc: true larc_policy: "clap"', 'larc_policy: unknown "clap"; did you mean "clip"'),
        ("larc: true local_lr_auto: true", "keep larc"),
        ('momentum_policy: "cubic"', "known are fixed, poly, opt"),
        ('weight_decay_policy: "poly"', "goes by weight_decay_power"),
        ("larc: true larc_turbo: true", "larc_turbo is a word of NVCaffe that is not done here"),
        ("disabled_update: true", "disabled_update is a word of Intel Caffe that is not done"),
    ],
)
def test_what_cannot_work_is_an_error(options, words):
    with pytest.raises(SolverError, match=words):
        get_solver(param((LENGTH if "lr_policy" in options else FIXED) + options))


def weights_after(options, steps=1):
    solver = get_solver(param(FIXED + options))
    solver.step(steps)
    return float(solver.net.params["ip"][0].data[0, 0])


# The net's y is 6, its target 3, of each of 4 samples: a gradient of 3 for each of three weights 2.
W, G = math.sqrt(3) * 2, math.sqrt(3) * 3


def test_larc_scales_the_rate_of_a_blob():
    assert weights_after("") == pytest.approx(2 - 0.1 * 3)
    assert weights_after("larc: true larc_eta: 0.01") == pytest.approx(2 - 0.1 * 0.01 * W / G * 3)


def test_larc_clips_the_rate_of_a_blob():
    clipped = 'larc: true larc_policy: "clip" larc_eta: '
    assert weights_after(clipped + "0.01") == pytest.approx(2 - 0.01 * W / G * 3)
    assert weights_after(clipped + "1") == pytest.approx(2 - 0.1 * 3)


def test_larc_goes_by_the_gradient_without_weight_decay_and_the_mean_of_passes():
    options = "larc: true larc_eta: 0.01 weight_decay: 0.5 iter_size: 2"
    assert weights_after(options) == pytest.approx(2 - 0.1 * 0.01 * W / G * (3 + 0.5 * 2))


def test_the_older_form_counts_weight_decay_in_the_norm():
    options = "local_lr_auto: true local_gw_ratio: 0.01 weight_decay: 0.5"
    ratio = 0.01 * W / (G + 0.5 * W)
    assert weights_after(options) == pytest.approx(2 - 0.1 * ratio * (3 + 0.5 * 2))


def test_larc_leaves_frozen_blobs_and_blobs_of_zeros():
    frozen = NET.replace('top: "ip" inner', 'top: "ip" param { lr_mult: 0 } inner')
    other = NET.replace("value: 2 }", "value: 0 }")
    for net, want in ((frozen, 2), (other, 0.1 * 3)):
        solver = get_solver(param(FIXED + "larc: true", net))
        solver.step(1)
        assert float(solver.net.params["ip"][0].data[0, 0]) == pytest.approx(want)


def momenta(options, rule="SGD"):
    """The momentum that each of ten updates goes by."""
    solver = get_solver(param(f'{FIXED} type: "{rule}" momentum: 0.5 {options}'))
    seen, update = [], solver.rule.update
    solver.rule.update = lambda *args: (seen.append(solver.rule.param.momentum), update(*args))
    solver.step(10)
    return seen


@pytest.mark.parametrize("rule", ["SGD", "Nesterov"])
def test_momentum_rises_as_a_power(rule):
    rising = 'momentum_policy: "poly" max_momentum: 0.9 momentum_power: 2'
    want = [0.5 + 0.4 * (i / 10) ** 2 for i in range(10)]
    assert momenta(rising, rule) == pytest.approx(want)
    assert momenta("") == [0.5] * 10


def test_momentum_follows_the_rate():
    best = (1 - math.sqrt(0.1) / 2) ** 2
    assert momenta('momentum_policy: "opt"') == pytest.approx([best] * 10)
    assert momenta('momentum_policy: "opt" max_momentum: 0.6') == pytest.approx([0.6] * 10)


def test_weight_decay_rises_as_a_power():
    rising = 'weight_decay: 0.5 weight_decay_policy: "poly" weight_decay_power: 2'
    first = weights_after(rising)
    assert first == pytest.approx(2 - 0.1 * 3)  # 0 at iteration 0
    gradient = 3 * first - 3
    want = first - 0.1 * (gradient + 0.5 * 0.01 * first)
    assert weights_after(rising, 2) == pytest.approx(want)


def test_epochs_become_iterations():
    text = 'base_lr: 0.1 lr_policy: "fixed" max_epoch: 3 epoch_size: 30 test_interval_epoch: 0.5 '
    solver = get_solver(param(text + "test_iter: 0 test_epoch_size: 17"))
    assert (solver.param.max_iter, solver.param.test_interval) == (22, 3)
    assert list(solver.param.test_iter) == [4]


def test_epochs_that_are_given_for_nothing_are_told(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("caffelite"), "propagate", True)
    get_solver(param(FIXED + "max_epoch: 3 test_epoch_size: 10"))
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "max_epoch does nothing where max_iter is given" in said
    assert "test_epoch_size does nothing where test_iter is not 0" in said


CLASSES = """
layer { name: "d" type: "DummyData" top: "x" top: "label" dummy_data_param {
  shape { dim: 2 dim: 3 } shape { dim: 2 }
  data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 0 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param {
  num_output: 2 weight_filler { type: "gaussian" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "right" type: "Accuracy" bottom: "ip" bottom: "label" top: "right"
  include { phase: TEST } }
"""
EARLY = (
    'base_lr: 1 lr_policy: "stepearly" gamma: 0.5 stepearly: 2 max_iter: 9 random_seed: 1 '
    "test_iter: 1 test_interval: 1 test_initialization: false "
)


def test_stepearly_goes_by_the_accuracy():
    solver = get_solver(param(EARLY, CLASSES))
    assert solver.monitor.name == "right"
    rates = []
    for _ in range(7):
        solver.step(1)
        rates.append(solver.lr)
    # the first test is the best: two more move the rate, and two more again
    assert rates == [1, 1, 1, 0.5, 0.5, 0.25, 0.25]


def test_stepearly_without_an_accuracy_is_an_error():
    with pytest.raises(SolverError, match="goes by the accuracy of tests, but test net 0 has no"):
        get_solver(param(EARLY, CLASSES[: CLASSES.index('layer { name: "right"')]))


# Pictures


def transformed(options, image, train=True, seed=0):
    transform = parse(options, caffe_pb2.TransformationParameter)
    transformer = DataTransformer(transform, train)
    random = np.random.default_rng(seed)
    (picture,) = transformer.prepare(image, random)
    out = np.empty((1, *transformer.output_shape(picture.shape)), np.float32)
    transformer.transform([picture], random, out)
    return picture, out[0]


def photo(height, width, channels=3):
    return np.random.default_rng(1).integers(0, 256, (channels, height, width), np.uint8)


@pytest.mark.parametrize("train", [True, False])
def test_the_short_side_is_random_in_both_phases(train):
    sizes = set()
    for seed in range(40):
        options = "img_rand_resize_lower: 20 img_rand_resize_upper: 24 crop_size: 16"
        picture, out = transformed(options, photo(30, 45), train, seed)
        assert picture.shape[2] == int(picture.shape[1] * 1.5 + 0.5)
        assert out.shape == (3, 16, 16)
        sizes.add(picture.shape[1])
    assert sizes == {20, 21, 22, 23, 24}


def test_no_side_falls_below_the_crop_and_none_grows_if_that_is_forbidden():
    small = "img_rand_resize_lower: 8 img_rand_resize_upper: 8 crop_size: 16"
    assert transformed(small, photo(20, 40))[0].shape == (3, 16, 16)
    large = "img_rand_resize_lower: 40 img_rand_resize_upper: 40 "
    assert transformed(large, photo(20, 40))[0].shape == (3, 40, 80)
    assert transformed(large + "allow_upscale: false", photo(20, 40))[0].shape == (3, 20, 40)


def test_proportions_and_stretches_are_random():
    ratio = "rand_resize_ratio_lower: 2 rand_resize_ratio_upper: 2 "
    assert transformed(ratio, photo(20, 30))[0].shape == (3, 20, 40)
    assert transformed(ratio, photo(30, 20))[0].shape == (3, 40, 20)
    both = {transformed(ratio, photo(20, 20), seed=s)[0].shape for s in range(9)}
    assert both == {(3, 20, 40), (3, 40, 20)}
    stretch = "vertical_stretch_lower: 2 vertical_stretch_upper: 2 "
    assert transformed(stretch, photo(20, 30))[0].shape == (3, 40, 30)
    stretch = "horizontal_stretch_lower: 0.5 horizontal_stretch_upper: 0.5 "
    assert transformed(stretch, photo(20, 30))[0].shape == (3, 20, 15)


@pytest.mark.parametrize(
    "options",
    [
        "img_rand_resize_lower: 20",
        "img_rand_resize_lower: 20 img_rand_resize_upper: 10",
        "rand_resize_ratio_lower: 0.5 rand_resize_ratio_upper: 2",
        "vertical_stretch_upper: 2",
    ],
)
def test_bounds_that_are_none_are_an_error(options):
    with pytest.raises(CaffeliteError, match="expected a lower bound .*, and an upper one no less"):
        transformed(options, photo(20, 30))


def test_the_middle_of_a_mean_image_is_subtracted_from_random_sizes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mean = np.arange(2 * 6 * 6, dtype=np.float32).reshape(2, 6, 6)
    Path("mean").write_bytes(caffelite.io.array_to_blobproto(mean[None]).SerializeToString())
    options = 'img_rand_resize_lower: 9 img_rand_resize_upper: 9 crop_size: 4 mean_file: "mean"'
    image = np.full((2, 9, 9), 50, np.uint8)
    assert np.array_equal(transformed(options, image)[1], 50 - mean[:, 1:5, 1:5])
    with pytest.raises(CaffeliteError, match="has too little in its middle"):
        transformed(options.replace("crop_size: 4", "crop_size: 8"), image)


@pytest.mark.parametrize(("option", "turned"), [("flow", [2]), ("is_flow", [0, 2, 4])])
def test_mirrored_flow_is_turned(option, turned):
    channels = 3 if option == "flow" else 5
    image = photo(4, 6, channels)
    found = set()
    for seed in range(12):
        _, out = transformed(f"mirror: true {option}: true mean_value: 128", image, seed=seed)
        want = image.astype(np.float32)
        mirrored = not np.array_equal(out[1], want[1] - 128)
        if mirrored:
            want = want[:, :, ::-1].copy()
            want[turned] = 255 - want[turned]
        assert np.array_equal(out, want - 128)
        found.add(mirrored)
    assert found == {True, False}


def test_pictures_grow_to_at_least_a_height_and_width(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, size in (("a", (10, 30)), ("b", (50, 50)), ("c", (15, 12))):
        Image.new("RGB", size[::-1]).save(f"{name}.png")
    shapes = []
    for name in "abc":
        Path("list.txt").write_text(f"{name}.png 1\n")
        options = 'image_data_param { source: "list.txt" min_height: 20 min_width: 16 }'
        layer, _, top = make_layer("ImageData", [], options)
        layer.forward([], top)
        shapes.append(top[0].shape[2:])
        layer.close()
    assert shapes == [(20, 60), (50, 50), (20, 16)]


def test_labels_may_be_smaller_than_their_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("pictures", "labels"):
        Path(folder).mkdir()
    Image.new("RGB", (16, 24)).save("pictures/a.png")
    values = np.arange(24 * 16, dtype=np.uint8).reshape(24, 16) // 2
    Image.fromarray(values).save("labels/a.png")
    Path("list.txt").write_text("a.png a.png\n")
    options = """dense_image_data_param { source: "list.txt" new_height: 12 new_width: 8
        label_divide_factor: 4 root_folder_image: "pictures/" root_folder_label: "labels/" }"""
    layer, _, top = make_layer("DenseImageData", [], options)
    layer.forward([], top)
    assert top[0].shape == (1, 3, 12, 8)
    assert np.array_equal(top[1].data[0, 0], values[::8, ::8])
    layer.close()


# Layers


def test_a_scale_and_a_bias_by_intels_word():
    for text, count in (("true", 5), ("false", 3), ("false filler { value: 2 }", 3)):
        options = f"batch_norm_param {{ use_weight_bias: {text} }}"
        layer, _, _ = make_layer("BatchNorm", [(2, 3, 4)], options)
        assert len(layer.blobs) == count


def test_dilation_by_side():
    options = "convolution_param { num_output: 1 kernel_size: 3 dilation_h: 2 dilation_w: 1 }"
    _, _, top = make_layer("Convolution", [(1, 1, 7, 7)], options)
    assert top[0].shape == (1, 1, 3, 5)


@pytest.mark.parametrize("hole", ("hole: 2", "hole_h: 2 hole_w: 2"))
def test_holes_of_deeplab_are_dilation(hole):
    def made(spacing):
        options = f"convolution_param {{ num_output: 1 kernel_size: 3 bias_term: false {spacing} }}"
        layer, bottom, top = make_layer("Convolution", [(1, 1, 7, 7)], options)
        layer.weight.data[...] = np.arange(9).reshape(3, 3)
        bottom[0].data[...] = np.arange(49).reshape(7, 7) ** 2
        layer.forward(bottom, top)
        return top[0].data.copy()

    np.testing.assert_array_equal(made(hole), made("dilation: 2"))
    with pytest.raises(CaffeliteError, match="dilation and hole, its older name, are both given"):
        made(f"{hole} dilation: 2")


INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [2, 3, 8, 8] } } }\n'


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("Convolution", "convolution_param { num_output: 2 kernel_size: 1 relu: true }", "ReLU"),
        ("Pooling", "pooling_param { kernel_size: 2 pool: AVE avg_include_pad: false }", "padding"),
        ("BatchNorm", "batch_norm_param { relu: true }", "put a ReLU layer behind"),
        ("Reduction", "reduction_param { operation: TOPK }", "sort in a Python layer"),
    ],
)
def test_what_changes_results_is_refused_with_the_way_out(kind, options, words, tmp_path):
    path = tmp_path / "net.prototxt"
    layer = f'layer {{ name: "y" type: "{kind}" bottom: "x" top: "y" {options} }}\n'
    path.write_text(INPUT + layer)
    with pytest.raises(CaffeliteError, match=f"net.prototxt:2: .* is a word of .*{words}"):
        Net(str(path), caffelite.TEST)
    (finding,) = lint_text(INPUT + layer)[-1:]
    assert (finding.rule, finding.line) == ("refused-option", 2)


def test_what_is_passed_over_is_told_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("caffelite"), "propagate", True)
    convolution = """layer { name: "%s" type: "Convolution" bottom: "x" top: "%s"
        forward_type: FLOAT16 convolution_param {
        num_output: 1 kernel_size: 1 cudnn_convolution_algo_seeker: GET } }\n"""
    path = tmp_path / "net.prototxt"
    path.write_text(INPUT + "".join(convolution % (name, name) for name in "abcd"))
    Net(str(path), caffelite.TEST)
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(said) == 2 and all('layer "a"' in line for line in said)
    assert said[1].endswith("all numbers of a net have one precision (a word of NVCaffe)")


# What repeats, and what nobody knows


def net_text(*options):
    return INPUT + "".join(
        f'layer {{ name: "y" type: "ReLU" bottom: "x" top: "y" {o} }}\n' for o in options
    )


def test_what_forks_repeat_is_read():
    solver = parse("device_id: [0, 1] max_iter: 3", SOLVER)
    assert list(solver.device_ids) == [0, 1] and not solver.HasField("device_id")
    assert parse("device_id: 2", SOLVER).device_id == 2
    (words,) = [words for _, words in unread(solver) if "GPU" in words]
    assert words.startswith("device_id does nothing here; there is no GPU here (a word of temporal")
    several = "transform_param { resize_param { height: 3 }\n resize_param { height: 4 } }"
    net = parse(net_text(several), caffe_pb2.NetParameter)
    assert [p.height for p in net.layer[1].transform_param.resize_params] == [3, 4]
    assert [layer.source_line for layer in net.layer] == [1, 2]


UNKNOWN = """odd: "a" 'b' # here
layer { name: "x" type: "Input" top: "x"
  strange { a: 1 b < c: "}" > }
  input_param { shape { dim: [2, 3] other: [{ q: 1 }, { q: 2 }] } } }
last: 1;
layer { name: "y" type: "ReLU" bottom: "x" top: "y" }
"""


def test_what_nobody_knows_is_an_error_or_passed_over(caplog, monkeypatch, tmp_path):
    monkeypatch.setattr(logging.getLogger("caffelite"), "propagate", True)
    path = tmp_path / "net.prototxt"
    path.write_text(UNKNOWN)
    with pytest.raises(CaffeliteError, match=r"1:1: unknown field \"odd\"; nobody .*--allow-unkn"):
        Net(str(path), caffelite.TEST)
    caffelite.allow_unknown()
    try:
        net = Net(str(path), caffelite.TEST)
    finally:
        caffelite.allow_unknown(False)
    assert [node.layer.param.source_line for node in net.nodes] == [2, 6]
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    places = [line.removeprefix(f"{path}:").partition(": the field ") for line in said]
    assert [(at, words.split('"')[1]) for at, _, words in places] == [
        ("1:1", "odd"),
        ("3:3", "strange"),
        ("4:37", "other"),
        ("5:1", "last"),
    ]


def test_a_flag_passes_over_what_nobody_knows(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("caffelite"), "propagate", True)
    path = tmp_path / "net.prototxt"
    path.write_text(UNKNOWN)
    assert main(["summary", str(path)]) == 1
    assert main(["summary", str(path), "--allow-unknown"]) == 0
    assert main(["lint", str(path)]) == 1  # the flag is of one command
    said = 'net.prototxt:3:3: the field "strange" is not known, and passed over'
    assert caplog.text.count(said) == 1
    caplog.clear()
    main(["lint", str(path), "--allow-unknown"])
    assert caplog.text.count("strange") == 1


def test_other_mistakes_stay_mistakes_where_unknown_fields_are_allowed():
    with passing_over_unknown(), pytest.raises(CaffeliteError, match=r'2:9: "name" takes a string'):
        parse("odd: 1\nname:   2", caffe_pb2.NetParameter)
    with passing_over_unknown(), pytest.raises(CaffeliteError, match='"layer" belongs to a net'):
        parse('layer { name: "x" }', SOLVER)
    with passing_over_unknown(), pytest.raises(CaffeliteError):
        parse("odd: ", SOLVER)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layer { augmentation_param {} }", "a word of FlowNet2's Caffe that is not done here"),
        (
            "layer { transform_param { max_rotation_angle: 15 } }",
            "a word of kostyaev's caffe-augmentation that is not done here: warp_param, distort_",
        ),
        ("layer { softmax_param { pos_cid: 1 } }", "of shicai's Weighted_Softmax_Loss that is not"),
        ("layer { mil_data_param {} }", "a word of the Caffe of From Captions to Visual Concepts"),
        ("layer { cache: true }", "it belongs inside data_param"),
        ("layer { nam: '' }", 'did you mean "name"?'),
        ("layer { convolution_param { num_output: cls6x } }", "of N classes, cls6x is 6 N"),
        ("layers { type: BN }", "no BN, which is a type of SegNet's Caffe; newer types"),
        ("layers { type: PRELU }", 'did you mean "RELU"? Newer types are written layer'),
        ("layers { type: BATCH_NORM }", "no BATCH_NORM; newer types are written layer"),
        ('layers { type: "Convolution" }', "write CONVOLUTION there, or layer { type:"),
        ('layers { type: "RELU" }', "leave out the quotes"),
        ("layers { type: CONVOLUTON }", 'did you mean "CONVOLUTION"?'),
        ("layer { convolution_param { num_output: $N } }", "if the file is a template, fill in"),
    ],
)
def test_errors_say_whose_word_it_is(text, words):
    with pytest.raises(CaffeliteError, match=re.escape(words)):
        parse(text, caffe_pb2.NetParameter)


def test_types_of_forks_are_named(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text('layer { name: "d" type: "VideoData" top: "x" }\n')
    words = 'unknown type "VideoData"; it is a type of temporal-segment-networks'
    with pytest.raises(CaffeliteError, match=words):
        Net(str(path), caffelite.TEST)
    assert words in lint_text(path.read_text())[0].message


@pytest.mark.parametrize("type", ("gaussian", "uniform", "xavier", "msra", "positive_unitball"))
def test_static_fillers_of_nvcaffe_are_the_plain_ones(type):
    def weights(word):
        caffelite.set_random_seed(7)
        net = Net(
            parse(
                NET.replace('"constant" value: 2', f'"{word}" variance_norm: FAN_OUT'),
                caffe_pb2.NetParameter,
            ),
            caffelite.TRAIN,
        )
        return net.params["ip"][0].data.copy()

    np.testing.assert_array_equal(weights(f"{type}static"), weights(type))


def test_what_a_static_filler_reads_is_what_the_plain_one_reads():
    with pytest.raises(CaffeliteError, match='unknown filler type "constantstatic"'):
        Net(
            parse(NET.replace('"constant" value: 2', '"constantstatic"'), caffe_pb2.NetParameter),
            caffelite.TRAIN,
        )
    messages = [
        f.message for f in lint_text(NET.replace('"constant" value: 2', '"msrastatic" std: 2'))
    ]
    assert any('"msrastatic"' in m and "std" in m for m in messages), messages


def test_quantized_nets_of_ristretto_stay_float32(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("caffelite"), "propagate", True)
    quantized = """layer { name: "y" type: "ReLU" bottom: "x" top: "y"
        quantization_param { precision: MINIFLOAT mant_bits: 10 exp_bits: 5 } }"""
    Net(parse(INPUT + quantized, caffe_pb2.NetParameter), caffelite.TEST)
    assert "the numbers of the layer stay float32 (a word of Ristretto)" in caplog.text
