"""`caffelite init NAME --classes N --data DIR`: a net of the zoo for classes of one's own."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import _own_data, _zoo, main
from caffelite.data.arrays import ArraySource
from caffelite.data.datum import write_database
from caffelite.proto.caffe_pb2 import SolverParameter
from caffelite.proto.text import parse, read_net, read_solver

from .families import one_of_each

NO_CLASSIFIERS = {  # by what their losses compare, or since scores are enlarged and added up
    *("agenet-classifier", "agenet-regressor", "autoencoder", "lecun-1989", "lenet-5", "mlp-xor"),
    *(f"fcn-{form}" for form in ("8s", "16s", "32s", "alexnet")),
    *(f"{net}-digits" for net in ("fcn-8s", "fcn-16s", "fcn-32s", "unet")),
    *("deeplab-v2", "hed", "siamese", "char-lstm", "char-gru", "char-rnn", "word-lstm"),
    *("dcgan", "cgan", "infogan", "vae-gan", "lsgan", "wgan", "gan-mlp"),
    *("fast-style", "super-resolution", "captions", "scene-qa", "seq2seq"),
    *("clips-lstm", "clips-frames"),
}
COUNTS = (30, 12, 6)  # pictures of each class for training


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def databases(folder="data", shape=(3, 28, 28), counts=COUNTS, first=0, names=("a", "b", "c")):
    """Two databases of noise, as caffelite dataset names them, and labels.txt."""
    random = np.random.default_rng(0)
    for part, of_class in (("train", counts), ("test", (4,) * len(counts))):
        labels = np.repeat(np.arange(len(counts)), of_class) + first
        pixels = random.integers(0, 256, (len(labels), *shape), np.uint8)
        write_database(f"{folder}/{part}_lmdb", ArraySource(pixels, labels))
    if names:
        Path(folder, "labels.txt").write_text("\n".join(names) + "\n")


def layers(path):
    return {layer.name: layer for layer in read_net(path).layer}


def classifiers():
    """But for those whose prototxts are too long to be kept."""
    models = Path(_zoo.folder("models"))
    size = {
        name: (models / name / "train_val.prototxt").stat().st_size
        for name in _zoo.names()
        if (models / name / "train_val.prototxt").exists()
        and "DetectionOutput" not in (models / name / "deploy.prototxt").read_text()
    }
    return one_of_each(sorted(size.keys() - NO_CLASSIFIERS, key=lambda name: (size[name], name)))


@pytest.mark.parametrize("name", classifiers())
def test_every_classifier_gets_heads_of_its_own(name, capsys):
    assert main(["init", name, "--classes", "7", "--freeze"]) == 0
    assert "without --weights, what is frozen keeps numbers" in capsys.readouterr().out
    net, deploy = (layers(f"{name}/{kind}.prototxt") for kind in ("train_val", "deploy"))
    old = layers(Path(_zoo.folder("models"), name, "train_val.prototxt"))
    heads = {found for found in net if found.endswith("_own")}
    assert heads and not heads & set(old) and heads & set(deploy)
    built = caffelite.Net(f"{name}/deploy.prototxt", caffelite.TEST)
    assert built.blobs[built.outputs[0]].shape[1] == 7
    faster = 1 if name == "pictures" else 10
    for head in heads:
        before = old[head.removesuffix("_own")].param
        rates = [param.lr_mult for param in net[head].param]
        assert rates == pytest.approx(
            [faster * of.lr_mult for of in before] or [faster] * len(rates)
        )
    for layer in built.layers:
        if layer.blobs and layer.name not in heads:
            learned = [n for n in layer.blob_names if n not in layer.statistics]
            assert [param.lr_mult for param in net[layer.name].param] == [0] * len(learned)
    assert not any(layer.param for layer in deploy.values())
    solver = read_solver(f"{name}/solver.prototxt")
    theirs = read_solver(Path(_zoo.folder("solvers"), f"{name}.prototxt"))
    assert solver.net == "train_val.prototxt"
    assert solver.base_lr == pytest.approx(theirs.base_lr / faster)


def test_numbers_that_a_filler_reads_come_along():
    assert main(["init", "clutter-st", "--classes", "7", "-q"]) == 0
    where = layers("clutter-st/train_val.prototxt")["where"].inner_product_param
    assert where.weight_filler.file == "places.txt"
    kept = Path(_zoo.folder("models"), "clutter-st", "places.txt")
    assert Path("clutter-st/places.txt").read_text() == kept.read_text()


@pytest.mark.parametrize("name", sorted(NO_CLASSIFIERS))
def test_a_net_that_is_no_classifier_is_refused(name, capsys):
    assert main(["init", name, "--classes", "7"]) == 1
    said = capsys.readouterr().err
    assert "are for classifiers" in said and f"`caffelite init {name}` alone copies" in said
    assert not Path(name).exists()


@pytest.mark.parametrize("classes, tops", [(3, [1]), (5, [1]), (6, [1, 5])])
def test_the_top_5_goes_where_there_are_no_more_classes(classes, tops):
    assert main(["init", "squeezenet-v1.1", "--classes", str(classes), "-q"]) == 0
    net = read_net("squeezenet-v1.1/train_val.prototxt")
    found = [layer.accuracy_param.top_k for layer in net.layer if layer.type == "Accuracy"]
    assert found == tops
    assert main(["summary", "squeezenet-v1.1/train_val.prototxt", "-q"]) == 0


def test_the_data_tell_classes_iterations_and_weights(capsys):
    databases()
    assert main(["init", "lenet", "--data", "data", "--class-weights", "--epochs", "5"]) == 0
    net, solver = layers("lenet/train_val.prototxt"), read_solver("lenet/solver.prototxt")
    assert net["ip2_own"].inner_product_param.num_output == 3
    sources = [of for of in read_net("lenet/train_val.prototxt").layer if of.type == "Data"]
    assert [of.data_param.source for of in sources] == ["../data/train_lmdb", "../data/test_lmdb"]
    assert [of.data_param.batch_size for of in sources] == [48, 12]
    assert (solver.max_iter, solver.test_iter, solver.test_interval) == (5, [1], 1)
    weights = net["loss"].loss_param
    assert weights.weight_by_label_freqs
    np.testing.assert_allclose(weights.class_weighting, [48 / 3 / n for n in COUNTS], rtol=1e-3)
    assert Path("lenet/labels.txt").read_text() == "a\nb\nc\n"
    deploy = read_net("lenet/deploy.prototxt").layer[0].input_param.shape[0].dim
    assert list(deploy)[1:] == [3, 28, 28]
    out = capsys.readouterr().out
    assert "48 samples for training: 5 epochs are 5 iterations of 48\n" in out
    assert main(["init", "pictures", "--data", "data", "--epochs", "2", "--force"]) == 0
    out = capsys.readouterr().out
    assert "2 epochs are 4 iterations of 32, 2 an epoch: 1.5, rounded up\n" in out


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["pictures", "caffenet"])
def test_what_tells_nothing_varies_in_training(name, channels):
    databases(shape=(channels, 24, 24))
    flags = ["--balanced", "--any-turn", "--any-color"]
    assert main(["init", name, "own", "--data", "data", *flags]) == 0
    train, test = read_net("own/train_val.prototxt").layer[:2]
    assert train.data_param.balanced_batches and not test.data_param.balanced_batches
    varied, plain = train.transform_param, test.transform_param
    assert varied.mirror and varied.mirror_vertical and not plain.mirror_vertical
    assert (varied.warp_param.rotation, varied.warp_param.prob) == (180, 0.5)
    assert varied.distort_param.invert_prob == 0.5 and not plain.distort_param.invert_prob
    assert varied.distort_param.random_order_prob == (channels == 3)


def test_a_list_may_be_balanced():
    Path("data").mkdir()
    for part in ("train", "test"):
        Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save(f"data/{part}.png")
        Path(f"data/{part}.txt").write_text("".join(f"{part}.png {i % 2}\n" for i in range(6)))
    assert main(["init", "lenet", "--data", "data", "--balanced"]) == 0
    train, test = (of.image_data_param for of in read_net("lenet/train_val.prototxt").layer[:2])
    assert train.balanced_batches and not train.shuffle and not test.balanced_batches


def test_what_it_makes_trains_in_its_folder(monkeypatch):
    databases()
    assert main(["init", "lenet", "mine", "--data", "data", "--epochs", "2"]) == 0
    monkeypatch.chdir("mine")
    assert main(["train", "--solver", "solver.prototxt"]) == 0
    (weights,) = Path("snapshots").glob("*.caffemodel")
    Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save("new.png")
    words = ["--weights", str(weights), "--labels", "labels.txt"]
    assert main(["classify", "new.png", "--model", "deploy.prototxt", *words]) == 0


def test_a_net_for_other_classes_than_the_data_have_is_told(capsys):
    databases()
    assert main(["init", "lenet", "--classes", "10", "--from-nothing"]) == 0
    net = Path("lenet/train_val.prototxt")
    text = net.read_text().replace("mnist_train", "train").replace("mnist_test", "test")
    net.write_text(text)
    words = [
        "--set",
        "net=lenet/train_val.prototxt",
        "--set",
        "max_iter=1",
        "--set",
        "test_interval=100",
        "--set",
        "test_iter=1",
    ]
    assert main(["train", "lenet/solver.prototxt", *words]) == 0
    said = capsys.readouterr().err
    assert '"ip2_own" has 10 outputs, but data/labels.txt names 3 classes; "caffelite init' in said


def test_steps_come_at_the_same_share_of_the_training():
    databases(counts=(300, 200))
    assert main(["init", "resnet-20", "--data", "data", "--names", "x"]) == 2
    Path("data/labels.txt").unlink()
    assert main(["init", "resnet-20", "--data", "data", "--epochs", "40"]) == 0
    solver = read_solver("resnet-20/solver.prototxt")
    assert solver.max_iter == 160 and list(solver.stepvalue) == [80, 120]
    assert solver.test_interval == 8
    norms = [of for of in read_net("resnet-20/train_val.prototxt").layer if of.type == "BatchNorm"]
    assert {of.batch_norm_param.moving_average_fraction for of in norms} == {np.float32(0.9)}
    data = read_net("resnet-20/train_val.prototxt").layer[0].transform_param
    assert not data.mean_file and len(data.mean_value) == 3


@pytest.mark.parametrize(
    "fields, stretched",
    [
        ('lr_policy: "step" stepsize: 30 warmup_iter: 10', "stepsize: 15 warmup_iter: 5"),
        ('lr_policy: "cosine" rampup_interval: 10', "rampup_interval: 5"),
        (
            'lr_policy: "multifixed" stagelr: [0.1, 0.01] stageiter: [40, 100]',
            "stageiter: [20, 50]",
        ),
    ],
)
def test_all_that_counts_iterations_is_stretched(fields, stretched):
    solver = parse(f"base_lr: 1 max_iter: 100 {fields}", SolverParameter)
    part = _own_data.Part("db", "LMDB", Counter({0: 20}))
    _own_data.schedule(solver, SimpleNamespace(train=part, test=part), (4, 4), 10)
    want = parse(stretched, SolverParameter)
    assert solver.max_iter == 50
    for field, value in want.ListFields():
        assert getattr(solver, field.name) == value, field.name


def test_pictures_that_do_not_fit_are_resized():
    databases(shape=(3, 20, 30))
    assert main(["init", "caffenet", "--data", "data"]) == 0
    for layer in read_net("caffenet/train_val.prototxt").layer[:2]:
        resize = layer.transform_param.resize_param
        assert (resize.height, resize.width) == (259, 259)
        assert not layer.transform_param.mean_file


def test_lists_do_as_well():
    Path("data").mkdir()
    for part in ("train", "val"):
        for i in range(6):
            size = (20 + i, 30, 3)
            Image.fromarray(np.full(size, i, np.uint8)).save(f"data/{part}{i}.png")
        Path(f"data/{part}.txt").write_text("".join(f"{part}{i}.png {i % 2}\n" for i in range(6)))
    assert main(["init", "lenet", "--data", "data"]) == 0
    train, test = read_net("lenet/train_val.prototxt").layer[:2]
    assert train.type == test.type == "ImageData"
    assert train.image_data_param.source == "../data/train.txt"
    assert train.image_data_param.root_folder == "../data/"
    assert train.image_data_param.shuffle and not test.image_data_param.shuffle
    assert (train.image_data_param.new_height, train.image_data_param.new_width) == (28, 28)


@pytest.mark.parametrize(
    ("flags", "made", "named"),
    [
        ("--classes 5", {}, "labels.txt: names 3 classes, not 5"),
        ("--classes 2", {"names": ()}, "has the label 2, expected 0 to 1 for 2 classes"),
        ("", {"first": 1}, "for 3 classes; labels count from 0, these from 1"),
        ("", {"names": ("a",), "counts": (30,)}, "has one class; a classifier needs two"),
        ("--freeze conv9", {}, '--freeze conv9: there is no such layer; did you mean "conv2"'),
    ],
)
def test_mistakes_are_told(flags, made, named, capsys):
    databases(**made)
    assert main(["init", "lenet", "--data", "data", *flags.split()]) == 1
    assert named in capsys.readouterr().err
    assert not Path("lenet").exists()


def test_classes_without_pictures_are_told(capsys):
    databases(names=())
    assert main(["init", "lenet", "--data", "data", "--classes", "5"]) == 0
    assert "2 of 5 classes have no samples, and cannot be learned: 3, 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("--epochs 3", "--epochs goes by the data: give --data DIR, too"),
        ("--class-weights --classes 3", "--class-weights goes by the data"),
        ("--balanced --classes 3", "--balanced goes by the data"),
        ("--any-turn", "--any-turn goes by the data"),
        ("--freeze", "--freeze is for new heads"),
        ("--from-nothing", "--from-nothing is for new heads"),
        ("--classes 1", "expected a whole number from 2"),
    ],
)
def test_flags_that_need_others(flags, named, capsys):
    assert main(["init", "lenet", *flags.split()]) == 2
    assert named in capsys.readouterr().err


def test_classes_are_balanced_in_one_way(capsys):
    databases()
    assert main(["init", "lenet", "--data", "data", "--balanced", "--class-weights"]) == 2
    assert "give one" in capsys.readouterr().err


def test_a_folder_without_data_is_told(capsys):
    Path("data").mkdir()
    assert main(["init", "lenet", "--data", "data"]) == 1
    assert "expected one database or list for training, with train in its name, found none" in (
        capsys.readouterr().err
    )
    assert main(["init", "lenet", "--data", "none"]) == 1
    capsys.readouterr()
    for name in ("train_lmdb", "train_labels_lmdb"):
        Path("data", name).mkdir()
        Path("data", name, "data.mdb").touch()
    assert main(["init", "lenet", "--data", "data"]) == 1
    assert capsys.readouterr().err.startswith(
        "data/train_labels_lmdb: holds pictures of labels, and --data fits classifiers"
    )


def test_a_loss_that_weighs_no_classes_says_so(capsys):
    databases()
    assert main(["init", "perceptron", "--data", "data", "--class-weights"]) == 1
    assert "(HingeLoss) weighs no classes" in capsys.readouterr().err
