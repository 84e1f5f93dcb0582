"""models/ and solvers/: nets equal the published ones, cards tell the truth, programs agree."""

import gzip
import json
from functools import lru_cache
from pathlib import Path

import pytest
import yaml

import caffelite
from caffelite.models.program import program
from caffelite.proto.caffe_pb2 import TRAIN
from caffelite.proto.text import read_net, read_solver
from tools import benchmark

ROOT = Path(__file__).parent.parent
NETS = sorted(path.parent.name for path in (ROOT / "models").glob("*/net.py"))
GOLDEN = sorted((ROOT / "tests" / "golden" / "zoo").glob("*.json.gz"))


@lru_cache
def deployed(name):
    return caffelite.Net(str(ROOT / "models" / name / "deploy.prototxt"), caffelite.TEST)


@lru_cache
def card(name):
    facts, _, prose = (ROOT / "models" / name / "readme.md").read_text()[4:].partition("\n---\n")
    return yaml.safe_load(facts), prose.strip()


def described(net):
    """A built net as the recorded facts have it: Split layers left out, their readers rewired."""
    source, layers = {}, []
    for layer in net.layers:
        bottoms = [source.get(name, name) for name in layer.bottom_names]
        if layer.type == "Split":
            source.update(dict.fromkeys(layer.top_names, bottoms[0]))
            continue
        tops = zip(layer.top_names, layer.top_blobs, strict=True)
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


def count(net, statistics):
    return sum(
        blob.count
        for layer in net.layers
        if layer.type != "BatchNorm" or statistics
        for blob in layer.blobs
    )


def multiply_adds(net):
    """Of one sample."""
    total = sum(
        layer.macs(*([b.shape for b in blobs] for blobs in (layer.bottom_blobs, layer.top_blobs)))
        for layer in net.layers
    )
    return total / net.blobs["data"].shape[0]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_a_net_has_the_names_and_shapes_of_the_published_one(path):
    expected = json.loads(gzip.decompress(path.read_bytes()))
    name = path.name.removesuffix(".json.gz")
    if name.endswith("-train"):
        batch = expected["layers"][0]["top"][0][1][0]
        param = benchmark.in_memory(name.removesuffix("-train"), TRAIN, batch)
        net, first = caffelite.Net(param, caffelite.TRAIN), 1  # after the data
    else:
        net, first = deployed(name), 0
    for ours, theirs in zip(described(net)[first:], expected["layers"][first:], strict=True):
        assert ours == theirs
    assert count(net, statistics=False) == expected["learnable"]
    assert count(net, statistics=True) == expected["with_bn_stats"]


def test_the_losses_of_googlenet_have_the_published_weights():
    net = caffelite.Net(benchmark.in_memory("googlenet", TRAIN, 8), caffelite.TRAIN)
    assert card("googlenet")[0]["learnable_with_auxiliary"] == count(net, statistics=False)
    weights = {name: weight for name, weight in net.blob_loss_weights.items() if weight}
    assert weights == pytest.approx({"loss1/loss1": 0.3, "loss2/loss2": 0.3, "loss3/loss3": 1})


@pytest.mark.parametrize("name", NETS)
def test_the_deploy_net_takes_the_weights_of_the_trained_one(name):
    trained = caffelite.Net(benchmark.in_memory(name, TRAIN, 2), caffelite.TRAIN)
    theirs = {layer: [b.shape for b in blobs] for layer, blobs in trained.params.items()}
    for layer, blobs in deployed(name).params.items():
        assert theirs[layer] == [blob.shape for blob in blobs], layer


FACTS = ("name", "task", "data", "input", "output", "learnable", "multiply_adds", "solver")
FACTS += ("source", "license")


@pytest.mark.parametrize("name", NETS)
def test_a_card_says_what_the_net_has(name):
    facts, prose = card(name)
    net = deployed(name)
    assert set(FACTS) <= set(facts)
    assert facts["learnable"] == count(net, statistics=False)
    assert facts.get("learnable_with_statistics", facts["learnable"]) == count(net, statistics=True)
    assert facts["multiply_adds"] == multiply_adds(net)
    dims = " x ".join(map(str, net.blobs["data"].shape[1:]))
    assert facts["input"].startswith(f"data, {dims},")
    assert prose.startswith("# ")
    solver = read_solver(str(ROOT / facts["solver"]))
    assert solver.net == f"models/{name}/train_val.prototxt"


@pytest.mark.parametrize("name", NETS)
def test_the_program_writes_what_is_committed(name):
    folder = ROOT / "models" / name
    for file, text in program(folder / "net.py").files().items():
        hint = f"python -m caffelite.models.program models/{name}/net.py"
        assert (folder / file).read_text() == text, hint


@pytest.mark.parametrize("name", NETS)
def test_both_phases_prepare_samples_alike_but_only_training_mirrors(name):
    net = read_net(ROOT / "models" / name / "train_val.prototxt")
    train, test = (layer for layer in net.layer if layer.type == "Data")
    assert [train.include[0].phase, test.include[0].phase] == [0, 1]
    assert train.data_param.source != test.data_param.source
    assert not test.transform_param.mirror
    train.transform_param.ClearField("mirror")
    assert train.transform_param == test.transform_param
