"""caffelite segment: a class for each pixel of pictures, whole, resized and in tiles."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.layers.reach import window
from caffelite.net import memory
from caffelite.pictures.palette import color_of
from caffelite.predict.tiles import Axis, Tile

CONV = """layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}" convolution_param {{
  num_output: {2} {3} weight_filler {{ type: "msra" }} }} }}
"""
POOL = """layer {{ name: "{0}" type: "Pooling" bottom: "{1}" top: "{0}"
  pooling_param {{ kernel_size: 2 stride: 2 }} }}
"""
UP = """layer {{ name: "{0}" type: "Deconvolution" bottom: "{1}" top: "{0}" convolution_param {{
  num_output: 4 group: 4 bias_term: false {2} weight_filler {{ type: "bilinear" }} }} }}
"""
POINTS = CONV.format("score", "data", 4, "kernel_size: 1")
TRUNK = (
    CONV.format("conv1", "data", 8, "kernel_size: 3 pad: 9")
    + POOL.format("pool1", "conv1")
    + CONV.format("conv2", "pool1", 8, "kernel_size: 3 pad: 1")
    + POOL.format("pool2", "conv2")
    + CONV.format("low", "pool2", 4, "kernel_size: 1")
)
FCN = (
    TRUNK
    + UP.format("up", "low", "kernel_size: 8 stride: 4")
    + """layer { name: "crop" type: "Crop" bottom: "up" bottom: "data" top: "score"
  crop_param { offset: 10 } }"""
)
VALID = CONV.format("conv", "data", 8, "kernel_size: 3") + CONV.format(
    "score", "conv", 4, "kernel_size: 3"
)
EVEN = (
    CONV.format("conv", "data", 4, "kernel_size: 3 pad: 1")
    + POOL.format("pool", "conv")
    + UP.format("up", "pool", "kernel_size: 2 stride: 2")
    + 'layer { name: "sum" type: "Eltwise" bottom: "conv" bottom: "up" top: "score" }'
)
FIXED = (
    CONV.format("low", "data", 4, "kernel_size: 4 stride: 4")
    + """layer { name: "interp" type: "Interp" bottom: "low" top: "score"
  interp_param { height: 40 width: 40 } }"""
)
EDGES = (
    CONV.format("score", "data", 1, "kernel_size: 1")
    + 'layer { name: "edges" type: "Sigmoid" bottom: "score" top: "edges" }'
)


def make(layers, size=40):
    """net.prototxt, with an input of that size, and random weights; returns the net."""
    Path("net.prototxt").write_text(
        f"""layer {{ name: "data" type: "Input" top: "data"
          input_param {{ shape {{ dim: 1 dim: 3 dim: {size} dim: {size} }} }} }}\n{layers}"""
    )
    caffelite.set_random_seed(3)
    net = caffelite.Net("net.prototxt", caffelite.TEST)
    net.save("net.caffemodel")
    return net


def picture(name="a.png", height=50, width=67):
    """A picture of small squares in random colors; returns its values, blue first, less 100."""
    random = np.random.default_rng(0)
    colors = random.integers(0, 256, (height // 5 + 1, width // 5 + 1, 3), np.uint8)
    pixels = colors.repeat(5, 0).repeat(5, 1)[:height, :width]
    Image.fromarray(pixels).save(name)
    return pixels[..., ::-1].transpose(2, 0, 1).astype(np.float32) - 100


def segment(*words, code=0):
    files = "--model=net.prototxt", "--weights=net.caffemodel", "--mean_value=100"
    assert main(["segment", *words, *files]) == code


def scores_of(net, values):
    """What the net answers to these values, classes x height x width."""
    net.blobs["data"].reshape(1, *values.shape)
    net.reshape()
    net.blobs["data"].data[0] = values
    return next(iter(net.forward().values()))[0].copy()


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_labels_names_and_pictures_of_them(capsys):
    scores = scores_of(make(POINTS), picture())
    Path("names.txt").write_text("none\nred\ngreen\nblue\n")
    segment("a.png", "--labels=names.txt", "--json", "--npy", "--probabilities", "--overlay")
    (told,) = json.loads(capsys.readouterr().out)
    labels = scores.argmax(0)
    assert told["made"][0] == str(Path("segmented", "a.png"))
    assert (told["height"], told["width"]) == labels.shape == (50, 67)
    shares = {one["name"]: one["share"] for one in told["labels"]}
    assert shares["blue"] == (labels == 3).mean()
    assert list(shares) == sorted(shares, key=shares.get, reverse=True)
    with Image.open("segmented/a.png") as made:
        assert made.mode == "P"
        np.testing.assert_array_equal(np.asarray(made), labels)
        np.testing.assert_array_equal(made.convert("RGB"), color_of(labels))
    np.testing.assert_array_equal(np.load("segmented/npy/a.npy"), labels)
    powers = np.exp(scores - scores.max(0))
    np.testing.assert_allclose(
        np.load("segmented/probabilities/a.npy"), powers / powers.sum(0), atol=1e-6
    )
    pixels, shown = (np.asarray(Image.open(f)) for f in ("a.png", "segmented/overlay/a.png"))
    np.testing.assert_array_equal(shown[labels == 0], pixels[labels == 0])
    mixed = (pixels.astype(int) + color_of(labels)) // 2
    np.testing.assert_array_equal(shown[labels > 0], mixed[labels > 0])


def test_side_by_side_with_a_legend():
    make(POINTS)
    picture()
    Path("names.txt").write_text("none\nred\n")
    segment("a.png", "--side-by-side", "--labels=names.txt")
    shown = np.asarray(Image.open("segmented/side-by-side/a.png"))
    assert shown.shape[1] == 2 * 67 and shown.shape[0] > 50
    np.testing.assert_array_equal(shown[:50, :67], Image.open("a.png"))
    np.testing.assert_array_equal(shown[:50, 67:], Image.open("segmented/a.png").convert("RGB"))
    legend = shown[50:].reshape(-1, 3)
    for label in np.unique(Image.open("segmented/a.png")):
        assert (legend == color_of(label)).all(1).any()


def test_tiles_give_what_the_whole_gives(capsys):
    make(FCN)
    picture(height=90, width=123)
    segment("a.png", "--npy", "--probabilities")
    asked = "a.png", "--npy", "--probabilities", "--tile=40x60", "--out=tiles"
    segment(*asked, "--overlap=20")
    assert "overlap" not in capsys.readouterr().err
    for kind in ("npy", "probabilities"):
        whole, tiles = (np.load(f"{out}/{kind}/a.npy") for out in ("segmented", "tiles"))
        np.testing.assert_allclose(tiles, whole, atol=1e-6)
    segment(*asked, "--overlap=0", "--force")
    assert "--overlap 20 makes it the whole's" in capsys.readouterr().err
    assert (np.load("tiles/npy/a.npy") != np.load("segmented/npy/a.npy")).any()


def test_tiles_of_a_net_with_a_stride_give_what_the_whole_gives(capsys):
    """Where tiles meet between two of its values, both are read, and all that they see."""
    layers = (
        CONV.format("low", "data", 4, "kernel_size: 5 stride: 2 pad: 2")
        + CONV.format("wide", "low", 4, "kernel_h: 3 kernel_w: 7 stride: 2 pad_h: 1 pad_w: 3")
        + CONV.format("score", "wide", 4, "kernel_size: 1")
    )
    make(layers)
    picture(height=90, width=113)
    segment("a.png", "--probabilities")
    asked = "a.png", "--probabilities", "--tile=32x64", "--out=tiles"
    segment(*asked, "--overlap=0")
    assert "--overlap 22 makes it the whole's" in capsys.readouterr().err  # 14 would do for rows
    segment(*asked, "--overlap=22", "--force")
    whole, tiles = (np.load(f"{out}/probabilities/a.npy") for out in ("segmented", "tiles"))
    np.testing.assert_allclose(tiles, whole, atol=1e-6)


def test_a_net_that_answers_less_than_it_sees():
    """As the U-Net of the paper: the picture is mirrored at its edges."""
    net, values = make(VALID), picture()
    segment("a.png", "--npy")
    expected = scores_of(net, np.pad(values, [(0, 0), (2, 2), (2, 2)], "symmetric")).argmax(0)
    np.testing.assert_array_equal(np.load("segmented/npy/a.npy"), expected)
    segment("a.png", "--npy", "--tile=20", "--out=tiles")
    np.testing.assert_array_equal(np.load("tiles/npy/a.npy"), expected)


def test_a_picture_smaller_than_anything_that_the_net_takes():
    make(VALID)
    picture(height=1, width=2)
    segment("a.png", "--npy")
    assert np.load("segmented/npy/a.npy").shape == (1, 2)


def test_a_net_that_takes_even_sizes_only():
    net, values = make(EVEN), picture()
    segment("a.png", "--npy")
    scores = scores_of(net, np.pad(values, [(0, 0), (0, 0), (0, 1)], "symmetric"))
    np.testing.assert_array_equal(np.load("segmented/npy/a.npy"), scores.argmax(0)[:, :67])
    segment("a.png", "--npy", "--tile=20", "--out=tiles")
    np.testing.assert_array_equal(np.load("tiles/npy/a.npy"), scores.argmax(0)[:, :67])


def two_halves(net, blob, height, width):
    """A picture, white on the right, that the net calls 2 there and 1 elsewhere."""
    pixels = np.zeros((height, width), np.uint8)
    pixels[:, width // 2 :] = 255
    Image.fromarray(pixels).convert("RGB").save("halves.png")
    weight, bias = (b.data for b in net.params[blob])
    weight[...], bias[...] = 0, [0, 5 * 55 / 155, 0, 0]  # halfway
    weight[2] = 10 / 155 / weight[2].size
    net.save("net.caffemodel")
    return np.where(pixels, 2, 1)


def test_a_net_that_takes_one_size_sees_pictures_resized():
    expected = two_halves(make(FIXED), "low", 60, 100)
    segment("halves.png", "--npy")
    labels = np.load("segmented/npy/halves.npy")
    far = np.abs(np.arange(100) - 49.5) > 8
    np.testing.assert_array_equal(labels[:, far], expected[:, far])
    segment("halves.png", "--npy", "--tile=40", "--overlap=8", "--out=tiles")
    labels = np.load("tiles/npy/halves.npy")
    np.testing.assert_array_equal(labels[:, far], expected[:, far])


def test_an_answer_of_fewer_values_than_pixels():
    """Each value lies in the middle of what it sees, whatever the picture's size."""
    expected = two_halves(
        make(CONV.format("low", "data", 4, "kernel_size: 4 stride: 4")), "low", 33, 48
    )
    segment("halves.png", "--npy")
    np.testing.assert_array_equal(np.load("segmented/npy/halves.npy"), expected)
    segment("halves.png", "--npy", "--resize=24x24", "--out=small")
    np.testing.assert_array_equal(np.load("small/npy/halves.npy"), expected)


