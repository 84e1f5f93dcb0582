"""Old nets and solvers become today's, or say why they cannot."""

import json
import logging
import time
from pathlib import Path

import pytest

import caffelite
from caffelite.errors import NetError, SolverError
from caffelite.proto import text
from caffelite.proto.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from caffelite.proto.upgrade import (
    net_needs_upgrade,
    solver_needs_upgrade,
    upgrade_net,
    upgrade_solver,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "schema.json").read_text())


def upgraded(source, problems=None):
    return upgrade_net(text.parse(source, NetParameter, "old.prototxt"), "old.prototxt", problems)


def current(source):
    return text.without_lines(text.parse(source, NetParameter))


def same(old, new):
    net = upgraded(old)
    assert not net_needs_upgrade(net)
    return text.without_lines(net) == current(new)


# V0: layers { layer { ... } }

V0 = [  # type, options, what the layer becomes
    ("accuracy", "", 'type: "Accuracy"'),
    ("bnll", "", 'type: "BNLL"'),
    ("concat", "concat_dim: 2", 'type: "Concat" concat_param { concat_dim: 2 }'),
    (
        "conv",
        "num_output: 4 biasterm: false pad: 1 kernelsize: 3 group: 2 stride: 5"
        ' weight_filler { type: "xavier" } bias_filler { value: 1 }',
        'type: "Convolution" convolution_param { num_output: 4 bias_term: false pad: 1'
        ' kernel_size: 3 group: 2 stride: 5 weight_filler { type: "xavier" }'
        " bias_filler { value: 1 } }",
    ),
    (
        "data",
        'source: "s" batchsize: 8 rand_skip: 3 scale: 0.5 meanfile: "m" cropsize: 7 mirror: true',
        'type: "Data" data_param { source: "s" batch_size: 8 rand_skip: 3 }'
        ' transform_param { scale: 0.5 mean_file: "m" crop_size: 7 mirror: true }',
    ),
    ("dropout", "dropout_ratio: 0.3", 'type: "Dropout" dropout_param { dropout_ratio: 0.3 }'),
    ("euclidean_loss", "", 'type: "EuclideanLoss"'),
    ("flatten", "", 'type: "Flatten"'),
    (
        "hdf5_data",
        'source: "s" batchsize: 8',
        'type: "HDF5Data" hdf5_data_param { source: "s" batch_size: 8 }',
    ),
    (
        "hdf5_output",
        'hdf5_output_param { file_name: "f" }',
        'type: "HDF5Output" hdf5_output_param { file_name: "f" }',
    ),
    ("im2col", "", 'type: "Im2col"'),
    (
        "images",
        'source: "s" batchsize: 8 rand_skip: 3 shuffle_images: true new_height: 5 new_width: 6',
        'type: "ImageData" image_data_param { source: "s" batch_size: 8 rand_skip: 3'
        " shuffle: true new_height: 5 new_width: 6 }",
    ),
    (
        "infogain_loss",
        'source: "h"',
        'type: "InfogainLoss" infogain_loss_param { source: "h" }',
    ),
    (
        "innerproduct",
        'num_output: 4 biasterm: false weight_filler { type: "xavier" } bias_filler { value: 1 }',
        'type: "InnerProduct" inner_product_param { num_output: 4 bias_term: false'
        ' weight_filler { type: "xavier" } bias_filler { value: 1 } }',
    ),
    (
        "lrn",
        "local_size: 3 alpha: 2 beta: 4 k: 6",
        'type: "LRN" lrn_param { local_size: 3 alpha: 2 beta: 4 k: 6 }',
    ),
    ("multinomial_logistic_loss", "", 'type: "MultinomialLogisticLoss"'),
    (
        "pool",
        "pool: AVE pad: 1 kernelsize: 3 stride: 2",
        'type: "Pooling" pooling_param { pool: AVE pad: 1 kernel_size: 3 stride: 2 }',
    ),
    ("relu", "", 'type: "ReLU"'),
    ("sigmoid", "", 'type: "Sigmoid"'),
    ("softmax", "", 'type: "Softmax"'),
    ("softmax_loss", "", 'type: "SoftmaxWithLoss"'),
    ("split", "", 'type: "Split"'),
    ("tanh", "", 'type: "TanH"'),
    (
        "window_data",
        'source: "s" batchsize: 8 det_fg_threshold: 0.1 det_bg_threshold: 0.2'
        ' det_fg_fraction: 0.3 det_context_pad: 4 det_crop_mode: "square"',
        'type: "WindowData" window_data_param { source: "s" batch_size: 8 fg_threshold: 0.1'
        ' bg_threshold: 0.2 fg_fraction: 0.3 context_pad: 4 crop_mode: "square" }',
    ),
]


