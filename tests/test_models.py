"""models/ and solvers/: nets equal the published ones, cards tell the truth, programs agree."""

import gzip
import html
import json
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import yaml

import caffelite
from caffelite.cli import main
from caffelite.models.blocks import basic, small, small_pre_activated, small_resnet
from caffelite.models.program import Program, program
from caffelite.proto.caffe_pb2 import TRAIN
from caffelite.proto.text import read_net, read_solver
from caffelite.solver import lr_policy
from tools import benchmark_nets
from tools.printed._nets import count, depth, multiply_adds

from .families import one_of_each

ROOT = Path(__file__).parent.parent
PROGRAMS = sorted(path.parent.name for path in (ROOT / "models").glob("*/net.py"))
NETS = [name for name in PROGRAMS if (ROOT / "models" / name / "deploy.prototxt").exists()]
LONG = sorted({*PROGRAMS} - {*NETS})  # of which only the program is kept
GOLDEN = sorted((ROOT / "tests" / "golden" / "zoo").glob("*.json.gz"))


@lru_cache
def deployed(name):
    folder = ROOT / "models" / name
    kept = str(folder / "deploy.prototxt") if name in NETS else program(folder / "net.py").deploy()
    return caffelite.Net(kept, caffelite.TEST)


@lru_cache
def card(name):
    facts, _, prose = (ROOT / "models" / name / "readme.md").read_text()[4:].partition("\n---\n")
    return yaml.safe_load(facts), prose.strip()


def described(net):
    """A built net as the recorded facts have it: Split layers left out, their readers rewired."""
    source, layers = {}, []
    for node in net.nodes:
        layer = node.layer
        bottoms = [source.get(name, name) for name in node.bottom_names]
        if layer.type == "Split":
            source.update(dict.fromkeys(node.top_names, bottoms[0]))
            continue
        tops = zip(node.top_names, node.top_blobs, strict=True)
        layers.append(
            {
                "name": layer.name,
                "type": layer.type,
                "bottom": bottoms,
                "top": [[name, list(blob.shape)] for name, blob in tops],
                "param": [list(blob.shape) for blob in layer.blobs],
            }
        )
    return layers


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_a_net_has_the_names_and_shapes_of_the_published_one(path):
    expected = json.loads(gzip.decompress(path.read_bytes()))
    name = path.name.removesuffix(".json.gz")
    if name.endswith("-train"):
        batch = expected["layers"][0]["top"][0][1][0]
        param = benchmark_nets.in_memory(name.removesuffix("-train"), TRAIN, batch)
        net, first = caffelite.Net(param, caffelite.TRAIN), 1  # after the data
    else:
        net, first = deployed(name), 0
    for ours, theirs in zip(described(net)[first:], expected["layers"][first:], strict=True):
        assert ours == theirs
    assert count(net, statistics=False) == expected["learnable"]
    assert count(net, statistics=True) == expected["with_bn_stats"]


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("googlenet", {"loss1/loss1": 0.3, "loss2/loss2": 0.3, "loss3/loss3": 1}),
        ("agenet-identity", {"loss1/loss1": 0.3, "loss2/loss2": 0.3, "loss": 1}),
        ("inception-v3", {"auxiliary_loss": 0.4, "loss": 1}),
        ("inception-v3-table", {"auxiliary_loss": 0.4, "loss": 1}),
    ],
)
def test_auxiliary_losses(name, weights):
    net = caffelite.Net(benchmark_nets.in_memory(name, TRAIN, 8), caffelite.TRAIN)
    assert card(name)[0]["learnable_with_auxiliary"] == count(net, statistics=False)
    found = {loss: weight for loss, weight in net.blob_loss_weights.items() if weight}
    assert found == pytest.approx(weights)
    losses = [node for node in net.nodes if node.layer.role == "loss"]
    assert len({node.bottom_blobs[0].shape for node in losses}) == 1, "classes of the losses"


