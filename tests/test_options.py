"""Every option that the schema has is done, warned about, or refused."""

import ast
import copy
import functools
import inspect
import logging
import math
import re
from pathlib import Path

import numpy as np
import pytest

import caffelite
import tests.cases  # noqa: F401  (fills the table)
from caffelite import filler, get_solver, testing
from caffelite.blob import Blob
from caffelite.errors import CaffeliteError
from caffelite.layers import layer_types
from caffelite.layers.base import Layer, create_layer
from caffelite.lint import lint_text
from caffelite.proto import caffe_pb2, forks
from caffelite.proto.given import Given, declared, given
from caffelite.solver.base import Solver, unread
from caffelite.solver.lr_policy import missing, rate_at
from caffelite.solver.policies import POLICIES
from caffelite.solver.rules import RULES
from caffelite.testing import cases

LAYER = caffe_pb2.LayerParameter.DESCRIPTOR
FILLER = caffe_pb2.FillerParameter.DESCRIPTOR

every_type = pytest.mark.parametrize("kind", list(layer_types().values()), ids=list(layer_types()))


@pytest.fixture
def quiet(monkeypatch):
    monkeypatch.setattr(logging.getLogger("caffelite"), "disabled", True)


# What a message asks for


def asked(text):
    param = caffe_pb2.LayerParameter()
    testing.text_format.Merge(text, param)
    return [option.path for option in given(param)]


def test_defaults_ask_for_nothing():
    assert asked("convolution_param { engine: DEFAULT group: 1 bias_term: true }") == []
    assert asked("relu_param { engine: CAFFE } forward_type: FLOAT engine: 'CAFFE'") == []
    assert asked("batch_norm_param { moving_average_fraction: 0.999 filler {} }") == []
    assert asked("transform_param { scale: 1 mirror: false resize_param { prob: 1 } }") == []


def test_other_values_ask():
    assert asked("forward_type: DOUBLE") == [("forward_type",)]
    assert asked("param {} param { lr_mult: 2 }") == [("param", 1), ("param", 1, "lr_mult")]
    assert asked("convolution_param { pad: 0 weight_filler { std: 2 } }") == [
        ("convolution_param",),
        ("convolution_param", "pad"),
        ("convolution_param", "weight_filler"),
        ("convolution_param", "weight_filler", "std"),
    ]


def test_the_most_particular_words_count():
    option = Given(("relu_param", "engine"), 2, "CUDNN")
    table = {"engine": "all", "engine: CUDNN": "one"}
    assert option.look_up(table) == "one"
    assert option.look_up(table | {"relu_param.engine": "own"}) == "own"
    assert option.look_up(table, by_name=False) is None


# Options of layers


def options_of(kind):
    """{path: field} of all in the messages that a type of layer reads."""
    names = [name for name in (kind.options_field, *kind.more_options) if name]
    return {
        path: field
        for name in names
        for path, field in inside(LAYER.fields_by_name[name].message_type, (name,))
    }


def inside(message, path):
    for field in message.fields:
        here, within = (*path, field.name), field.message_type
        if within is None or within in (FILLER, caffe_pb2.BlobShape.DESCRIPTOR):
            yield here, field
        else:
            yield from inside(within, here)


def is_declared(kind, path, field):
    """Whether a class tells of an option, of each of its values that is not the default."""
    tables = [declared(kind, name) for name in ("refused", "ignored")]
    home = field.containing_type.name
    words = [""]
    if field.enum_type:
        words = [w.name for w in field.enum_type.values if w.number != field.default_value]
    return all(
        any(
            Given(path[:k], None, word).look_up(table) is not None
            for k in range(1, len(path) + 1)
            for table in tables
        )
        or forks.undone(Given(path, None, word, home))
        for word in words
    )


