"""Layers written by users, in the ways that pycaffe scripts do it."""

import sys

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
import caffelite as caffe
from caffelite import own_code
from caffelite.cli import main
from caffelite.proto import caffe_pb2


class EuclideanLossLayer(caffe.Layer):
    """Half the mean squared distance, as pycaffe's best known example has it."""

    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs to compute distance.")

    def reshape(self, bottom, top):
        if bottom[0].count != bottom[1].count:
            raise Exception("Inputs must have the same dimension.")
        self.diff = np.zeros_like(bottom[0].data, dtype=np.float32)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff**2) / bottom[0].num / 2.0

    def backward(self, top, propagate_down, bottom):
        for i in range(2):
            if not propagate_down[i]:
                continue
            sign = 1 if i == 0 else -1
            bottom[i].diff[...] = sign * self.diff / bottom[i].num


class Counter(caffe.Layer):
    """A data layer that knows its batch only when it reads it: reshapes its top in forward."""

    def setup(self, bottom, top):
        self.calls = ["setup"]
        top[0].reshape(1, 2)

    def reshape(self, bottom, top):
        self.calls.append("reshape")

    def forward(self, bottom, top):
        self.calls.append("forward")
        rows = self.calls.count("forward")
        top[0].reshape(rows, 2)
        top[0].data[...] = rows

    def backward(self, top, propagate_down, bottom):
        pass

    def start_from(self, calls):
        self.calls = list(calls)


class Facts(caffe.Layer):
    """Puts down what it is told."""

    def setup(self, bottom, top):
        self.facts = {
            "param_str": (self.param_str, self.param_str_),
            "phase": (str(self.phase), int(self.phase), self.phase == caffe.TRAIN),
            "name": self.layer_param.name,
            "kinds": (len(bottom), len(top), bottom[0].shape, self.type),
        }
        self.blobs.add_blob(2, 3)
        self.blobs.add_blob()
        self.blobs[1].data[...] = 4

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.blobs[1].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[1].diff[...] += top[0].diff.sum()
        raise KeyError("lost")


class Namesake(caffe.Layer):
    """Has attributes that a Net gives its layers, too."""

    def setup(self, bottom, top):
        self.loss_weights, self.propagate_down, self.position = 3, 3, None

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.loss_weights * bottom[0].data


class OddError(Exception):
    def __init__(self, one, two):
        self.sum = one + two


class Raises(caffe.Layer):
    problem = None

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        raise self.problem


