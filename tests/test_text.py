"""Reading and writing prototxt: what is accepted, what is refused and in which words."""

import codecs
import gzip
import os
import time
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor as Field
from hypothesis import example, given, settings
from hypothesis import strategies as st

from caffelite.errors import CaffeliteError, ProtoError
from caffelite.proto import caffe_pb2, text
from caffelite.proto.caffe_pb2 import LayerParameter, NetParameter, SolverParameter

LENET = """\
name: "LeNet"
layer {
  name: "data"  # where it starts
  type: "Data"
  top: "data"
  top: "label"
  include {
    phase: TRAIN
  }
  data_param { source: "train_lmdb" batch_size: 64 backend: LMDB }
}
layer {
  name: "conv1"
  type: "Convolution"
  bottom: "data"
  top: "conv1"
  param { lr_mult: 1 }
  param { lr_mult: 2 }
  convolution_param {
    num_output: 20
    kernel_size: 5
    weight_filler { type: "xavier" }
  }
}
"""


def parse_net(source):
    return text.parse(source, NetParameter, "net.prototxt")


def refusal(source, message_class=NetParameter):
    with pytest.raises(ProtoError) as caught:
        text.parse(source, message_class, "net.prototxt")
    return str(caught.value)


# What is accepted


@pytest.mark.parametrize(
    "written, plain",
    [
        ("name: 'single'", 'name: "single"'),
        ('name: "two " "halves"', 'name: "two halves"'),
        ('name: "a"; force_backward: true,', 'name: "a"\nforce_backward: true'),
        ('layer { name: "a", type: "b"; top: "c" }', 'layer { name: "a" type: "b" top: "c" }'),
        (
            'layer < name: "a" include < phase: TEST > >',
            'layer { name: "a" include { phase: TEST } }',
        ),
        ('layer: { name: "a" }', 'layer { name: "a" }'),
        ('layer: [{ name: "a" }, { name: "b" }]', 'layer { name: "a" } layer { name: "b" }'),
        ('layer { name: "a" } # }\n#{', 'layer { name: "a" }'),
        ('name: "# { \\" } \'"', "name: '# { \" } \\''"),
        (
            "layer { propagate_down: 1 propagate_down: 0 }",
            "layer { propagate_down: [true, false] }",
        ),
        ("layer { propagate_down: t propagate_down: False }", "layer { propagate_down: [1, 0] }"),
        ("layer { phase: 1 }", "layer { phase: TEST }"),
        ("layer { pooling_param { pool: 1003 } }", "layer { pooling_param { pool: L2 } }"),
        ("input_dim: [1, 3, 2, 2]", "input_dim: 1 input_dim: 3 input_dim: 2 input_dim: 2"),
        ("input_dim: 0x10 input_dim: 010", "input_dim: 16 input_dim: 8"),
        ("layer { loss_weight: 1e-1 }", "layer { loss_weight: 0.1f }"),
        ("layer { loss_weight: .5 loss_weight: 2. }", "layer { loss_weight: 0.5 loss_weight: 2 }"),
        ("layer { loss_weight: -inf }", "layer { loss_weight: -infinity }"),
        ('name\t:\r\n"a"\r', 'name: "a"'),
        ('name: "Ünï"', 'name: "\\303\\234n\\303\\257"'),
        ('layer{name:"a"type:"b"}', 'layer { name: "a" type: "b" }'),
        (
            'layer { engine: "MKLDNN" forward_type: FLOAT16 }',
            'layer { engine: "MKLDNN" forward_type: 2 }',
        ),
    ],
)
def test_the_looser_ways_of_writing_are_understood(written, plain):
    assert text.without_lines(parse_net(written)) == text.without_lines(parse_net(plain))
    assert parse_net(plain).ListFields()


def test_every_layer_knows_the_line_it_starts_on():
    assert [layer.source_line for layer in parse_net(LENET).layer] == [2, 12]


@pytest.mark.parametrize(
    "source, lines",
    [
        ('layer { name: "a" } layer { name: "b" }', [1, 1]),
        ("\n\nlayer\n{\n}\n\nlayer{}", [3, 7]),
        ("layer: [\n{},\n{}\n]\nlayer {}", [2, 3, 5]),
        ('# layer {\nname: "layer {"\nlayer { name: "layer" }', [3]),
        ("\r\nlayer {\r\n}\r\nlayer {}", [2, 4]),
        ("\rlayer {}\rlayer {}", [2, 3]),
        ('layer { type: "Python" python_param {\nlayer: "L" } }\nlayer {}', [1, 3]),
    ],
)
def test_lines_are_counted_as_editors_do(source, lines):
    assert [layer.source_line for layer in parse_net(source).layer] == lines