@pytest.mark.parametrize("kind, options, now", V0, ids=[row[0] for row in V0])
def test_a_v0_layer_becomes_todays(kind, options, now):
    assert same(
        f'name: "n" layers {{ bottom: "a" top: "b" layer {{ name: "l" type: "{kind}" {options}'
        " blobs { data: 1 } blobs_lr: 1 blobs_lr: 2 weight_decay: 0 } }",
        f'name: "n" layer {{ name: "l" bottom: "a" top: "b" {now} blobs {{ data: 1 }}'
        " param { lr_mult: 1 decay_mult: 0 } param { lr_mult: 2 } }",
    )


def test_every_v0_field_has_been_tried():
    shown = {word.strip("{:") for _, options, _ in V0 for word in options.split()}
    left = {name for name, *_ in GOLDEN["messages"]["V0LayerParameter"]} - shown
    in_every_row = {"name", "type", "blobs", "blobs_lr", "weight_decay"}
    without_effect = {"new_num", "new_channels"}
    assert left - in_every_row == without_effect


def test_only_what_v0_knew_survives():
    old = (
        'name: "n" input: "x" input_dim: [1, 2, 3, 4] force_backward: true debug_info: true'
        ' layers { top: "t" name: "outer" type: TANH layer { name: "l" type: "relu" new_num: 3 } }'
    )
    now = (
        'name: "n" force_backward: true layer { name: "input" type: "Input" top: "x"'
        " input_param { shape { dim: [1, 2, 3, 4] } } }"
        ' layer { name: "l" type: "ReLU" top: "t" }'
    )
    assert same(old, now)


def test_padding_moves_into_the_layer_that_reads_it():
    old = """
    layers { layer { name: "d" type: "data" } top: "d" }
    layers { layer { name: "p1" type: "padding" pad: 2 } bottom: "d" top: "p1" }
    layers { layer { name: "c" type: "conv" kernelsize: 5 } bottom: "p1" top: "c" }
    layers { layer { name: "p2" type: "padding" pad: 1 } bottom: "c" top: "p2" }
    layers { layer { name: "q" type: "pool" kernelsize: 3 } bottom: "p2" top: "q" }
    layers { layer { name: "r" type: "relu" } bottom: "q" top: "q" }"""
    now = """
    layer { name: "d" type: "Data" top: "d" }
    layer { name: "c" type: "Convolution" bottom: "d" top: "c"
            convolution_param { pad: 2 kernel_size: 5 } }
    layer { name: "q" type: "Pooling" bottom: "c" top: "q" pooling_param { pad: 1 kernel_size: 3 } }
    layer { name: "r" type: "ReLU" bottom: "q" top: "q" }"""
    assert same(old, now)


PADDING = 'layers { layer { name: "p" type: "padding" pad: 2 } bottom: "d" top: "p" }\n'


@pytest.mark.parametrize(
    "reader", ['layer { name: "r" type: "relu" }', 'layer { name: "r" type: "conv" } bottom: "d"']
)
def test_padding_read_by_anything_else_is_refused(reader):
    with pytest.raises(NetError) as caught:
        upgraded(PADDING + f'layers {{ bottom: "p" {reader} }}')
    assert str(caught.value).startswith('old.prototxt:2: layer "r": bottom "p" comes from the pad')
    assert "only a conv or pool layer with a single bottom" in str(caught.value)


@pytest.mark.parametrize(
    "bottom, top, has",
    [("", 'top: "p"', "0 and 1"), ('bottom: "d" bottom: "e"', 'top: "q" top: "p"', "2 and 2")],
)
def test_padding_of_other_than_one_blob_is_refused(bottom, top, has):
    padding = PADDING.replace('bottom: "d" top: "p"', f"{bottom} {top}")
    message = f'^old.prototxt:1: layer "p": a padding layer has one bottom and one top, not {has}$'
    with pytest.raises(NetError, match=message):
        upgraded(padding + 'layers { bottom: "p" layer { name: "r" type: "conv" } }')


def test_an_unknown_v0_type_is_refused():
    with pytest.raises(NetError) as caught:
        upgraded('\nlayers { layer { name: "r" type: "inner_product" } }')
    assert str(caught.value) == (
        'old.prototxt:2: layer "r": unknown type "inner_product"; did you mean "innerproduct"?'
    )


