"""Weights that lack layers of the net: every command and class says so, and computes nothing."""

import re
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.data.lmdb import LmdbWriter
from caffelite.errors import WeightsError
from caffelite.proto import caffe_pb2

BODY = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
"""
DEPLOY = (
    'layer { name: "data" type: "Input" top: "data"'
    " input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } }"
    + BODY
    + 'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }'
)
TRAIN_VAL = (
    'layer { name: "data" type: "Data" top: "data" top: "label"'
    ' data_param { source: "db" backend: LMDB batch_size: 2 } }'
    + BODY
    + 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }'
)
SOLVER = 'net: "train_val.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1 display: 1 '


def net_of(text, phase=caffelite.TEST, **more):
    return caffelite.Net(text_format.Parse(text, caffe_pb2.NetParameter()), phase, **more)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    Path("deploy.prototxt").write_text(DEPLOY)
    Path("train_val.prototxt").write_text(TRAIN_VAL)
    Image.fromarray(random.integers(0, 256, (6, 5, 3), np.uint8)).save("cat.png")
    Path("windows.csv").write_text("filename,xmin,ymin,xmax,ymax\ncat.png,0,0,4,4\n")
    with LmdbWriter("db") as database:
        for i in range(4):
            pixels = random.integers(0, 256, 90, np.uint8).tobytes()
            datum = caffe_pb2.Datum(channels=3, height=6, width=5, label=i % 3, data=pixels)
            database.put(b"%08d" % i, datum.SerializeToString())
    net_of(DEPLOY, seed=1).save("whole.caffemodel")


# Kinds of weights: {kind: (what makes the file, the layers that it lacks)}


def whole():
    """The weights of all layers, to change."""
    message = caffe_pb2.NetParameter.FromString(Path("whole.caffemodel").read_bytes())
    message.ClearField("checksum")
    return message


def without(*names):
    def save(path):
        message = whole()
        kept = [layer for layer in message.layer if layer.name not in names]
        del message.layer[:]
        message.layer.extend(kept)
        path.write_bytes(message.SerializeToString())

    return save


def renamed(path):
    text = re.sub(r'name: "(conv|bn|fc)"', r'name: "old_\1"', DEPLOY)
    net_of(text).save(path)


def without_values(path):
    message = caffe_pb2.NetParameter(layer=[{"name": "data"}, {"name": "relu"}])
    path.write_bytes(message.SerializeToString())


def hdf5_without_fc(path):
    pytest.importorskip("h5py")
    net = net_of(DEPLOY)
    net.layers[:] = [layer for layer in net.layers if layer.name != "fc"]
    net.save_hdf5(path)


LACKING = {
    "no fc": (without("fc"), ["fc"]),
    "no statistics": (without("bn"), ["bn"]),
    "other names": (renamed, ["conv", "bn", "fc"]),
    "no values": (without_values, ["conv", "bn", "fc"]),
    "HDF5": (hdf5_without_fc, ["fc"]),
}


def changed(name, change):
    def save(path):
        message = whole()
        change(next(layer for layer in message.layer if layer.name == name).blobs)
        path.write_bytes(message.SerializeToString())

    return save


UNFIT = {
    "fewer blobs": changed("fc", lambda blobs: blobs.pop()),
    "no blobs": changed("fc", lambda blobs: blobs.__delitem__(slice(None))),
    "more blobs": changed("fc", lambda blobs: blobs.add(data=[1])),
    "two of three": changed("bn", lambda blobs: blobs.pop()),
    "another shape": changed("conv", lambda blobs: blobs[0].shape.dim.__setitem__(0, 5)),
    "empty file": lambda path: path.write_bytes(b""),
    "no file": lambda path: None,
}

PICTURE = "out.png --model deploy.prototxt --picture cat.png --weights W"
COMMANDS = {
    "classify": "classify cat.png --model deploy.prototxt --weights W",
    "classify a net for training": "classify cat.png --model train_val.prototxt --weights W",
    "detect": "detect windows.csv out.csv --context_pad 0 --model deploy.prototxt --weights W",
    "extract_features": "extract_features W train_val.prototxt fc out.npz 1 npz",
    "features": f"visualize features {PICTURE}",
    "occlusion": f"visualize occlusion {PICTURE}",
    "saliency": f"visualize saliency {PICTURE}",
    "guided": f"visualize guided {PICTURE}",
    "test": "test --model train_val.prototxt --iterations 1 --weights W",
    "report": "test --model train_val.prototxt --report --weights W",
}


def pairs(kinds):
    """Each kind with the first command, each command with the first kind; other pairs are slow."""
    for command in COMMANDS:
        for kind in kinds:
            first = command == next(iter(COMMANDS)) or kind == next(iter(kinds))
            yield pytest.param(command, kind, marks=[] if first else pytest.mark.slow)


def run(command, weights, *words):
    return main([*COMMANDS[command].replace("W", str(weights)).split(), *words])


@pytest.mark.parametrize(("command", "kind"), [*pairs(LACKING)])
def test_weights_that_lack_layers_are_an_error_that_names_them(folder, capsys, command, kind):
    make, names = LACKING[kind]
    make(Path("w.bin"))
    assert run(command, "w.bin") == 1
    out, err = capsys.readouterr()
    assert not out and not list(Path().glob("out.*"))
    assert f"{len(names)} of the net's 3 layers with weights" in err
    for name, sizes in (("conv", "2 blobs, 56"), ("bn", "3 blobs, 5"), ("fc", "2 blobs, 75")):
        told = re.search(rf'"{name}" \((line \d+: )?{sizes} values', err)
        assert bool(told) == (name in names)
    assert "w.bin" in err and "--allow-missing" in err


@pytest.mark.parametrize(("command", "kind"), [*pairs(LACKING)])
def test_a_flag_lets_them_through_and_a_warning_tells(folder, capsys, command, kind):
    make, names = LACKING[kind]
    make(Path("w.bin"))
    assert run(command, "w.bin", "--allow-missing", "--quiet") == 0  # which leaves warnings
    out, err = capsys.readouterr()
    assert out and f"{len(names)} of the net's 3 layers with weights" in err
    assert err.count(f'"{names[0]}" (') == 1


@pytest.mark.parametrize(("command", "kind"), [*pairs(UNFIT)])
def test_the_flag_lets_nothing_through_that_does_not_fit(folder, capsys, command, kind):
    UNFIT[kind](Path("w.bin"))
    assert run(command, "w.bin", "--allow-missing") == 1
    out, err = capsys.readouterr()
    assert not out and "w.bin" in err and "Traceback" not in err


@pytest.mark.parametrize("command", COMMANDS)
def test_weights_that_hold_all_layers_pass_without_a_word(folder, capsys, command):
    assert run(command, "whole.caffemodel") == 0
    assert "fillers gave" not in capsys.readouterr().err
    without("fc")(Path("body.caffemodel"))
    without("conv", "bn")(Path("head.caffemodel"))
    for path in Path().glob("out.*"):
        path.unlink()
    assert run(command, "body.caffemodel,head.caffemodel") == 0
    assert "fillers gave" not in capsys.readouterr().err


@pytest.mark.parametrize("kind", LACKING)
@pytest.mark.parametrize("load", ["copy_from", "Net", "old Net"])
def test_in_python_a_net_loads_as_caffes_does_and_warns(folder, caplog, load, kind):
    make, names = LACKING[kind]
    make(Path("w.bin"))
    if load == "copy_from":
        report = caffelite.Net("deploy.prototxt", caffelite.TEST).copy_from("w.bin")
        assert report.missing == names
    elif load == "Net":
        caffelite.Net("deploy.prototxt", caffelite.TEST, weights="w.bin")
    else:
        with pytest.warns(DeprecationWarning):
            caffelite.Net("deploy.prototxt", "w.bin", caffelite.TEST)
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    assert [name for name in ("conv", "bn", "fc") if f'"{name}" (' in record.message] == names


@pytest.mark.parametrize("kind", LACKING)
@pytest.mark.parametrize("class_", [caffelite.Classifier, caffelite.Detector])
def test_classifier_and_detector_raise(folder, caplog, class_, kind):
    make, names = LACKING[kind]
    make(Path("w.bin"))
    with pytest.raises(WeightsError, match=f'"{names[-1]}".*allow_missing=True'):
        class_("deploy.prototxt", "w.bin")
    class_("deploy.prototxt", "w.bin", allow_missing=True)
    assert "fillers gave" in caplog.text
    class_("deploy.prototxt", "whole.caffemodel")


def test_names_that_are_near_and_those_not_used_are_told(folder, caplog):
    renamed(Path("w.bin"))
    with pytest.raises(WeightsError) as problem:
        net_of(DEPLOY).copy_from("w.bin", missing="refuse")
    assert 'did you mean "old_conv"?' in str(problem.value)
    assert 'not used of the weights: "old_conv", "old_bn", "old_fc"' in str(problem.value)
    assert "0 copied, 3 not in the net" in str(problem.value)


def test_of_many_layers_all_that_are_missing_and_some_of_the_others_are_told(folder):
    head = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }'
    one = 'layer {{ name: "{0}" type: "Bias" bottom: "x" top: "{0}" }}'
    names = [f"bias{i}" for i in range(60)]
    net = net_of(head + "".join(map(one.format, names)))
    others = caffe_pb2.NetParameter()
    for i in range(60):
        others.layer.add(name=f"other{i:02}").blobs.add(data=[1], shape={"dim": [1]})
    Path("many.caffemodel").write_bytes(others.SerializeToString())
    with pytest.raises(WeightsError) as problem:
        net.copy_from("many.caffemodel", missing="refuse")
    assert all(f'"{name}" (' in str(problem.value) for name in names)
    assert '"other19" and 40 more' in str(problem.value) and "other20" not in str(problem.value)


# What is not missing

SHARED = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "owner" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" }
  inner_product_param { num_output: 3 bias_term: false } }
layer { name: "sharer" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" }
  inner_product_param { num_output: 3 bias_term: BIAS } }
"""