BY_MACHINES = "rcnn-digits", "spp-digits"  # whose last layers `caffelite svm` trains


@pytest.mark.parametrize("name", one_of_each(NETS))
def test_the_deploy_net_takes_the_weights_of_the_trained_one(name):
    trained = caffelite.Net(benchmark_nets.in_memory(name, TRAIN, 2), caffelite.TRAIN)
    theirs = {layer: [b.shape for b in blobs] for layer, blobs in trained.params.items()}
    machines = {"svm", "bbox_pred"} if name in BY_MACHINES else set()
    assert theirs.keys().isdisjoint(machines)
    for layer, blobs in deployed(name).params.items():
        if layer in machines:
            continue
        assert theirs[layer] == [blob.shape for blob in blobs], layer


FACTS = ("name", "task", "data", "input", "output", "layers", "learnable", "multiply_adds")
FACTS += ("layer_names", "accuracy", "solver", "source", "license")


@pytest.mark.parametrize("name", one_of_each([*NETS, *LONG]))
def test_a_card_says_what_the_net_has(name):
    facts, prose = card(name)
    net = deployed(name)
    assert set(FACTS) <= set(facts)
    fixed = facts.get("fixed", 0)
    assert facts["learnable"] + fixed == count(net, statistics=False)
    learnable = facts.get("learnable_with_statistics", facts["learnable"])
    assert learnable + fixed == count(net, statistics=True)
    assert facts["multiply_adds"] == multiply_adds(net)
    assert facts["layers"] == depth(net)
    first = net.inputs[0]
    dims = " x ".join(map(str, net.blobs[first].shape[1:]))
    assert facts["input"].startswith(f"{first}, {dims},")
    assert prose.startswith("# ")
    solver = read_solver(str(ROOT / facts["solver"]))
    assert solver.net == f"models/{name}/train_val.prototxt"


@pytest.mark.parametrize("name", NETS)
def test_the_program_writes_what_is_committed(name):
    folder = ROOT / "models" / name
    for file, text in program(folder / "net.py").files().items():
        hint = f"python -m caffelite.models.program models/{name}/net.py"
        assert (folder / file).read_text() == text, hint


DIVISIONS = {  # by ten, where the error stands still, as the papers have it
    "alexnet-ungrouped": 3,
    **dict.fromkeys(["vgg-11", "vgg-11-lrn", "vgg-13", "vgg-16-c", "vgg-16", "vgg-19"], 3),
    **dict.fromkeys(["msra-prelu-a", "msra-prelu-b", "msra-prelu-c"], 2),
}


@pytest.mark.parametrize("name", DIVISIONS)
def test_rates_are_divided_by_ten_as_often_as_in_the_paper(name):
    param = read_solver(str(ROOT / "solvers" / f"{name}.prototxt"))
    rates = [lr_policy.rate_at(param, 0, step)[0] for step in range(9)]
    expected = [0.01 / 10 ** min(step, DIVISIONS[name]) for step in range(9)]
    assert param.lr_policy == "plateau" and rates == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_the_picture_shows_every_layer(name):
    folder = ROOT / "models" / name
    words = re.findall(r">([^<>]+)</text>", (folder / "net.svg").read_text())
    shown = {html.unescape(word) for word in words}
    layers = {*re.findall(r'^  name: "(.+)"', (folder / "deploy.prototxt").read_text(), re.M)}
    assert layers - shown <= {"data", "prob"}, (
        f"caffelite draw models/{name}/deploy.prototxt models/{name}/net.svg"
    )


