"""The schema against recorded facts, its compiled form against the source, the message classes."""

import copy
import json
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from google.protobuf.descriptor import FieldDescriptor as Field

from caffelite.proto import caffe_pb2
from tools.compile_proto import COMPILED, compile_schema

GOLDEN = json.loads((Path(__file__).parent / "golden" / "schema.json").read_text())
TYPES = {
    getattr(Field, f"TYPE_{name.upper()}"): name
    for name in ("double", "float", "int64", "uint64", "int32", "bool", "string", "bytes", "uint32")
}
LABELS = {1: "optional", 2: "required", 3: "repeated"}

# Extensions: field of LayerParameter and the number it has.
EXTENSIONS = {
    "shuffle_channel_param": 164,
    "annotated_data_param": 200,
    "multibox_loss_param": 201,
    "permute_param": 202,
    "prior_box_param": 203,
    "detection_output_param": 204,
    "detection_evaluate_param": 205,
    "norm_param": 206,
    "video_data_param": 207,
    "region_loss_param": 600,
    "yolo_detection_output_param": 601,
    "yolov3_detection_output_param": 602,
    "yolov3_param": 603,
    "selu_param": 1001,
    "selu_dropout_param": 1002,
    "box_annotator_ohem_param": 10000,
    "psroi_pooling_param": 10001,
    "interp_param": 20001,
    "seg_accuracy_param": 20003,
    "roi_align_param": 20005,
    "focal_loss_param": 20007,
    "margin_inner_product_param": 20008,
    "roi_pooling_param": 8266711,
    "smooth_l1_loss_param": 8266712,
    "proposal_param": 8266713,
    "bn_param": 90137,
    "upsample_param": 90138,
    "dense_image_data_param": 90139,
    "lstm_param": 90140,
    "transpose_param": 90142,
    "reverse_param": 90143,
    "flip_param": 90144,
    "center_loss_param": 90147,
    "st_param": 90148,
    "st_loss_param": 90149,
    "power_file_param": 90150,
    "loc_loss_param": 90151,
    "correlation_param": 90152,
    "reorg_param": 90159,
    "channel_shuffle_param": 90164,
    "detection_loss_param": 90200,
    "eval_detection_param": 90201,
    "relu6_param": 90211,
    "relux_param": 90212,
    "triplet_loss_param": 90213,
    "label_distribution_param": 90214,
    "expectation_param": 90215,
    "gru_param": 90301,
    "quantization_param": 90303,
    "source_line": 90900,
}
# The same for fields of ours, or of one descendant, inside other messages.
NESTED = [
    ("PoolingParameter", "ceil_mode", 1013, True),
    ("DropoutParameter", "scale_train", 1002, True),
    ("DropoutParameter", "sample_weights_test", 1003, False),
    ("EltwiseParameter", "coeff_blob", 1004, False),
    ("LossParameter", "pre_fixed_normalizer", 1004, 1.0),
    ("LossParameter", "class_weighting", 1005, None),
    ("LossParameter", "weight_by_label_freqs", 1006, False),
    ("LossParameter", "label_smoothing", 1007, 0.0),
    ("LossParameter", "target_is_prob", 1008, False),
    ("LossParameter", "target_is_weight", 1009, False),
    ("FillerParameter", "file", 1009, None),
    ("BatchNormParameter", "scale_filler", 1005, None),
    ("BatchNormParameter", "bias_filler", 1006, None),
    ("BatchNormParameter", "scale_bias", 1007, False),
    ("BatchNormParameter", "filler", 1008, None),
    ("BatchNormParameter", "engine", 1015, 0),
    ("NetParameter", "compile_net_state", 10, None),
    ("NetParameter", "default_conv_algos_override", 17, None),
    ("NetParameter", "reduce_buckets", 18, 0),
    ("NetParameter", "default_cudnn_math_override", 19, 0),
    ("NetParameter", "multinode", 101, None),
    ("RecurrentParameter", "peephole", 101, False),
    ("RecurrentParameter", "coupled", 102, False),
    ("RecurrentParameter", "forget_bias", 103, 0.0),
    ("RecurrentParameter", "peephole_previous", 104, False),
    ("RecurrentParameter", "output_hidden", 105, False),
    ("RecurrentParameter", "hidden_activation", 106, 0),
    ("RecurrentParameter", "output_activation", 107, 0),
    ("GRUParameter", "update_new", 6, False),
    ("TransformationParameter", "resize_param", 8, None),
    ("TransformationParameter", "noise_param", 9, None),
    ("TransformationParameter", "emit_constraint", 10, None),
    ("TransformationParameter", "crop_h", 11, 0),
    ("TransformationParameter", "crop_w", 12, 0),
    ("TransformationParameter", "distort_param", 13, None),
    ("TransformationParameter", "expand_param", 14, None),
    ("ProposalParameter", "nms_thresh", 8, 0.7),
    ("MultiBoxLossParameter", "neg_pos_ratio", 12, 3.0),
    ("MultiBoxLossParameter", "use_prior_for_nms", 23, False),
    ("PriorBoxParameter", "offset", 13, 0.5),
    ("DetectionOutputParameter", "keep_top_k", 7, -1),
    ("NonMaximumSuppressionParameter", "nms_threshold", 1, 0.3),
    ("NormalizeParameter", "eps", 4, 1e-10),
    ("InterpParameter", "zoom_factor", 3, 1),
    ("SeLuParameter", "alpha", 2, 1.67326324),
    ("SolverParameter", "rate_in_history", 90004, True),
    ("SolverParameter", "rampup_interval", 90051, 0),
    ("TransformationParameter", "img_rand_resize_lower", 1201, 0),
    ("SolverState", "seed", 90001, None),
    ("SolverState", "position", 90002, None),
    ("V1LayerParameter", "source_line", 90900, None),
]
EXTRA_VALUES = [
    ("V1LayerParameter", "LayerType", "CROP", 40),
    ("PoolingParameter", "PoolMethod", "L2", 1003),
    ("EltwiseParameter", "EltwiseOp", "STOCHASTIC_SUM", 1003),
    ("LossParameter", "NormalizationMode", "PRE_FIXED", 1003),
    ("ReductionParameter", "ReductionOp", "TOPK", 1005),
    ("ConvolutionParameter", "Engine", "MKL2017", 3),
    ("ConvolutionParameter", "Engine", "MKLDNN", 4),
    ("DataParameter", "DB", "TAR", 1101),
]