def saved(net, path):
    net.save_hdf5(path) if path.endswith("h5") else net.save(path)
    return path


@pytest.mark.parametrize("bias", ["true", "false"])
@pytest.mark.parametrize("ending", ["caffemodel", "h5"])
def test_shared_blobs_are_missing_only_where_their_owner_is(folder, ending, bias):
    """HDF5 leaves shared blobs out: the layer that has nothing else is an empty group."""
    text = SHARED.replace("BIAS", bias)
    path = saved(net_of(text), f"w.{ending}")
    assert net_of(text).copy_from(path).missing == []
    other = text.replace('name: "owner"', 'name: "new"')
    missing = net_of(other).copy_from(path).missing
    # a .caffemodel repeats the shared blob in each layer, and so fills it through the sharer
    assert missing == (["new", "sharer"] if ending == "h5" else [])


def test_of_a_layer_filled_in_part_the_rest_is_told(folder):
    text = SHARED.replace("BIAS", "true")
    path = saved(net_of(text), "w.h5")
    with pytest.raises(WeightsError, match=r'"new" \(line \d+: 1 blob, 9 v.*1 of 2 blobs, 9 val'):
        Path("new.prototxt").write_text(text.replace('name: "owner"', 'name: "new"'))
        caffelite.Net("new.prototxt", caffelite.TEST).copy_from(path, missing="refuse")


