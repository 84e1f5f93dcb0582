"""Errors: fields beside the text, however they travel."""

import copy
import pickle

import pytest

import caffelite
from caffelite.errors import (
    CaffeliteError,
    DataError,
    NetError,
    ProtoError,
    WeightsError,
    did_you_mean,
)
from caffelite.testing import make_layer

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "pool" type: "Pooling" bottom: "x" top: "y"
  pooling_param { kernel_size: 2 } }
"""


def error_of(folder, text):
    (folder / "net.prototxt").write_text(text)
    with pytest.raises(CaffeliteError) as caught:
        caffelite.Net(str(folder / "net.prototxt"), caffelite.TEST)
    return caught.value


def test_a_text_alone_is_the_message():
    error = CaffeliteError("no way")
    assert (str(error), error.words, error.args) == ("no way", "no way", ("no way",))
    assert (error.file, error.line, error.column, error.layer, error.blob) == ("", 0, 0, None, "")
    assert str(CaffeliteError()) == "" and CaffeliteError("a", 2).args == ("a", 2)


def test_the_text_joins_the_fields():
    error = NetError("is odd", file="n", line=3, layer="a", layer_type="ReLU", blob="b")
    assert str(error) == 'n:3: layer "a" (ReLU): is odd'
    assert error.without_line == 'layer "a" (ReLU): is odd'
    assert str(ProtoError("is odd", file="n", line=3, column=4)) == "n:3:4: is odd"
    assert str(NetError("is odd", layer="")) == 'layer "": is odd'


@pytest.mark.parametrize("travel", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_an_error_keeps_its_fields_on_the_way(travel):
    error = DataError("is odd", file="n", line=3, layer="a", blob="b")
    found = travel(error)
    assert (type(found), str(found), vars(found)) == (DataError, str(error), vars(error))


def test_a_mistake_of_shape_names_layer_and_blob(tmp_path):
    error = error_of(tmp_path, NET)
    where = error.file, error.line, error.layer, error.layer_type, error.blob
    assert where == (str(tmp_path / "net.prototxt"), 3, "pool", "Pooling", "x")
    assert error.words == 'bottom[0] "x" has shape (2, 3), expected 4 axes: (N, C, H, W)'
    assert str(error) == f'{error.file}:3: layer "pool" (Pooling): {error.words}'


def test_other_mistakes_say_where(tmp_path):
    error = error_of(tmp_path, NET.replace('bottom: "x"', 'bottom: "z"'))
    assert (error.line, error.layer, error.blob) == (3, "pool", "z")
    error = error_of(tmp_path, NET.replace('"Pooling"', '"Poling"'))
    assert (error.line, error.layer, error.layer_type) == (3, "pool", "")
    assert 'layer "pool": unknown type "Poling"; did you mean "Pooling"' in str(error)
    error = error_of(tmp_path, NET.replace("kernel_size", "kernel_sighs"))
    assert (error.line, error.column) == (4, 19)
    error = error_of(tmp_path, 'layers { layer { name: "a" type: "rleu" } }')
    assert (error.line, error.layer) == (1, "a")


def test_what_is_wrong_with_values_names_their_blob():
    layer, bottom, top = make_layer("Accuracy", [(2, 3), (2,)])
    bottom[1].data[...] = 7
    with pytest.raises(NetError, match="holds the label 7") as caught:
        layer.forward(bottom, top)
    assert caught.value.blob == layer.param.bottom[1]


def test_weights_that_do_not_fit_name_layer_and_blob(tmp_path):
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
    text += """layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
        inner_product_param { num_output: %d } }"""
    for name, count in (("small", 4), ("large", 5)):
        (tmp_path / f"{name}.prototxt").write_text(text % count)
    caffelite.Net(str(tmp_path / "small.prototxt"), caffelite.TEST).save(
        str(tmp_path / "small.caffemodel")
    )
    large = caffelite.Net(str(tmp_path / "large.prototxt"), caffelite.TEST)
    with pytest.raises(WeightsError) as caught:
        large.copy_from(str(tmp_path / "small.caffemodel"))
    error = caught.value
    assert (error.line, error.layer, error.blob) == (2, "ip", "weight")
    assert str(error).startswith(f'{tmp_path / "large.prototxt"}:2: layer "ip" (InnerProduct): ')


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("cache", ["scale", "shuffle", "batch_size"], ""),
        ("larc", ["layer", "lr_policy"], ""),
        ("img_rand_resize_lower", ["random_resize_param"], ""),
        ("kernal_size", ["kernel_h", "kernel_size"], '; did you mean "kernel_size"?'),
        ("lr", ["base_lr", "clip_gradients"], ""),
        ("rate", ["learning_rate", "rates"], '; did you mean "rates"?'),
        ("conv1", ["pool1", "body/conv1"], '; did you mean "body/conv1"?'),
        ("ame", ["name", "layer"], '; did you mean "name"?'),
        ("gaus", ["bilinear", "gaussian"], '; did you mean "gaussian"?'),
        ("st", ["stage", "state"], ""),
        ("local_param", ["scale_param", "pooling_param"], ""),
        (
            "conv_param",
            ["concat_param", "convolution_param"],
            '; did you mean "convolution_param"?',
        ),
    ],
)
def test_only_what_is_near_is_proposed(word, known, hint):
    assert did_you_mean(word, known) == hint
