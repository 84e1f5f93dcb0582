"""Crops that find their offset: layers { type: CROP } of FCN's Caffe, and U-Net's.

And those that say none and should, as in HED's files.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.errors import NetError
from caffelite.net.aligned import with_offsets
from caffelite.net.unsaid import unsaid
from caffelite.proto.caffe_pb2 import NetParameter
from caffelite.proto.text import parse, read_net
from caffelite.proto.upgrade import upgrade_net


def layers(*rows):
    """Of (name, type, bottoms, options), each in a line of the old form."""
    return 'input: "data" input_dim: [1, 1, 30, 37]\n' + "".join(
        f'layers {{ name: "{name}" type: {kind} '
        + " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
        + f' top: "{name}" {options} }}\n'
        for name, kind, bottoms, options in rows
    )


def conv(name, bottom, kernel, kind="CONVOLUTION", **options):
    more = " ".join(f"{k}: {v}" for k, v in options.items())
    filler = 'weight_filler { type: "gaussian" }'
    return (
        name,
        kind,
        bottom,
        (f"convolution_param {{ num_output: 1 kernel_size: {kernel} {more} {filler} }}"),
    )


def pool(name, bottom):
    return name, "POOLING", bottom, "pooling_param { kernel_size: 2 stride: 2 }"


def offsets(text):
    net = with_offsets(upgrade_net(parse(text, NetParameter)))
    return {of.name: list(of.crop_param.offset) for of in net.layer if of.type == "Crop"}


def test_those_of_the_fcns_are_what_their_later_files_say():
    """19 in FCN-32s, 5 and 27 in FCN-16s; 5, 9 and 31 in FCN-8s."""
    rows, below = [], "data"
    for block in range(1, 6):
        pad = 100 if block == 1 else 1
        rows.append(conv(f"conv{block}", below, 3, pad=pad))
        rows.append((f"conv{block}", "RELU", f"conv{block}", ""))
        rows.append(pool(f"pool{block}", f"conv{block}"))
        below = f"pool{block}"
    rows += [conv("fc6", below, 7), ("drop", "DROPOUT", "fc6", ""), conv("fr", "drop", 1)]
    up32 = conv("up32", "fr", 64, "DECONVOLUTION", stride=32)
    assert offsets(layers(*rows, up32, ("crop", "CROP", "up32 data", ""))) == {"crop": [19]}
    rows += [
        conv("up2", "fr", 4, "DECONVOLUTION", stride=2),
        conv("score4", "pool4", 1),
        ("crop4", "CROP", "score4 up2", ""),
        ("sum4", "ELTWISE", "up2 crop4", ""),
    ]
    up16 = conv("up16", "sum4", 32, "DECONVOLUTION", stride=16)
    found = offsets(layers(*rows, up16, ("crop", "CROP", "up16 data", "")))
    assert found == {"crop4": [5], "crop": [27]}
    rows += [
        conv("up4", "sum4", 4, "DECONVOLUTION", stride=2),
        conv("score3", "pool3", 1),
        ("crop3", "CROP", "score3 up4", ""),
        ("sum3", "ELTWISE", "up4 crop3", ""),
        conv("up8", "sum3", 16, "DECONVOLUTION", stride=8),
    ]
    found = offsets(layers(*rows, ("crop", "CROP", "up8 data", "")))
    assert found == {"crop4": [5], "crop3": [9], "crop": [31]}


def test_a_net_of_the_old_form_runs_and_stays_so_when_rewritten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = conv("conv", "data", 3, pad=5), pool("pool", "conv")
    up = conv("up", "pool", 4, "DECONVOLUTION", stride=2)
    (tmp_path / "old.prototxt").write_text(layers(*rows, up, ("crop", "CROP", "up data", "")))
    assert main(["upgrade", "old.prototxt", "new.prototxt"]) == 0
    assert read_net("new.prototxt").layer[-1].crop_param.aligned
    for file in ("old.prototxt", "new.prototxt"):
        net = caffelite.Net(file, caffelite.TEST)
        net.forward(data=np.random.default_rng(0).normal(size=(1, 1, 30, 37)))
        up, y = (net.blobs[name].data for name in ("up", "crop"))
        np.testing.assert_array_equal(y, up[:, :, 5:35, 5:42])
    assert main(["lint", "new.prototxt"]) == 0


@pytest.mark.parametrize(
    "rows, words",
    [
        (
            (pool("pool", "data"), ("crop", "CROP", "data pool", "")),
            'layer "crop".*aligned: "data" and "pool": the tops differ in scale, by',
        ),
        (
            (conv("conv", "data", 5), ("crop", "CROP", "conv data", "")),
            "the crop would start before the blob",
        ),
        (
            (
                conv("conv", "data", 5),
                ("ip", "INNER_PRODUCT", "data", "inner_product_param { num_output: 2 }"),
                ("crop", "CROP", "conv ip", ""),
            ),
            "no layers that keep coordinates connect them",
        ),
    ],
)
def test_what_no_crop_lines_up_is_told(rows, words):
    with pytest.raises(NetError, match=words):
        offsets(layers(*rows))


def test_an_offset_and_aligned_exclude_each_other():
    text = """layer { name: "x" type: "Input" top: "x" }
        layer { name: "c" type: "Crop" bottom: "x" bottom: "x" top: "c"
                crop_param { offset: 1 aligned: true } }"""
    with pytest.raises(NetError, match="has an offset, and aligned"):
        with_offsets(parse(text, NetParameter))


# What files of forks leave unsaid

HED = """
layer { name: "data" type: "%s" top: "data" top: "label" %s }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 pad: 6 weight_filler { type: "msra" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "score" type: "Convolution" bottom: "pool" top: "score"
  convolution_param { num_output: 1 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "up" type: "Deconvolution" bottom: "score" top: "up"
  convolution_param { num_output: 1 kernel_size: 4 stride: 2 weight_filler { type: "bilinear" } } }
layer { name: "crop" type: "Crop" bottom: "up" bottom: "data" top: "edges" }
layer { name: "first" type: "Crop" bottom: "conv" bottom: "data" top: "first" }
layer { name: "end" type: "Silence" bottom: "first" }
layer { type: "SigmoidCrossEntropyLoss" bottom: "edges" bottom: "label" top: "loss" }
"""


def pictures(folder):
    """HED's data layer, of one picture and its edges."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (9, 8), np.uint8)).save(folder / "x.png")
    Image.fromarray(np.uint8(255 * (rng.random((9, 8)) < 0.2))).save(folder / "edges.png")
    (folder / "list.txt").write_text("x.png edges.png\n")
    options = 'source: "list.txt" root_folder: "" is_color: false'
    return "ImageLabelmapData", f"image_data_param {{ {options} }}"


def test_a_net_of_hed_is_warned_about_once_and_meant_when_rewritten(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hed.prototxt").write_text(HED % pictures(tmp_path))
    (tmp_path / "solver.prototxt").write_text(
        'net: "hed.prototxt" test_iter: 1 test_interval: 9 base_lr: 0 lr_policy: "fixed"'
    )
    with caplog.at_level("WARNING"):
        caffelite.get_solver("solver.prototxt")
    crops, loss = (
        record.getMessage() for record in caplog.records if "as-meant" in record.getMessage()
    )
    assert crops.startswith('hed.prototxt:11: layer "crop" (Crop): no offset: the top starts at 0')
    assert 'of "up", but "data" lies at 6 of it' in crops and "with 1 more such layers" in crops
    assert "hed.prototxt:14: " in loss and "loss_param { class_balanced: true }" in loss
    assert main(["upgrade", "--as-meant", "hed.prototxt", "meant.prototxt"]) == 0
    caplog.clear()
    net = caffelite.Net("meant.prototxt", caffelite.TRAIN, seed=1)
    assert not caplog.records
    written = caffelite.Net("hed.prototxt", caffelite.TRAIN, seed=1)
    for each in (net, written):
        each.forward()
    up, y = (net.blobs[name].data for name in ("up", "edges"))
    np.testing.assert_array_equal(y, up[:, :, 6:15, 6:14])
    np.testing.assert_array_equal(written.blobs["edges"].data, up[:, :, :9, :8])  # as in BVLC's
    x, t = y.ravel().astype(float), net.blobs["label"].data.ravel()
    losses = np.log1p(np.exp(x)) - x * t
    expected = losses @ np.where(t == 1, 1 - t.mean(), t.mean())
    np.testing.assert_allclose(net.blobs["loss"].data, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "down, up, offset",
    [
        ("kernel_size: 3 pad: 1", "kernel_size: 1", None),
        ("kernel_size: 3 pad: 2", "kernel_size: 1", 1),
        (
            "kernel_size: 3 pad: 1 stride: 2",
            "kernel_size: 4 pad: 1 stride: 2",
            None,
        ),  # half a pixel
        ("kernel_size: 3 pad: 1 stride: 2", "kernel_size: 4 stride: 2", 2),  # 1.5, rounded
        ("kernel_size: 1 stride: 8", "kernel_size: 16 pad: 4 stride: 8", None),  # 3.5, of nothing
        ("kernel_h: 3 kernel_w: 3", "kernel_size: 3", None),  # coordinates are not known
    ],
)
def test_a_crop_without_offset_is_told_where_another_is_nearer_and_fits(down, up, offset, caplog):
    text = f"""
        layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: [1, 1, 8, 8] }} }} }}
        layer {{ name: "a" type: "Convolution" bottom: "x" top: "a"
          convolution_param {{ num_output: 1 {down} }} }}
        layer {{ name: "b" type: "Deconvolution" bottom: "a" top: "b"
          convolution_param {{ num_output: 1 {up} }} }}
        layer {{ name: "c" type: "Crop" bottom: "b" bottom: "x" top: "c" }}"""
    caffelite.Net(parse(text, NetParameter), phase=caffelite.TEST)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (offset is not None)
    assert all(f'but "x" lies at {offset} of it' in words for words in said)


def test_the_offsets_of_hed_follow_from_its_windows():
    """Those that its Caffe finds for its published files, which say none."""
    net = read_net(Path(caffelite.__file__).parent.parent / "models" / "hed" / "deploy.prototxt")
    written = {}
    for layer in net.layer:
        if layer.type == "Crop":
            written[layer.name] = layer.crop_param.offset[0]
            layer.ClearField("crop_param")
    found = {net.layer[one.place].name: one.words for one in unsaid(net.layer, lambda at, k: None)}
    assert [*written.values()] == [34, 35, 36, 38, 42] and found.keys() == written.keys()
    assert all(f"lies at {at} of it" in found[name] for name, at in written.items())
