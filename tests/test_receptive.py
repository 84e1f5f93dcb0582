"""Receptive fields, against what changes along with one pixel of the input, and published ones."""

from pathlib import Path

import numpy as np
import pytest

from caffelite.net import Net
from caffelite.net.receptive import inside, receptive_fields
from caffelite.net.summary import summarize
from caffelite.proto.caffe_pb2 import TEST, TRAIN, NetParameter
from caffelite.proto.text import parse

MODELS = Path(__file__).parent.parent / "models"
CHANNELS, SIZES = 2, (13, 11)


def layer(type, bottom, top, options=""):
    bottoms = " ".join(f'bottom: "{name}"' for name in bottom.split())
    tops = " ".join(f'top: "{name}"' for name in top.split())
    return f'layer {{ name: "{top} of {bottom}" type: "{type}" {bottoms} {tops} {options} }}\n'


FILL = 'weight_filler { type: "uniform" min: 0.5 max: 1 }'


def conv(bottom, top, options, outputs=2, type="Convolution"):
    given = f"convolution_param {{ num_output: {outputs} {options} {FILL} }}"
    return layer(type, bottom, top, given)


def pool(bottom, top, options):
    return layer("Pooling", bottom, top, f"pooling_param {{ {options} }}")


K1, K3, K5 = "kernel_size: 1", "kernel_size: 3", "kernel_size: 5"
NETS = {
    "windows": conv("x", "a", f"{K3} stride: 2 pad: 1") + conv("a", "b", f"{K5} pad: 2"),
    "sides": conv("x", "a", "kernel_h: 3 kernel_w: 1 stride_h: 1 stride_w: 3 pad_h: 2 pad_w: 0"),
    "dilation": conv("x", "a", f"{K3} dilation: 2 pad: 2")
    + conv("a", "b", f"{K3} dilation: 3 pad: 3"),
    "pooling": pool("x", "a", "kernel_size: 3 stride: 2")
    + pool("a", "b", "kernel_size: 2 stride: 2 pad: 1 pool: AVE"),
    "deconvolution": conv("x", "a", f"{K3} stride: 3 pad: 1")
    + conv("a", "b", "kernel_size: 4 stride: 2 pad: 1", type="Deconvolution")
    + conv("b", "c", f"{K3} pad: 1")
    + conv("c", "d", f"{K3} stride: 2", type="Deconvolution"),
    "repeated": conv("x", "a", f"{K3} stride: 2")
    + layer("Upsample", "a", "b", "upsample_param { scale: 2 }")
    + conv("b", "c", K3),
    "residual": conv("x", "a", f"{K3} stride: 2 pad: 1")
    + conv("a", "b", f"{K3} pad: 1")
    + conv("x", "c", f"{K1} stride: 2")
    + layer("Eltwise", "b c", "sum")
    + layer("ReLU", "sum", "sum"),
    "branches": conv("x", "a", K1)
    + conv("x", "b", f"{K5} pad: 2", 3)
    + pool("x", "c", "kernel_size: 3 stride: 1 pad: 1")
    + layer("Concat", "a b c", "cat")
    + layer("Slice", "cat", "rest back", "slice_param { slice_point: 3 }")
    + conv("back", "d", f"{K3} stride: 2"),
    "neighbours": layer("LRN", "x", "a", "lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 }"),
    "resized": conv("x", "a", f"{K3} stride: 2")
    + layer("Interp", "a", "b", "interp_param { zoom_factor: 3 }")
    + conv("b", "c", f"{K3} pad: 1")
    + layer("Interp", "x", "d", "interp_param { shrink_factor: 2 pad_beg: -1 }")
    + layer("Interp", "x", "e", "interp_param { height: 9 width: 7 pad_end: -2 }"),
    "resized from border to border": conv("x", "a", f"{K3} stride: 2")
    + layer("Interp", "a", "b", "interp_param { zoom_factor: 2 align_corners: false }")
    + conv("b", "c", f"{K3} pad: 1")
    + layer("Interp", "x", "d", "interp_param { shrink_factor: 3 align_corners: false }"),
    "regrouped": conv("x", "a", f"{K3} pad: 1", 4)
    + layer("Reshape", "a", "c", "reshape_param { shape { dim: -1 dim: 4 dim: 0 dim: 0 } }")
    + conv("c", "d", f"{K3} stride: 2"),
    "gaps": conv("x", "a", f"{K1} stride: 3", type="Deconvolution"),
    "uneven": conv("x", "a", f"{K1} stride: 2")
    + layer("Crop", "x a", "b", "crop_param { axis: 2 offset: 1 offset: 4 }")
    + layer("Concat", "a b", "all"),
    "gate": pool("x", "all", "pool: AVE global_pooling: true")
    + layer("Flatten", "all", "all_row", "flatten_param { axis: 1 end_axis: 3 }")
    + layer("Scale", "x all_row", "all_y", "scale_param { axis: 0 }"),
    "turned": conv("x", "a", f"{K3} stride: 2")
    + layer("Permute", "a", "all", "permute_param { order: 0 order: 1 order: 3 order: 2 }")
    + conv("all", "all_b", K3),
    "dense": conv("x", "a", f"{K3} stride: 2")
    + layer("InnerProduct", "a", "all", f"inner_product_param {{ num_output: 3 {FILL} }}"),
}  # a blob is called all... where each value is taken to see everything