def values(field):
    """Some values of a field, as text."""
    if field.message_type:
        return ["{ value: 3 }"] if field.message_type is FILLER else ["{ dim: 3 }", "{ dim: -1 }"]
    if field.enum_type:
        return [value.name for value in field.enum_type.values]
    return {
        field.CPPTYPE_BOOL: ["true", "false"],
        field.CPPTYPE_STRING: ["'x'"],
        field.CPPTYPE_FLOAT: ["0.25", "2", "-1"],
        field.CPPTYPE_DOUBLE: ["0.25", "2", "-1"],
    }.get(field.cpp_type, ["0", "1", "2", "3", "7"])


def as_text(path, value):
    *messages, name = path
    colon = "" if value.startswith("{") else ":"
    return f" {' { '.join(messages)} {{ {name}{colon} {value} {'}' * len(messages)}"


def outcome(row, more="", blobs=None):
    """All that comes of a row: learnable blobs, tops, gradients, their shapes, or the error."""
    row = copy.copy(row)
    row.options, row.blobs = row.options + more, blobs or row.blobs
    found = []
    try:
        layer, bottom, top = row.build()
    except CaffeliteError as problem:
        return [str(problem)]
    try:
        with np.errstate(all="ignore"):
            found += [blob.data.copy() for blob in (*layer.blobs, *top)]
            for _ in range(2):
                layer.forward(bottom, top)
                found += [blob.data.copy() for blob in (*top, *layer.blobs)]
                for blob in bottom:  # the next batch has others
                    blob.data[...] = blob.data.reshape(-1)[::-1].reshape(blob.shape).copy()
            for blob in top:
                blob.diff[...] = np.random.default_rng(0).standard_normal(blob.shape)
            layer.backward(top, [i not in layer.no_gradient for i in range(len(bottom))], bottom)
        found += [blob.diff.copy() for blob in (*bottom, *layer.blobs)]
    except (CaffeliteError, ValueError, IndexError) as problem:  # nets count bottoms first
        found.append(str(problem))
    finally:
        layer.close()
    return found


def differ(one, other):
    if len(one) != len(other):
        return True
    for a, b in zip(one, other, strict=True):
        if type(a) is not type(b) or not np.array_equal(a, b, equal_nan=not isinstance(a, str)):
            return True
    return False


class Recorder:
    """A message that notes which of its options are read."""

    def __init__(self, message, path, seen):
        vars(self).update(_message=message, _path=path, _seen=seen)

    def __getattr__(self, name):
        value = getattr(self._message, name)
        if name in self._message.DESCRIPTOR.fields_by_name:
            path = *self._path, name
            self._seen.add(path)
            if name.endswith("_param") and hasattr(value, "ListFields"):
                return Recorder(value, path, self._seen)
        return value

    def __setattr__(self, name, value):
        setattr(self._message, name, value)

    def __deepcopy__(self, memo):
        return Recorder(copy.deepcopy(self._message, memo), self._path, self._seen)


def read_by(row, monkeypatch):
    """The paths of options that a row reads."""
    seen = set()

    def create(param, **context):
        layer = create_layer(param, **context)
        layer.param = Recorder(param, (), seen)
        if layer.options_field and layer.options == getattr(param, layer.options_field):
            layer.options = getattr(layer.param, layer.options_field)
        layer.check_options = list  # which reads everything
        return layer

    monkeypatch.setattr(testing, "create_layer", create)
    outcome(row)
    monkeypatch.undo()
    return seen


def told(row, more):
    """The paths of the options that the layer of a row says do nothing in it."""
    param = caffe_pb2.LayerParameter(name="layer", type=row.type)
    testing.text_format.Merge(row.options + more, param)
    return {path for _, path, _ in create_layer(param).unread()}


def size(row):
    return row.error is not None, sum(int(np.prod(shape)) for shape in row.bottom_shapes)


