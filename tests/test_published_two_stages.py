"""Published prototxts of detectors in two stages, in the forms that they have: nets build.

They are made from the programs of models/, with what the authors' files write otherwise: those of
fast-rcnn (train, test; no_bbox_reg, compressed, fc_only, piecewise, which freezes layers, and coco;
those of its first months, whose data are inputs), of py-faster-rcnn (faster_rcnn_end2end: train,
test; faster_rcnn_alt_opt: stage1 and stage2, rpn and fast_rcnn, rpn_test, faster_rcnn_test;
fast_rcnn: train, test) and of R-FCN (rfcn_end2end: train_agnostic, train_agnostic_ohem,
test_agnostic; rfcn_alt_opt_5step_ohem: rpn_train, rfcn_ohem_train, tests).

Drafts in the histories of these repositories, from before Fast R-CNN had its name, are of the form
of 2013 with a type ROI_POOLING, which Caffe's schema never had: these are not read.
"""

import json
from pathlib import Path

import pytest

from caffelite.cli import main
from caffelite.layers.detection._rcnn_settings import rcnn_settings
from caffelite.models.program import program
from caffelite.net.passes import filter_layers
from caffelite.proto.caffe_pb2 import TRAIN, LayerParameter, NetParameter
from caffelite.proto.text import parse, to_text

MODELS = Path(__file__).parent.parent / "models"
DATA = "roi_data_layer.layer", "RoIDataLayer"
MODULES = {
    "AnchorTarget": ("rpn.anchor_target_layer", "AnchorTargetLayer", "'feat_stride': 16"),
    "Proposal": ("rpn.proposal_layer", "ProposalLayer", "'feat_stride': 16"),
    "ProposalTarget": ("rpn.proposal_target_layer", "ProposalTargetLayer", "'num_classes': {}"),
    "RoIData": (*DATA, "'num_classes': {}"),
}
ENDS = {"RoIDetectionOutput", "DetectionEvaluate"}


def python(layer, classes):
    """The Python layer that theirs is."""
    module, name, words = MODULES[layer.type]
    theirs = LayerParameter(name=layer.name, type="Python", bottom=layer.bottom, top=layer.top)
    if layer.type == "AnchorTarget":
        theirs.bottom.append("data")
    options = theirs.python_param
    options.module, options.layer, options.param_str = module, name, words.format(classes)
    return theirs


def trained(name, classes=21):
    made = program(MODELS / name / "net.py").train_val()
    made.state.phase = TRAIN
    made = filter_layers(made)
    made.ClearField("state")
    layers = [python(one, classes) if one.type in MODULES else one for one in made.layer]
    for layer in layers:
        layer.ClearField("include")
        if layer.type == "Dropout":
            layer.dropout_param.scale_train = False
        if layer.name == "rpn_loss_cls":
            layer.loss_param.normalize = True
    return NetParameter(name=made.name, layer=layers)


def for_use(name):
    made = program(MODELS / name / "net.py").deploy()
    layers = [python(one, 21) if one.type in MODULES else one for one in made.layer[2:]]
    text = """input: "data" input_shape { dim: 1 dim: 3 dim: 224 dim: 224 }
              input: "im_info" input_shape { dim: 1 dim: 3 } """
    return text + to_text(NetParameter(layer=[one for one in layers if one.type not in ENDS]))


def upto(net, last):
    """The net's layers up to one of this name."""
    names = [layer.name for layer in net.layer]
    del net.layer[names.index(last) + 1 :]
    return net


def of_regions(net, *tops):
    """Regions come with the data; nothing proposes any."""
    data = f"""name: "data" type: "Python" {" ".join(f'top: "{top}"' for top in tops)}
        python_param {{ module: "{DATA[0]}" layer: "{DATA[1]}" param_str: "'num_classes': 21" }}"""
    rest = [one for one in net.layer if not one.name.startswith(("rpn", "proposal", "roi_data"))]
    return NetParameter(name=net.name, layer=[parse(data, LayerParameter), *rest[1:]])


def stage1_rpn(name):
    """Dense layers that nothing reads, so that their weights are in the file."""
    net = upto(trained(name), "rpn_loss_bbox")
    dummy = 'name: "dummy" type: "DummyData" top: "dummy"'
    frozen = "param { lr_mult: 0 decay_mult: 0 } " * 2
    for text in (
        f"{dummy} dummy_data_param {{ shape {{ dim: 1 dim: 9216 }} }}",
        f'name: "fc6" type: "InnerProduct" bottom: "dummy" top: "fc6" {frozen}'
        "inner_product_param { num_output: 4096 }",
        'name: "silence_fc6" type: "Silence" bottom: "fc6"',
    ):
        net.layer.append(parse(text, LayerParameter))
    return net


def stage2(net):
    """The layers of the region proposal net, which hold still, so that they are in the file."""
    rpn = ("rpn_conv", "rpn_relu", "rpn_cls_score", "rpn_bbox_pred")
    own = [layer for layer in net.layer if layer.name.startswith(rpn) and layer.type != "Reshape"]
    made = of_regions(net, *REGIONS)
    made.layer.extend(own)
    for blob in ("rpn_cls_score", "rpn_bbox_pred"):
        made.layer.add(name=f"silence_{blob}", type="Silence", bottom=[blob])
    return made


def fast(net, *tops):
    """As the first Fast R-CNN has it: one blob of weights, no ignored label."""
    made = of_regions(net, *tops)
    for layer in made.layer:
        layer.ClearField("loss_param")
        if layer.name == "loss_bbox":
            del layer.bottom[2:]
            layer.bottom.append("bbox_loss_weights")
    return made


