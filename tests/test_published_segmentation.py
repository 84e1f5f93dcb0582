"""Published prototxts that give each pixel a class, in the forms that they have: nets build.

They are made from the programs of models/, layer by layer as far as these are published ones, with
what the authors' files write otherwise: FCN's (train and val of voc-fcn32s, 16s, 8s, alexnet),
SegNet's (segnet_train, segnet_basic_train), PSPNet's (pspnet50_ADE20K_473), DeepLab's, HED's
(train_val and deploy), ENet's (train_encoder_decoder and deploy). Shapes, names and counts
are those of the cards, which test_models.py holds against what is printed.
"""

import json
from pathlib import Path

import pytest

from caffelite.cli import main
from caffelite.proto.caffe_pb2 import LayerParameter
from caffelite.proto.text import parse, read_net, to_text

MODELS = Path(__file__).parent.parent / "models"
FILLERS = {"weight_filler", "bias_filler"}


def fcn(net, module, layer, folder):
    """A Python layer of pairs, no fillers, and a loss with the old word for a sum."""
    text = (
        f"{{'{folder}': 'VOC', 'seed': 1337, 'split': 'train', 'mean': (104.00699, 116.7, 122.7)}}"
    )
    data = f"""name: "data" type: "Python" top: "data" top: "label" python_param {{
        module: "{module}" layer: "{layer}" param_str: "{text}" }}"""
    without_fillers(net)
    for one in net.layer:
        if one.HasField("loss_param"):
            one.loss_param.ClearField("normalization")
            one.loss_param.normalize = False
    return with_data(net, data)


def without_fillers(net):
    for one in net.layer:
        for filler in FILLERS:
            one.convolution_param.ClearField(filler)
        if not one.convolution_param.ListFields():
            one.ClearField("convolution_param")


def with_data(net, *texts):
    """Other data layers, in text, and no measure that the authors' files have not."""
    rest = [one for one in net.layer if one.name != "data" and one.type != "Accuracy"]
    del net.layer[:]
    net.layer.extend([parse(text, LayerParameter) for text in texts] + rest)
    return net


def segnet(net):
    """The label's accuracy, too, and a BN without rates."""
    net = with_data(
        net,
        """name: "data" type: "DenseImageData" top: "data" top: "label"
        dense_image_data_param { source: "/CamVid/train.txt" batch_size: 4 shuffle: true }""",
    )
    scores = next(one for one in net.layer if one.type == "SoftmaxWithLoss").bottom[0]
    for one in net.layer:
        if one.type == "BN":
            one.ClearField("param")
    net.layer.add(name="accuracy", type="Accuracy", bottom=[scores, "label"],
                  top=["accuracy", "per_class_accuracy"])  # fmt: skip
    return net


def hed(net):
    """Crops of one name that say no offset, losses without names, concat_dim, no fillers."""
    without_fillers(net)
    for one in net.layer:
        if one.type == "Crop":
            one.name = "crop"
            one.ClearField("crop_param")
        elif one.type == "SigmoidCrossEntropyLoss":
            one.ClearField("name")
            one.ClearField("loss_param")
            one.loss_weight[:] = [1]
        elif one.type == "Concat":
            one.concat_param.concat_dim = 1
    if net.layer[0].type == "Input":
        return net
    options = "mirror: false mean_value: 104.00699 mean_value: 116.66877 mean_value: 122.67892"
    data = f"""name: "data" type: "ImageLabelmapData" top: "data" top: "label"
        include {{ phase: %s }} transform_param {{ {options} }} image_data_param {{
        root_folder: "../../data/HED-BSDS/" source: "train_pair.lst" batch_size: 1
        shuffle: true new_height: 0 new_width: 0 }}"""
    return with_data(net, data % "TRAIN", data % "TEST")


def pspnet(net):
    """BN in the words of its first Caffe; the input in an old form is told elsewhere."""
    words = """scale_filler { type: "constant" value: 1 } shift_filler { type: "constant" value: 0 }
        moving_average: true decay: 0.05"""
    for one in net.layer:
        if one.type == "BN":
            one.ClearField("bn_param")
            one.bn_param.CopyFrom(parse(f"bn_param {{ {words} }}", LayerParameter).bn_param)
    return net