def net_of(text, sizes=SIZES, samples=1, phase=TEST):
    shape = " ".join(f"dim: {n}" for n in (samples, CHANNELS, *sizes))
    text = layer("Input", "", "x", f"input_param {{ shape {{ {shape} }} }}") + text
    return Net(parse(text, NetParameter), phase)


def check(text, sizes=SIZES, margin=0):
    """Change the input's pixels one by one, in a batch: does each value see those, and no other?

    No other where its field is inside the input, so far from the borders. Returns how many are.
    """
    net, places = net_of(text, sizes, 1 + np.prod(sizes)), list(np.ndindex(*sizes))
    x = np.ones((1 + len(places), CHANNELS, *sizes), np.float32)
    for i, place in enumerate(places, 1):
        x[(i, slice(None), *place)] = 100
    net.forward(x=x)
    exact = 0
    for node, fields in receptive_fields(net.nodes).items():
        name, y = node.top_names[0], node.top_blobs[0].data
        assert [field.step == 0 for field in fields] == [name.startswith("all")] * 2, name
        changed = (y[1:] != y[:1]).any(axis=1).reshape(*sizes, *y.shape[2:])
        for place in np.ndindex(y.shape[2:]):
            for axis, size in enumerate(sizes):
                seen = np.flatnonzero(changed[(..., *place)].any(axis=1 - axis))
                at = place[axis] if place else 0
                ends = inside(fields[axis], at, size)
                if not len(seen):
                    continue
                assert ends[0] <= seen[0] <= seen[-1] <= ends[1], (name, place)
                first, last = fields[axis].at(at)
                if fields[axis].step and margin <= first and last < size - margin:
                    assert [first, last] == [*seen[[0, -1]]], (name, place)
                    exact += 1
    return exact


@pytest.mark.parametrize("name", NETS)
def test_a_field_holds_the_pixels_that_matter_and_no_other(name):
    assert check(NETS[name])


def random_net(generator, depth=4):
    """Layers along the width; beside some a second way, of another field, that meets them again."""
    text, blob = "", "x"
    for top in "abcdef"[:depth]:
        kind = generator.choice(["Convolution", "Deconvolution", "Pooling", "ways"])
        kernel, stride, pad = generator.integers((1, 1, 0), (6, 4, 3))
        stride, pad = min(stride, kernel), min(pad, kernel - 1)
        sides = (
            f"kernel_h: 1 kernel_w: {kernel} stride_w: {stride} stride_h: 1 pad_w: {pad} pad_h: 0"
        )
        if kind == "ways":
            text += conv(blob, f"{top}1", f"kernel_size: 1 kernel_size: 3 dilation: {kernel}")
            text += layer("Crop", f"{blob} {top}1", f"{top}2", "crop_param { axis: 2 }")
            text += layer("Eltwise", f"{top}1 {top}2", top)
        elif kind == "Pooling":
            text += pool(blob, top, sides)
        else:
            text += conv(blob, top, sides, type=kind)
        blob = top
    return text


