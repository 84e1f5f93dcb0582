"""Clips: those of `caffelite dataset moving-digits`, how they are stored, nets that see them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.data.made import _moving
from caffelite.errors import CaffeliteError
from caffelite.proto.caffe_pb2 import NetParameter
from caffelite.proto.text import parse

ROOT = Path(__file__).parent.parent
FRAMES, SIDE = _moving.FRAMES, _moving.SIDE


@pytest.fixture
def digits(monkeypatch):
    """Pictures that take the place of those of mnist-5k: a bright spot right of the middle."""
    random = np.random.RandomState(0)
    images = np.zeros((30, 28, 28), np.uint8)
    images[:, 8:14, 16:22] = random.randint(150, 256, (30, 6, 6))
    parts = {"train": (images[:25], None), "test": (images[25:], None)}
    monkeypatch.setattr(_moving, "packaged", lambda *file: ((), ()))
    monkeypatch.setattr(_moving, "split", lambda *digits: parts)
    return parts


def of_label(monkeypatch, label):
    """Let each clip have this label, and else be what it is."""

    class Fixed(np.random.RandomState):
        def randint(self, *args):
            super().randint(*args)
            return label

    monkeypatch.setattr(_moving.np.random, "RandomState", Fixed)
    return _moving.moving(10, 0)["train"]


def test_a_clip_shows_what_its_label_says(digits, monkeypatch):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for label, motion in enumerate(_moving.MOTIONS):
        source = of_label(monkeypatch, label)
        for number in range(4):
            frames, found = source.sample(number)
            assert found == label and frames.shape == (FRAMES, SIDE, SIDE)
            ink = frames.sum((1, 2), dtype=float)
            places = np.stack([(frames * at).sum((1, 2)) / ink for at in (rows, columns)])
            steps = np.diff(places)
            down, right = steps.sum(axis=1)
            grown = ink[-1] / ink[0]
            assert {
                "moves down": down > 4,
                "moves up": down < -4,
                "moves right": right > 4,
                "moves left": right < -4,
                "turns clockwise": down > 1,
                "turns counterclockwise": down < -1,
                "grows": grown > 1.3,
                "shrinks": grown < 0.8,
            }[motion]
            assert label > 5 or 0.9 < grown < 1.1
            if label < 4:
                assert abs(steps[1 - label // 2]).max() < 0.3


def test_a_clip_run_backward_is_one_of_the_other_label(digits, monkeypatch):
    for label in (0, 2, 4, 6):
        forward, _ = of_label(monkeypatch, label).sample(3)
        backward, _ = of_label(monkeypatch, label + 1).sample(3)
        np.testing.assert_array_equal(forward, backward[::-1])


def test_clips_are_the_same_bytes_always(digits):
    parts = _moving.moving(20, 0)
    assert {part: len(source) for part, source in parts.items()} == {"train": 20, "test": 4}
    clips = [parts["train"].sample(number) for number in range(20)]
    content = b"".join(frames.tobytes() for frames, _ in clips)
    assert hashlib.sha256(content).hexdigest()[:16] == BYTES
    assert len({label for _, label in clips}) > 5
    more, others = (_moving.moving(count, which)["train"] for count, which in ((40, 0), (20, 1)))
    np.testing.assert_array_equal(more.sample(7)[0], clips[7][0])
    assert (others.sample(7)[0] != clips[7][0]).any()


BYTES = "5e510efc5ff228cb"


# How they are stored


def net_of(*layers, phase=caffelite.TEST, seed=1):
    return caffelite.Net(parse("\n".join(layers), NetParameter), phase, seed=seed)


TOPS = 'name: "data" top: "data" top: "label" top: "cont"'


def test_all_forms_give_the_same_batches(digits, tmp_path, monkeypatch, capsys):
    pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("caffelite.data.clips.MOST_ROWS", 4)
    for form in ([], ["--hdf5"], ["--frames"]):
        assert main(["dataset", "moving-digits", "--count", "10", *form]) == 0
        out = capsys.readouterr().out
        assert "10 clips" in out and "data/moving_labels.txt" in out
    assert Path("data/moving_labels.txt").read_text().splitlines() == [*_moving.MOTIONS]
    assert len(Path("data/moving_train.txt").read_text().split()) == 3
    nets = (
        'layer { name: "data" type: "Data" top: "data" top: "label" '
        'data_param { source: "data/moving_train_lmdb" backend: LMDB batch_size: 10 } }',
        f'layer {{ type: "HDF5Data" {TOPS} '
        'hdf5_data_param { source: "data/moving_train.txt" batch_size: 10 } }',
        f'layer {{ type: "ImageData" {TOPS} image_data_param {{ batch_size: 10 is_color: false '
        'source: "data/moving_train_frames.txt" root_folder: "data/" clip_length: 10 } }',
    )
    source, of_clip = _moving.moving(10, 0)["train"], [0, *[1] * (FRAMES - 1)]
    for net in map(net_of, nets):
        net.forward()
        blobs = {name: blob.data for name, blob in net.blobs.items()}
        for number in range(10):
            frames, label = source.sample(number)
            np.testing.assert_array_equal(blobs["data"][number], frames)
            assert blobs["label"][number] == label
        if "cont" in blobs:
            assert blobs["cont"].tolist() == [of_clip] * 10


@pytest.mark.parametrize(
    "words, message",
    [
        ("mnist-5k --hdf5", "--hdf5 is for text and clips (moving-digits), not for mnist-5k"),
        ("mnist-5k --frames", "--frames is for clips (moving-digits), not for mnist-5k"),
        ("text --frames", "--frames is for clips (moving-digits), not for text"),
        ("moving-digits --frames --hdf5", "--hdf5 and --frames: each is a form of its own"),
        ("moving-digits --hdf5 --tar", "--hdf5 and --tar: each is a form of its own"),
    ],
)
def test_forms_that_do_not_fit(capsys, words, message):
    assert main(["dataset", *words.split()]) == 2
    assert message in capsys.readouterr().err


# Lists of frames


@pytest.fixture
def frames(tmp_path):
    """Pixels of 4 clips of 3 frames in color, and their list, list.txt."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (12, 3, 6, 5), np.uint8)
    for k, frame in enumerate(pixels):
        Image.fromarray(frame[::-1].transpose(1, 2, 0)).save(tmp_path / f"{k}.png")
    lines = [f"{k}.png {k // 3}\n" for k in range(12)]
    (tmp_path / "list.txt").write_text("".join(lines))
    return pixels.reshape(4, 9, 6, 5)