class Bare(caffe.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(1)


def net_of(text, phase=caffe.TRAIN, **more):
    return caffe.Net(text_format.Parse(text, caffe_pb2.NetParameter()), phase, **more)


def data(name, *dims):
    shape = " ".join(f"dim: {d}" for d in dims)
    options = f"input_param {{ shape {{ {shape} }} }}"
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" {options} }}'


def user(name, bottoms="", options="", more="", module=__name__):
    bottom = " ".join(f'bottom: "{b}"' for b in bottoms.split())
    param = f'python_param {{ module: "{module}" layer: "{name}" {options} }}'
    return f'layer {{ name: "user" type: "Python" {bottom} top: "y" {param} {more} }}'


def test_a_loss_is_as_good_as_the_built_in_one():
    values = np.random.default_rng(0).standard_normal((2, 4, 3))
    inputs = "force_backward: true " + data("a", 4, 3) + data("b", 4, 3)
    built_in = 'layer { name: "l" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "y" }'
    nets = [
        net_of(inputs + user("EuclideanLossLayer", "a b", more="loss_weight: 1")),
        net_of(inputs + built_in),
    ]
    for net in nets:
        net.blobs["a"].data[...], net.blobs["b"].data[...] = values
        net.forward()
        net.backward()
    mine, theirs = nets
    assert net_of(inputs + user("EuclideanLossLayer", "a b")).forward_backward() == 0
    assert mine.blobs["y"].data.item() == pytest.approx(theirs.blobs["y"].data.item(), rel=1e-6)
    for name in "ab":
        np.testing.assert_allclose(mine.blobs[name].diff, theirs.blobs[name].diff, rtol=1e-6)


def test_reshape_runs_before_each_forward_and_tops_may_change_in_it():
    net = net_of(user("Counter") + 'layer { name: "f" type: "Flatten" bottom: "y" top: "z" }')
    for rows in (1, 2, 3):
        net.forward()
        assert net.blobs["z"].data.tolist() == [[rows, rows]] * rows
    assert net.layers[0].calls == ["setup", "reshape"] + ["reshape", "forward"] * 3


def test_the_net_shows_what_the_object_has():
    net = net_of(user("Counter"))
    net.layers[0].start_from(["forward"] * 6)
    net.forward()
    assert net.blobs["y"].shape == (7, 2)
    net.layers[0].calls = ["forward"] * 2
    net.layers[0].new = "of the object, too"
    assert net.forward()["y"].shape == (3, 2) and net.layers[0].layer.new == "of the object, too"
    with pytest.raises(AttributeError, match="no_such_thing"):
        net.layers[0].no_such_thing  # noqa: B018


def test_the_object_and_the_net_use_the_same_names_for_their_own():
    net = net_of(data("x", 2) + user("Namesake", "x", more="loss_weight: 5"))
    net.blobs["x"].data[...] = 1
    assert net.forward()["y"].tolist() == [3, 3]
    assert net._forward(0, 1) == 5 * 6


@pytest.mark.parametrize("phase, said", [(caffe.TRAIN, "TRAIN"), (caffe.TEST, "TEST")])
def test_the_object_knows_its_options_and_phase(phase, said):
    text = data("x", 5, 2) + user("Facts", "x", "param_str: '{scale: 2}'")
    assert net_of(text, phase).layers[1].facts == {
        "param_str": ("{scale: 2}", "{scale: 2}"),
        "phase": (said, int(phase), phase == caffe.TRAIN),
        "name": "user",
        "kinds": (1, 1, (5, 2), "Python"),
    }


def test_its_blobs_are_learned_shared_and_saved(tmp_path):
    specs = "param { name: 'w' lr_mult: 3 } param { lr_mult: 0 }"
    net = net_of(data("x", 5, 2) + user("Facts", "x", more=specs))
    weights = net.params["user"]
    assert [blob.shape for blob in weights] == [(2, 3), ()]
    assert [entry.lr_mult for entry in net.learnable] == [3, 0]
    weights[0].data[...] = 5
    net.save(str(tmp_path / "w.caffemodel"))
    again = net_of(data("x", 5, 2) + user("Facts", "x"), weights=str(tmp_path / "w.caffemodel"))
    assert (again.params["user"][0].data == 5).all() and again.params["user"][1].data == 4


def test_an_exception_says_which_layer_and_where():
    with pytest.raises(caffelite.CaffeliteError) as caught:
        net_of(data("x", 5, 2) + user("EuclideanLossLayer", "x"))
    line = EuclideanLossLayer.setup.__code__.co_firstlineno + 2
    assert 'layer "user" (Python): EuclideanLossLayer.setup raised Exception: ' in str(caught.value)
    assert f"Need two inputs to compute distance. ({__file__}:{line})" in str(caught.value)
    assert type(caught.value.__cause__) is Exception

    net = net_of("force_backward: true " + data("x", 5, 2) + user("Facts", "x"))
    with pytest.raises(RuntimeError, match="Facts.backward raised KeyError: 'lost'") as caught:
        net.backward()
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize(
    "problem", [StopIteration("no more"), FileNotFoundError(2, "no"), OddError(1, 2)], ids=repr
)
def test_who_runs_a_net_may_catch_what_a_layer_raises(problem, monkeypatch):
    monkeypatch.setattr(Raises, "problem", problem)
    net = net_of(user("Raises"))
    with pytest.raises(type(problem)) as caught:
        net.forward()
    assert isinstance(caught.value, caffelite.CaffeliteError)
    assert str(caught.value).startswith('layer "user" (Python): Raises.forward raised')
    assert vars(caught.value).items() >= vars(problem).items()
    assert caught.value.layer == "user" and caught.value.__cause__ is problem


@pytest.mark.parametrize("problem", [BrokenPipeError(32, "gone"), MemoryError()], ids=repr)
def test_a_command_says_what_a_layer_raises(problem, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(Raises, "problem", problem)
    (tmp_path / "net.prototxt").write_text(user("Raises"))
    assert main(["time", "--model", str(tmp_path / "net.prototxt")]) == 1
    said = 'net.prototxt:1: layer "user" (Python): Raises.forward raised '
    assert said + type(problem).__name__ in capsys.readouterr().err


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_a_missing_method_is_named(method):
    net = net_of("force_backward: true " + data("x", 5) + user("Bare", "x"))
    with pytest.raises(RuntimeError, match=rf"Bare.{method} raised .*a method\s+{method}\(self"):
        getattr(net, method)()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that can be imported but is not; it counts its imports in a file."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(own_code, "_allowed", set())
    package = tmp_path / "strange_layers"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "doubles.py").write_text(
        "import caffelite as caffe\n"
        "open(__file__ + '.ran', 'w').close()\n"
        "class Double(caffe.Layer):\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)\n"
        "    def forward(self, bottom, top): top[0].data[...] = 2 * bottom[0].data\n"
    )
    yield "strange_layers.doubles"
    for name in [n for n in sys.modules if n.startswith("strange_layers")]:
        del sys.modules[name]


def test_a_net_imports_nothing_by_itself(module, tmp_path):
    text = data("x", 2, 3) + user("Double", "x", module=module)
    with pytest.raises(caffelite.CaffeliteError) as caught:
        net_of(text)
    assert f'caffelite.allow_python("{module}"), or --allow-python {module}' in str(caught.value)
    assert not (tmp_path / "strange_layers" / "doubles.py.ran").exists()


@pytest.mark.parametrize("allowed", ["strange_layers.doubles", "strange_layers"])
def test_an_allowed_module_is_imported(module, allowed):
    caffelite.allow_python(allowed)
    net = net_of(data("x", 2, 3) + user("Double", "x", module=module))
    net.blobs["x"].data[...] = 4
    assert (net.forward()["y"] == 8).all()


@pytest.mark.parametrize("allowed", ["strange", "strange_layers.doubles.more", "doubles"])
def test_allowing_another_name_does_not_help(module, allowed):
    caffelite.allow_python(allowed)
    with pytest.raises(caffelite.CaffeliteError, match="may not import it by itself"):
        net_of(data("x", 2, 3) + user("Double", "x", module=module))


def test_a_module_that_is_not_there_is_named(module):
    caffelite.allow_python("nowhere_to_be_found")
    with pytest.raises(caffelite.CaffeliteError, match="is its folder on PYTHONPATH"):
        net_of(data("x", 2, 3) + user("Double", "x", module="nowhere_to_be_found"))


@pytest.mark.parametrize(
    "text, said",
    [
        ("def f(:", "SyntaxError: invalid syntax"),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_"),
        ("\n1 / 0", "ZeroDivisionError: division by zero (%s:2)"),
    ],
)
def test_a_module_that_does_not_run_is_named(module, tmp_path, text, said):
    file = tmp_path / "strange_layers" / "doubles.py"
    file.write_text(text)
    caffelite.allow_python(module)
    with pytest.raises(caffelite.CaffeliteError) as caught:
        net_of(data("x", 2, 3) + user("Double", "x", module=module))
    said = said.replace("%s", str(file))
    message = str(caught.value)
    assert f'layer "user" (Python): cannot import the module "{module}": {said}' in message
    assert "PYTHONPATH" not in message


class Words(caffelite.Layer):
    """Has attributes whose names are those of facts of a layer type."""

    def setup(self, bottom, top):
        self.labels, self.files = [3, 1], ["a.jpg"]

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[...] = self.labels[0]


def test_a_users_words_are_the_users():
    net = net_of(user("Words"))
    layer = net.layers[0]
    assert layer.labels == [3, 1] and layer.files == ["a.jpg"] and layer.learns is True
    layer.labels = [7]
    assert net.forward()["y"][0] == 7