@pytest.mark.parametrize("name", ["new_height", "new_width"])
def test_a_v0_number_that_lost_its_sign_is_refused(name):
    with pytest.raises(NetError, match=f'^old.prototxt:1: layer "d": {name} must not be below 0'):
        upgraded(f'layers {{ layer {{ name: "d" type: "images" {name}: -1 }} }}')


def test_an_option_of_another_v0_type_is_dropped_and_reported(caplog):
    problems = []
    old = '\nlayers { layer { name: "r" type: "relu" stride: 2 hdf5_output_param {} } top: "t" }'
    net = upgraded(old, problems)
    assert net.layer[0] == LayerParameter(name="r", type="ReLU", top=["t"], source_line=2)
    assert problems == [
        'old.prototxt:2: layer "r": a layer of type "relu" has no stride',
        'old.prototxt:2: layer "r": a layer of type "relu" has no hdf5_output_param',
    ]
    assert problems[0] in caplog.text


# V1: layers { type: CONVOLUTION ... }


@pytest.mark.parametrize("old", GOLDEN["enums"]["V1LayerParameter.LayerType"])
def test_a_v1_type_becomes_the_name_of_a_layer_of_caffe(old):
    new = upgraded(f"layers {{ type: {old} }}").layer[0].type
    known = (
        "AbsVal Accuracy ArgMax BNLL Concat ContrastiveLoss Convolution Data Deconvolution "
        "Dropout DummyData Eltwise EuclideanLoss Exp Flatten HDF5Data HDF5Output HingeLoss Im2col "
        "ImageData InfogainLoss InnerProduct LRN MVN MemoryData MultinomialLogisticLoss Pooling "
        "Power ReLU Sigmoid SigmoidCrossEntropyLoss Silence Slice Softmax SoftmaxWithLoss Split "
        "TanH Threshold WindowData"
    ).split()
    if old == "NONE":
        assert new == ""
    elif old == "SOFTMAX_LOSS":
        assert new == "SoftmaxWithLoss"
    else:
        assert new in known and new.lower() == old.replace("_", "").lower()


def shared_fields():
    """Fields that a V1 layer and today's have in common, and text that fills them."""
    today = {name: kind for name, _, kind, *_ in GOLDEN["messages"]["LayerParameter"]}
    for name, _, kind, *_ in GOLDEN["messages"]["V1LayerParameter"]:
        if today.get(name) == kind and name not in ("type", "param"):
            yield name, kind


FILLED = {
    "string": ': "x"',
    "float": ": 2.5",
    "BlobProto": "{ data: [1, 2] shape { dim: 2 } }",
    "NetStateRule": '{ stage: "s" }',
}


@pytest.mark.parametrize("name, kind", list(shared_fields()))
def test_a_v1_field_of_the_same_name_is_kept(name, kind):
    line = name + FILLED.get(kind, "{ }")
    assert same(f"layers {{ type: TANH {line} }}", f'layer {{ type: "TanH" {line} }}')


def test_v1_fields_left_are_those_with_a_new_name():
    shared = {name for name, _ in shared_fields()}
    left = {name for name, *_ in GOLDEN["messages"]["V1LayerParameter"]} - shared
    renamed = {"param", "blob_share_mode", "blobs_lr", "weight_decay"}
    assert left == {"layer", "type", *renamed}


@pytest.mark.parametrize(
    "old, new",
    [
        ('param: "w"', 'param { name: "w" }'),
        ("blobs_lr: 1 blobs_lr: 2", "param { lr_mult: 1 } param { lr_mult: 2 }"),
        ("weight_decay: 0", "param { decay_mult: 0 }"),
        ("blob_share_mode: PERMISSIVE", "param { share_mode: PERMISSIVE }"),
        (
            'param: "w" blobs_lr: [1, 2, 3] weight_decay: [4, 5]',
            'param { name: "w" lr_mult: 1 decay_mult: 4 } param { lr_mult: 2 decay_mult: 5 }'
            " param { lr_mult: 3 }",
        ),
        (
            'blob_share_mode: [STRICT, PERMISSIVE] param: ["", "w", "v"]',
            'param { name: "" share_mode: STRICT } param { name: "w" share_mode: PERMISSIVE }'
            ' param { name: "v" }',
        ),
    ],
)
def test_v1_lists_become_one_param_per_blob(old, new):
    assert same(f"layers {{ type: TANH {old} }}", f'layer {{ type: "TanH" {new} }}')


