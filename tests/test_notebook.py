"""What Jupyter shows of nets."""

import re
import shutil

import pytest

import caffelite as caffe
from caffelite import layers as L


@pytest.fixture
def spec():
    n = caffe.NetSpec()
    n.data, n.label = L.DummyData(shape=[dict(dim=[2, 3, 4, 5]), dict(dim=[2])], ntop=2)
    n.ip = L.InnerProduct(n.data, num_output=6)
    n["<relu>"] = L.ReLU(n.ip, in_place=True)
    n.loss = L.SoftmaxWithLoss(n["<relu>"], n.label)
    n.accuracy = L.Accuracy(n["<relu>"], n.label)
    return n


def cells(page):
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    return [re.findall(r"<t[dh]>(.*?)</t[dh]>", row) for row in rows]


def test_a_spec_is_a_table_of_what_was_said(spec):
    table = cells(spec._repr_html_())
    assert table[0] == ["layer", "type", "bottom", "top", "options"]
    assert table[2] == ["ip", "InnerProduct", "data", "ip", "inner_product_param { num_output: 6 }"]
    assert [row[0] for row in table[3:]] == ["&lt;relu&gt;", "loss", "accuracy"]


def test_jupyter_finds_out_how_to_show_a_spec(spec):
    assert getattr(spec, "_ipython_canary_method_should_not_exist_", None) is None
    assert getattr(spec, "_repr_png_", None) is None
    formatters = pytest.importorskip("IPython.core.formatters")
    assert "text/html" in formatters.DisplayFormatter().format(spec)[0]


def test_a_net_is_a_table_of_shapes_without_inserted_splits(spec):
    net = caffe.Net(spec.to_proto(), caffe.TRAIN)
    assert "ip_<relu>_0_split" in net.layer_dict
    table = cells(net._repr_html_())
    assert table[0] == ["layer", "type", "bottom", "top", "blobs"]
    assert table[1][3] == "data 2×3×4×5, label 2"
    assert table[2] == ["ip", "InnerProduct", "data", "ip 2×6", "weight 6×60, bias 6"]
    assert table[4] == ["loss", "SoftmaxWithLoss", "ip, label", "loss scalar", ""]
    assert len(table) == 6


def test_there_is_a_picture_if_graphviz_is_there(spec, monkeypatch):
    if not shutil.which("dot"):
        pytest.importorskip("pygraphviz")
    pages = [spec._repr_html_(), caffe.Net(spec.to_proto(), caffe.TRAIN)._repr_html_()]
    for page in pages:
        picture = page[page.index("<svg") : page.index("</svg>")]
        assert "InnerProduct" in picture and "split" not in picture
    assert "2×3×4×5" in pages[1]


def test_without_graphviz_the_table_is_still_there(spec, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    page = spec._repr_html_()
    assert "<svg" not in page and "pip install &#x27;caffelite[draw]" in page
    assert len(cells(page)) == 6
