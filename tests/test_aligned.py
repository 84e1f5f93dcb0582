"""Crops that find their offset: layers { type: CROP } of FCN's Caffe, and U-Net's."""

import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.errors import NetError
from caffelite.net.aligned import with_offsets
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