def test_old_layers_know_their_line_too():
    net = parse_net('layers { layer { name: "a" } }\n\nlayers {\n  name: "b"\n}')
    assert [entry.source_line for entry in net.layers] == [1, 3]


def test_layers_inside_a_solver_know_their_line():
    solver = text.parse(
        "test_net_param { layer {} }\ntest_net_param {\n layer {}\nlayer {} }\n"
        "net_param {\nlayer {} }",
        SolverParameter,
    )
    lines = [[layer.source_line for layer in net.layer] for net in solver.test_net_param]
    assert lines == [[1], [3, 4]]
    assert solver.net_param.layer[0].source_line == 6


def test_any_message_can_be_read_and_a_layer_alone_has_no_line():
    layer = text.parse('name: "a"', LayerParameter)
    assert layer.name == "a" and not layer.HasField("source_line")


# What is refused: the text, then place and words of the message


@pytest.mark.parametrize(
    "source, place, words",
    [
        # names of fields
        ('layer { nam: "x" }', "1:9", 'unknown field "nam" in "layer"; did you mean "name"?'),
        (
            "\n layers { tipe: RELU }",
            "2:11",
            'unknown field "tipe" in "layers"; did you mean "type"?',
        ),
        ("layer { convolution_param { kernal_size: 5 } }", "1:29", 'did you mean "kernel_size"?'),
        ("layr {}", "1:1", 'unknown field "layr"; did you mean "layer"?'),
        (
            "layer { group: 2 }",
            "1:9",
            "it belongs inside convolution_param or shuffle_channel_param",
        ),
        ("layer { lr_mult: 2 }", "1:9", "it belongs inside param"),
        (
            "layer { num_output: 2 }",
            "1:9",
            "it belongs inside convolution_param, inner_product_param",
        ),
        ('layer { relu_param { top: "x" } }', "1:22", 'after the closing brace of "relu_param"'),
        ('layer { name: "a" } type: "b"', "1:21", 'unknown field "type"'),
        ("layer { include { fase: TRAIN } }", "1:19", 'unknown field "fase" in "include"'),
        ("layer { zzz: 1 }", "1:9", 'unknown field "zzz" in "layer"; nobody here knows it, and'),
        ("3: 4", "1:1", "expected the name of a field, not 3"),
        ('"name": "x"', "1:1", 'expected the name of a field, not "name"'),
        ("= 3", "1:1", "expected the name of a field, not ="),
        ('name: "x" : "y"', "1:11", "expected the name of a field, not :"),
        ('layer { name: "x" } (', "1:21", "expected the name of a field, not ("),
        # types of values
        ("layer { name: 3 }", "1:15", '"name" takes a string in quotes, not 3; write "3"'),
        ("layer { type: ReLU }", "1:15", 'not ReLU; write "ReLU"'),
        ("layer { loss_weight: big }", "1:22", '"loss_weight" takes a number, not big'),
        ('layer { loss_weight: "1" }', "1:22", '"loss_weight" takes a number, not "1"'),
        (
            "layer { relu_param { negative_slope: 0,1 } }",
            "1:40",
            'name of a field in "relu_param", not 1',
        ),
        ("layer { loss_weight: 'Value out of range' }", "1:22", "a number, not 'Value out of"),
        ("layer { propagate_down: 2 }", "1:25", '"propagate_down" takes true or false, not 2'),
        (
            "layer { convolution_param { num_output: 2.5 } }",
            "1:41",
            "takes a whole number, 0 or more, not 2.5",
        ),
        ("layer { softmax_param { axis: one } }", "1:31", '"axis" takes a whole number, not one'),
        ("layer { convolution_param { pad: -1 } }", "1:34", "from 0 to 4294967295, not -1"),
        ("layer { softmax_param { axis: 3000000000 } }", "1:31", "from -2147483648 to 2147483647"),
        ("layer { name: {} }", "1:15", '"name" takes a string in quotes, not {'),
        ("layer { pooling_param: MAX }", "1:24", '"pooling_param" takes { ... }, not MAX'),
        ("layer { name: [] }", "1:15", '"name" takes one value, not a list'),
        ("force_backward: [true]", "1:17", '"force_backward" takes one value, not a list'),
        ("input_dim: [1 2]", "1:15", 'expected "," or "]" in the list of "input_dim", not 2'),
        ('layer { name "x" }', "1:14", 'expected ":" after "name", not "x"'),
        ("layer {\n  name:\n}", "3:1", '"name" takes a string in quotes, not }'),
        ("name:", "1:6", "not the end of the file"),
        ('name: "\\u12"', "1:8", '"\\u" is no escape; paths have "/", or "\\\\", between folders'),
        ('name: "\\U00110000"', "1:7", "cannot be read"),
        # enums
        ("layer { phase: TRIAN }", "1:16", 'one of TRAIN, TEST, not TRIAN; did you mean "TRAIN"?'),
        ('layer { phase: "TEST" }', "1:16", 'not "TEST"; leave out the quotes'),
        ("layer { phase: 7 }", "1:16", '"phase" takes one of TRAIN, TEST, not 7'),
        ("layer { data_param { backend: lmdb } }", "1:31", 'did you mean "LMDB"?'),
        # twice
        ('name: "a"\nname: "b"', "2:1", '"name" is given twice, first on line 1'),
        ('layer {\nname: "a"\ntype: "b"\nname: "c" }', "4:1", 'twice in "layer", first on line 2'),
        ("layer { pooling_param {}\n pooling_param {} }", "2:2", '"pooling_param" is given twice'),
        # brackets and strings
        (
            'layer {\n  name: "x"\n',
            "1:7",
            '"layer" is opened here and never closed: a "}" is missing',
        ),
        ('layer { name: "x" } }', "1:21", 'this "}" closes nothing'),
        (
            "layer { include < phase: TEST } }",
            "1:31",
            '"}" where ">" has to close "include", opened on line 1',
        ),
        ("layer { loss_weight: [1, 2 }", "1:28", '"}" where "]" has to close "loss_weight"'),
        (
            "layer {\n  pooling_param {\n}\nlayer {}\n",
            "4:1",
            'a layer starts here, but "}" is missing for "layer", opened on line 1',
        ),
        ("layers {\n\nlayers {}\n}", "3:1", 'missing for "layers", opened on line 1'),
        ('name: "abc\nforce_backward: true', "1:7", 'this string has no closing " on its line'),
        ("name: 'abc\"", "1:7", "this string has no closing ' on its line"),
        ("a{" * 60 + "}" * 60, "1:100", "nested deeper than 50 levels"),
    ],
)
def test_a_mistake_is_shown_where_it_is(source, place, words):
    message = refusal(source)
    assert message.startswith(f"net.prototxt:{place}")
    assert words in message + "\n"
    head, line, caret = message.split("\n")
    row, column = (int(n) for n in head.split(":")[1:3])
    shown = source.split("\n")[row - 1].expandtabs(1).rstrip()
    assert line == f"    {shown}"[: len(line)] or len(shown) > 90
    assert caret.strip() == "^"
    if len(shown) <= 60:
        assert len(caret) == 4 + column