@pytest.mark.parametrize("name", one_of_each(NETS))
def test_both_phases_prepare_samples_alike_but_only_training_mirrors(name):
    net = read_net(ROOT / "models" / name / "train_val.prototxt")
    sources = [layer for layer in net.layer if layer.type in benchmark_nets.LABELS]
    if not sources:
        assert net.layer[0].type == "DummyData"
        return
    assert len({source_of(layer) for layer in sources}) == len(sources)
    for train, test in zip(sources[::2], sources[1::2], strict=True):
        rules = train.include[0], test.include[0]
        assert [rule.phase for rule in rules] == [0, 1]
        assert [*rules[0].stage, *rules[0].not_stage] == [*rules[1].stage, *rules[1].not_stage]
        assert not test.transform_param.mirror
        train.transform_param.ClearField("mirror")
        if train.type != "Data":  # those with boxes are changed in both phases, if at all
            for field in ("distort_param", "expand_param", "emit_constraint"):
                assert not test.transform_param.HasField(field)
                train.transform_param.ClearField(field)
            for layer in (train, test):
                layer.transform_param.resize_param.ClearField("interp_mode")
        assert train.transform_param == test.transform_param


def source_of(layer):
    own = {"DenseImageData": layer.dense_image_data_param, "HDF5Data": layer.hdf5_data_param}
    options = own.get(layer.type, layer.data_param)
    return options.source, getattr(options, "label_source", "")


# Published figures


