"""AgeNet: its labels, its measures, the fusion of its nets."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.data.arrays import ArraySource
from caffelite.data.datum import write_database
from caffelite.models import agenet
from caffelite.models.program import Program, Samples, program
from caffelite.net.passes import filter_layers
from caffelite.proto.caffe_pb2 import TRAIN, LayerParameter, NetParameter
from caffelite.proto.text import read_net, read_solver, to_text
from tools import benchmark_nets
from tools.claims import ages as claim

MODELS = Path(__file__).parent.parent / "models"
SOLVERS = MODELS.parent / "solvers"
LEARN = ("Convolution", "InnerProduct")
AGES, DEVIATIONS = np.array([20.0, 40, 63]), np.array([3.99, 2.0, 5.1])


def test_measures_by_hand():
    off = np.array([0, 2, -4])
    epsilon = (0 + (1 - np.exp(-0.5)) + (1 - np.exp(-8 / 5.1**2))) / 3
    assert agenet.mean_normalized_error(AGES, DEVIATIONS, AGES + off) == pytest.approx(epsilon)
    assert agenet.mean_absolute_error(AGES, AGES + off) == pytest.approx(2)
    assert agenet.mean_normalized_error(AGES, DEVIATIONS, AGES) == 0
    assert agenet.mean_normalized_error(AGES, DEVIATIONS, AGES + 1000) == 1


def test_the_report_has_each_model_and_their_fusion():
    lines = [*agenet.report(AGES, DEVIATIONS, {"a": AGES + 2, "b": AGES - 2})]
    assert [line.split()[0] for line in lines] == ["model", "a", "b", "fusion"]
    assert lines[1].split()[2] == "2.0000" and lines[3].split()[1:] == ["0.0000", "0.0000"]
    assert len([*agenet.report(AGES, DEVIATIONS, {"a": AGES})]) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a.png 20\n", "faces.txt:1: expected"),
        ("a.png 20 3\nb.png 20 0\n", "faces.txt:2: expected"),
        ("a.png nan 3\n", "faces.txt:1: expected"),
        ("a.png 20 3\n\n", "faces.txt:2: expected"),
        ("", "names no faces"),
        (None, "cannot be read"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, capsys, text, problem):
    path = tmp_path / "faces.txt"
    if text is not None:
        path.write_text(text)
    assert agenet.main([str(path), "--regressor", "missing.caffemodel"]) == 1
    assert problem in capsys.readouterr().err


def test_nets_of_a_folder_of_ones_own(tmp_path, capsys):
    faces = tmp_path / "faces.txt"
    faces.write_text("a.png 20 3\n")
    weights = NetParameter()
    weights.layer.add(name="fc").blobs.add(data=[1], shape={"dim": [1]})
    (tmp_path / "w.caffemodel").write_bytes(weights.SerializeToString())
    flags = ["--regressor", str(tmp_path / "w.caffemodel"), "--nets", str(tmp_path / "mine")]
    assert agenet.main([str(faces), *flags]) == 1
    assert (
        str(tmp_path / "mine" / "agenet-regressor" / "deploy.prototxt") in capsys.readouterr().err
    )


def test_slants_of_digits_and_what_judges_say_of_them():
    """For the experiment in small: bars at 45 degrees to the right and left, and an upright one."""
    right, upright = np.eye(9)[::-1], np.zeros((9, 9))
    upright[1:8, 4] = 1
    images = (255 * np.stack([right, right[:, ::-1], upright])[:, None]).astype(np.uint8)
    assert np.allclose(claim.slants(images), [95, 5, 50])
    slants = np.linspace(20, 80, 2000)
    said, differ = claim.judged(slants, seed=0)
    assert np.polyfit(slants - 50, said - 50, 1) == pytest.approx([0.8, 0], abs=0.1)
    assert 2.6**2 < np.mean(differ**2) < 5.1**2
    error = said - (50 + 0.8 * (slants - 50))
    assert np.mean(error**2) == pytest.approx(np.mean(differ**2) / 10, rel=0.1)  # ten judges


def printed_label(age, cvar, ages):
    """label(j) = exp(-(j - y)^2 / (2 cvar^2)) / cvar, j = 1, 2, ..., MaxAge"""
    return np.array([math.exp(-((j - age) ** 2) / (2 * cvar**2)) / cvar for j in ages])


def small_classifier(ages, normalize):
    """The classifier upon 7 features instead of GoogLeNet's."""

    def net(n):
        agenet.classifier(n, n.data, ages, normalize)

    samples = Samples("", "", (3, 3))
    param = Program("small", net, samples, (3, 7)).train_val()
    layers = [layer for layer in param.layer if layer.type != "Data"]
    shapes = [{"dim": [3, 7]}, {"dim": [3]}]
    feed = {"name": "data", "type": "Input", "top": ["data", "label"]}
    inputs = LayerParameter(**feed, input_param={"shape": shapes})
    return caffelite.Net(NetParameter(layer=[inputs, *layers]), TRAIN)


@pytest.mark.parametrize(
    ("ages", "normalize"), [(range(101), True), (range(1, 101), False), (range(1, 101), True)]
)
def test_labels_and_loss_of_the_classifier(ages, normalize):
    """Those of slides on AgeNet, or by default each divided by its sum, from 0 on."""
    net = small_classifier(ages, normalize)
    random = np.random.default_rng(0)
    net.blobs["data"].data[...] = random.standard_normal((3, 7))
    net.blobs["label"].data[...] = years = [1, 25, 99]
    net.forward()
    labels = np.array([printed_label(age, 2, ages) for age in years])
    if normalize:
        labels /= labels.sum(axis=1, keepdims=True)
    assert np.allclose(net.blobs["distribution"].data, labels, atol=1e-6)

    p = np.exp(net.blobs["scores"].data.astype(float))
    p /= p.sum(axis=1, keepdims=True)
    cross_entropy = -(labels * np.log(p)).sum() / 3
    entropy = -(labels * np.log(labels.clip(1e-300))).sum() / 3
    assert net.blobs["loss"].data == pytest.approx(cross_entropy - entropy, rel=1e-5)
    assert np.allclose(net.blobs["age"].data[:, 0], p @ np.array(ages), rtol=1e-5)

    net.backward()
    gradient = (labels.sum(axis=1, keepdims=True) * p - labels) / 3  # of -sum of label log p
    assert np.allclose(net.blobs["scores"].diff, gradient, atol=1e-6)


