"""Darknet's .cfg and .weights: the same values as OpenCV 4 reads and computes, or a clear error."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.errors import CaffeliteError
from caffelite.net import darknet_weights
from caffelite.proto.darknet.maker import DarknetNet
from caffelite.proto.text import read_net

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def cfg(sections, height=32, width=48, channels=3):
    """Write net.cfg: sections are lines "name key=value key=value"."""
    lines = [f"net height={height} width={width} channels={channels}", *sections.split("\n")]
    text = ""
    for line in filter(None, map(str.strip, lines)):
        name, *options = line.split(" ")
        text += "\n".join([f"[{name}]", *options, "", ""])
    Path("net.cfg").write_text(text)
    return DarknetNet("net.cfg")


def values(net, seed=0):
    """Made-up values, a list in the order of .weights."""
    generator, arrays = np.random.default_rng(seed), []
    for stored in net.stored:
        if stored.always is None:
            drawn = generator.standard_normal(stored.shape, np.float32)
            if stored.layer.endswith("-bn") and stored.index == 1:
                drawn = 0.5 + drawn**2  # a variance
            elif len(stored.shape) > 1:
                drawn /= np.sqrt(np.prod(stored.shape[1:]))
            arrays.append(drawn.astype(np.float32))
    return arrays


SEEN = np.int64(64_000)


def write(arrays, version=(0, 2, 0), seen=SEEN, path="net.weights"):
    """A .weights file."""
    content = [np.array(version, "<i4"), np.array([seen]), *arrays]
    Path(path).write_bytes(b"".join(array.tobytes() for array in content))


def built(net, layers=None):
    """The net without the layer that makes boxes, with the weights of net.weights."""
    kept = [layer for layer in net.param.layer if layer.name != "detection_out"]
    del net.param.layer[:]
    net.param.layer.extend(kept)
    made = caffelite.Net(net.param, caffelite.TEST)
    if layers is None:
        layers = darknet_weights.read("net.weights", "net.cfg")
    for name, blobs in layers.items():
        assert len(blobs) == len(made.params[name])
        for index, array in blobs.items():
            assert made.params[name][index].shape == array.shape
            made.params[name][index].data[...] = array
    return made


def ran(made, blob, height=32, width=48):
    x = np.random.default_rng(9).random(made.blobs["data"].shape, np.float32)
    made.blobs["data"].data[...] = x
    made.forward()
    return x, made.blobs[blob].data


CONV = "convolutional filters=8 size=3 stride=1 pad=1 activation=leaky batch_normalize=1"
LAST = "convolutional filters=5 size=1 stride=1 pad=1 activation=linear"
LIKE_OPENCV = {
    "two convolutions": f"{CONV}\n{LAST}",
    "stride and no padding": "convolutional filters=4 size=3 stride=2 activation=relu",
    "padding of its own": "convolutional filters=4 size=5 stride=1 padding=1 activation=linear",
    "groups": f"{CONV}\nconvolutional filters=6 size=3 pad=1 groups=2 activation=leaky\n{LAST}",
    "activations": "\n".join(
        f"convolutional filters=4 size=1 activation={word}"
        for word in ("logistic", "mish", "swish", "tanh", "relu", "leaky")
    ),
    "tiny": f"{CONV}\nmaxpool size=2 stride=2\n{CONV}\nmaxpool size=2 stride=1\n{LAST}",
    "pools": "maxpool size=3 stride=2\nmaxpool size=5 stride=1\nmaxpool size=2 stride=2",
    "spatial pyramid": f"{CONV}\nmaxpool size=5 stride=1\nroute layers=-2\n"
    f"maxpool size=9 stride=1\nroute layers=-1,-3,-4\n{LAST}",
    "v2": f"{CONV}\nmaxpool size=2 stride=2\n{CONV}\nmaxpool size=2 stride=2\n{CONV}\n"
    f"route layers=2\nreorg stride=2\nroute layers=-1,-3\n{CONV}\n{LAST}",
    "v3": f"{CONV}\n{CONV.replace('stride=1', 'stride=2')}\n{CONV}\nshortcut from=-2\n{CONV}\n"
    f"upsample stride=2\nroute layers=-1,0\n{LAST}",
    "shortcut activated": f"{CONV}\n{CONV}\nshortcut from=-2 activation=leaky\n{LAST}",
    "share of a route": f"{CONV}\nroute layers=-1 groups=2 group_id=1\n{LAST}",
    "classes": "convolutional filters=7 size=1 activation=linear\navgpool\nsoftmax groups=1",
    "dropout and dense": f"{CONV}\ndropout probability=.5\nconnected output=9 activation=leaky",
}


@pytest.mark.parametrize("sections", LIKE_OPENCV.values(), ids=LIKE_OPENCV)
def test_a_net_computes_what_opencv_computes(sections):
    """But for the number that is added to a variance: 1e-6 in OpenCV, 1e-5 in Darknet on GPUs."""
    dnn = pytest.importorskip("cv2").dnn
    if not hasattr(dnn, "readNetFromDarknet"):
        pytest.skip("this OpenCV reads no Darknet nets")
    net = cfg(sections)
    write(values(net))
    x, y = ran(built(net), net.made[-1].blob)
    theirs = dnn.readNetFromDarknet("net.cfg", "net.weights")
    theirs.setInput(x)
    expected = theirs.forward()
    np.testing.assert_allclose(y, expected.reshape(y.shape), rtol=1e-3, atol=2e-4)


def pooled(x, size, stride, padding):
    """Darknet's maxpool: it pads half of `padding`, rounded down, on top and left."""
    channels, *sides = x.shape
    out = [(n + padding - size) // stride + 1 for n in sides]
    wide = np.full([channels, *(n + 4 * size + padding for n in sides)], -np.inf, x.dtype)
    before = padding // 2
    wide[:, before : before + sides[0], before : before + sides[1]] = x
    return np.array(
        [
            [[m[i * stride :][:size, j * stride :][:, :size].max() for j in range(out[1])]
             for i in range(out[0])]
            for m in wide
        ]
    )  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_pool_has_darknets_windows(size, stride):
    for height, width in ((7, 12), (9, 8)) if stride < 3 else ((7, 7), (8, 8), (9, 9), (12, 12)):
        net = cfg(f"maxpool size={size} stride={stride}", height, width)
        x, y = ran(built(net, {}), net.made[-1].blob)
        np.testing.assert_array_equal(y[0], pooled(x[0], size, stride, size - 1))


def test_a_pool_that_caffe_cannot_do_is_refused():
    with pytest.raises(CaffeliteError, match=r"net.cfg:6: layer 0 \[maxpool\]: size=2 .*no Pool"):
        cfg("maxpool size=2 stride=3 padding=1", 7, 9)


def test_a_local_layer_has_windows_of_its_own_at_each_place():
    net = cfg("local filters=4 size=3 stride=2 pad=1 activation=leaky", 5, 7)
    biases, weights = values(net)
    write([biases, weights])
    x, y = ran(built(net), net.made[-1].blob)
    assert y.shape == (1, 4, 3, 4)
    padded = np.pad(x[0], ((0, 0), (1, 1), (1, 1)))
    weights, biases = weights.reshape(3, 4, 4, -1), biases.reshape(4, 3, 4)
    for i, j in np.ndindex(3, 4):
        window = padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].reshape(-1)
        z = weights[i, j] @ window + biases[:, i, j]
        np.testing.assert_allclose(y[0, :, i, j], np.where(z > 0, z, 0.1 * z), atol=1e-5)