COUNTS = {  # learnable values and multiply-adds
    "lenet-5": (60_000 + 840, 326_520),  # the 840 do not learn
    "siamese": (431_102, 2_293_020),
    "faster-rcnn-vgg16": (137_078_239, 225_573_931_008),
    "fast-rcnn-vgg16": (134_690_729, 219_859_587_072),
    "faster-rcnn-zf": (59_294_751, 33_722_863_104),
    "nin-cifar": (966_986, 222_486_528),
    "resnet-20": (269_722, 40_551_040),
    "resnet-20-b": (272_474, 40_813_184),
    "resnet-32": (464_154, 68_862_592),
    "resnet-44": (658_586, 97_174_144),
    "resnet-56": (853_018, 125_485_696),
    "resnet-110": (1_727_962, 252_887_680),
    "plain-110": (1_727_962, 252_887_680),
    "stochastic-depth-110": (1_727_962, 252_887_680),
    "alexnet-ungrouped": (62_378_344, 1_135_256_096),
    "densenet-121": (7_978_856, 2_834_161_664),
    "inception-resnet-v1": (22_756_328, 6_206_361_696),
    "nin-imagenet": (7_595_176, 1_100_188_800),
    "resnet-18": (11_689_512, 1_814_073_344),
    "resnet-34": (21_797_672, 3_663_761_408),
    "resnet-v2-50": (25_549_352, 4_089_184_256),
    "resnet-v2-101": (44_541_480, 7_801_405_440),
    "resnet-v2-152": (60_185_128, 11_513_626_624),
    "vgg-11": (132_863_336, 7_609_090_048),
    "vgg-11-lrn": (132_863_336, 7_609_090_048),
    "vgg-13": (133_047_848, 11_308_466_176),
    "vgg-16-c": (133_638_952, 11_770_888_192),
    "vgg-16": (138_357_544, 15_470_264_320),
    "vgg-19": (143_667_240, 19_632_062_464),
    "alexnet": (60_965_224, 724_406_816),
    "googlenet": (6_998_552, 1_582_671_872),
    "inception-v3": (23_834_568, 5_713_216_096),
    "inception-v4": (42_679_816, 12_253_974_624),
    "inception-resnet-v2": (55_843_464, 13_155_794_016),
    "mobilenet-v1": (4_231_976, 568_740_352),
    "resnet-101": (44_549_160, 7_570_194_432),
    "resnet-152": (60_192_808, 11_282_415_616),
    "ssd300": (26_285_486, 31_373_537_792),
    "mobilenet-ssd": (5_796_089, 1_148_479_168),
    "yolo-v1": (93_970_430, 20_107_419_648),
    "yolo-v1-tiny": (27_095_374, 1_608_015_360),
    "fcn-32s": (136_152_917, 181_365_854_976),
    "fcn-16s": (134_815_994, 181_448_086_272),
    "fcn-8s": (134_489_759, 181_529_034_048),
    "fcn-alexnet": (58_704_590, 21_424_487_968),
    "pspnet-50": (46_782_550, 161_528_775_872),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_in_print(name):
    net = deployed(name)
    assert (count(net, statistics=False), multiply_adds(net)) == COUNTS[name]


PUBLISHED = {  # bytes of a file of weights, behind its head; what else a blob holds is named
    "yolo-v2": 202_704_260 - 16,
    "yolo-v2-tiny": 63_471_556 - 16,
    "yolo-v3": 248_007_048 - 20,
    "yolo-v3-tiny": 35_434_956 - 20,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_values_of_darknets_nets_fill_the_published_files(name):
    """Whose BatchNorm has no third blob, the factor."""
    net = deployed(name)
    factors = sum(layer.type == "BatchNorm" for layer in net.layers)
    assert 4 * (count(net, statistics=True) - factors) == PUBLISHED[name]


PRIORS = {"ssd300": 8732, "ssd512": 24_564, "mobilenet-ssd": 1917, "face-ssd": 8892}


@pytest.mark.parametrize("name", PRIORS)
def test_an_ssd_has_as_many_boxes_as_in_print(name):
    blobs = deployed(name).blobs
    classes = 2 if name == "face-ssd" else 21
    assert blobs["mbox_priorbox"].shape == (1, 2, 4 * PRIORS[name])
    assert blobs["mbox_conf"].shape == (1, classes * PRIORS[name])


def test_the_parts_of_pspnet_come_back_to_60_places_a_side():
    net = deployed("pspnet-50")
    sides = [net.blobs[f"conv5_3_pool{k}"].shape[2] for k in (1, 2, 3, 6)]
    assert sides == [1, 2, 3, 6] and net.blobs["conv5_3_concat"].shape == (1, 4096, 60, 60)
    averages = count(net, statistics=True) - count(net, statistics=False)
    assert averages == 58_624


def test_u_net_has_the_sizes_of_figure_1():
    net = deployed("u-net")
    sides = [node.top_blobs[0].shape[2] for node in net.nodes if node.layer.type == "Convolution"]
    assert sides[:10] == [570, 568, 282, 280, 138, 136, 66, 64, 30, 28]
    assert sides[10:] == [54, 52, 102, 100, 198, 196, 390, 388, 388]
    assert card("u-net")[0]["layers"] == 23  # as the paper counts them


def test_segnets_maps_come_back_to_where_poolings_took_them_from():
    net = deployed("segnet")
    sides = [net.blobs[f"upsample{k}"].shape[2:] for k in (5, 4, 3, 2, 1)]
    assert sides == [(23, 30), (45, 60), (90, 120), (180, 240), (360, 480)]


def test_deeplab_largefov_has_the_values_of_the_paper():
    """20.5 million; scores at every eighth pixel."""
    net = deployed("deeplab-largefov")
    assert round(count(net) / 1e6, 1) == 20.5
    assert net.blobs["fc8_voc12"].shape == (1, 21, 65, 65)


OFFSETS = {  # where what is cut out starts, in the order of the layers
    "fcn-32s": [19],
    "fcn-16s": [5, 27],
    "fcn-8s": [5, 9, 31],
    "fcn-alexnet": [18],
}


@pytest.mark.parametrize("name", OFFSETS)
def test_what_an_fcn_cuts_out_starts_where_the_authors_say(name):
    crops = [layer for layer in deployed(name).layers if layer.type == "Crop"]
    assert [layer.options.offset[0] for layer in crops] == OFFSETS[name]


SCORES = {  # the sides of maps of scores, the last of which is cut out
    "fcn-32s": {"score_fr": 16, "upscore": 544},
    "fcn-16s": {"score_fr": 16, "upscore2": 34, "upscore16": 560},
    "fcn-8s": {"score_fr": 16, "upscore2": 34, "upscore_pool4": 70, "upscore8": 568},
    "fcn-alexnet": {"score_fr": 16, "upscore": 543},
}


@pytest.mark.parametrize("name", SCORES)
def test_the_scores_of_an_fcn_have_the_sizes_in_print(name):
    blobs = deployed(name).blobs
    for blob, side in {**SCORES[name], "score": 500}.items():
        assert blobs[blob].shape == (1, 21, side, side), blob


def test_both_forms_of_hed_have_the_same_layers_with_weights():
    """Those that enlarge apart, which the one has in place of Interp."""
    param = read_net(ROOT / "models" / "hed" / "interp.prototxt")
    resized = caffelite.Net(param, caffelite.TEST)
    for name, blobs in deployed("hed").params.items():
        if not name.startswith("upsample_"):
            assert [blob.shape for blob in resized.params[name]] == [b.shape for b in blobs]
    seen = [blob.shape for name, blob in resized.blobs.items() if name.startswith("sigmoid-")]
    assert seen == [(1, 1, 500, 500)] * 6


def test_ssd300_for_coco_has_as_many_values_as_in_print():
    made = program(ROOT / "models" / "ssd300" / "net.py")
    coco = Program("", lambda n: made.net(n, classes=80), None, made.shape)
    net = caffelite.Net(coco.deploy(), caffelite.TEST)
    assert (count(net, statistics=False), multiply_adds(net)) == (34_305_206, 34_360_351_232)


def test_the_merged_net_has_a_bias_where_the_other_has_a_factor_and_a_shift():
    merged = caffelite.Net(str(ROOT / "models/mobilenet-ssd/merged.prototxt"), caffelite.TEST)
    whole = deployed("mobilenet-ssd")
    channels = sum(layer.blobs[0].count for layer in whole.layers if layer.type == "Scale")
    assert count(merged) == count(whole) - channels == 5_783_417
    assert merged.blobs["mbox_loc"].shape == whole.blobs["mbox_loc"].shape


@pytest.mark.parametrize(
    ("name", "billions"),  # multiply-adds, table 1 of the paper
    [("resnet-18", 1.8), ("resnet-34", 3.6), ("resnet-50", 3.8), ("resnet-101", 7.6)]
    + [("resnet-152", 11.3), ("plain-34", 3.6)],
)
def test_residual_nets_cost_what_the_paper_says(name, billions):
    assert abs(multiply_adds(deployed(name)) / 1e9 - billions) < 0.07


@pytest.mark.parametrize(
    ("name", "millions"),  # weights, table 2 of the paper
    [("vgg-11", 133), ("vgg-11-lrn", 133), ("vgg-13", 133), ("vgg-16-c", 134), ("vgg-16", 138)]
    + [("vgg-19", 144)],
)
def test_vgg_nets_have_the_weights_that_the_paper_says(name, millions):
    assert round(count(deployed(name), statistics=False) / 1e6) == millions


@pytest.mark.parametrize(
    ("depth", "option", "counts"),
    [
        (20, small, (269_722, 40_551_040)),
        (20, small_pre_activated, (269_722, 40_551_040)),
        (32, basic, (466_906, 69_124_736)),
        (44, basic, (661_338, 97_436_288)),
        (56, basic, (855_770, 125_747_840)),
        (110, basic, (1_730_714, 253_149_824)),
        (110, small_pre_activated, (1_727_962, 252_887_680)),
    ],
)
def test_small_residual_nets_of_all_depths(depth, option, counts):
    """Those that have no folder: shortcut option B, and pre-activation."""
    made = Program("", lambda n: small_resnet(n, option, depth), None, (1, 3, 32, 32))
    net = caffelite.Net(made.deploy(), caffelite.TEST)
    assert (count(net, statistics=False), multiply_adds(net)) == counts


@pytest.mark.slow
def test_resnet_1202_has_the_weights_of_the_paper():
    """Table 6: 19.4 million."""
    assert count(deployed("resnet-1202"), statistics=False) == 19_421_274


def test_the_layers_of_lenet_5_have_the_weights_of_the_paper():
    net = deployed("lenet-5")
    found = dict.fromkeys(("C1", "S2", "C3", "S4", "C5", "F6", "rbf"), 0)
    for name, blobs in net.params.items():
        found[name.split("_")[0]] += sum(blob.count for blob in blobs)
    paper = {"C1": 156, "S2": 12, "C3": 1516, "S4": 32, "C5": 48120, "F6": 10164, "rbf": 840}
    assert found == paper


def test_lenet_5_scores_codes_by_their_distance():
    """-|x - w|^2 = 2 w x - |w|^2 - |x|^2, and the last two are the same for all classes."""
    net = caffelite.Net(benchmark_nets.in_memory("lenet-5", TRAIN, 3), caffelite.TRAIN)
    codes = net.params["rbf"][0].data
    assert set(codes.flat) == {-1, 1} and len(np.unique(codes, axis=0)) == 10
    net.blobs["data"].data[...] = np.random.default_rng(0).random((3, 1, 28, 28))
    net.forward()
    drawn, scores = net.blobs["F6"].data, net.blobs["scores"].data
    nearest = -((drawn[:, None] - codes) ** 2).sum(axis=2)
    assert np.allclose(np.diff(scores), np.diff(nearest), atol=1e-3)


def test_the_net_of_1989_has_the_weights_and_connections_of_the_paper():
    net = deployed("lecun-1989")
    found = dict.fromkeys(("H1", "H2", "H3", "output"), 0)
    for name, blobs in net.params.items():
        found[name.split("_")[0]] += sum(blob.count for blob in blobs)
    assert found == {"H1": 1068, "H2": 2592, "H3": 5790, "output": 310}
    units = [net.blobs[name].count for name in ("H1", "H2", "H3", "output")]
    assert units == [768, 192, 30, 10]
    assert multiply_adds(net) + sum(units) == 64_660  # connections, biases among them


def test_targets_of_1989_are_1_for_the_digit_and_minus_1_for_others():
    net = caffelite.Net(benchmark_nets.in_memory("lecun-1989", TRAIN, 10), caffelite.TRAIN)
    net.blobs["label"].data[...] = [3, 1, 4, 1, 5, 9, 2, 6, 0, 8]
    net.forward()
    labels = net.blobs["label"].data.astype(int)
    assert np.array_equal(net.blobs["target"].data, 2 * np.eye(10)[labels] - 1)


@pytest.mark.parametrize(("layers", "blocks"), [(110, 54), (1202, 600)])
def test_blocks_survive_less_often_the_deeper_they_are(layers, blocks):
    """From nearly 1 down to 0.5: on average 40 of 54 blocks are there (section 3 of the paper)."""
    net = program(ROOT / "models" / f"stochastic-depth-{layers}" / "net.py").train_val()
    odds = [layer.eltwise_param.coeff[1] for layer in net.layer if layer.type == "Eltwise"]
    assert np.allclose(odds, 1 - np.arange(1, blocks + 1) / blocks / 2)
    assert sum(odds) == pytest.approx((3 * blocks - 1) / 4)


def test_only_nets_of_very_many_lines_and_forms_of_others_have_no_prototxt_here():
    rfcn = [f"rfcn-resnet-{name}" for name in ("101", "101-ohem", "50-ohem")]
    assert LONG == ["resnet-1202", *rfcn, "stochastic-depth-1202"]


def test_the_modules_of_inception_bn_have_the_maps_of_the_paper():
    """Figure 5: 3a, 3b, 3c, then 4 and 5."""
    net = deployed("inception-bn")
    modules = [layer.name for layer in net.layers if layer.type == "Concat"]
    maps = [net.blobs[name].shape[1] for name in modules]
    assert maps == [256, 320, 576, *[576] * 4, 1024, *[1024] * 2]


@pytest.mark.parametrize(
    ("blob", "shape"),
    [
        ("data", (3, 299, 299)),
        ("conv1_3x3_s2", (32, 149, 149)),
        ("conv2_3x3_s1", (32, 147, 147)),
        ("conv3_3x3_s1", (64, 147, 147)),
        ("pool1_3x3_s2", (64, 73, 73)),
        ("conv4_3x3", (192, 71, 71)),
        ("pool2_3x3_s2", (192, 35, 35)),
        ("inception_a3_output", (288, 35, 35)),
        ("reduction_a_concat", (768, 17, 17)),
        ("inception_b4_concat", (768, 17, 17)),
        ("reduction_b_concat", (1280, 8, 8)),
        ("inception_c2_concat", (2048, 8, 8)),
        ("pool_8x8_s1", (2048, 1, 1)),
    ],
)
def test_the_maps_of_inception_v3_are_those_of_the_paper(blob, shape):
    """Table 1; its 3 x 3 convolutions on maps of 73 and 71 are 1 x 1 and 3 x 3 in all releases."""
    assert deployed("inception-v3").blobs[blob].shape[1:] == shape


def by_cost(slow, long):
    """The nets, cheapest first; all but one of a family are slow tests.

    Those of more multiply-adds than `slow` and `long` have these marks.
    """
    cost = {name: card(name)[0]["multiply_adds"] for name in NETS}
    for param in one_of_each(sorted(NETS, key=cost.get)):
        (name,) = param.values
        if cost[name] > long:
            param = pytest.param(name, marks=pytest.mark.long)
        elif cost[name] > slow:
            param = pytest.param(name, marks=pytest.mark.slow)
        yield param


@pytest.mark.parametrize("name", [*by_cost(slow=1e8, long=3e9)])
def test_a_net_runs_forward_and_backward(name):
    param = benchmark_nets.in_memory(
        name, TRAIN, 32 if name == "siamese" else 1
    )  # pairs, some alike
    net = caffelite.Net(param, caffelite.TRAIN)
    for blob, values in benchmark_nets.samples(param).items():
        net.blobs[blob].data[...] = values
    for layer in net.layers:  # scores that start at 0 let no gradient through in the first step
        if layer.learns and not layer.blobs[0].data.any():
            layer.blobs[0].data[...] = 0.01
    net.forward()
    net.clear_param_diffs()
    net.backward()
    for node in net.nodes:
        for blob in node.top_blobs:
            assert np.isfinite(blob.data).all(), node.layer.name
        for blob in node.layer.blobs:
            assert np.isfinite(blob.diff).all(), node.layer.name
    trained = {id(entry.blob) for entry in net.learnable if entry.lr_mult}
    specs = [layer.param.propagate_down for layer in net.layers]
    stops = [place for place, spec in enumerate(specs) if spec and not any(spec)]
    behind = [*net.layers[max(stops, default=0) :], *net.layers]  # what is before may hold still
    first = next(b for layer in behind for b in layer.blobs[:1] if id(b) in trained)
    assert first.diff.any(), "no gradient gets there"


@pytest.mark.parametrize("name", [*by_cost(slow=2.5e7, long=2.5e7)])
def test_the_deploy_net_is_timed_backward_too(name, capsys, monkeypatch):
    nets, backward = {}, caffelite.Net._backward

    def watched(net, *layers):
        nets[id(net)] = net
        return backward(net, *layers)

    monkeypatch.setattr(caffelite.Net, "_backward", watched)
    model = ROOT / "models" / name / "deploy.prototxt"
    assert main(["time", "--model", str(model), "--iterations=1", "--phase=TEST"]) == 0
    (net,) = nets.values()
    for layer in net.layers:
        for role, blob in zip(layer.blob_names, layer.blobs, strict=True):
            assert blob.diff_allocated or role in layer.statistics, layer.name
