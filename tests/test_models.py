"""models/ and solvers/: nets equal the recorded facts, cards tell the truth, programs agree."""

import json
from pathlib import Path

import pytest
import yaml

import caffelite
from caffelite.proto.caffe_pb2 import TRAIN
from caffelite.proto.text import read_net, read_solver
from tools import benchmark, make_models

ROOT = Path(__file__).parent.parent
FOLDERS = sorted(path.name for path in (ROOT / "models").iterdir() if path.is_dir())
GOLDEN = ROOT / "tests" / "golden" / "zoo"


def facts(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())


def described(net):
    """A built net as the recorded facts have it: Split layers left out, their readers rewired."""
    source, layers = {}, []
    for layer in net.layers:
        bottoms = [source.get(name, name) for name in layer.bottom_names]
        if layer.type == "Split":
            source.update(dict.fromkeys(layer.top_names, bottoms[0]))
            continue
        tops = {n: list(b.shape) for n, b in zip(layer.top_names, layer.top_blobs, strict=True)}
        shapes = [list(blob.shape) for blob in layer.blobs]
        layers.append([layer.name, layer.type, bottoms, tops, shapes])
    return layers


def count(net, statistics):
    return sum(
        blob.count
        for layer in net.layers
        if layer.type != "BatchNorm" or statistics
        for blob in layer.blobs
    )


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_deploy_net_has_the_names_and_shapes_of_the_published_one(folder):
    net = caffelite.Net(str(ROOT / "models" / folder / "deploy.prototxt"), caffelite.TEST)
    expected = facts(folder)
    assert described(net) == expected["layers"]
    assert count(net, statistics=False) == expected["learnable"]
    assert count(net, statistics=True) == expected["with_statistics"]


def test_googlenet_trains_with_the_published_auxiliary_classifiers():
    net = caffelite.Net(benchmark.in_memory("googlenet", TRAIN, 8), caffelite.TRAIN)
    expected = facts("googlenet_train")
    assert described(net)[1:] == expected["layers"][1:]  # after the data
    assert count(net, statistics=False) == expected["learnable"]
    weights = {name: weight for name, weight in net.blob_loss_weights.items() if weight}
    assert weights == pytest.approx({"loss1/loss1": 0.3, "loss2/loss2": 0.3, "loss3/loss3": 1})


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_deploy_net_takes_the_weights_of_the_trained_one(folder):
    trained = caffelite.Net(benchmark.in_memory(folder, TRAIN, 2), caffelite.TRAIN)
    deployed = caffelite.Net(str(ROOT / "models" / folder / "deploy.prototxt"), caffelite.TEST)
    theirs = {name: [b.shape for b in blobs] for name, blobs in trained.params.items()}
    for name, blobs in deployed.params.items():
        assert theirs[name] == [blob.shape for blob in blobs], name


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_card_says_what_the_net_has(folder):
    card, _, prose = (ROOT / "models" / folder / "readme.md").read_text()[4:].partition("\n---\n")
    card = yaml.safe_load(card)
    net = caffelite.Net(str(ROOT / "models" / folder / "deploy.prototxt"), caffelite.TEST)
    assert card["learnable"] == count(net, statistics=False)
    assert card.get("learnable_with_statistics", card["learnable"]) == count(net, statistics=True)
    if "learnable_with_auxiliary" in card:
        assert card["learnable_with_auxiliary"] == facts(f"{folder}_train")["learnable"]
    if "multiply_adds" in card:
        batch = net.blobs["data"].shape[0]
        shapes = [[b.shape for b in ly.bottom_blobs] for ly in net.layers]
        tops = [[b.shape for b in ly.top_blobs] for ly in net.layers]
        macs = sum(ly.macs(b, t) for ly, b, t in zip(net.layers, shapes, tops, strict=True))
        assert card["multiply_adds"] * batch == macs
    dims = " x ".join(map(str, net.blobs["data"].shape[1:]))
    assert card["input"].startswith(f"data, {dims},")
    assert prose.strip().startswith("# ")
    solver = read_solver(str(ROOT / card["solver"]))
    assert solver.net == f"models/{folder}/train_val.prototxt"


@pytest.mark.parametrize("folder", make_models.MODELS)
@pytest.mark.parametrize("file", make_models.FILES)
def test_the_programs_write_what_is_committed(folder, file):
    written = (ROOT / "models" / folder / file).read_text()
    assert written == make_models.text(folder, file), "run tools/make_models.py"


@pytest.mark.parametrize("folder", FOLDERS)
def test_both_phases_prepare_samples_alike_but_only_training_mirrors(folder):
    net = read_net(ROOT / "models" / folder / "train_val.prototxt")
    train, test = (layer for layer in net.layer if layer.type == "Data")
    assert [train.include[0].phase, test.include[0].phase] == [0, 1]
    assert train.data_param.source != test.data_param.source
    assert not test.transform_param.mirror
    train.transform_param.ClearField("mirror")
    assert train.transform_param == test.transform_param