@pytest.mark.slow
def test_a_field_is_right_in_random_nets():
    generator = np.random.default_rng(0)
    exact = [check(random_net(generator), (1, 150), margin=40) for _ in range(20)]
    assert sum(exact) > 5000


def test_rounds_do_not_grow_without_end():
    """A Deconvolution of one value may have any stride."""

    def up(bottom, top, stride):
        return conv(bottom, top, f"{K1} stride: {stride}", type="Deconvolution")

    text = "".join(up(a, b, 1000) for a, b in zip("xabcd", "abcde", strict=True))
    text += up("x", "huge", 2**31 - 1) + up("x", "f", 1023)
    text += layer("Eltwise", "a f", "sum") + layer("Eltwise", "sum f", "all")
    layers = {x["top"][0]["name"]: x for x in summarize(net_of(text, sizes=(1, 1)))}
    for name in ("a", "e", "huge", "f", "sum", "all"):
        assert [axis["size"] for axis in layers[name]["receptive_field"]] == [1, 1]


def test_what_does_not_see_the_input_has_no_field():
    text = layer("DummyData", "", "y", "dummy_data_param { shape { dim: 1 dim: 3 } }")
    net = net_of(text + conv("x", "a", K3))
    assert [layer["receptive_field"] != [] for layer in summarize(net)] == [True, False, True]


def test_what_is_learned_or_made_by_fillers_is_not_the_input():
    """Unless nothing else comes in."""
    shape = "shape { dim: 1 dim: 2 dim: 5 dim: 5 }"
    learned = layer("Parameter", "", "p", f"parameter_param {{ {shape} }}")
    noise = layer("DummyData", "", "n", f"dummy_data_param {{ {shape} }}")
    x = layer("Input", "", "x", f"input_param {{ {shape} }}")
    for text, source in ((learned + noise + x, "x"), (learned + noise, "n")):
        text += conv(source, "a", K3)
        net = Net(parse(text, NetParameter), TEST)
        assert [len(layer["receptive_field"]) for layer in summarize(net)][-2:] == [2, 2]


def test_statistics_of_a_batch_do_not_count():
    """In training, BatchNorm reads all pictures."""
    text = conv("x", "a", K3) + layer("BatchNorm", "a", "a")
    for phase in (TRAIN, TEST):
        seen = summarize(net_of(text, phase=phase))[-1]["receptive_field"]
        assert [axis["size"] for axis in seen] == [3, 3]


@pytest.mark.parametrize(
    ("model", "name", "size"),
    [  # Araujo, Norris, Sim 2019, Computing Receptive Fields of Convolutional Neural Networks
        ("alexnet", "pool5", 195),
        ("vgg-16", "pool5", 212),
        ("mobilenet-v1", "conv6/sep", 315),
        ("resnet-50", "res5c_branch2c", 483),
        ("resnet-101", "res5c_branch2c", 1027),
        ("inception-bn", "inception_c2_output", 699),
        ("inception-v3", "inception_c2_concat", 1311),
        ("inception-v4", "inception_c3_concat", 2071),
        ("inception-resnet-v2", "conv6_1x1", 3039),
        # one pooling less: 195 - 2 * 16 and 212 - 16
        ("alexnet", "conv5", 163),
        ("vgg-16", "conv5_3", 196),
    ],
)
def test_nets_have_the_fields_that_are_published(model, name, size):
    net = Net(str(MODELS / model / "deploy.prototxt"), TEST)
    (seen,) = (layer["receptive_field"] for layer in summarize(net) if layer["name"] == name)
    assert [axis["size"] for axis in seen] == [size, size]