def test_labels_of_an_arg_max_are_not_mixed():
    end = """layer { name: "best" type: "ArgMax" bottom: "low" top: "best"
      argmax_param { axis: 1 } }"""
    layers = CONV.format("low", "data", 4, "kernel_size: 4 stride: 4") + end
    expected = two_halves(make(layers), "low", 33, 48)
    segment("halves.png", "--npy")
    np.testing.assert_array_equal(np.load("segmented/npy/halves.npy"), expected)


def test_a_sigmoid_makes_gray_pictures_of_edges(capsys):
    expected = scores_of(make(EDGES), picture())[0]
    segment("a.png", "--npy", "--side-by-side", "--overlay")
    assert "of the pixels above 0.5" in capsys.readouterr().out
    np.testing.assert_allclose(np.load("segmented/npy/a.npy"), expected, atol=1e-6)
    with Image.open("segmented/a.png") as made:
        assert made.mode == "L"
        np.testing.assert_allclose(np.asarray(made), expected * 255, atol=0.51)


REFUSED = {
    "of labels": (POINTS + 'layer { name: "r" type: "Reduction" bottom: "score" top: "r" }', [],
                  'expected scores of classes'),
    "fixed": (FIXED, ["--tile=32"], "takes 40 x 40 pixels alone, not 32 x 32; give --tile 40x40"),
    "resized": (FIXED, ["--resize=32"], "give --resize 40x40"),
    "overlap": (FCN, ["--tile=24", "--overlap=30"], "give an overlap of at most 20"),
    "tiny": (FCN, ["--tile=3"], "tiles of 3 are too small: the net moves in steps of 4"),
    "no tiles": (POINTS, ["--overlap=3"], "--overlap is what tiles share: give --tile, too"),
    "output": (POINTS, ["--output=scores"], 'has no blob "scores"; its outputs are score'),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case, capsys):
    layers, words, message = REFUSED[case]
    make(layers)
    picture()
    segment("a.png", *words, code=1 if case != "no tiles" else 2)
    assert message in capsys.readouterr().err
    assert not Path("segmented").exists()