def test_printed_labels_weigh_less_at_the_ends():
    """As the card of the classifier says: sqrt(2 pi) in the middle, 60 % of that at 1."""
    sums = [printed_label(age, 2, range(1, 101)).sum() for age in (1, 50, 100)]
    assert sums[1] == pytest.approx(math.sqrt(2 * math.pi))
    assert sums[0] / sums[1] == pytest.approx(0.6, abs=0.001)
    assert sums[2] == pytest.approx(sums[0])
    assert printed_label(50, 5, range(1, 101)).sum() == pytest.approx(sums[1])


def test_the_program_as_printed(tmp_path):
    """What the card says to write makes labels and outputs of the ages 1 to 100."""
    text = (MODELS / "agenet-classifier" / "net.py").read_text()
    default = "ages=range(101), normalize=True"
    assert default in text
    net = tmp_path / "net.py"
    net.write_text(text.replace(default, "ages=range(1, 101), normalize=False"))
    made = program(net).train_val()
    of = {layer.name: layer for layer in made.layer}
    label = of["distribution"].label_distribution_param
    assert (label.num_output, label.first, label.normalize) == (100, 1, False)
    assert of["scores"].inner_product_param.num_output == 100
    assert of["mean_age"].expectation_param.first == 1
    assert of["loss"].loss_param.target_is_weight and not of["loss"].loss_param.target_is_prob


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_a_chain_of_steps_keeps_what_it_has_learned(kind):
    """Each step starts from all layers of the last; only the one for persons is left behind."""
    names = "agenet-identity", f"agenet-{kind}-real", f"agenet-{kind}"
    sources, learned = [], []
    for name in names:
        solver = read_solver(SOLVERS / f"{name}.prototxt")
        net = read_net(MODELS.parent / solver.net)
        net.state.MergeFrom(solver.train_state)
        net.state.phase = TRAIN
        layers = filter_layers(net).layer
        sources.append(layers[0].data_param.source)
        learned.append({layer.name for layer in layers if layer.type in LEARN})
    assert sources == [f"data/faces{of}_train_lmdb" for of in ("_identity", "_real", "")]
    identity, real, apparent = learned
    assert real == apparent
    (new,) = real - identity
    assert {name for name in identity - real if not name.startswith("loss")} == {"person"}
    assert new == {"regressor": "age_unit", "classifier": "scores"}[kind]


@pytest.mark.long
def test_two_models_answer_for_a_list_of_pictures(tmp_path, capsys):
    names = []
    for kind in ("regressor", "classifier"):
        net = caffelite.Net(benchmark_nets.in_memory(f"agenet-{kind}", TRAIN, 1), TRAIN)
        names.append(str(tmp_path / f"{kind}.caffemodel"))
        net.save(names[-1])
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 256, (260, 240, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"face {i}.png")
    faces = tmp_path / "faces.txt"
    faces.write_text("face 0.png 20 4\nface 1.png 50 3\n")
    assert agenet.main([str(faces), "--regressor", names[0], "--classifier", names[1]]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[1:]] == [*names, "fusion"]
    errors = np.array([row[1:] for row in rows[1:]], float)
    assert np.isfinite(errors).all() and (errors[:, 0] <= 1).all()
    assert 0 < errors[1, 1] < 100  # the mean of the years is one of them


@pytest.mark.slow
def test_the_whole_way_in_one_command(tmp_path, monkeypatch):
    """As models/course/ages.md has it, an iteration a step, with batches of 2 faces."""
    monkeypatch.chdir(tmp_path)
    names = "agenet-identity", "agenet-regressor-real", "agenet-regressor"
    for name in names:
        solver = read_solver(SOLVERS / f"{name}.prototxt")
        net = read_net(MODELS.parent / solver.net)
        for layer in net.layer:
            if layer.type == "Data":
                layer.data_param.batch_size = 2
        Path(solver.net).parent.mkdir(parents=True, exist_ok=True)
        Path(solver.net).write_text(to_text(net))
        Path(f"{name}.prototxt").write_text((SOLVERS / f"{name}.prototxt").read_text())
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 224, 224), np.uint8)
    for of, labels in (("_identity", [7, 1001]), ("_real", [7, 70]), ("", [7, 70])):
        for part in ("train", "val"):
            source = ArraySource(pixels, np.array(labels))
            write_database(f"data/faces{of}_{part}_lmdb", source)
    solvers = ",".join(f"{name}.prototxt" for name in names)
    assert main(["train", "-q", "--solver", solvers, "--iterations", "1"]) == 0
    first, last = (blobs_of(f"snapshots/{name}_iter_1.caffemodel") for name in names[::2])
    assert "person" in first and "person" not in last and "age_unit" in last
    begun, ended = first["conv1/7x7_s2"], last["conv1/7x7_s2"]
    assert 0 < abs(ended - begun).max() < 0.1 * begun.std()


def blobs_of(path):
    """{layer: its first blob} of a file of weights."""
    layers = NetParameter.FromString(Path(path).read_bytes()).layer
    return {layer.name: np.array(layer.blobs[0].data) for layer in layers if layer.blobs}