def test_a_long_line_is_shown_around_the_mistake():
    message = refusal(
        "layer { " + " ".join(['top: "x"'] * 5000) + " nam: 3 " + 'top: "y" ' * 5000 + "}"
    )
    head, line, caret = message.split("\n")
    assert head.startswith("net.prototxt:1:45009: ")
    assert len(line) < 100 and line[len(caret) - 1 :].startswith("nam: 3")


def test_a_solver_given_for_a_net_is_recognised():
    message = refusal('net: "lenet.prototxt"\nbase_lr: 0.01\ntest_iter: 100\n')
    assert message.startswith('net.prototxt:1:1: "net" belongs to a solver')
    assert "expected a net" in message


def test_a_net_given_for_a_solver_is_recognised():
    message = refusal("debug_info: true\n" + LENET.partition("\n")[2], SolverParameter)
    assert message.startswith('net.prototxt:2:1: "layer" belongs to a net')
    assert "expected a solver" in message


def test_one_foreign_name_does_not_make_a_net_a_solver():
    assert 'unknown field "weights"' in refusal('layer { name: "a" }\nweights: "x"')


# Files that are not prototxt


@pytest.fixture
def file(tmp_path):
    def write(data, name="net.prototxt"):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


def refused_file(path):
    with pytest.raises(ProtoError) as caught:
        text.read_net(path)
    return str(caught.value)