def test_the_middle_is_cut_out_and_scaled():
    net = cfg("crop crop_height=5 crop_width=4 flip=1", 8, 7)
    x, y = ran(built(net, {}), net.made[-1].blob)
    np.testing.assert_allclose(y, 2 * x[:, :, 1:6, 1:5] - 1, rtol=1e-6)
    net = cfg("crop crop_height=8 crop_width=6 noadjust=1", 8, 7)
    x, y = ran(built(net, {}), net.made[-1].blob)
    np.testing.assert_array_equal(y, x[:, :, :, :6])


def test_a_dense_layer_may_be_normalized_and_transposed():
    """Order in the file: biases, weights, scales, means, variances."""
    net = cfg("connected output=4 batch_normalize=1 activation=linear", 2, 3)
    bias, weight, scale, mean, variance = arrays = values(net)
    write(arrays)
    x, y = ran(built(net), "layer1-fc")
    expected = (weight @ x.reshape(-1) - mean) / np.sqrt(variance + 1e-5) * scale + bias
    np.testing.assert_allclose(y[0], expected, rtol=1e-4, atol=1e-5)
    transposed = [bias, np.ascontiguousarray(weight.T), scale, mean, variance]
    write(transposed, version=(1002, 0, 0), seen=np.int32(7))
    again = darknet_weights.read("net.weights", "net.cfg")
    np.testing.assert_array_equal(again["layer1-fc"][0], weight)


