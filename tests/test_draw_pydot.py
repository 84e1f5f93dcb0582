"""The drawing functions of pycaffe."""

import shutil

import pytest
from google.protobuf import text_format

import caffelite as caffe
from caffelite import draw
from caffelite.proto.caffe_pb2 import LayerParameter, NetParameter

NET = """
name: "net"
layer { name: "data" type: "Data" top: "data" top: "label" data_param { batch_size: 64 }
  include { phase: TRAIN } }
layer { name: "data" type: "Data" top: "data" top: "label" data_param { batch_size: 100 }
  include { phase: TEST } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 }
  param { lr_mult: 2 } convolution_param { num_output: 20 kernel_size: 5 stride: 2 } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "pool" top: "pool" }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
  inner_product_param { num_output: 10 } }
layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "label" top: "acc"
  exclude { phase: TRAIN } }
"""


def layer(text):
    return text_format.Parse(text, LayerParameter())


@pytest.fixture
def net():
    return text_format.Parse(NET, NetParameter())


@pytest.mark.parametrize(
    ("rankdir", "options", "label"),
    [
        ("TB", {}, r'"conv (Convolution) kernel size: 5 stride: 2 pad: 0"'),
        ("LR", {}, r'"conv\n(Convolution)\nkernel size: 5\nstride: 2\npad: 0"'),
        ("BT", dict(display_lrm=True),
         r'"conv (Convolution) kernel size: 5 stride: 2 pad: 0 lr mult: 1.0, 2.0"'),
    ],
)  # fmt: skip
def test_the_label_of_a_convolution(net, rankdir, options, label):
    assert draw.get_layer_label(net.layer[2], rankdir, **options) == label


def test_labels_of_other_layers(net):
    expected = r'"pool\n(Pooling AVE)\nkernel size: 3\nstride: 2\npad: 1"'
    assert draw.get_layer_label(net.layer[3], "LR") == expected
    assert draw.get_layer_label(net.layer[4], "LR", display_lrm=True) == r'"relu\n(ReLU)"'
    expected = '"ip (InnerProduct) lr mult: 1.0, 1.0"'
    assert draw.get_layer_label(net.layer[5], "TB", display_lrm=True) == expected
    assert draw.get_layer_label(layer('name: "d" type: "Deconvolution"'), "TB").endswith(
        'kernel size: 1 stride: 1 pad: 0"'
    )


def test_edges_tell_batch_size_and_outputs(net):
    labels = [draw.get_edge_label(ly) for ly in net.layer]
    assert labels == ["Batch 64", "Batch 100", "20", '""', '""', "10", '""']


def test_lr_mults_are_those_of_weight_and_bias(net):
    assert draw.get_layer_lr_mult(net.layer[2]) == (1, 2)
    assert draw.get_layer_lr_mult(net.layer[5]) == (1, 1)
    assert draw.get_layer_lr_mult(layer('type: "InnerProduct" param { lr_mult: 0 }')) == (0, 1)
    with pytest.raises(ValueError, match="ReLU"):
        draw.get_layer_lr_mult(net.layer[4])


def test_colors_go_by_type():
    types = "Convolution Deconvolution Pooling InnerProduct Data".split()
    assert [draw.choose_color_by_layertype(t) for t in types] == [
        *["#FF5050"] * 2,
        "#FF9900",
        "#CC33FF",
        "#6495ED",
    ]
    assert draw.get_pooling_types_dict()[0] == "MAX"


def names(graph):
    return sorted(node.get_name().strip('"') for node in graph.get_nodes())


def test_the_graph_has_layers_and_blobs(net):
    pytest.importorskip("pydot")
    graph = draw.get_pydot_graph(net, "TB")
    blobs = ["acc_blob", "conv_blob", "data_blob", "ip_blob", "label_blob", "pool_blob"]
    layers = "acc_Accuracy conv_Convolution data_Data ip_InnerProduct pool_Pooling relu_ReLU"
    assert sorted(set(names(graph))) == sorted(blobs + layers.split())
    edges = {(e.get_source().strip('"'), e.get_destination().strip('"')) for e in graph.get_edges()}
    assert {("pool_blob", "relu_ReLU"), ("relu_ReLU", "pool_blob")} <= edges
    fill = {n.get_name().strip('"'): n.get("fillcolor").strip('"') for n in graph.get_nodes()}
    assert fill["relu_ReLU"] == "#90EE90" and fill["ip_blob"] == "#E0E0E0"
    assert fill["conv_Convolution"] == "#FF5050"
    assert any(e.get("label") == "Batch 100" for e in graph.get_edges())
    plain = draw.get_pydot_graph(net, "TB", label_edges=False)
    assert {e.get("label") for e in plain.get_edges()} == {'""'}


def test_phases_choose_layers(net):
    pytest.importorskip("pydot")
    for phase, batch, has_accuracy in ((caffe.TRAIN, 64, False), (caffe.TEST, 100, True)):
        graph = draw.get_pydot_graph(net, "TB", phase=phase)
        assert ("acc_Accuracy" in names(graph)) == has_accuracy
        labels = {e.get("label") for e in graph.get_edges()}
        assert {label for label in labels if "Batch" in label} == {f"Batch {batch}"}
    net.layer[0].exclude.add(phase=caffe.TEST)
    with pytest.raises(ValueError, match="include and exclude"):
        draw.get_pydot_graph(net, "TB", phase=caffe.TRAIN)


def test_pictures_are_made_of_it(net, tmp_path):
    pytest.importorskip("pydot")
    if not shutil.which("dot"):
        pytest.importorskip("pygraphviz")
    net.layer.add(name='odd "{<|\\ name\n', type="ReLU", bottom=["ip"], top=["odd {b}"])
    assert draw.draw_net(net, "LR").startswith(b"\x89PNG")
    draw.draw_net_to_file(net, str(tmp_path / "net.svg"), display_lrm=True)
    svg = (tmp_path / "net.svg").read_text()
    assert "odd {b}" in svg and 'odd "{&lt;|\\ name' in svg.replace("&quot;", '"')
    assert svg.count("<polygon") > 12


def test_without_pydot_the_way_out_is_named(net, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydot", None)
    with pytest.raises(caffe.CaffeliteError, match=r"pip install 'caffelite\[draw\]'"):
        draw.get_pydot_graph(net, "TB")