@every_type
def test_options_change_something_or_are_told_of(kind, tmp_path, monkeypatch, quiet):
    """Those that a class does not tell of are read, or change what comes of some row.

    Where one changes nothing that can be seen, as cache_images, that it is read has to do.
    """
    options, rows = options_of(kind), sorted((r for r in cases if r.type == kind.type), key=size)
    missing = {p: f for p, f in options.items() if not is_declared(kind, p, f)}
    for row in rows if missing else ():
        for path in missing.keys() & read_by(row, monkeypatch):
            del missing[path]
    for row in rows:
        plain = {}
        for path, field in list(missing.items()):
            blobs = "filler" if field.message_type is FILLER else None
            if blobs not in plain:
                plain[blobs] = outcome(row, blobs=blobs)
            monkeypatch.chdir(tmp_path)
            for value in values(field):
                if differ(outcome(row, as_text(path, value), blobs), plain[blobs]):
                    del missing[path]
                    break
            monkeypatch.undo()
    for path in list(missing):
        words = told(rows[0], as_text(path, values(options[path])[-1]))
        if any(path[:k] in words for k in range(1, len(path) + 1)):
            del missing[path]
    left = set(missing)
    left.discard(("crop_param", "aligned"))  # which a net reads, to give the layer its offset
    assert not left, sorted(".".join(path) for path in left)


@every_type
def test_what_classes_tell_is_of_options_that_exist(kind):
    names = {field.name for message in messages() for field in message.fields}
    for key in (*declared(kind, "ignored"), *declared(kind, "refused")):
        *way, name = key.partition(":")[0].split(".")
        message = LAYER
        for step in way:
            message = message.fields_by_name[step].message_type
        assert name in (message.fields_by_name if way else names), key


def messages():
    return caffe_pb2.DESCRIPTOR.message_types_by_name.values()


@every_type
def test_docstrings_tell_of_the_messages_that_are_read(kind):
    told = re.findall(r"^Options \((\w+)\)$", inspect.getdoc(kind), re.MULTILINE)
    read = {kind.options_field, *kind.more_options} - {None}
    assert set(told) == read or kind.type == "ConvolutionDepthwise"  # which names another
    assert all(name in LAYER.fields_by_name for name in read)


OTHERS = [f for f in LAYER.fields if f.name.endswith("_param")]


@pytest.mark.parametrize("field", OTHERS, ids=lambda field: field.name)
def test_options_of_other_types_are_warned_about(field):
    found = []
    for path, option in inside(field.message_type, (field.name,)):
        for value in values(option):
            param = caffe_pb2.LayerParameter(name="a", type="AbsVal")
            testing.text_format.Merge(as_text(path, value), param)
            found += create_layer(param).unread()
    word = forks.undone(Given((field.name,), None, message="LayerParameter"))
    words = f"a layer of type AbsVal does not read {field.name}"
    kind, words = (word.kind, f"{field.name} {word.said}") if word else ("foreign", words)
    assert set(found) == {(kind, (field.name,), words)}


# Numbers that are none


@every_type
def test_no_layer_takes_what_is_no_finite_number(kind):
    """At whatever depth of its messages, once or among others."""
    paths = [("param", "lr_mult")]
    for path, field in options_of(kind).items():
        if field.message_type is FILLER:
            paths.append((*path, "value"))
        elif field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
            paths.append(path)
    for path in paths:
        for word in ("nan", "inf", "-inf"):
            param = caffe_pb2.LayerParameter(name="a", type=kind.type)
            testing.text_format.Merge(as_text(path, word), param)
            refused = [words for what, _, words in create_layer(param).unread()]
            said = any(words.startswith(f"{path[-1]} is {word}, expected") for words in refused)
            assert said == (word == "nan" or path[-1] not in kind.infinite), (path, word)


# Nets


@functools.cache
def attributes(*folders):
    """The names of all attributes that the code in folders of the package looks up, or spells."""
    found = set()
    for folder in folders:
        for path in sorted((Path(caffelite.__file__).parent / folder).rglob("*.py")):
            tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            nodes = [n for n in tree if isinstance(n, (ast.Attribute, ast.Constant))]
            found |= {getattr(node, "attr", getattr(node, "value", "")) for node in nodes}
    return found