def test_flipped_weights_are_turned():
    net = cfg("convolutional filters=4 size=3 flipped=1 activation=linear")
    bias, weight = values(net)
    write([bias, weight.reshape(4, -1).T.copy()])
    read = darknet_weights.read("net.weights", "net.cfg")
    np.testing.assert_array_equal(read["layer1-conv"][0], weight)


@pytest.mark.parametrize(
    ("version", "seen"),
    [((0, 1, 0), np.int32(5)), ((0, 2, 0), np.int64(5)), ((0, 2, 5), np.int64(5))],
)
def test_the_head_of_each_version_is_passed(version, seen):
    net = cfg(LAST)
    arrays = values(net)
    write(arrays, version, seen)
    read = darknet_weights.read("net.weights", "net.cfg")["layer1-conv"]
    np.testing.assert_array_equal(read[1], arrays[0])
    np.testing.assert_array_equal(read[0], arrays[1])


def test_weights_that_do_not_fit_are_told_with_what_is_missing():
    net = cfg(f"{CONV}\nmaxpool size=2 stride=2\n{LAST}")
    arrays, whole = values(net), 8 * 4 + 8 * 27 + 5 + 40
    whole_file = [*arrays]

    def problem(arrays, more=b"", **how):
        write(arrays, **how)
        with open("net.weights", "ab") as file:
            file.write(more)
        with pytest.raises(CaffeliteError) as caught:
            darknet_weights.read("net.weights", "net.cfg")
        return str(caught.value)

    end = f"net.weights: has {{}} numbers, and net.cfg takes {whole}: it ends "
    assert problem(whole_file[:-1]) == end.format(whole - 40) + (
        "within layer 2 [convolutional] of line 18: it was cut off, or is of another .cfg"
    )
    assert problem(whole_file[:2]).startswith(end.format(16) + "within layer 0 [convolutional]")
    assert problem(whole_file[:5]) == end.format(8 * 31) + (
        "behind layer 0; if it is meant to, as a start for training may be, give --partial"
    )
    assert problem([*whole_file, np.zeros(3, np.float32)]) == (
        f"net.weights: has {whole + 3} numbers, and net.cfg takes {whole}: it is of another .cfg"
    )
    assert "4 bytes each, and 1 are left over" in problem(whole_file, more=b"x")
    assert "version 9999.0, which Darknet never had" in problem(whole_file, version=(9999, 0, 0))
    Path("net.weights").write_bytes(b"\0" * 5)
    with pytest.raises(CaffeliteError, match=r"of 5 bytes, expected a head of 16 or 20"):
        darknet_weights.read("net.weights", "net.cfg")


def test_a_part_is_taken_where_that_is_meant():
    net = cfg(f"{CONV}\n{CONV}\n{LAST}")
    write(values(net)[:10])
    part = darknet_weights.read("net.weights", "net.cfg", partial=True)
    first_two = [f"layer{n}-{end}" for n in (1, 2) for end in ("bn", "conv", "scale")]
    assert sorted(part) == first_two


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ("convolutionl filters=3", 'has no layer here; did you mean "convolutional"?'),
        ("lstm output=3", "[lstm]: has no layer here: it is for text"),
        ("convolutional filters=3 size=3 activation=leeky", 'activation=leeky has no layer here;'),
        ("convolutional filters=3 size=3 xnor=1", "xnor=1 is not done here"),
        ("convolutional filters=x", 'net.cfg:7: [convolutional]: filters: expected a whole number'),
        ("convolutional filters=0", "filters: expected a whole number from 1"),
        ("convolutional filters=3 size=99", "a window of 99 with padding 0 does not fit"),
        ("route layers=-2", "layers=-2: there are 0 layers before this one"),
        (f"{CONV}\nmaxpool size=2 stride=2\nroute layers=0,1", "joins maps of different sizes"),
        (f"{CONV}\n{LAST}\nshortcut from=0", 'adds "layer1-conv", 8 x 32 x 48, to "layer2-conv"'),
        ("reorg stride=5", "stride=5 does not divide 3 x 32 x 48"),
        ("connected output=3\nmaxpool", "stands behind a dense layer, which has no maps"),
        (f"{LAST}\nregion num=2 classes=3 softmax=1", "expected 2 * (4 + 1 + 3) = 16 channels"),
        (f"{LAST}\nregion num=2 classes=3 softmax=1 anchors=1,2", "expected 4 numbers, found 2"),
        (f"{LAST}\nregion num=2 classes=3 softmax=0", "expected softmax=1"),
        (f"{LAST}\nyolo num=2 mask=5 anchors=1,2,3,4 classes=1", "expected numbers below num=2"),
        ("connected output=9\ndetection side=3 num=2 classes=4 coords=4", "= 126 values, and"),
    ],
)  # fmt: skip
def test_a_net_that_has_no_layers_here_is_refused_with_its_line(sections, words):
    with pytest.raises(CaffeliteError) as caught:
        cfg(sections)
    assert words in str(caught.value) and re.match(r"net\.cfg:\d+: ", str(caught.value))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "net.cfg: holds no section; expected a Darknet .cfg"),
        ("# nothing\n", "net.cfg: holds no section"),
        ("[net\nwidth=3", 'net.cfg:1: expected [SECTION], not "[net"'),
        ("[maxpool]\n", "net.cfg:1: layer -1 [maxpool]: expected [net] as the first section"),
        (
            "[net]\nwidth\n",
            "net.cfg:2: expected the text of a Darknet net (.cfg), a line KEY=VALUE",
        ),
        ("[net]\nwidth=4\n", "net.cfg:1: [net]: width, height, channels: 4, 0, 3: give all"),
        ("width=4\n", "net.cfg:1: expected the text of a Darknet net"),
    ],
)
def test_a_text_that_is_no_cfg_is_told_so(text, words):
    Path("net.cfg").write_text(text)
    with pytest.raises(CaffeliteError) as caught:
        DarknetNet("net.cfg")
    assert words.replace("layer -1 ", "") in str(caught.value)


