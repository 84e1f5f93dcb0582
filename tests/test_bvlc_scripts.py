"""caffelite run: programs of our own for the scripts of Caffe's repository in Python 2."""

import gzip
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.pycaffe.scripts import bvlc

NET = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param {
  shape { dim: 2 dim: 3 dim: 6 dim: 8 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" param { lr_mult: 3 }
  inner_product_param { num_output: 4 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


@pytest.fixture(autouse=True)
def folder(folder_of_a_run):
    return folder_of_a_run


def script(name, path="."):
    """A script in Python 2 with the marks of Caffe's."""
    (known,) = [known for known in bvlc.SCRIPTS if known.name == name]
    os.makedirs(path, exist_ok=True)
    text = "".join(f"# {mark}\n" for mark in known.marks)
    Path(path, f"{name}.py").write_text(text + "print 'Python 2'\n")
    return str(Path(path, f"{name}.py"))


def run(name, *words):
    return main(["run", script(name), *map(str, words)])


@pytest.fixture
def net():
    Path("net.prototxt").write_text(NET)
    made = caffelite.Net("net.prototxt", caffelite.TEST)
    made.save("net.caffemodel")
    return ["--model_def", "net.prototxt", "--pretrained_model", "net.caffemodel"]


@pytest.fixture
def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    Image.fromarray(pixels).save("a.png")
    return "a.png"


def test_a_script_is_known_by_its_name_and_what_stands_in_it(capsys):
    Path("classify.py").write_text("print('my own')\n")
    assert main(["run", "classify.py"]) == 0
    assert capsys.readouterr().out == "my own\n"
    Path("classify.py").write_text("exec 'my own'\n")
    assert main(["run", "classify.py"]) == 1
    assert "this is Python 2" in capsys.readouterr().err


def test_a_script_of_caffes_that_runs_is_left_to_itself(capsys):
    path = script("draw_net")
    text = Path(path).read_text()
    Path(path).write_text(text.replace("print 'Python 2'", "print('Python 3')"))
    assert main(["run", path]) == 0
    assert capsys.readouterr().out == "Python 3\n"


def test_classify(net, picture, capsys):
    np.save("mean.npy", np.full((3, 12, 16), 100.0))
    words = [picture, "out.npy", *net, "--images_dim", "12,16", "--mean_file", "mean.npy"]
    assert run("classify", *words, "--center_only") == 0
    out, err = capsys.readouterr()
    assert "caffelite's own program does its work" in err and "Classifying 1 inputs." in out
    expected = caffelite.Classifier(
        *net[1::2],
        image_dims=(12, 16),
        mean=np.full((3, 6, 8), 100.0),
        raw_scale=255,
        channel_swap=(2, 1, 0),
    ).predict([caffelite.io.load_image(picture)], oversample=False)
    np.testing.assert_allclose(np.load("out.npy"), expected, rtol=1e-6)


def test_classify_takes_folders_and_arrays(net, picture, capsys):
    os.mkdir("pictures")
    for name in "bc":
        Image.open(picture).save(f"pictures/{name}.png")
    words = [*net, "--images_dim", "12,16", "--ext", "png", "--mean_file="]
    assert run("classify", "pictures", "folder.npy", *words) == 0
    image = caffelite.io.load_image(picture)
    np.save("arrays.npy", [image, image])
    assert run("classify", "arrays.npy", "out.npy", *words) == 0
    np.testing.assert_allclose(np.load("out.npy"), np.load("folder.npy"), rtol=1e-6)
    assert run("classify", "pictures", "folder.npy", *net, "--mean_file", "") == 1
    assert "see --ext" in capsys.readouterr().err


def test_detect(net, picture):
    Path("windows.csv").write_text(f"filename,xmin,ymin,xmax,ymax\n{picture},2,3,9,10\n")
    words = ["windows.csv", "out.csv", *net, "--crop_mode=list", "--context_pad=1"]
    words += ["--mean_file", ""]
    assert run("detect", *words) == 0
    header, line = Path("out.csv").read_text().splitlines()
    detector = caffelite.Detector(*net[1::2], raw_scale=255, channel_swap=(2, 1, 0), context_pad=1)
    (found,) = detector.detect_windows([(picture, [(3, 2, 10, 9)])])
    assert header.startswith("filename,ymin,xmin,ymax,xmax,class0")
    np.testing.assert_allclose(
        [float(word) for word in line.split(",")[5:]], found["prediction"], rtol=1e-4
    )


def test_draw_net(net):
    pytest.importorskip("pydot")
    if not shutil.which("dot"):
        pytest.importorskip("pygraphviz")
    assert run("draw_net", "net.prototxt", "net.dot", "--display_lrm", "--rankdir", "TB") == 0
    assert "lr mult" in Path("net.dot").read_text()


SOLVER = """
net_param { layer { name: "x" type: "DummyData" top: "x" top: "t" dummy_data_param {
    shape { dim: 2 dim: 3 } data_filler { value: 1 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
    inner_product_param { num_output: 3 } }
  layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" } }
base_lr: 0.1 lr_policy: "fixed" max_iter: 4 display: 2 snapshot: 2 snapshot_prefix: "s"
"""


def test_train(capsys):
    Path("solver.prototxt").write_text(SOLVER)
    assert run("train", "--solver", "solver.prototxt", "--gpus", "0", "1", "--timing") == 0
    err = capsys.readouterr().err
    assert "Passing over devices [0, 1]" in err and "Iteration 2" in err
    assert "forw   1       ip : " in err and "solver total: " in err
    assert run("train", "--solver=solver.prototxt", "--snapshot=s_iter_2.solverstate") == 0


LOG = """\
I1231 23:59:58.500000 1 solver.cpp:1] Solving net
I1231 23:59:59.000000 1 solver.cpp:1] Iteration 0, loss = 2
I1231 23:59:59.000000 1 solver.cpp:1]     Train net output #0: loss = 2 (* 1 = 2 loss)
I1231 23:59:59.250000 1 sgd.cpp:1] Iteration 0, lr = 0.1
I0101 00:00:00.500000 1 solver.cpp:1] Iteration 1, loss = 1
I0101 00:00:00.500000 1 solver.cpp:1]     Train net output #0: loss = 1 (* 1 = 1 loss)
I0101 00:00:00.500000 1 sgd.cpp:1] Iteration 1, lr = 0.1
"""


def test_extract_seconds(capsys):
    Path("a.log").write_text(LOG)
    assert run("extract_seconds", "a.log", "seconds") == 0
    assert Path("seconds").read_text() == "".join(f"{s:f}\n" for s in (0.5, 0.75, 2, 2))
    Path("b.log").write_text("no log")
    assert run("extract_seconds", "b.log", "seconds") == 1
    assert "no line with Solving" in capsys.readouterr().err


def test_scripts_that_are_commands(net, capsys):
    Path("a.log").write_text(LOG)
    assert run("parse_log", "a.log", ".", "--delimiter", ";") == 0
    assert Path("a.log.train").read_text().splitlines()[0] == "NumIters;Seconds;LearningRate;loss"
    assert run("parse_log", "--verbose", "a.log", ".") == 0
    capsys.readouterr()
    assert run("summarize", "net.prototxt") == 0
    assert "InnerProduct" in capsys.readouterr().out
    assert run("summarize", "-w", "20", "net.prototxt") == 0


def test_a_script_that_imports_one_in_python_2(capsys):
    Path("a.log").write_text(LOG)
    script("extract_seconds")
    path = script("parse_log")
    text = Path(path).read_text().replace("print 'Python 2'", "import extract_seconds")
    Path(path).write_text(text)
    assert main(["run", path, "a.log", "."]) == 0
    assert os.path.exists("a.log.train")
    Path("mine.py").write_text("x = 1\nimport extract_seconds\n")
    assert main(["run", "mine.py"]) == 1
    assert "extract_seconds.py:3: this is Python 2" in capsys.readouterr().err


def test_defaults_are_beside_the_script(picture, capsys):
    path = script("classify", "python")
    assert main(["run", path, picture, "out.npy", "--mean_file", ""]) == 1
    assert "python/../models/bvlc_reference_caffenet/" in capsys.readouterr().err
    assert main(["run", path, picture, "out.npy"]) == 1
    assert "python/caffe/imagenet/ilsvrc_2012_mean.npy" in capsys.readouterr().err


def test_resize_and_crop_images(picture, capsys):
    os.makedirs("in/n01")
    Image.open(picture).resize((40, 20)).save("in/n01/a.png")
    Path("in/n01/bad.jpg").write_text("no picture")
    Path("list.txt").write_text("n01/a.png 0\nin/n01/bad.jpg 1\n")
    words = ["--input=list.txt", "--input_folder=in", "--output_folder=out"]
    words += ["--output_side_length=10", "--num_clients=8", "--image_lib=PIL"]
    assert run("resize_and_crop_images", *words) == 1
    assert "bad.jpg" in capsys.readouterr().err
    with Image.open("out/n01/a.png") as made:
        assert made.size == (10, 10)
    assert os.listdir("out/n01") == ["a.png"]


def test_download_model_binary(capsys):
    Path("weights").write_bytes(b"values")
    url, sha1 = Path("weights").absolute().as_uri(), hashlib.sha1(b"values").hexdigest()
    card = (
        f"---\nname: A net\ncaffemodel: net.caffemodel\ncaffemodel_url: {url}\nsha1: {sha1}\n---\n"
    )
    os.mkdir("model")
    Path("model/readme.md").write_text(card)
    assert run("download_model_binary", "model") == 0
    assert Path("model/net.caffemodel").read_bytes() == b"values"
    assert run("download_model_binary", "model") == 0
    assert "Model already exists." in capsys.readouterr().out
    Path("model/readme.md").write_text(card.replace(sha1, "0" * 40))
    assert run("download_model_binary", "model") == 1
    assert "its sha1 is" in capsys.readouterr().err
    assert Path("model/net.caffemodel").read_bytes() == b"values"
    Path("model/readme.md").write_text("no card")
    assert run("download_model_binary", "model") == 1


def test_assemble_data(picture, monkeypatch):
    path = script("assemble_data", "examples/finetune_flickr_style")
    url = Path(picture).absolute().as_uri()
    rows = [f"{k},{url},{k % 2},{split}" for k, split in enumerate(["train", "test", "train"])]
    rows.append(f"9,{url}.gone,0,train")
    with gzip.open("examples/finetune_flickr_style/flickr_style.csv.gz", "wt") as file:
        file.write("\n".join([",image_url,label,_split", *rows]))
    assert main(["run", path, "--workers=2", "--labels=1", "--images=-1", "--seed=3"]) == 0
    train = Path("data/flickr_style/train.txt").read_text().split()
    assert train[1::2] == ["0", "0"] and all(os.path.exists(name) for name in train[::2])
    assert Path("data/flickr_style/test.txt").read_text() == ""