@pytest.mark.parametrize(
    "name",
    [
        *("NetParameter", "LayerParameter", "ParamSpec", "NetState", "NetStateRule"),
        *("V1LayerParameter", "V0LayerParameter", "SolverState", "Datum", "BlobShape"),
    ],
)
def test_fields_of_other_messages_are_read_or_warned_about(name):
    """Those around layers, of old forms and of files: read, upgraded, or told of."""
    names = {field.name for field in getattr(caffe_pb2, name).DESCRIPTOR.fields}
    told = {key.rpartition(".")[2] for key in declared(Layer, "ignored")}
    told |= {key.partition(".")[2] for key in forks.WORDS if key.startswith(f"{name}.")}
    read = attributes("net", "proto", "layers", "data", "solver")
    of_types = {field.name for field in OTHERS}
    assert names - of_types - told <= read


DATA = 'layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 3 } } }\n'
LEARNS = """layer { name: "ip" type: "InnerProduct" bottom: "a" top: "ip" param { force_mult: 1 }
    relu_param { negative_slope: 1 }
    inner_product_param { num_output: 1 weight_filler { type: "xavier" std: 2 } } }
"""
SAID = [
    "net.prototxt: bn_stats_batch_size does nothing here; BatchNorm's statistics are of the whole",
    'net.prototxt:3: layer "ip" (InnerProduct): force_mult of param does nothing here; there is no',
    'net.prototxt:3: layer "ip" (InnerProduct): std of weight_filler does nothing; it is of type',
    'net.prototxt:3: layer "ip" (InnerProduct): a layer of type InnerProduct does not read relu_',
]


def test_training_says_once_what_does_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("caffelite"), "propagate", True)
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text("bn_stats_batch_size: 32\n" + DATA + LEARNS)
    solver = caffe_pb2.SolverParameter(
        net="net.prototxt", test_iter=[1, 1], test_interval=1, base_lr=1, lr_policy="fixed"
    )
    get_solver(solver)
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(said) == len(SAID)
    for got, want in zip(said, SAID, strict=True):
        assert got.startswith(want)


def test_lint_says_the_same():
    found = lint_text("bn_stats_batch_size: 32\n" + DATA + LEARNS, "net.prototxt")
    found = [f for f in found if f.rule in ("ignored-option", "foreign-options")]
    assert [finding.line for finding in found] == [1, 3, 4, 5]
    said = {finding.message for finding in found}
    assert said == {want for want in said if any(want in line for line in map(str, found))}
    assert all(any(f.message[:40] in line for line in SAID) for f in found)


# Solvers

SOLVER = caffe_pb2.SolverParameter.DESCRIPTOR


def solver_param(**options):
    net = caffe_pb2.NetParameter()
    testing.text_format.Merge(DATA, net)
    net.layer.add(name="s", type="Silence", bottom=["a"])
    given = {"base_lr": 1, "lr_policy": "fixed", "max_iter": 9, "weight_decay": 0.1} | options
    return caffe_pb2.SolverParameter(net_param=net, **given)


def test_options_of_solvers_are_read_or_warned_about():
    of_rules = RULES.all_reads() | POLICIES.all_reads()
    read = attributes("solver", "proto", "cli")
    names = {field.name for field in SOLVER.fields}
    assert names - of_rules - Solver.ignored.keys() - forks.IN_SOLVERS <= read
    assert of_rules | Solver.ignored.keys() | forks.IN_SOLVERS <= names


