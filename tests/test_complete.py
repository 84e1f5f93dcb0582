"""What the editor of view offers: from the schema and the registry, for any place in a text."""

import random

import pytest

from caffelite.filler import FILLERS
from caffelite.layers import layer_types
from caffelite.proto import caffe_pb2
from caffelite.view.complete import complete

NET = """name: "x"
input: "given"
layer { name: "data" type: "Data" top: "data" top: "label" }  # top: "comment"
layers { name: 'old' type: CONVOLUTION bottom: "data" top: 'c"1' }
layer {
  name: "here"
  type: "Convolution"
"""


def offered(text):
    return [option["label"] for option in complete(text)["options"]]


def test_types_are_those_of_the_registry():
    for text in ('layer { type: "', "layer { type: 'Conv", "layer { type: ", "layer { type : Con"):
        assert offered(text) == list(layer_types())
    found = complete('layer { type: "Conv')
    assert (found["partial"], found["quote"]) == ("Conv", '"')
    assert all(option["quoted"] and option["info"] for option in found["options"])
    assert offered('layer { convolution_param { weight_filler { type: "') == list(FILLERS)


def test_fields_are_those_of_the_schema():
    assert set(offered("")) == {field.name for field in caffe_pb2.NetParameter.DESCRIPTOR.fields}
    message = caffe_pb2.ConvolutionParameter.DESCRIPTOR
    assert offered("layer { convolution_param { ") == [field.name for field in message.fields]
    assert offered("layer { convolution_param < ") == [field.name for field in message.fields]
    pool = next(o for o in complete("layer{pooling_param{")["options"] if o["label"] == "pool")
    assert pool["detail"] == "MAX | AVE | STOCHASTIC | L2 [MAX]" and pool["apply"] == "pool: "


def test_what_is_given_is_not_offered_again_unless_it_may_be():
    found = offered(NET + '  bottom: "data" ')
    assert found[0] == "convolution_param"  # what the type reads comes first
    assert {"bottom", "top", "param", "loss_weight"} <= set(found)
    assert not {"name", "type", "pooling_param"} & set(found)
    assert "pooling_param" in offered("layer { poo")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("layer { pooling_param { pool: ", ["MAX", "AVE", "STOCHASTIC", "L2"]),
        ("layer { pooling_param { pool: A", ["MAX", "AVE", "STOCHASTIC", "L2"]),
        ("layer { include { phase: ", ["TRAIN", "TEST"]),
        ("layer { include: { phase:", ["TRAIN", "TEST"]),
        ("force_backward: t", ["true", "false"]),
        ("layer { propagate_down: [true, ", ["true", "false"]),
        ("layer { convolution_param { num_output: ", []),
        ('layer { name: "', []),
        ("layer { no_such { x: ", []),
        ("layer { no_such { ", []),
        ("layer { type: Conv # a comment ", []),
        ('name: "x"', []),
    ],
)
def test_values(text, values):
    assert offered(text) == values


def test_blobs_are_the_tops_so_far_the_latest_first():
    assert offered(NET + '  bottom: "') == ['c"1', "label", "data", "given"]
    assert offered(NET + '  bottom: "data" bottom: ') == ['c"1', "label", "given"]
    assert offered(NET + '  bottom: ["data", ') == ['c"1', "label", "given"]
    assert offered(NET + '  bottom: "data" top: ') == ["here", "data"]
    assert offered('layer { bottom: "') == []


def test_any_text_has_an_answer():
    pieces = [*"{}<>[]:,;\"'#\n \\", "layer", "type", "bottom", "name", '"x"', "\xe9", "\U0001f600"]
    draw = random.Random(0)
    for _ in range(2000):
        text = "".join(draw.choices(pieces, k=draw.randrange(20)))
        assert text.endswith(complete(text)["partial"])
    assert complete("layer {" * 10_000)["options"] == []