def deeplab(net):
    """Pairs that are cropped and padded, and hole for dilation."""
    for one in net.layer:
        one.convolution_param.hole[:] = one.convolution_param.dilation
        one.convolution_param.ClearField("dilation")
        if not one.convolution_param.ListFields():
            one.ClearField("convolution_param")
    data = """name: "data" type: "ImageSegData" top: "data" top: "label" top: "data_dim"
        include { phase: TRAIN } transform_param { mirror: true crop_size: 321
        mean_value: 104.008 mean_value: 116.669 mean_value: 122.675 }
        image_data_param { root_folder: "VOC2012" source: "train_aug.txt" batch_size: 10
        shuffle: true label_type: PIXEL }"""
    net = with_data(net, data)
    net.layer.add(name="silence", type="Silence", bottom=["data_dim"])
    return net


def enet(net):
    """Its Python layer of spatial dropout, no layer in place, an accuracy under another name."""
    train = net.layer[0].type != "Input"
    phase = "TRAIN" if train else "TEST"
    for one in net.layer:
        if one.type == "SpatialDropout":
            ratio = f"{one.spatial_dropout_param.dropout_ratio:g}"
            one.ClearField("spatial_dropout_param")
            one.type, one.python_param.module = "Python", "spatial_dropout"
            one.python_param.layer = "SpatialDropoutLayer"
            one.python_param.param_str = str({"phase": phase, "p": ratio})
    out_of_place(net)
    if not train:
        return net
    scores = next(one for one in net.layer if one.type == "SoftmaxWithLoss").bottom[0]
    net = with_data(
        net,
        """name: "data" type: "DenseImageData" top: "data" top: "label" dense_image_data_param {
        source: "train_fine_2columns.txt" batch_size: 3 shuffle: true new_height: 512
        new_width: 1024 label_divide_factor: 1 }""",
    )
    net.layer.add(name="accuracy", type="Accuracy", bottom=[scores, "label"],
                  top=["per_class_accuracy"])  # fmt: skip
    return net


def out_of_place(net):
    """Let each layer that works in place have a top of its own, of its name."""
    renamed = {}
    for one in net.layer:
        bottoms = [renamed.get(name, name) for name in one.bottom]
        if list(one.bottom) == list(one.top):
            renamed[one.top[0]] = one.top[0] = one.name
        one.bottom[:] = bottoms


VOC = ("voc_layers", "VOCSegDataLayer", "voc_dir")
SBDD = ("voc_layers", "SBDDSegDataLayer", "sbdd_dir")
FILES = {
    "fcn-32s train": (lambda net: fcn(net, *SBDD), "3,500,500"),
    "fcn-32s val": (lambda net: fcn(net, *VOC), "3,500,500"),
    "fcn-16s train": (lambda net: fcn(net, *SBDD), "3,500,500"),
    "fcn-8s train": (lambda net: fcn(net, *SBDD), "3,500,500"),
    "fcn-8s val": (lambda net: fcn(net, *VOC), "3,500,500"),
    "fcn-alexnet train": (lambda net: fcn(net, "layers", *SBDD[1:]), "3,500,500"),
    "segnet train": (segnet, "3,360,480"),
    "segnet-basic train": (segnet, "3,360,480"),
    "hed train": (hed, "3,500,500"),
    "hed deploy": (hed, None),
    "pspnet-50 deploy": (pspnet, None),
    "deeplab-largefov train": (deeplab, "3,321,321"),
    "deeplab-v2 train": (deeplab, "3,321,321"),
    "enet train": (enet, "3,512,1024"),
    "enet deploy": (enet, None),
}


@pytest.mark.parametrize("file", FILES)
def test_a_published_form_builds_with_the_published_shapes_and_counts(file, tmp_path, capsys):
    (name, kind), (change, shape) = file.split(), FILES[file]
    ours = MODELS / name / ("deploy.prototxt" if kind == "deploy" else "train_val.prototxt")
    path = tmp_path / "net.prototxt"
    path.write_text(to_text(change(read_net(ours))))
    given = ["--data-shape", shape] if shape else []
    found, expected = (
        described(capsys, str(net), "TEST" if kind == "val" else "TRAIN", given)
        for net in (path, ours)
    )
    assert found == expected and sum(map(len, found.values())) > 20


def described(capsys, path, phase, given):
    """{layer with values: its shapes and how many values}, of the layers that learn."""
    assert main(["summary", path, "--phase", phase, "--json", *given]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    return {
        layer["name"]: (
            layer["type"],
            layer["learnable"],
            [top["shape"][1:] for top in layer["top"]],
        )
        for layer in layers
        if layer["learnable"]
    }