@pytest.mark.parametrize(
    "old, new, options",
    [
        ("DATA", "Data", "data_param"),
        ("IMAGE_DATA", "ImageData", "image_data_param"),
        ("WINDOW_DATA", "WindowData", "window_data_param"),
    ],
)
def test_transform_options_leave_v1_data_layers(old, new, options):
    assert same(
        f'layers {{ type: {old} {options} {{ source: "s" scale: 2 mean_file: "m" crop_size: 3'
        " mirror: true } transform_param { force_gray: true } }",
        f'layer {{ type: "{new}" {options} {{ source: "s" }} transform_param {{ scale: 2'
        ' mean_file: "m" crop_size: 3 mirror: true force_gray: true } }',
    )


def test_transform_options_stay_in_other_layers():
    v1 = "type: TANH data_param { scale: 2 }"
    assert same(f"layers {{ {v1} }}", 'layer { type: "TanH" data_param { scale: 2 } }')
    assert not net_needs_upgrade(current('layer { type: "Data" data_param { scale: 2 } }'))


def test_both_forms_in_one_net_are_refused():
    with pytest.raises(NetError, match='^old.prototxt:2: a net has "layer" or "layers"'):
        upgraded("layer {}\nlayers { type: RELU }")


def test_lines_survive():
    net = upgraded('\nlayers { type: TANH }\n\nlayers { layer { type: "relu" } }')
    assert [layer.source_line for layer in net.layer] == [2, 4]


# Input fields, BatchNorm


@pytest.mark.parametrize(
    "fields, shapes",
    [
        ('input: "a" input_dim: [1, 2, 3, 4]', "shape { dim: [1, 2, 3, 4] }"),
        ('input: "a" input_shape { dim: [5, 6] }', "shape { dim: [5, 6] }"),
        ('input: "a" input_shape { dim: 5 } input_dim: [1, 2, 3, 4]', "shape { dim: 5 }"),
        ('input: "a" input_shape { dim: 5 } input_shape { dim: 6 }', "shape { dim: 5 }"),
        ('input: "a" input_shape {}', "shape {}"),
    ],
)
def test_input_fields_become_the_first_layer(fields, shapes):
    assert same(
        f'{fields} layer {{ name: "b" }} layer {{ name: "c" }}',
        f'layer {{ name: "input" type: "Input" top: "a" input_param {{ {shapes} }} }}'
        ' layer { name: "b" } layer { name: "c" }',
    )


def test_several_inputs_share_one_layer():
    assert same(
        'input: "a" input: "b" input_dim: [1, 2, 3, 4, 5, 6, 7, 8]',
        'layer { name: "input" type: "Input" top: "a" top: "b" input_param {'
        " shape { dim: [1, 2, 3, 4] } shape { dim: [5, 6, 7, 8] } } }",
    )


def test_inputs_without_any_shape_are_dropped():
    assert same('input: "a" layer { name: "b" }', 'layer { name: "b" }')


@pytest.mark.parametrize("shapes", ["input_dim: [1, 2, 3]", "input_shape { dim: 1 }"])
def test_too_few_shapes_are_refused(shapes):
    with pytest.raises(NetError, match=r"^old.prototxt: 2 input fields, but .* the shape of [01]"):
        upgraded(f'input: "a" input: "b" {shapes}')


@pytest.mark.parametrize(
    "specs, now",
    [
        ("param {} param {} param {}", "param { lr_mult: 0 decay_mult: 0 } " * 3),
        (
            'param { name: "m" lr_mult: 0 } param { lr_mult: 0 decay_mult: 0 } param {}',
            'param { name: "m" lr_mult: 0 decay_mult: 0 }'
            + 2 * "param { lr_mult: 0 decay_mult: 0 }",
        ),
        ("param {} param {}", "param {} param {}"),
        ("param {} " * 5, "param {} " * 5),
    ],
)
def test_the_statistics_of_batch_norm_do_not_learn(specs, now):
    assert same(f'layer {{ type: "BatchNorm" {specs} }}', f'layer {{ type: "BatchNorm" {now} }}')


def test_the_specs_of_other_layers_are_left_alone():
    scale = 'layer { type: "Scale" param {} param {} param {} }'
    assert same(scale, scale)


# The whole


OLD = """
name: "old"
input: "x" input_dim: [1, 3, 8, 8]
layers { layer { name: "pad" type: "padding" pad: 1 } bottom: "x" top: "pad" }
layers { layer { name: "c" type: "conv" num_output: 4 kernelsize: 3 } bottom: "pad" top: "c" }
"""


def test_a_net_of_today_is_left_as_it_is(caplog):
    net = current('layer { name: "a" type: "ReLU" }')
    before = net.SerializeToString()
    assert not net_needs_upgrade(net)
    assert upgrade_net(net) is net and net.SerializeToString() == before
    assert caplog.records == []