def test_blobs_that_the_net_file_brings_are_not_missing(folder, caplog):
    given = " ".join(f"blobs {{ data: {[1.0] * n} }}" for n in (72, 3))
    text = DEPLOY.replace("inner_product_param", f"{given} inner_product_param")
    without("fc")(Path("w.bin"))
    assert net_of(text).copy_from("w.bin").missing == []
    half = DEPLOY.replace("inner_product_param", f"{given.split(' blobs')[0]} inner_product_param")
    assert net_of(half).copy_from("w.bin").missing == ["fc"]
    assert "1 of 2 blobs, 3 values" in caplog.text


def test_files_that_are_loaded_one_after_another_count_together(folder, caplog):
    without("fc")(Path("body.caffemodel"))
    without("conv", "bn")(Path("head.caffemodel"))
    net = net_of(DEPLOY)
    assert net.copy_from("body.caffemodel").missing == ["fc"]
    caplog.clear()
    assert net.copy_from("head.caffemodel").missing == []
    assert "fillers gave" not in caplog.text


def test_weights_shared_with_another_net_are_not_missing(folder):
    net = net_of(DEPLOY)
    net.share_with(net_of(DEPLOY))
    without("fc")(Path("w.bin"))
    assert net.copy_from("w.bin").missing == []


def test_a_net_that_has_no_weights_needs_none_and_hears_that_none_were_used(folder, caplog):
    text = DEPLOY.replace(BODY, "").replace('bottom: "fc"', 'bottom: "data"')
    report = net_of(text).copy_from("whole.caffemodel", missing="refuse")
    assert report.missing == []
    assert 'not used of the weights: "conv", "bn", "fc"' in caplog.text