def test_too_large_a_picture_is_told_and_tiles_are_offered(monkeypatch, capsys):
    make(FCN)
    picture()
    picture("b.png", 400, 300)
    monkeypatch.setattr(memory, "available", lambda: 4e6)
    segment("b.png", "a.png", "--npy", code=1)
    err = capsys.readouterr().err
    assert "b.png: 400 x 300 pixels, which the net sees in 400 x 300, take" in err
    offered = err.split("--tile ")[1].split()[0]
    assert Path("segmented/a.png").exists() and not Path("segmented/b.png").exists()
    segment("b.png", f"--tile={offered}", "--npy")
    free = iter([4e6, 1e5])
    monkeypatch.setattr(memory, "available", lambda: next(free))  # the first one took it all
    segment("a.png", "a.png", "--force")
    assert np.load("segmented/npy/b.npy").shape == (400, 300)


def test_an_answer_that_is_too_large_is_told(monkeypatch, capsys):
    """4 classes, of which the file holds as much again: 4 (3 + 1 + 2 4) bytes a pixel."""
    make(FCN)
    picture("b.png", 400, 300)
    monkeypatch.setattr(memory, "available", lambda: 5e6)
    segment("b.png", "--probabilities", "--tile=40", code=1)
    err = capsys.readouterr().err
    assert "they take less without --probabilities, or as a smaller picture" in err
    segment("b.png", "--tile=40")