def caffemodel():
    net = NetParameter(name="LeNet")
    net.layer.add(name="a").blobs.add(data=[0.5] * 100)
    return net.SerializeToString()


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "1:1: expected the text of a net (layer { ... }), but this is empty"),
        (b"# nothing\n\n", "but this is empty"),
        (b"\xef\xbb\xbf", "but this is empty"),
        (caffemodel(), "but this is a .caffemodel, the weights of a net; weights are given as"),
        (bytes(range(256)), "but this is a binary file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "but this is an HDF5 file"),
        (gzip.compress(LENET.encode(), mtime=0), "but this is packed (gzip); unpack it first"),
        (b"PK\x03\x04" + bytes(20), "but this is packed (zip)"),
        (b"\n<!DOCTYPE html>\n<html>", "but this is a web page"),
        (
            codecs.BOM_UTF16_LE + LENET.encode("utf-16-le"),
            "but this is text in UTF-16; save it as UTF-8",
        ),
        (LENET.encode("utf-16-le"), "but this is text in UTF-16"),
        (LENET.encode("utf-16-be"), "but this is text in UTF-16"),
        (LENET.encode("utf-32"), "but this is"),
        (b'name: "a" \xff', "1:11: expected the name of a field, not \uefff"),
        (b'name: "a\x00b"', "but this is a binary file"),
    ],
)
def test_a_file_that_is_no_prototxt_is_named_for_what_it_is(file, data, words):
    path = file(data)
    message = refused_file(path)
    assert message.startswith(f"{path}:")
    assert words in message


def test_a_byte_order_mark_of_utf8_is_skipped(file):
    net = text.read_net(file(codecs.BOM_UTF8 + b'name: "\xc3\xa9"\nlayer {}'))
    assert net.name == "é" and net.layer[0].source_line == 2


def test_a_missing_file_is_answered_with_the_nearest_name(file):
    path = file(LENET, "lenet.prototxt")
    message = refused_file(path.with_name("lenet.prototx"))
    assert message == f'{path.with_name("lenet.prototx")}: no such file; did you mean "{path}"?'
    assert refused_file("qq/x.prototxt") == (
        "qq/x.prototxt: no such file; there is no directory qq to look in"
    )


def test_a_directory_or_an_impossible_name_is_refused(tmp_path):
    assert f"{tmp_path}: cannot be read: this is an empty folder" in refused_file(tmp_path)
    assert "cannot be read" in refused_file("a\0b")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(file):
    path = file(LENET)
    path.chmod(0)
    assert refused_file(path) == f"{path}: cannot be read: Permission denied"


def test_a_file_too_large_is_refused_before_it_is_parsed(file, monkeypatch):
    monkeypatch.setattr(text, "MAX_BYTES", 2**20)
    assert "has more than 1 MB" in refused_file(file(b'# "\n' * 2**19))
    model = NetParameter()
    model.layer.add(name="a").blobs.add(data=[0.5] * 2**20)
    assert "but this is a .caffemodel" in refused_file(file(model.SerializeToString()))


def test_read_net_upgrades_and_read_solver_completes(file):
    net = text.read_net(file("\nlayers { name: 'a' type: RELU }"))
    assert (net.layer[0].type, net.layer[0].source_line) == ("ReLU", 2)
    path = file("base_lr: 1 solver_type: ADAM", "s.prototxt")
    solver = text.read_solver(path)
    assert solver.type == "Adam" and solver.snapshot_prefix == str(path.with_suffix(""))


# Writing


def test_what_is_written_is_read_again_and_holds_no_line(tmp_path):
    net = parse_net(LENET)
    path = tmp_path / "out.prototxt"
    text.write_net(net, path)
    assert "source_line" not in path.read_text()
    assert net.layer[0].source_line == 2  # the message itself is left alone
    assert text.without_lines(text.read_net(path)) == text.without_lines(net)


def test_a_solver_is_written_without_lines_too(tmp_path):
    solver = SolverParameter(base_lr=0.1, net_param=parse_net(LENET))
    solver.test_net_param.append(parse_net("layers { type: RELU }"))
    path = tmp_path / "out.prototxt"
    text.write_solver(solver, path)
    assert "source_line" not in path.read_text()
    assert text.read_solver(path).net_param.layer[1].name == "conv1"


def test_names_in_any_script_stay_readable():
    assert '"层"' in text.to_text(NetParameter(name="层"))


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(CaffeliteError, match="no/such/dir/net.prototxt: cannot be written"):
        text.write_net(NetParameter(name="n"), tmp_path / "no/such/dir/net.prototxt")


# Everything that can be said survives; anything else ends in a ProtoError


def messages(descriptor, depth=3):
    """Any message of a type, filled at random."""
    fields = [f for f in descriptor.fields if f.name != "source_line"]
    if depth == 0:
        fields = [field for field in fields if not field.message_type]
    one = st.sampled_from(fields) if fields else st.nothing()
    chosen = st.lists(one, max_size=4, unique_by=lambda f: f.name)
    return chosen.flatmap(
        lambda found: st.fixed_dictionaries({f.name: values(f, depth) for f in found})
    ).map(lambda content: getattr(caffe_pb2, descriptor.name)(**content))


