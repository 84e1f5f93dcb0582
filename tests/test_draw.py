"""draw: stacks, phases, shapes and hostile names in the Graphviz text; pictures of it."""

import html
import re
import shutil
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format

from caffelite.cli import main
from caffelite.draw import LayersOfPhase, dot_text
from caffelite.errors import CaffeliteError
from caffelite.layers import layer_types
from caffelite.pictures import draw
from caffelite.proto import caffe_pb2

NET = """
name: "net"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 6 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1"
        inner_product_param { num_output: 4 } }
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "drop1" type: "Dropout" bottom: "ip1" top: "ip1" include { phase: TRAIN }
        dropout_param { dropout_ratio: 0.3 } }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "out"
        inner_product_param { num_output: 3 bias_term: false } }
layer { name: "prob" type: "Softmax" bottom: "out" top: "prob" include { phase: TEST } }
"""


def parse(text):
    return text_format.Parse(text, caffe_pb2.NetParameter())


def words(line):
    """What a line of Graphviz text shows, without markup."""
    label = re.search(r"label=<(.*)>\]?;?", line)
    return " ".join(html.unescape(re.sub(r"<[^<>]*>", " ", label[1])).split()) if label else ""


def nodes(dot):
    """{node: what it shows}."""
    found = re.findall(r"^  (\w+) (\[.*\]);$", dot, re.M)
    return {node: words(rest) for node, rest in found if node not in ("node", "edge")}


def edges(dot):
    """[(tail, head, what it shows)]."""
    found = re.findall(r"^  (\w+) -> (\w+) (\[.*\]);$", dot, re.M)
    return [(tail, head, words(rest)) for tail, head, rest in found]


def test_layers_in_place_stand_below_their_producer():
    dot = dot_text(parse(NET))
    assert list(nodes(dot)) == ["n0", "n1", "n4", "n5", "o5_0"]
    stack = nodes(dot)["n1"]
    assert stack.index("ip1") < stack.index("relu1 ReLU") < stack.index("drop1 Dropout")
    assert [(tail, head) for tail, head, _ in edges(dot)] == [
        ("n0", "n1"),
        ("n1", "n4"),
        ("n4", "n5"),
        ("n5", "o5_0"),
    ]


def test_a_layer_in_place_on_one_of_several_tops_has_its_own_node():
    net = parse(
        """layer { name: "d" type: "Input" top: "a" top: "b" }
        layer { name: "r" type: "ReLU" bottom: "b" top: "b" }
        layer { name: "s" type: "Silence" bottom: "a" bottom: "b" }"""
    )
    assert sorted(edges(dot_text(net))) == [
        ("n0", "n1", "b"),
        ("n0", "n2", "a"),
        ("n1", "n2", "b"),
    ]


def test_layers_with_several_blobs_or_none_do_not_stack():
    net = parse(
        """layer { name: "a" type: "Input" top: "a" }
        layer { name: "b" type: "Input" top: "b" }
        layer { name: "x" type: "Python" bottom: "a" bottom: "b" top: "a" top: "b" }
        layer { name: "y" type: "Python" }"""
    )
    assert list(nodes(dot_text(net))) == ["n0", "n1", "n2", "n3", "o2_0", "o2_1"]


def test_two_phases_in_one_picture():
    net = parse(NET)
    shapes = {(0, 0): (6,), (1, 0): (4,), (2, 0): (4,), (3, 0): (4,), (4, 0): (3,), (5, 0): (3,)}

    def part(phase, batch, layers):
        of_phase = {at: (batch, *shape) for at, shape in shapes.items() if at[0] in layers}
        return LayersOfPhase(phase, layers, of_phase, {1: 28, 4: 12})

    dot = dot_text(net, [part("TRAIN", 64, [0, 1, 2, 3, 4]), part("TEST", 100, [0, 1, 2, 4, 5])])
    shown = nodes(dot)
    assert "40 learnable values" in dot
    assert shown["n1"].startswith("ip1 InnerProduct 4 outputs · 28 learnable relu1 ReLU drop1")
    assert "drop1 Dropout TRAIN" in shown["n1"] and "prob Softmax TEST" in shown["n5"]
    assert "TRAIN" not in shown["n0"] + shown["n4"]
    assert sorted(edges(dot)) == [
        ("n0", "n1", "N×6"),
        ("n1", "n4", "N×4"),
        ("n4", "n5", "out 100×3"),
        ("n4", "o4_0", "64×3"),
        ("n5", "o5_0", "100×3"),
    ]
    dashed = [line for line in dot.splitlines() if "dashed" in line]
    assert len(dashed) == 3 and all("-> n5" in x or "-> o" in x for x in dashed)
    assert shown["o4_0"] == "out TRAIN" and shown["o5_0"] == "prob"


