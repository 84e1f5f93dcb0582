"""caffe.model_libs: the functions by which SSD's scripts write their prototxts."""

import json

import pytest

import caffelite
from caffelite.cli import main
from caffelite.net_spec import NetSpec
from caffelite.pycaffe import model_libs

SOURCES = ["conv4_3", "fc7", "conv6_2", "conv7_2", "conv8_2", "conv9_2"]

# As SSD's own scripts are, for those who know them.
SCRIPT = """
import caffe
from caffe.model_libs import *

def add_extra_layers(net):
    from_layer = net.keys()[-1]
    for out_layer, sizes in [
        ("conv6_1", (256, 1, 0, 1)), ("conv6_2", (512, 3, 1, 2)), ("conv7_1", (128, 1, 0, 1)),
        ("conv7_2", (256, 3, 1, 2)), ("conv8_1", (128, 1, 0, 1)), ("conv8_2", (256, 3, 0, 1)),
        ("conv9_1", (128, 1, 0, 1)), ("conv9_2", (256, 3, 0, 1)),
    ]:
        ConvBNLayer(net, from_layer, out_layer, False, True, *sizes, lr_mult=1)
        from_layer = out_layer

net = caffe.NetSpec()
net.data, net.label = CreateAnnotatedDataLayer(
    "train_lmdb", batch_size=8, train=True, output_label=True, label_map_file="labelmap.prototxt",
    transform_param=dict(mean_value=[104, 117, 123]),
    batch_sampler=[dict(max_trials=1, max_sample=1), dict(sampler=dict(min_scale=0.3))])
VGGNetBody(net, from_layer="data", fully_conv=True, reduced=True, dilated=True, dropout=False,
           freeze_layers=["conv1_1", "pool9"])
add_extra_layers(net)
mbox_layers = CreateMultiBoxHead(
    net, data_layer="data", from_layers=SOURCES, use_batchnorm=False,
    min_sizes=[30., 60., 111., 162., 213., 264.], max_sizes=[60., 111., 162., 213., 264., 315.],
    aspect_ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]], steps=[8, 16, 32, 64, 100, 300],
    normalizations=[20, -1, -1, -1, -1, -1], num_classes=21, share_location=True, flip=True,
    clip=False, prior_variance=[0.1, 0.1, 0.2, 0.2], kernel_size=3, pad=1, lr_mult=1)
mbox_layers.append(net.label)
net.mbox_loss = L.MultiBoxLoss(
    *mbox_layers, multibox_loss_param=dict(num_classes=21, code_type=P.PriorBox.CENTER_SIZE),
    include=dict(phase=caffe_pb2.Phase.Value("TRAIN")), propagate_down=[True, True, False, False])
assert check_if_exist(os.curdir)
make_if_not_exist("jobs/VGGNet")
make_if_not_exist("jobs/VGGNet")
"""


@pytest.fixture(scope="module")
def ssd300():
    caffelite.install_as_caffe()
    names = {"SOURCES": SOURCES}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_libs.os, "makedirs", lambda path, exist_ok: None)
        exec(SCRIPT, names)
    return names["net"].to_proto()