SOURCE = descriptor_pb2.FileDescriptorSet.FromString(COMPILED.read_bytes()).file[0]
DECLARED = {(m.name, f.name): f for m in SOURCE.message_type for f in m.field}


def message(name):
    return caffe_pb2.DESCRIPTOR.message_types_by_name[name]


@pytest.mark.parametrize("owner", GOLDEN["messages"])
def test_fields_of_caffe_are_declared_as_recorded(owner):
    for name, number, kind, label, packed, default in GOLDEN["messages"][owner]:
        if owner == "ClipParameter":  # checked in the layer: files without them can be read
            label = "optional"
        field = DECLARED[owner, name]
        assert field.number == number, name
        assert LABELS[field.label] == label, name
        assert field.options.packed == packed, name
        assert (field.type_name.rpartition(".")[2] or TYPES[field.type]) == kind, name
        assert field.HasField("default_value") == (default is not None), name
        if default is not None:
            given = field.default_value
            if kind in ("float", "double"):
                assert float(given) == float(default), name
            else:
                assert given == default, name


@pytest.mark.parametrize("name", GOLDEN["enums"])
def test_an_enum_of_caffe_has_the_recorded_values(name):
    owner, _, enum = name.rpartition(".")
    values = message(owner).enum_types_by_name[enum] if owner else caffe_pb2.Phase.DESCRIPTOR
    ours = {value.name: value.number for value in values.values}
    if enum != "Engine":  # those gain two words, below
        added = {(v, n) for o, e, v, n in EXTRA_VALUES if (o, e) == (owner, enum)}
        assert ours.items() - added == GOLDEN["enums"][name].items()
    assert GOLDEN["enums"][name].items() <= ours.items()