def test_labels_that_are_read_far_away_are_cut():
    """A pill where they come from, one at each reader; both phases meet in the reader's."""
    net = caffe_pb2.NetParameter()
    for _ in range(2):
        net.layer.add(name="data", type="Data", top=["data", "label"])
    for i in range(20):
        net.layer.add(name=f"r{i}", type="TanH", bottom=[f"r{i - 1}" if i else "data"])
        net.layer[-1].top.append(f"r{i}")
    net.layer.add(name="loss", type="SoftmaxWithLoss", bottom=["r19", "label"], top=["loss"])
    phases = [
        LayersOfPhase(phase, [first, *range(2, 23)], {(first, 1): (batch,)})
        for phase, first, batch in (("TRAIN", 0, 64), ("TEST", 1, 100))
    ]
    dot = dot_text(net, phases)
    found = edges(dot)
    assert {("n0", "o0_1", "64"), ("n1", "o1_1", "100"), ("i22_1", "n22", "N")} <= set(found)
    assert nodes(dot)["i22_1"] == nodes(dot)["o0_1"] == "label"
    assert not [1 for tail, head, _ in found if tail in ("n0", "n1") and head == "n22"]
    near = caffe_pb2.NetParameter(layer=[net.layer[0], *net.layer[2:4], net.layer[-1]])
    near.layer[-1].bottom[0] = "r1"
    assert ("n0", "n3", "label") in edges(dot_text(near))


def test_without_shapes_edges_tell_only_names():
    part = LayersOfPhase("TEST", [0, 1], {(0, 0): (2, 6), (1, 0): (2, 4)})
    assert [e[2] for e in edges(dot_text(parse(NET), [part]))] == ["2×6", "2×4"]
    assert [e[2] for e in edges(dot_text(parse(NET), [part], shapes=False))] == ["", ""]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (
            'type: "Convolution" convolution_param { num_output: 8 kernel_size: 3 }',
            "3×3 · 8 outputs",
        ),
        (
            'type: "Convolution" convolution_param { num_output: 8 kernel_h: 1 kernel_w: 7 '
            "pad_h: 0 pad_w: 3 stride: 2 dilation: 1 group: 4 }",
            "1×7 · 8 outputs · stride 2 · pad 0×3 · group 4",
        ),
        ('type: "Pooling" pooling_param { pool: AVE global_pooling: true }', "AVE global"),
        ('type: "Pooling" pooling_param { kernel_size: 3 stride: 2 }', "MAX 3×3 · stride 2"),
        ('type: "PriorBox" prior_box_param { min_size: 9 aspect_ratio: 2 }', "3 boxes a place"),
        ('type: "LRN" lrn_param { local_size: 5 alpha: 0.1 }', "local_size 5 · alpha 0.1"),
        ('type: "Eltwise" eltwise_param { operation: MAX coeff: 1 }', "operation MAX"),
        ('type: "Data" data_param { source: "x" batch_size: 9 }', "batch_size 9"),
    ],
)
def test_options_worth_showing(options, shown):
    net = parse(f'layer {{ name: "x" top: "x" {options} }}')
    assert nodes(dot_text(net))["n0"].split(maxsplit=2)[2] == shown


@pytest.mark.parametrize("name", layer_types())
def test_a_layer_is_drawn_as_what_it_is(name):
    """As something else alone where its class says so, or what it does is but handing on."""
    made, drawn_as = layer_types()[name], draw.kind(name)
    assert drawn_as in draw.COLORS
    if drawn_as == "other" and made.__module__.startswith("caffelite."):
        assert made.drawn_as == "other" or ".utility." in made.__module__


def test_layers_of_unknown_types_are_drawn():
    assert draw.kind("Nonsuch") == "other" and draw.kind("NonsuchLoss") == "loss"
    assert draw.kind("BN") == "normalization"
    dot = dot_text(parse('layer { name: "x" type: "Nonsuch" top: "y" }'), display_lrm=True)
    assert "x Nonsuch" in nodes(dot)["n0"]


def test_multipliers_are_told_if_asked_for(folder):
    net = NET.replace('top: "ip1"\n', 'top: "ip1" param { } param { lr_mult: 2 }\n', 1)
    Path("net.prototxt").write_text(net)
    words = ["draw", "net.prototxt", "net.dot"]
    for flag, told in (("--display_lrm", True), (None, False)):
        assert main([*words, *filter(None, [flag])]) == 0
        assert ("lr_mult 1, 2" in Path("net.dot").read_text()) == told