def test_options_that_nobody_knows_are_told(caplog):
    cfg(f"{LAST} fliters=3")
    assert caplog.messages == [
        'net.cfg:12: [convolutional]: the option "fliters" is not known here, and passed over'
    ]


def test_spaces_comments_and_a_comma_at_the_end_are_passed_over():
    Path("net.cfg").write_text(
        "# head\n[net]\n width = 8 # comment\nheight=8\n; more\nchannels=3\n\n"
        "[route]\nlayers = -1,\n".replace(
            "[route]\nlayers = -1,\n", "[maxpool]\nsize = 2\nstride=2"
        )
    )
    net = DarknetNet("net.cfg")
    assert net.made[-1].shape == (3, 4, 4) and len(net.sections) == 1


# Boxes


SMALLER = "maxpool size=2 stride=2\n"
HEADS = {
    "region": f"{CONV}\n{SMALLER}{SMALLER}{SMALLER}"
    "convolutional filters=27 size=1 activation=linear\n"
    "region anchors=1,1,2,3,1.5,.7 num=3 classes=4 softmax=1 thresh=.0001",
    "yolo": f"{CONV}\n{SMALLER}{SMALLER}{SMALLER}"
    "convolutional filters=18 size=1 activation=linear\n"
    "yolo mask=1,2 anchors=10,14,23,27,37,58 num=3 classes=4\n"
    f"route layers=1\n{SMALLER}convolutional filters=18 size=1 activation=linear\n"
    "yolo mask=0,1 anchors=10,14,23,27,37,58 num=3 classes=4",
}


@pytest.mark.parametrize("kind", HEADS)
def test_boxes_and_scores_are_those_of_opencv(kind):
    """Before any box is suppressed; OpenCV has (x, y, w, h, objectness, scores) of each."""
    dnn = pytest.importorskip("cv2").dnn
    if not hasattr(dnn, "readNetFromDarknet"):
        pytest.skip("this OpenCV reads no Darknet nets")
    net = cfg(HEADS[kind], 64, 64)
    write(values(net))
    last = net.param.layer[-1]
    options = (
        last.yolo_detection_output_param if kind == "region" else last.yolov3_detection_output_param
    )
    options.nms_threshold, options.confidence_threshold = 1.1, 1e-3
    made = caffelite.Net(net.param, caffelite.TEST)
    for name, blobs in darknet_weights.read("net.weights", "net.cfg").items():
        for index, array in blobs.items():
            made.params[name][index].data[...] = array
    x, found = ran(made, "detection_out")
    theirs = dnn.readNetFromDarknet("net.cfg", "net.weights")
    theirs.setInput(x)
    rows = np.concatenate(theirs.forward(theirs.getUnconnectedOutLayersNames()))
    box, label = np.nonzero(rows[:, 5:] == rows[:, 5:].max(axis=1, keepdims=True))
    best = np.argsort(-rows[box, 5 + label])[:30]
    box, label = box[best], label[best]
    middle, half = rows[box, :2], rows[box, 2:4] / 2
    score = rows[box, 5 + label]
    expected = np.column_stack([label + 1, score, middle - half, middle + half])
    for row in expected:
        near = np.abs(found.reshape(-1, 7)[:, 1:] - row).max(axis=1)
        assert near.min() < 2e-4, row