def test_an_old_net_is_upgraded_in_place_once_and_says_so(caplog):
    net = text.parse(OLD, NetParameter)
    assert net_needs_upgrade(net)
    assert upgrade_net(net, "old.prototxt") is net
    (record,) = caplog.records
    assert record.name == "caffelite" and record.levelno == logging.WARNING
    assert "old.prototxt: in an old form (V0 layers, V1 layers, input fields)" in record.message
    once = net.SerializeToString()
    assert not net_needs_upgrade(net)
    assert upgrade_net(net).SerializeToString() == once


def test_old_weights_are_moved_at_the_speed_of_memory():
    """100 MB of V1 blobs: about as fast as copying the message, not value by value."""
    net = NetParameter(name="n")
    blob = b"\x2a\x80\x92\xf4\x01" + bytes(4 * 10**6)  # data, 4,000,000 bytes
    for i in range(25):
        net.layers.add(name=f"l{i}", type="CONVOLUTION").blobs.add().MergeFromString(blob)
    start = time.process_time()
    NetParameter().CopyFrom(net)
    copied = time.process_time()
    upgrade_net(net)
    assert time.process_time() - copied < 10 * (copied - start) + 0.2
    assert len(net.layer) == 25 and len(net.layer[24].blobs[0].data) == 10**6


# Solvers


@pytest.mark.parametrize(
    "old, new",
    [
        ("SGD", "SGD"),
        ("NESTEROV", "Nesterov"),
        ("ADAGRAD", "AdaGrad"),
        ("RMSPROP", "RMSProp"),
        ("ADADELTA", "AdaDelta"),
        ("ADAM", "Adam"),
        ("5", "Adam"),
    ],
)
def test_solver_type_becomes_type(old, new):
    solver = text.parse(f"base_lr: 1 solver_type: {old}", SolverParameter)
    assert solver_needs_upgrade(solver)
    assert upgrade_solver(solver) is solver
    assert solver == SolverParameter(base_lr=1, type=new)
    assert not solver_needs_upgrade(solver)


def test_both_solver_types_are_refused():
    solver = text.parse('solver_type: ADAM type: "SGD"', SolverParameter)
    with pytest.raises(SolverError, match="^s.prototxt: solver_type: ADAM is the old way"):
        upgrade_solver(solver, "s.prototxt")


@pytest.mark.parametrize("field", ["net_param", "train_net_param", "test_net_param"])
def test_nets_inside_a_solver_are_upgraded(field):
    solver = text.parse(f"{field} {{ layers {{ type: RELU }} }}", SolverParameter)
    assert solver_needs_upgrade(solver)
    now = text.parse(f'{field} {{ layer {{ type: "ReLU" }} }}', SolverParameter)
    assert upgrade_solver(solver) == now


def test_a_solver_given_as_a_message_is_upgraded():
    old = """base_lr: 1 lr_policy: "fixed" solver_type: ADAM net_param {
      input: "x" input_dim: [1, 2, 1, 1]
      layers { type: POWER bottom: "x" top: "y" }
      layers { type: EUCLIDEAN_LOSS bottom: "x" bottom: "y" } }"""
    solver = caffelite.get_solver(text.parse(old, SolverParameter))
    assert solver.type == "Adam"
    assert [layer.type for layer in solver.net.layers] == [
        "Input",
        "Split",
        "Power",
        "EuclideanLoss",
    ]


@pytest.mark.parametrize(
    "line, prefix",
    [
        ("", "{dir}/lenet"),
        ('snapshot_prefix: "snap/run"', "snap/run"),
        ('snapshot_prefix: "{dir}/folder"', "{dir}/folder/lenet"),
        ('snapshot_prefix: "{dir}/folder/"', "{dir}/folder/lenet"),
        ('snapshot_prefix: "{dir}/none"', "{dir}/none"),
    ],
)
def test_the_snapshot_prefix_is_completed(tmp_path, line, prefix):
    (tmp_path / "folder").mkdir()
    path = tmp_path / "lenet.prototxt"
    path.write_text("base_lr: 1\n" + line.format(dir=tmp_path))
    assert text.read_solver(path).snapshot_prefix == prefix.format(dir=tmp_path)


def test_the_snapshot_prefix_of_a_solver_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lenet_solver.prototxt").write_text("base_lr: 1")
    assert text.read_solver("lenet_solver.prototxt").snapshot_prefix == "lenet_solver"