def test_every_engine_knows_the_same_words():
    engines = [
        {value.name: value.number for value in m.enum_types_by_name["Engine"].values}
        for m in caffe_pb2.DESCRIPTOR.message_types_by_name.values()
        if "Engine" in [enum.name for enum in m.enum_types]
    ]
    words = {"DEFAULT": 0, "CAFFE": 1, "CUDNN": 2, "MKL2017": 3, "MKLDNN": 4}
    assert len(engines) > 8 and all(engine == words for engine in engines)


@pytest.mark.parametrize("name, number", EXTENSIONS.items())
def test_an_extension_has_the_number_agreed_on(name, number):
    assert message("LayerParameter").fields_by_name[name].number == number


@pytest.mark.parametrize("owner, name, number, default", NESTED)
def test_an_extension_inside_a_message(owner, name, number, default):
    field = message(owner).fields_by_name[name]
    assert field.number == number
    if default is not None:
        assert field.default_value == pytest.approx(default, rel=1e-7)


@pytest.mark.parametrize("owner, enum, name, number", EXTRA_VALUES)
def test_an_extra_enum_value(owner, enum, name, number):
    assert message(owner).enum_types_by_name[enum].values_by_name[name].number == number


def test_no_field_is_required():
    """A file of a descendant that lacks one could not be written again."""
    assert {field.name for field in DECLARED.values() if field.label == 2} == set()


def test_the_string_some_descendants_keep_at_149_does_not_break_the_file():
    assert 149 not in message("LayerParameter").fields_by_number
    engine = b"\xaa\x09\x06MKLDNN"
    layer = b"\x0a\x01a" + engine
    net = caffe_pb2.NetParameter.FromString(b"\xa2\x06" + bytes([len(layer)]) + layer)
    assert net.layer[0].name == "a"


IN_LAYERS = [
    "quantization_param { bw_layer_in: 8 bw_params: 8 fl_layer_out: 3 scale_params: 0.5 }",
    "bn_param { slope_filler { value: 1 } bias_filler { value: 0 } frozen: true engine: CAFFE }",
    "bn_param { scale_filler { value: 1 } shift_filler { value: 0 } bn_mode: INFERENCE }",
    "batch_norm_param { scale_bias: true filler { value: 1 } bias_filler {} engine: CUDNN }",
    "pooling_param { ceil_mode: false engine: MKL2017 }",
    "param { lr_mult: 1 force_mult: 1 }",
    'engine: "MKLDNN"',
    "upsample_param { scale: 2 upsample_w: 60 upsample_h: 45 }",
    "loss_param { weight_by_label_freqs: true class_weighting: 1 class_weighting: 0.5 }",
    "loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 256 }",
    "data_param { shuffle: true }",
    "dropout_param { scale_train: false sample_weights_test: true }",
    "transform_param { scale_factors: 0.5 resize_param { prob: 1 resize_mode: WARP } }",
    "forward_type: FLOAT16 backward_type: FLOAT forward_math: FLOAT backward_math: FLOAT",
    "inner_product_param { bias_filler { type: 'file' file: 'bias.txt' } }",
    "permute_param { order: 0 } prior_box_param { min_size: 30 } roi_pooling_param { pooled_w: 7 }",
    "interp_param { zoom_factor: 8 } psroi_pooling_param { group_size: 7 output_dim: 21 }",
]
IN_NETS = [
    "default_forward_type: FLOAT16 default_backward_type: FLOAT16 default_forward_math: FLOAT",
    "default_backward_math: FLOAT global_grad_scale: 1000 global_grad_scale_adaptive: true",
    "default_conv_algos_override: '-1,-1,-1' reduce_buckets: 6 default_cudnn_math_override: 0",
    "eltwise_mem_sharing: false bn_stats_batch_size: 32",
    "compile_net_state { bn_scale_merge: true kept_bn_layers: 'bn1' }",
    "engine: 'MKLDNN' multinode { model_parallel { layer_from: 'fc6' num_nodes: 0 } }",
]


@pytest.mark.parametrize("words", [*IN_NETS, *[f"layer {{ {words} }}" for words in IN_LAYERS]])
def test_the_words_that_nets_of_forks_use_are_known(words):
    net = text_format.Parse(words, caffe_pb2.NetParameter())
    again = caffe_pb2.NetParameter.FromString(net.SerializeToString())
    assert again == net and net.ListFields()