def test_the_first_yolo_says_its_numbers_cell_by_cell():
    net = cfg(
        "connected output=54 activation=linear\ndetection side=3 num=1 classes=1 coords=4 sqrt=1"
    )
    last = net.param.layer[-1]
    options = last.yolo_detection_output_param
    assert last.type == "YoloDetectionOutput" and options.layout == options.CELLS
    assert (options.side, options.num_box, options.num_classes) == (3, 1, 1)
    assert options.sqrt and options.constriant


# The zoo


def conv(*widths, stride=1):
    """3 x 3 ones, and 1 x 1 ones for every other width."""
    return [
        f"convolutional batch_normalize=1 filters={width} size={1 if i % 2 else 3} "
        f"stride={stride} pad=1 activation=leaky"
        for i, width in enumerate(widths)
    ]


def narrow(width):
    return [f"convolutional batch_normalize=1 filters={width} size=1 pad=1 activation=leaky"]


def last(width):
    return [f"convolutional filters={width} size=1 stride=1 pad=1 activation=linear"]


def residual(width, times):
    unit = [*narrow(width // 2), *conv(width), "shortcut from=-3 activation=linear"]
    return [*conv(width, stride=2), *unit * times]


def yolo(anchors, mask):
    return [f"yolo mask={mask} anchors={anchors} classes=80 num={anchors.count(',') // 2 + 1}"]


def scale(width):
    return [*narrow(width), *conv(2 * width)] * 3


POOL, NINE = (
    ["maxpool size=2 stride=2"],
    "10,13,16,30,33,23,30,61,62,45,59,119,116,90,156,198,373,326",
)
SIX = "10,14,23,27,37,58,81,82,135,169,344,319"
VOC2 = "region classes=20 coords=4 num=5 softmax=1 anchors="
ZOO = {
    "yolo-v2": [
        *conv(32), *POOL, *conv(64), *POOL, *conv(128, 64, 128), *POOL, *conv(256, 128, 256),
        *POOL, *conv(512, 256, 512, 256, 512), *POOL, *conv(1024, 512, 1024, 512, 1024),
        *conv(1024), *conv(1024), "route layers=-9", *narrow(64), "reorg stride=2",
        "route layers=-1,-4", *conv(1024), *last(125),
        f"{VOC2}1.3221,1.73145,3.19275,4.00944,5.05587,8.09892,9.47112,4.84053,11.2364,10.0071",
    ],
    "yolo-v2-tiny": [
        *(part for width in (16, 32, 64, 128, 256) for part in conv(width) + POOL),
        *conv(512), "maxpool size=2 stride=1", *conv(1024), *conv(1024), *last(125),
        f"{VOC2}1.08,1.19,3.42,4.41,6.63,11.38,9.42,5.11,16.62,10.52",
    ],
    "yolo-v3": [
        *conv(32), *residual(64, 1), *residual(128, 2), *residual(256, 8), *residual(512, 8),
        *residual(1024, 4), *scale(512), *last(255), *yolo(NINE, "6,7,8"),
        "route layers=-4", *narrow(256), "upsample stride=2", "route layers=-1,61",
        *scale(256), *last(255), *yolo(NINE, "3,4,5"),
        "route layers=-4", *narrow(128), "upsample stride=2", "route layers=-1,36",
        *scale(128), *last(255), *yolo(NINE, "0,1,2"),
    ],
    "yolo-v3-tiny": [
        *(part for width in (16, 32, 64, 128, 256) for part in conv(width) + POOL),
        *conv(512), "maxpool size=2 stride=1", *conv(1024), *narrow(256), *conv(512),
        *last(255), *yolo(SIX, "3,4,5"), "route layers=-4", *narrow(128), "upsample stride=2",
        "route layers=-1,8", *conv(256), *last(255), *yolo(SIX, "0,1,2"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", ZOO)
def test_the_nets_of_the_zoo_are_those_that_are_converted(name):
    """Layer by layer, so that converted weights fit them by name."""
    converted = cfg("\n".join(ZOO[name]), 416, 416)
    kept = read_net(ROOT / "models" / name / "deploy.prototxt")

    def wired(param):
        return [(x.name, x.type, [*x.bottom], [*x.top]) for x in param.layer]

    assert wired(converted.param) == wired(kept)
    ours, theirs = converted.param.layer[-1], kept.layer[-1]
    ours.name = theirs.name = ""
    for field in ("yolo_detection_output_param", "yolov3_detection_output_param"):
        for options in (getattr(ours, field), getattr(theirs, field)):
            options.ClearField("confidence_threshold")
            options.ClearField("nms_threshold")
            options.ClearField("coords") if "coords" in options.DESCRIPTOR.fields_by_name else None
        assert getattr(ours, field) == getattr(theirs, field)
    shapes = {
        layer: {index: blob.shape for index, blob in enumerate(blobs)}
        for layer, blobs in caffelite.Net(kept, caffelite.TEST).params.items()
    }
    stored = {}
    for blob in converted.stored:
        stored.setdefault(blob.layer, {})[blob.index] = blob.shape
    assert stored == shapes


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("yolo-v2", marks=pytest.mark.long),
        pytest.param("yolo-v2-tiny", marks=pytest.mark.slow),
        pytest.param("yolo-v3-tiny", marks=pytest.mark.slow),
    ],
)
def test_a_whole_net_computes_what_opencv_computes(name):
    dnn = pytest.importorskip("cv2").dnn
    if not hasattr(dnn, "readNetFromDarknet"):
        pytest.skip("this OpenCV reads no Darknet nets")
    net = cfg("\n".join(ZOO[name]), 416, 416)
    write(values(net))
    bottom = net.param.layer[-1].bottom[-1]
    x, y = ran(built(net), bottom)
    theirs = dnn.readNetFromDarknet("net.cfg", "net.weights")
    theirs.setInput(x)
    number = int(bottom.removeprefix("layer").removesuffix("-conv"))
    expected = theirs.forward(f"conv_{number - 1}")
    np.testing.assert_allclose(y, expected, rtol=1e-2, atol=1e-3 * np.abs(expected).max())


# The command


def test_the_command_makes_a_net_and_its_weights(capsys):
    net = cfg(f"{CONV}\n{LAST}")
    write(values(net))
    assert main(["convert", "net.cfg", "net.prototxt"]) == 0
    assert capsys.readouterr().out == "net.prototxt: 6 layers\n"
    assert main("convert net.weights net.caffemodel --model net.cfg --json".split()) == 0
    told = {"file": "net.caffemodel", "layers": 4, "values": 8 * 4 + 1 + 8 * 27 + 45}
    assert json.loads(capsys.readouterr().out) == told
    made = caffelite.Net("net.prototxt", caffelite.TEST, weights="net.caffemodel")
    np.testing.assert_array_equal(ran(made, "layer2-conv")[1], ran(built(net), "layer2-conv")[1])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("net.weights out.caffemodel", "weights of Darknet need their .cfg: give it as --model"),
        (
            "net.cfg out.caffemodel",
            "is the text of a Darknet net: a prototxt is made of it, and out.caffemodel",
        ),
        ("net.weights out.h6 --model net.cfg", "the ending says what to make"),
        ("a.caffemodel out.h5 --partial", "--partial is for weights of Darknet"),
    ],
)
def test_the_command_says_what_it_needs(words, told, capsys):
    write(values(cfg(LAST)))
    assert main(["convert", *words.split()]) == 2
    assert told in capsys.readouterr().err


def test_a_net_says_what_its_pictures_go_through(capsys):
    """Red first, 0 to 1, the whole picture in the middle of gray."""
    from caffelite.predict.preprocessing import Preprocessing

    cfg("convolutional filters=2 size=1 activation=linear\navgpool\nsoftmax", 6, 8)
    main(["convert", "net.cfg", "net.prototxt"])
    assert read_net("net.prototxt").layer[0].transform_param.bgr2rgb
    found = Preprocessing.of_net("net.prototxt")
    assert found.origin == "net.prototxt"
    transformer = caffelite.data.transform.DataTransformer(found.transform, False)
    picture = np.repeat(np.uint8([10, 50, 90]), 96).reshape(3, 12, 8)
    out = np.empty((1, 3, 6, 8), np.float32)
    generator = np.random.default_rng(0)
    transformer.transform(transformer.prepare(picture, generator), generator, out)
    np.testing.assert_allclose(out[:, :, :, :2], 127 / 255, atol=1e-6)
    assert (out[0, 0, :, 2:6] > out[0, 2, :, 2:6]).all(), "red comes first"