def listed(folder, options="", transform="", phase=caffelite.TRAIN, tops=TOPS, seed=1):
    text = (
        f'layer {{ type: "ImageData" {tops} transform_param {{ {transform} }} image_data_param {{ '
        f'source: "{folder}/list.txt" root_folder: "{folder}/" {options} }} }}'
    )
    return net_of(text, phase=phase, seed=seed)


def test_frames_of_a_clip_stay_together_when_clips_are_shuffled(frames, tmp_path):
    net = listed(tmp_path, "clip_length: 3 batch_size: 4 shuffle: true")
    orders = set()
    for _ in range(4):
        net.forward()
        labels = net.blobs["label"].data.astype(int)
        assert sorted(labels) == [0, 1, 2, 3]
        np.testing.assert_array_equal(net.blobs["data"].data, frames[labels])
        orders.add(tuple(labels))
    assert len(orders) > 1


def test_frames_of_a_clip_are_cropped_and_mirrored_alike(frames, tmp_path):
    transform = "crop_size: 4 mirror: true mean_value: 10 mean_value: 20 mean_value: 30"
    net = listed(tmp_path, "clip_length: 3 batch_size: 4", transform)
    found = set()
    for _ in range(6):
        net.forward()
        for clip, values in zip(frames - np.tile(np.int16([10, 20, 30]), 3)[:, None, None],
                                net.blobs["data"].data, strict=True):  # fmt: skip
            ways = [
                (top, left, step)
                for top in range(3)
                for left in range(2)
                for step in (1, -1)
                if (clip[:, top : top + 4, left : left + 4][:, :, ::step] == values).all()
            ]
            assert len(ways) == 1
            found.update(ways)
    assert len(found) > 6


@pytest.mark.parametrize(
    "lines, options, message",
    [
        ("0.png 1\n1.png 1\n2.png 2\n3.png 1\n", "clip_length: 2",
         "list.txt:4: the label 1, expected 2, that of line 3, where its clip begins"),
        ("0.png 1\n1.png 1\n2.png 2\n", "clip_length: 2",
         "list.txt: lists 3 frames, expected a multiple of 2"),
        ("0.png 1\nsmall.png 1\n", "clip_length: 2",
         r'list.txt:1: the clip from ".*/0.png" on: frame ".*/small.png" has .*\(3, 2, 2\)'),
        ("0.png 1\nnone.png 1\n", "clip_length: 2",
         r'list.txt:1: the clip from ".*/0.png" on: frame ".*/none.png": '),
        ("0.png 1\n1.png 1\n", "", 'layer "data" .*has 3 tops, expected 2'),
    ],
)  # fmt: skip
def test_lists_that_are_not_of_clips_are_refused(frames, tmp_path, lines, options, message):
    Image.new("RGB", (2, 2)).save(tmp_path / "small.png")
    (tmp_path / "list.txt").write_text(lines)
    with pytest.raises(CaffeliteError, match=message):
        listed(tmp_path, options).forward()


# The nets


def answers(name, clips):
    """The mean of probabilities of each clip, after a seed's first weights."""
    net = caffelite.Net(str(ROOT / "models" / name / "deploy.prototxt"), caffelite.TEST, seed=3)
    for blobs in net.params.values():
        for k, blob in enumerate(blobs):
            random = np.random.default_rng(k + blob.data.size)
            blob.data[...] = 0.1 * random.standard_normal(blob.data.shape)
    net.blobs["data"].reshape(*clips.shape)
    net.blobs["cont"].reshape(*clips.shape[:2])
    net.reshape()
    net.blobs["data"].data[...] = clips
    net.blobs["cont"].data[...] = np.minimum(np.arange(FRAMES), 1)
    found = net.forward()["clip"].copy()
    np.testing.assert_allclose(found, net.blobs["probs"].data.mean(axis=0), rtol=1e-5)
    return found


def test_single_frames_do_not_tell_a_clip_from_itself_run_backward():
    clips = np.random.default_rng(0).integers(0, 256, (2, FRAMES, SIDE, SIDE))
    clips = np.concatenate([clips, clips[:, ::-1]])
    by_frames, by_lstm = (answers(f"clips-{kind}", clips) for kind in ("frames", "lstm"))
    np.testing.assert_allclose(by_frames[:2], by_frames[2:], rtol=1e-5)
    assert abs(by_lstm[:2] - by_lstm[2:]).max() > 1e-3