@pytest.mark.parametrize("name", sorted(POLICIES.all_reads()))
@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_policies_say_which_options_they_do_not_read(policy, name):
    plain = {"gamma": 0.5, "power": 2, "stepsize": 3, "stepvalue": [9], "patience": 3}
    other = {"gamma": 0.25, "power": 3, "stepsize": 1, "stepvalue": [2], "patience": 4}
    plain |= {"stepearly": 3, "stagelr": [0.5, 0.25], "stageiter": [2, 5]}
    other |= {"stepearly": 4, "stagelr": [0.75, 0.25], "stageiter": [3, 5]}

    def rates(options):
        return [rate_at(solver_param(lr_policy=policy, **options), i, i // 3)[0] for i in range(9)]

    moves = rates(plain) != rates(plain | {name: other[name]})
    told = name in dict(unread(solver_param(lr_policy=policy, **{name: other[name]})))
    assert told == (name not in POLICIES[policy].reads)
    assert moves == (not told) or name in ("patience", "stepearly")  # which solvers go by


def test_policies_say_what_goes_with_plateau_winsize():
    told = dict(unread(solver_param(lr_policy="plateau", plateau_winsize=[5], patience=4)))
    assert list(told) == ["patience"]
    told = dict(unread(solver_param(lr_policy="step", gamma=1, stepsize=3, plateau_winsize=[5])))
    assert list(told) == ["plateau_winsize"]


@pytest.mark.parametrize("name", sorted(RULES.all_reads()))
@pytest.mark.parametrize("type", sorted(RULES))
def test_update_rules_say_which_options_they_do_not_read(type, name):
    steps = []
    for value in (True, False) if name == "rate_in_history" else (0.5, 0.25):
        rule = RULES[type](solver_param(**{"type": type, "momentum": 0.5, name: value}))
        history = {key: np.full(3, 0.5) for key in rule.history_names}
        blob = Blob((3,), np.float64)
        blob.diff[...] = 2
        rule.update(blob, history, 0.75, 4)
        steps.append(blob.diff.copy())
    told = name in dict(unread(rule.param))
    assert told == np.array_equal(*steps)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stepsize": 3}, 'lr_policy: "fixed" does not look at stepsize'),
        ({"lr_policy": "poly"}, 'lr_policy: "poly" goes by power, which is not given'),
        ({"rms_decay": 0.5}, "SGD does not look at rms_decay"),
        ({"device_id": 1}, "device_id does nothing here; there is no GPU"),
        ({"monitor": "loss"}, 'monitor does nothing without early_stop or lr_policy: "plateau"'),
        ({"regularization_type": "L1", "weight_decay": 0}, "regularization_type does nothing"),
        ({"rate_in_history": False}, "rate_in_history does nothing without momentum"),
        ({"solver_mode": 1, "momentum2": 0.999, "gamma": 0, "patience": 5}, ""),
    ],
)
def test_solvers_warn_of_options_that_do_nothing(options, words, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("caffelite"), "propagate", True)
    get_solver(solver_param(**options), file="solver.prototxt")
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(said) == bool(words)
    assert all(line.startswith(f"solver.prototxt: {words}") for line in said)


def test_a_schedule_without_its_gamma_runs_as_in_caffe_and_is_told_of():
    for policy in POLICIES:
        stages = {"stagelr": [1], "stageiter": [1]}
        param = solver_param(lr_policy=policy, stepsize=1, stepvalue=[1], power=1, **stages)
        told = "gamma" in POLICIES[policy].reads
        words = f'lr_policy: "{policy}" goes by gamma, which is not given and counts as 0'
        assert dict(missing(param)) == ({"gamma": words} if told else {})
        assert rate_at(param, 3, 0)[0] >= 0


# Fillers


@pytest.mark.parametrize("type", sorted(filler.FILLERS))
@pytest.mark.parametrize("field", list(FILLER.fields), ids=lambda field: field.name)
def test_fillers_say_which_options_they_do_not_read(type, field, tmp_path):
    # a diagonal is that of a square; fans differ where there is none
    shape = (4, 4, 1, 1) if field.name == "diagonal" else (4, 2, 1, 1)
    (tmp_path / "x").write_text("1 " * math.prod(shape))
    (tmp_path / "y").write_text("2 " * math.prod(shape))
    values = {"sparse": (0, 3), "std": (1, 2), "max": (2, 3), "file": ("x", "y")}
    one, other = values.get(field.name, (0, 0.5 if field.cpp_type == field.CPPTYPE_FLOAT else 1))
    if field.name == "file":
        one, other = str(tmp_path / one), str(tmp_path / other)
    filled, told = [], set()
    for value in (one, other):
        param = caffe_pb2.FillerParameter(type=type, file=str(tmp_path / "x"))
        if field.name != "type":
            setattr(param, field.name, value)
        told |= {name for name, _ in filler.unread(param)}
        array = np.zeros(shape)
        filler.fill(array, param, np.random.default_rng(0))
        filled.append(array)
    if field.name != "type":
        assert (field.name in told) == np.array_equal(*filled)