def test_a_second_layer_of_a_name_gets_nothing_and_is_missing(folder):
    """Values go to the first of the name in a .caffemodel, as in Caffe."""
    path = saved(net_of(DEPLOY), "w.caffemodel")
    second = 'layer { name: "fc" type: "Bias" bottom: "prob" top: "more" }'
    assert net_of(DEPLOY + second).copy_from(path).missing == ["fc"]


@pytest.mark.parametrize(
    "type, field", [("LSTM", "recurrent"), ("RNN", "recurrent"), ("GRU", "gru")]
)
def test_recurrent_layers_are_missing_as_others_are(folder, type, field):
    text = f"""
        layer {{ name: "x" type: "Input" top: "x" top: "cont"
          input_param {{ shape {{ dim: 2 dim: 1 dim: 3 }} shape {{ dim: 2 dim: 1 }} }} }}
        layer {{ name: "recurrent" type: "{type}" bottom: "x" bottom: "cont" top: "h"
          {field}_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }} }}"""
    assert net_of(text).copy_from("whole.caffemodel").missing == ["recurrent"]
    path = saved(net_of(text), "w.caffemodel")
    assert net_of(text).copy_from(path, missing="refuse").missing == []


def test_what_to_do_is_one_of_three_words(folder):
    with pytest.raises(ValueError, match="warn.*refuse.*report.*not 'stop'"):
        net_of(DEPLOY).copy_from("whole.caffemodel", missing="stop")


# Training


@pytest.mark.parametrize("by_flag", [True, False])
def test_training_starts_from_weights_that_lack_layers_and_lists_them(folder, capsys, by_flag):
    without("fc")(Path("w.bin"))
    field = "" if by_flag else 'weights: "w.bin"'
    Path("solver.prototxt").write_text(SOLVER + field)
    words = ["--weights", "w.bin"] if by_flag else []
    assert main(["train", "--solver", "solver.prototxt", *words]) == 0
    err = capsys.readouterr().err
    assert re.search(r"fc  *3x24, 3  *left as it was", err)
    assert "fillers gave" not in err


def test_training_from_weights_of_which_nothing_is_used_warns(folder, capsys):
    renamed(Path("w.bin"))
    Path("solver.prototxt").write_text(SOLVER)
    words = ["--solver", "solver.prototxt", "--weights", "w.bin", "--quiet"]
    assert main(["train", *words]) == 0
    assert "0 copied, 3 not in the net, 3 not in the file; not used" in capsys.readouterr().err


def test_layers_of_a_test_net_that_nobody_trains_are_told_once(folder, caplog):
    own = 'layer { name: "own" type: "Bias" bottom: "fc" top: "o" include { phase: TEST } }'
    Path("train_val.prototxt").write_text(TRAIN_VAL + own)
    text = SOLVER + "test_iter: 1 test_interval: 1"
    solver = caffelite.get_solver(text_format.Parse(text, caffe_pb2.SolverParameter()))
    solver.step(3)
    told = [r.message for r in caplog.records if "test net #0 computes with" in r.message]
    assert len(told) == 1 and '"own"' in told[0] and '"fc"' not in told[0]