def by_inputs(net):
    """As in its first months: a script fills in what it is given."""
    made = fast(net, *FIRST)
    del made.layer[0]
    inputs = ""
    for name, dims in zip(FIRST, [(1, 3, 224, 224), (1, 5), (1,), (1, 84), (1, 84)], strict=True):
        shape = " ".join(f"dim: {dim}" for dim in dims)
        inputs += f'input: "{name}" input_shape {{ {shape} }}\n'
    return inputs + to_text(made)


def without_boxes(net):
    rest = [layer for layer in net.layer if "bbox" not in layer.name]
    return NetParameter(name=net.name, layer=rest)


def compressed(net):
    """fc6 is a product of two, of which the first has no bias."""
    made = NetParameter()
    for layer in parse(net, NetParameter).layer if isinstance(net, str) else net.layer:
        if layer.name == "fc6":
            first = LayerParameter()
            first.CopyFrom(layer)
            first.name, first.top[0] = "fc6_L", "fc6_L"
            del first.param[1:]
            first.inner_product_param.num_output, first.inner_product_param.bias_term = 1024, False
            made.layer.append(first)
            layer.name, layer.bottom[0] = "fc6_U", "fc6_L"
        made.layer.append(layer)
    return GIVEN + to_text(made)


def given_regions(name):
    """Data and rois are given, and nothing else."""
    made = program(MODELS / name / "net.py").deploy()
    rest = [layer for layer in made.layer if layer.type not in ENDS | {"Input"}]
    drop = ("rpn", "proposal")
    return NetParameter(layer=[one for one in rest if not one.name.startswith(drop)])


def of_input(net):
    return GIVEN + to_text(net)


GIVEN = """input: "data" input_shape { dim: 1 dim: 3 dim: 224 dim: 224 }
           input: "rois" input_shape { dim: 1 dim: 5 } """
FIRST = "data", "rois", "labels", "bbox_targets", "bbox_loss_weights"
REGIONS = "data", "rois", "labels", "bbox_targets", "bbox_inside_weights", "bbox_outside_weights"
FASTER, RFCN = "faster-rcnn-zf", "rfcn-resnet-50"
RPN = 256 * 256 * 9 + 256 + (256 + 1) * 54
OF_RFCN = {"TRAIN.AGONISTIC": True, "TRAIN.BATCH_SIZE": -1}
FORMS = {  # a net, settings, and learnable values: of which net, and how many more or less
    "end2end train": (lambda: trained(FASTER), {}, (FASTER, 0)),
    "end2end test": (lambda: for_use(FASTER), {}, (FASTER, 0)),
    "VGG16 end2end train": (lambda: trained("faster-rcnn-vgg16"), {}, ("faster-rcnn-vgg16", 0)),
    "rpn_test": (lambda: rpn_for_use(), {}, (FASTER, None)),
    "stage1_rpn_train": (lambda: stage1_rpn(FASTER), {}, (FASTER, None)),
    "fast-rcnn train": (lambda: fast(trained(FASTER), *FIRST), {}, (FASTER, -RPN)),
    "fast-rcnn train by inputs": (lambda: by_inputs(trained(FASTER)), {}, (FASTER, -RPN)),
    "no_bbox_reg train": (
        lambda: without_boxes(fast(trained(FASTER), "data", "rois", "labels")),
        {"TRAIN.BBOX_REG": False},
        (FASTER, -RPN - 4097 * 84),
    ),
    "fast-rcnn test": (lambda: of_input(given_regions(FASTER)), {}, (FASTER, -RPN)),
    "no_bbox_reg test": (
        lambda: of_input(without_boxes(given_regions(FASTER))),
        {},
        (FASTER, -RPN - 4097 * 84),
    ),
    "compressed test": (
        lambda: compressed(given_regions(FASTER)),
        {},
        (FASTER, -RPN - 4096 * 9216 + 1024 * (4096 + 9216)),
    ),
    "stage2_fast_rcnn_train": (lambda: stage2(trained(FASTER)), {}, (FASTER, 0)),
    "fast_rcnn train": (lambda: of_regions(trained(FASTER), *REGIONS), {}, (FASTER, -RPN)),
    "rfcn train": (lambda: trained(RFCN, 2), {"TRAIN.AGONISTIC": True}, (RFCN, 0)),
    "rfcn train ohem": (lambda: trained(f"{RFCN}-ohem", 2), OF_RFCN, (RFCN, 0)),
    "rfcn stage2 ohem train": (
        lambda: of_regions(trained(f"{RFCN}-ohem", 2), *REGIONS),
        OF_RFCN | {"TRAIN.IMS_PER_BATCH": 1},
        (RFCN, None),
    ),
    "rfcn test": (lambda: for_use(RFCN), {}, (RFCN, 0)),
}


def rpn_for_use():
    net = parse(for_use(FASTER), NetParameter)
    net = upto(net, "proposal")
    net.layer[-1].top.append("scores")
    return net


@pytest.fixture(autouse=True)
def settings():
    yield rcnn_settings
    rcnn_settings.reset()


@pytest.mark.parametrize("form", FORMS)
def test_a_form_builds(form, tmp_path, capsys, settings):
    make, given, (name, more) = FORMS[form]
    settings.update(given)
    made = make()
    path = tmp_path / "net.prototxt"
    path.write_text(made if isinstance(made, str) else to_text(made))
    phase = "TEST" if "test" in form else "TRAIN"
    assert main(["summary", str(path), "--phase", phase, "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    learnable = sum(layer["learnable"] for layer in layers)
    if more is not None:
        assert learnable == card(name) + more
    else:
        assert 0 < learnable < card(name)


def card(name):
    text = (MODELS / name / "readme.md").read_text()
    return int(text.split("\nlearnable: ")[1].split("\n")[0])