def test_weights_that_are_no_numbers_are_told(capsys):
    net = make(POINTS)
    net.params["score"][1].data[1] = np.nan
    net.save("net.caffemodel")
    picture()
    segment("a.png", code=1)
    assert (
        'a.png: the net answers numbers in "score" that are not finite' in capsys.readouterr().err
    )


def test_files_that_are_there_stay(capsys):
    make(POINTS)
    picture()
    segment("a.png")
    segment("a.png", code=2)
    assert "is there already; name another folder, or --force" in capsys.readouterr().err
    segment("a.png", "--out=.", "--force", code=2)
    assert "is to be asked about, and would go" in capsys.readouterr().err
    segment("a.png", "--force", "--overlay")
    Path("segmented/a.png").unlink()
    segment("a.png", "--overlay", code=2)
    assert f"{Path('segmented', 'overlay', 'a.png')} is there already" in capsys.readouterr().err
    segment("segmented/overlay/a.png", "--force", "--overlay", code=2)
    assert "overlay/a.png is to be asked about, and would go" in capsys.readouterr().err


def test_tiles_cover_an_axis_once():
    """Sizes of a net of stride 4 whose answer lacks 2 places at each end."""
    axis = Axis(40, lambda size: size - 4 if size % 4 == 0 else None, window(5, 1, 0), 4)
    assert axis.takes_any and axis.before == 2
    for length in range(1, 120):
        tiles = axis.cover(length, 40, 4)
        assert [tile.low for tile in tiles[1:]] == [tile.high for tile in tiles[:-1]]
        assert (tiles[0].low, tiles[-1].high) == (0, length)
        for tile in tiles:
            assert tile.start + 2 <= tile.low and tile.high <= tile.start + tile.size - 2
            assert tile.size % 4 == 0 and (tile.start + 2) % 4 == 0


def test_places_beyond_the_edge_are_mirrored():
    assert Tile(-2, 8, 0, 4).places(4).tolist() == [1, 0, 0, 1, 2, 3, 3, 2]
    assert Tile(-2, 5, 0, 1).places(1).tolist() == [0] * 5