SCALARS = {
    Field.TYPE_BOOL: st.booleans(),
    Field.TYPE_FLOAT: st.floats(width=32, allow_nan=False),
    Field.TYPE_DOUBLE: st.floats(allow_nan=False),
    Field.TYPE_STRING: st.text(),
    Field.TYPE_BYTES: st.binary(),
    Field.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    Field.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    Field.TYPE_UINT32: st.integers(0, 2**32 - 1),
    Field.TYPE_UINT64: st.integers(0, 2**64 - 1),
    Field.TYPE_FIXED32: st.integers(0, 2**32 - 1),
}


def values(field, depth):
    if field.message_type:
        one = messages(field.message_type, depth - 1)
    elif field.enum_type:
        one = st.sampled_from([value.number for value in field.enum_type.values])
    else:
        one = SCALARS[field.type]
    default = getattr(getattr(caffe_pb2, field.containing_type.name)(), field.name)
    return st.lists(one, max_size=3) if hasattr(default, "append") else one


def test_every_kind_of_field_is_drawn():
    drawn = {*SCALARS, Field.TYPE_ENUM, Field.TYPE_MESSAGE}
    for message in caffe_pb2.DESCRIPTOR.message_types_by_name.values():
        for field in message.fields:
            assert field.type in drawn, field.full_name


@settings(max_examples=100)
@given(
    st.sampled_from([NetParameter, SolverParameter, LayerParameter]).flatmap(
        lambda message_class: messages(message_class.DESCRIPTOR)
    )
)
def test_any_message_survives_being_written(message):
    source = text.to_text(message)
    again = text.parse(source, type(message))
    assert text.without_lines(again) == message


def outcome(source, message_class=NetParameter):
    """Parse, letting nothing but a ProtoError with a place out."""
    try:
        return text.parse(source, message_class, "f")
    except ProtoError as refused:
        assert str(refused).startswith("f:")
        return None


WORDS = [
    "layer",
    "layers",
    "name",
    "type",
    "param",
    "lr_mult",
    "pooling_param",
    "pool",
    "MAX",
    "{",
    "}",
    "<",
    ">",
    "[",
    "]",
    ":",
    ",",
    ";",
    '"x"',
    "'",
    '"',
    "\\",
    "1",
    "-",
    "2.5",
    "1e",
    "0x",
    "true",
    "#",
    "\n",
    " ",
    "é",
    "$",
    "/",
    "input_dim",
    "\t",
    "..",
    "+-",
    "nan",
    "data",
    "blobs",
    "9" * 30,
]


@settings(max_examples=600)
@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from(WORDS), max_size=30).map("".join),
        st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join),
    )
)
def test_no_text_breaks_the_reader(source):
    outcome(source)
    outcome(source, SolverParameter)


@settings(max_examples=300)
@given(st.integers(0, len(LENET)), st.integers(0, 20), st.one_of(st.sampled_from(WORDS), st.text()))
def test_no_damage_breaks_the_reader(start, length, instead):
    outcome(LENET[:start] + instead + LENET[start + length :])


def test_a_file_cut_off_is_refused_or_whole():
    for end in range(len(LENET)):
        net = outcome(LENET[:end])
        assert net is None or len(net.layer) == LENET[:end].count("\n}"), end


@settings(max_examples=300)
@given(data=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
@example(data=b"checksum")  # of a kind that nobody writes by hand
def test_no_file_breaks_the_reader(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "f.prototxt"
    path.write_bytes(data)
    try:
        text.read_net(path)
    except CaffeliteError as refused:
        assert str(refused).startswith(str(path))


@pytest.mark.parametrize(
    "source",
    [
        "{" * 10**5,
        "layer{" * 10**5,
        "[" * 10**5,
        '"' * 10**5,
        "name:" * 10**5,
        "\\" * 10**5,
        "#" * 10**6,
        '"\\' * 10**5,
        " " * 10**6,
        "x" * 10**6,
        "input_dim:1 " * 10**4 + "=",
        "layer{loss_weight:[" + "1," * 10**5,
        "name: " + '"a" ' * 10**4 + "x",
    ],
    ids=range(13),
)
def test_monotonous_texts_end_soon(source):
    start = time.process_time()
    outcome(source)
    assert time.process_time() - start < 5


def test_twenty_thousand_lines_are_read_in_two_seconds(file):
    """Of the processor's time: what else the machine does is no matter."""
    layer = LENET.partition("}\nlayer")[2]
    path = file(("layer" + layer) * 1700)
    assert Path(path).read_bytes().count(b"\n") > 20000
    start = time.process_time()
    net = text.read_net(path)
    assert time.process_time() - start < 2
    assert len(net.layer) == 1700 and net.layer[1].source_line == 14