def test_a_foreign_message_at_caffes_number_keeps_its_bytes():
    """bn_param at 137, embed_param here: slope_filler and momentum are found again."""
    foreign = caffe_pb2.BNParameter(slope_filler={"value": 1}, momentum=0.5).SerializeToString()
    tag = b"\xca\x08"  # 137, length
    layer = caffe_pb2.LayerParameter.FromString(tag + bytes([len(foreign)]) + foreign)
    again = caffe_pb2.BNParameter.FromString(layer.embed_param.SerializeToString())
    assert again.slope_filler.value == 1 and again.momentum == 0.5


def test_the_committed_descriptor_set_is_the_compiled_schema(tmp_path):
    compile_schema(tmp_path / "fresh.binpb")
    fresh = descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "fresh.binpb").read_bytes())
    committed = descriptor_pb2.FileDescriptorSet.FromString(COMPILED.read_bytes())
    assert committed == fresh, "run tools/compile_proto.py and commit caffelite.binpb"


def test_lines_of_the_schema_fit():
    schema = COMPILED.parents[2] / "proto" / "caffelite.proto"
    assert [line for line in schema.read_text().splitlines() if len(line) > 100] == []


# Message classes


def test_names_are_those_of_a_generated_module():
    for name in [*GOLDEN["messages"], "LabelMap", "AnnotatedDatum"]:
        assert getattr(caffe_pb2, name).DESCRIPTOR.full_name == f"caffe.{name}"
    assert (caffe_pb2.TRAIN, caffe_pb2.TEST) == (0, 1)
    assert caffe_pb2.Phase.Name(1) == "TEST" and caffe_pb2.Phase.Value("TRAIN") == 0
    assert caffe_pb2.V1LayerParameter.LayerType.Value("EXP") == 38
    assert caffe_pb2.PoolingParameter.AVE == 1
    assert caffe_pb2.LayerParameter(name="a").name == "a"


@pytest.fixture
def net():
    found = caffe_pb2.NetParameter(name="n")
    found.layer.add(name="a", type="ReLU").blobs.add(data=[1, 2], shape={"dim": [2]})
    return found


def test_messages_pickle_and_copy(net):
    state = caffe_pb2.NetStateRule(not_stage=["x"])
    for original in (net, net.layer[0], state):
        for clone in (
            pickle.loads(pickle.dumps(original)),
            copy.copy(original),
            copy.deepcopy(original),
        ):
            assert clone == original and clone is not original


def test_another_caffe_pb2_in_the_process_does_not_clash(net):
    other = descriptor_pb2.FileDescriptorProto(name="caffelite.proto", package="caffe")
    other.message_type.add(name="NetParameter").field.add(name="name", number=7, type=9, label=1)
    descriptor_pool.Default().AddSerializedFile(other.SerializeToString())
    theirs = descriptor_pool.Default().FindMessageTypeByName("caffe.NetParameter")
    assert theirs is not caffe_pb2.NetParameter.DESCRIPTOR
    assert theirs.fields_by_name["name"].number == 7
    assert caffe_pb2.NetParameter.FromString(net.SerializeToString()) == net


PROBE = """
import sys
from caffelite.proto import caffe_pb2, text, upgrade
heavy = {"numpy", "numba", "caffelite.blob"} & set(sys.modules)
assert not heavy, heavy
net = text.parse('name: "n" layer { name: "a" blobs { data: [0.5, 2] } }', caffe_pb2.NetParameter)
assert caffe_pb2.NetParameter.FromString(net.SerializeToString()) == net
print(text.to_text(net).split())
"""


@pytest.mark.parametrize("runtime", ["upb", "python"])
def test_both_protobuf_runtimes_work_and_nothing_heavy_is_imported(runtime):
    run = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": runtime},
        capture_output=True,
        text=True,
        cwd=COMPILED.parents[2],
    )
    assert run.returncode == 0, run.stderr
    words = ["name:", '"n"', "layer", "{", "name:", '"a"', "blobs", "{", "data:", "0.5"]
    assert run.stdout.strip() == str([*words, "data:", "2.0", "}", "}"])


def test_packed_floats_are_little_endian_words(net):
    data = net.layer[0].blobs[0].SerializeToString()
    assert struct.pack("<ff", 1, 2) in data