def test_a_bottom_that_nobody_produces_is_shown():
    net = parse('layer { name: "x" type: "ReLU" bottom: "lost" top: "y" }')
    dot = dot_text(net)
    assert nodes(dot)["m0_0"] == "lost (nobody produces it)"
    assert ("m0_0", "n0", "") in edges(dot)


HOSTILE = [
    "",
    '"',
    "\\",
    "</TD>",
    "&amp;",
    "a\nb",
    "\0\1",
    "ü→漢字",
    "]",
    "%s {x}",
    "x" * 300,
    "\ufffe",
]


def hostile_net():
    net = caffe_pb2.NetParameter(name="".join(HOSTILE))
    for name in HOSTILE:
        net.layer.add(name=name, type=name, top=[name, name + "2"])
        net.layer.add(name=name, type=name, bottom=[name], top=[name])
    return net


def test_names_cannot_break_out_of_their_labels():
    dot = dot_text(hostile_net())
    assert all(line.isprintable() for line in dot.splitlines())
    shown = nodes(dot)
    assert {'" "', "\\ \\", "</TD> </TD>", "&amp; &amp;"} <= {
        x for node, x in shown.items() if node.startswith("n")
    }
    assert max(map(len, shown.values())) < 150


# Pictures


def graphviz():
    if not shutil.which("dot"):
        pytest.importorskip("pygraphviz")
    from caffelite.pictures.graphviz import render

    return render


@pytest.mark.parametrize(
    ("kind", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_pictures(kind, start):
    assert graphviz()(dot_text(parse(NET)), kind).startswith(start)


def test_a_picture_of_hostile_names_shows_them():
    svg = graphviz()(dot_text(hostile_net()), "svg").decode()
    for name in ("(empty)", '"', "\\", "</TD>", "&amp;", "ü→漢字", "%s {x}"):
        assert f">{html.escape(name)}</text>" in svg.replace("&#45;", "-")


def test_a_picture_has_a_title_even_without_counts():
    assert ">net</text>" in graphviz()(dot_text(parse(NET)), "svg").decode()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    return tmp_path


def test_the_command_writes_what_the_ending_says(folder, capsys):
    assert main(["draw", "net.prototxt", "net.gv"]) == 0
    dot = Path("net.gv").read_text()
    assert "43 learnable" not in dot and "40 learnable values" in dot  # 6 * 4 + 4 + 4 * 3
    assert ("n4", "n5", "out 2×3") in edges(dot)
    assert main(["draw", "-model=net.prototxt", "-out", "test.gv", "-phase", "test"]) == 0
    assert "drop1" not in Path("test.gv").read_text()
    assert main(["draw", "net.prototxt", "lr.gv", "--rankdir=LR", "--noshapes"]) == 0
    dot = Path("lr.gv").read_text()
    assert "rankdir=LR" in dot and "×" not in dot
    assert capsys.readouterr().out.split() == ["net.gv", "test.gv", "lr.gv"]


def test_equal_phases_are_one(folder):
    Path("deploy.prototxt").write_text(NET.partition('layer { name: "drop1"')[0])
    assert main(["draw", "deploy.prototxt", "deploy.gv"]) == 0
    text = Path("deploy.gv").read_text()
    assert "TEST" not in text and "dashed" not in text and "2×4" in text


@pytest.mark.parametrize("arguments", [["net.prototxt"], [], ["net.prototxt", "x.gif"], ["a", "b"]])
def test_mistakes_on_the_command_line(folder, arguments, capsys):
    assert main(["draw", *arguments]) == 2
    assert "usage: caffelite draw" in capsys.readouterr().err


def test_a_net_that_cannot_be_built_is_drawn_without_shapes(folder, capsys):
    source = 'data_param { source: "nowhere" batch_size: 2 }'
    Path("net.prototxt").write_text(
        f'layer {{ name: "d" type: "Data" top: "data" {source} }}\n'
        'layer { name: "x" type: "ReLU" bottom: "dta" top: "y" }\n'
    )
    assert main(["draw", "net.prototxt", "net.gv"]) == 0
    assert nodes(Path("net.gv").read_text())["m1_0"].startswith("dta")
    data, wrong = capsys.readouterr().err.splitlines()
    assert data.startswith('net.prototxt:1: layer "d": nowhere: ') and "--data-shape" in data
    assert wrong.startswith('drawn without shapes and counts: net.prototxt:2: layer "x": ')


def test_graphviz_comes_from_the_path_if_it_is_there(folder, monkeypatch):
    fake = folder / "bin" / "dot"
    fake.parent.mkdir()
    fake.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[1:], len(sys.stdin.read()))\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent))
    assert main(["draw", "net.prototxt", "net.svg"]) == 0
    assert Path("net.svg").read_text().startswith("['-Tsvg'] ")