def counted(net, tmp_path, capsys):
    """{layer: facts}, and the totals, of `caffelite summary`, on 3 x 300 x 300 pixels."""
    text = str(net).partition('layer {\n  name: "conv')
    data = 'layer { name: "data" type: "Input" top: "data" input_param { shape { %s } } }'
    dims = " ".join(f"dim: {size}" for size in (1, 3, 300, 300))
    (tmp_path / "net.prototxt").write_text(data % dims + "".join(text[1:]))
    assert main(["summary", str(tmp_path / "net.prototxt"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    return {layer["name"]: layer for layer in facts["layers"]}, facts["totals"]


def test_ssd300_has_the_published_counts(ssd300, tmp_path, capsys):
    net = caffelite.proto.caffe_pb2.NetParameter(layer=ssd300.layer[:-1])  # the loss needs labels
    layers, totals = counted(net, tmp_path, capsys)
    assert totals["learnable"] == 26_285_486
    assert totals["macs"] == 31_373_537_792
    assert layers["mbox_priorbox"]["top"][0]["shape"][-1] == 4 * 8732


def test_ssd300_has_the_published_layers(ssd300):
    layers = {layer.name: layer for layer in ssd300.layer}
    for source in ["conv4_3_norm", *SOURCES[1:]]:
        for kind in ("loc", "conf"):
            for ending in ("", "_perm", "_flat"):
                assert f"{source}_mbox_{kind}{ending}" in layers
        prior = layers[f"{source}_mbox_priorbox"]
        assert list(prior.bottom) == [source, "data"]
    data = layers["data"]
    assert list(data.top) == ["data", "label"] and data.include[0].phase == caffelite.TRAIN
    assert data.annotated_data_param.batch_sampler[1].sampler.min_scale == pytest.approx(0.3)
    norm = layers["conv4_3_norm"].norm_param
    assert norm.scale_filler.value == 20 and not norm.across_spatial and not norm.channel_shared
    prior = layers["conv4_3_norm_mbox_priorbox"].prior_box_param
    assert (list(prior.min_size), list(prior.max_size), prior.step) == ([30], [60], 8)
    assert list(prior.aspect_ratio) == [2] and prior.flip and not prior.clip
    assert layers["fc7_mbox_loc"].convolution_param.num_output == 6 * 4
    assert layers["fc7_mbox_conf"].convolution_param.num_output == 6 * 21
    fc6 = layers["fc6"].convolution_param
    assert (fc6.num_output, list(fc6.pad), list(fc6.dilation)) == (1024, [6], [6])
    assert layers["mbox_priorbox"].concat_param.axis == 2
    assert [p.lr_mult for p in layers["conv1_1"].param] == [0, 0]
    assert [(p.lr_mult, p.decay_mult) for p in layers["conv1_2"].param] == [(1, 1), (2, 0)]
    assert "conv6_1_relu" in layers and "relu7" in layers and "drop6" not in layers
    loss = layers["mbox_loss"]
    assert list(loss.bottom) == ["mbox_loc", "mbox_conf", "mbox_priorbox", "label"]


@pytest.mark.parametrize(
    "body, options, last, parameters",
    [
        # those of the classifiers, but for their last InnerProducts
        pytest.param(
            *("ResNet101Body", {}, "pool5", 44_549_160 - 2_049_000), marks=pytest.mark.slow
        ),
        ("ResNet152Body", {"use_dilation_conv5": True}, "pool5", 60_192_808 - 2_049_000),
        ("VGGNetBody", {"need_fc": False}, "relu5_3", 14_714_688),
        ("VGGNetBody", {"fully_conv": True}, "drop7", 138_357_544 - 4_097_000),
        ("VGGNetBody", {"need_fc": False, "nopool": True}, "relu5_3", 14_714_688 + 3_134_400),
        ("InceptionV3Body", {}, "mixed_10/join", 21_768_352),
    ],
)
def test_bodies_have_the_counts_of_their_papers(body, options, last, parameters, tmp_path, capsys):
    net = NetSpec()
    net.data = model_libs.L.Input()
    getattr(model_libs, body)(net, "data", **options)
    assert net.keys()[-1] == last
    _, totals = counted(net.to_proto(), tmp_path, capsys)
    assert totals["learnable"] == parameters


def test_batch_norm_and_scale_have_the_rates_and_names_of_the_scripts():
    net = NetSpec()
    net.data = model_libs.L.Input()
    model_libs.ConvBNLayer(net, "data", "a", True, True, 8, [1, 7], [0, 3], 1, dilation=2)
    model_libs.ConvBNLayer(net, "a", "b", True, False, 8, 3, 1, 1, use_scale=False, lr_mult=0.1)
    model_libs.ConvBNLayer(net, "b", "c", True, False, 8, 3, 1, 1, use_global_stats=True)
    layers = {layer.name: layer for layer in net.to_proto().layer}
    assert list(layers) == [
        *("data", "a", "a_bn", "a_scale", "a_relu", "b", "b_bn", "b_bias", "c", "c_bn", "c_scale")
    ]
    wide = layers["a"].convolution_param
    assert (wide.kernel_h, wide.kernel_w, wide.pad_w, wide.stride_h) == (1, 7, 3, 1)
    assert list(wide.dilation) == [2] and not wide.bias_term
    norm = layers["a_bn"].batch_norm_param
    assert (norm.eps, norm.moving_average_fraction) == (
        pytest.approx(0.001),
        pytest.approx(0.999),
    )
    assert [p.lr_mult for p in layers["a_bn"].param] == [0, 0, 0]
    assert [p.lr_mult for p in layers["b_bias"].param] == [pytest.approx(0.1)]
    assert layers["c_bn"].batch_norm_param.use_global_stats
    assert [p.lr_mult for p in layers["c_scale"].param] == [0, 0]


def test_what_does_not_fit_is_an_error():
    net = NetSpec()
    net.data = model_libs.L.Input()
    with pytest.raises(ValueError, match='the net has no "dat"; it has data'):
        model_libs.VGGNetBody(net, "dat")
    head = {"num_classes": 3, "from_layers": ["data"]}
    with pytest.raises(ValueError, match="min_sizes has 0 values, expected 1"):
        model_libs.CreateMultiBoxHead(net, **head)
    with pytest.raises(ValueError, match="steps has 2 values, expected 1"):
        model_libs.CreateMultiBoxHead(net, **head, min_sizes=[30], steps=[1, 2])
    with pytest.raises(ValueError, match="num_classes"):
        model_libs.CreateMultiBoxHead(net, from_layers=["data"], min_sizes=[30])
    with pytest.raises(ValueError, match="a list of 1 or 2"):
        model_libs.UnpackVariable([1, 2, 3], 2)
    assert model_libs.UnpackVariable([3], 2) == [3, 3] == model_libs.UnpackVariable(3, 2)


def test_several_sizes_and_objectness_count():
    net = NetSpec()
    net.data = model_libs.L.Input()
    tops = model_libs.CreateMultiBoxHead(
        *(net, "data", 5, ["data"]),
        use_objectness=True,
        use_batchnorm=False,
        min_sizes=[[10, 20]],
        max_sizes=[[20, 40]],
        aspect_ratios=[2],
        inter_layer_depth=[16],
        share_location=False,
        img_height=100,
        img_width=200,
        loc_postfix="_x",
    )
    layers = {layer.name: layer for layer in net.to_proto().layer}
    priors = 2 * (1 + 1 + 2)  # for each size: it, the mean with the larger one, 2:1 and 1:2
    outputs = {
        name: layers[f"data_inter_mbox_{name}"].convolution_param.num_output
        for name in ("loc_x", "conf", "objectness")
    }
    assert outputs == {"loc_x": priors * 4 * 5, "conf": priors * 5, "objectness": priors * 2}
    prior = layers["data_inter_mbox_priorbox"].prior_box_param
    assert (prior.img_h, prior.img_w) == (100, 200)
    assert len(tops) == 4 and "mbox_objectness" in layers