def test_a_failing_graphviz_leaves_no_picture(folder, monkeypatch, capsys):
    fake = folder / "bin" / "dot"
    fake.parent.mkdir()
    fake.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('no such font')\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent))
    Path("net.svg").write_text("the old one")
    assert main(["draw", "net.prototxt", "net.svg"]) == 1
    assert capsys.readouterr().err == "Graphviz could not draw this net as svg: no such font\n"
    assert Path("net.svg").read_text() == "the old one"


def test_without_graphviz_the_way_out_is_named(folder, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    from caffelite.errors import CaffeliteError
    from caffelite.pictures import graphviz

    with pytest.raises(CaffeliteError, match=r"pip install 'caffelite\[draw\]'"):
        graphviz.render("digraph {}", "svg")


# Folds


def block(name, bottom, outputs=4):
    options = f"convolution_param {{ num_output: {outputs} kernel_size: 1 }}"
    return f"""
layer {{ name: "{name}/a" type: "Convolution" bottom: "{bottom}" top: "{name}/a" {options} }}
layer {{ name: "{name}/b" type: "TanH" bottom: "{name}/a" top: "{name}/b" }}
layer {{ name: "{name}/c" type: "AbsVal" bottom: "{name}/b" top: "{name}/c" }}
"""


BLOCKS = (
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [2, 3, 5, 5] } } }\n'
    + block("first", "data")
    + block("second", "first/c", 6)
    + 'layer { name: "end" type: "ReLU" bottom: "second/c" top: "end" }\n'
)


def test_blocks_that_repeat_are_drawn_as_one(folder):
    Path("net.prototxt").write_text(BLOCKS)
    assert main(["draw", "net.prototxt", "--fold", "net.dot"]) == 0
    dot = Path("net.dot").read_text()
    words = (
        "2 × the same block first, second 2 Convolution, 2 TanH, 2 AbsVal 6 layers · 46 learnable"
    )
    assert nodes(dot)["f1"] == words  # 3 * 4 + 4 + 4 * 6 + 6
    assert set(nodes(dot)) == {"n0", "f1", "n7", "o7_0"}
    assert [edge[:2] for edge in edges(dot)] == [("n0", "f1"), ("f1", "n7"), ("n7", "o7_0")]


def test_scopes_are_drawn_as_one(folder):
    Path("net.prototxt").write_text(BLOCKS)
    assert main(["draw", "net.prototxt", "net.dot", "--fold-by", "scopes"]) == 0
    dot = Path("net.dot").read_text()
    assert nodes(dot)["f1"] == "first/ 1 Convolution, 1 TanH, 1 AbsVal 3 layers · 16 learnable"
    assert ("f1", "f4", "2×4×5×5") in edges(dot)


def test_a_label_that_a_fold_reads_is_named_once(folder):
    head = 'layer { name: "d" type: "DummyData" top: "data" top: "y" dummy_data_param {'
    text = f"{head} shape {{ dim: [2, 3, 5, 5] }} shape {{ dim: 2 }} }} }}\n"
    text += "".join(block(f"u{k}", f"u{k - 1}/c" if k else "data") for k in range(6))
    for name in ("s1", "s2", "s3"):
        text += f'layer {{ name: "end/{name}" type: "Silence" bottom: "u5/c" bottom: "y" }}\n'
    Path("net.prototxt").write_text(text)
    assert main(["draw", "net.prototxt", "net.dot", "--fold-by", "scopes"]) == 0
    dot = Path("net.dot").read_text()
    assert [edge for edge in edges(dot) if edge[1] == "f19"] == [
        ("f16", "f19", "2×4×5×5"),
        ("if19_0_1", "f19", "2"),
    ]
    assert nodes(dot)["if19_0_1"] == "y"


def test_a_png_that_nobody_could_read_is_refused(folder, capsys):
    """By its length in boxes, before it is laid out, or by what it was laid out as."""
    text = 'layer { name: "x0" type: "Input" top: "x0" input_param { shape { dim: 7 } } }\n'
    for k in range(1, 600):
        text += f'layer {{ name: "x{k}" type: "TanH" bottom: "x{k - 1}" top: "x{k}" }}\n'
    Path("net.prototxt").write_text(text)
    assert main(["draw", "net.prototxt", "net.png"]) == 1
    said = capsys.readouterr().err
    assert ".svg" in said and "--fold" in said and "32,767" in said
    assert not Path("net.png").exists()
    with pytest.raises(CaffeliteError, match="pixels long"):
        graphviz()("digraph { a [shape=box, height=400] }", "png")
