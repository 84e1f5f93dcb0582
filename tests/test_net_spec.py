"""NetSpec: names, options, order, and mistakes."""

import copy
import pickle

import numpy as np
import pytest
from google.protobuf import text_format

from caffelite.coord_map import coord_map
from caffelite.net_spec import NetSpec, to_proto
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto import caffe_pb2


def lenet(batch_size):
    n = NetSpec()
    n.data, n.label = L.DummyData(
        shape=[dict(dim=[batch_size, 1, 28, 28]), dict(dim=[batch_size, 1, 1, 1])],
        transform_param=dict(scale=1.0 / 255),
        ntop=2,
    )
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler=dict(type="xavier"))
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.ip1 = L.InnerProduct(n.pool1, num_output=500, weight_filler=dict(type="xavier"))
    n.relu1 = L.ReLU(n.ip1, in_place=True)
    n.loss = L.SoftmaxWithLoss(n.relu1, n.label)
    return n.to_proto()


def test_a_net_is_what_its_text_says():
    expected = """
    layer { name: "data" type: "DummyData" top: "data" top: "label"
      transform_param { scale: 0.00392156862745098 }
      dummy_data_param { shape { dim: 50 dim: 1 dim: 28 dim: 28 }
                         shape { dim: 50 dim: 1 dim: 1 dim: 1 } } }
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
      convolution_param { num_output: 20 kernel_size: 5 weight_filler { type: "xavier" } } }
    layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
      pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
    layer { name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1"
      inner_product_param { num_output: 500 weight_filler { type: "xavier" } } }
    layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip1" bottom: "label" top: "loss" }
    """
    assert lenet(50) == text_format.Parse(expected, caffe_pb2.NetParameter())


def test_a_printed_net_reads_back_equal():
    net = lenet(3)
    assert text_format.Parse(str(net), caffe_pb2.NetParameter()) == net


def test_names_are_automatic_where_none_is_given():
    data = L.Input(shape=dict(dim=[1, 2]))
    net = to_proto(L.ReLU(L.InnerProduct(data, num_output=2)), L.InnerProduct(data, num_output=3))
    assert [(ly.name, list(ly.bottom), list(ly.top)) for ly in net.layer] == [
        ("Input1", [], ["Input1"]),
        ("InnerProduct1", ["Input1"], ["InnerProduct1"]),
        ("ReLU1", ["InnerProduct1"], ["ReLU1"]),
        ("InnerProduct2", ["Input1"], ["InnerProduct2"]),
    ]


def test_a_layer_without_tops_is_named_by_assignment():
    n = NetSpec()
    n.a, n.b = L.Input(ntop=2)
    n.quiet = L.Silence(n.a, n.b, ntop=0)
    layer = n.to_proto().layer[-1]
    assert (layer.name, list(layer.bottom), list(layer.top)) == ("quiet", ["a", "b"], [])


def test_keywords_go_to_the_message_that_has_them():
    n = NetSpec()
    n.x = L.Input(shape=[dict(dim=[1, 2])])
    n.y = L.InnerProduct(
        n.x, name="other", num_output=3, loss_weight=2, include=dict(phase=caffe_pb2.TRAIN),
        param=[dict(lr_mult=1), dict(lr_mult=2)],
    )  # fmt: skip
    layer = n.to_proto().layer[-1]
    assert layer.name == "other" and list(layer.top) == ["y"]
    assert list(layer.loss_weight) == [2] and layer.include[0].phase == caffe_pb2.TRAIN
    assert [p.lr_mult for p in layer.param] == [1, 2]


def test_items_work_as_attributes():
    n = NetSpec()
    n["res1/a"] = L.Input()
    n.y = L.ReLU(n["res1/a"])
    assert n.to_proto().layer[-1].bottom[0] == "res1/a"
    del n["res1/a"]
    for error in (KeyError, AttributeError):
        with pytest.raises(error):
            n.nothing  # noqa: B018
    assert not hasattr(n, "nothing") and hasattr(n, "y")


def test_a_spec_can_be_copied():
    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 2]))
    n.y = L.ReLU(n.data)
    for other in (copy.deepcopy(n), pickle.loads(pickle.dumps(n))):
        assert other.to_proto() == n.to_proto()
        other.z = L.TanH(other.y)
        assert not hasattr(n, "z")


def test_one_value_a_tuple_or_an_array_is_a_list():
    for dim in (3, [3], (3,), np.array([3]), np.int64(3)):
        assert L.Input(shape=dict(dim=dim)).to_proto().layer[0].input_param.shape[0].dim == [3]


def test_mistakes_are_named():
    with pytest.raises(TypeError, match="ReLU input 0 is not a Top .type is <class 'tuple'>"):
        L.ReLU(L.Input(ntop=2))
    for layer, message in (
        (L.InnerProduct(L.Input(), num_outputs=3),
         'InnerProduct has no option "num_outputs"; did you mean "num_output"'),
        (L.Bias(L.Input(), filler=dict(tipe="xavier")), 'no field "tipe"; did you mean "type"'),
        (L.Im2col(L.Input(), dilation=2),
         'Im2col has no option "dilation"; say MESSAGE=dict.dilation=....*convolution_param'),
        (L.ReLU(L.Input(), nam="r"), 'ReLU has no option "nam"; did you mean "name"'),
    ):  # fmt: skip
        with pytest.raises(AttributeError, match=message):
            to_proto(layer)


# Messages as options


def test_options_may_be_messages():
    pb = caffe_pb2
    n = NetSpec()
    n.data = L.Input(shape=pb.BlobShape(dim=[2, 3, 9, 9]))
    n.conv = L.Convolution(
        n.data,
        num_output=4,
        kernel_size=3,
        weight_filler=pb.FillerParameter(type="xavier"),
        param=[pb.ParamSpec(lr_mult=1), dict(lr_mult=2, decay_mult=0)],
        include=pb.NetStateRule(phase=pb.TRAIN),
    )
    n.pool = L.Pooling(n.conv, pooling_param=pb.PoolingParameter(pool=P.Pooling.AVE, kernel_size=2))
    n.scaled = L.Power(
        n.pool, transform_param=pb.TransformationParameter(), param=n.to_proto().layer[1].param
    )
    expected = """
    layer { name: "data" type: "Input" top: "data"
      input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } } }
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
      param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 } include { phase: TRAIN }
      convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
    layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
      pooling_param { pool: AVE kernel_size: 2 } }
    layer { name: "scaled" type: "Power" bottom: "pool" top: "scaled" transform_param { }
      param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 } }
    """
    assert n.to_proto() == text_format.Parse(expected, caffe_pb2.NetParameter())


def test_lists_may_be_whatever_is_iterated_over():
    shape = (caffe_pb2.BlobShape(dim=range(1, k)) for k in (2, 3))
    net = L.DummyData(shape=shape, ntop=2)[0].to_proto()
    assert [list(s.dim) for s in net.layer[0].dummy_data_param.shape] == [[1], [1, 2]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            dict(weight_filler=caffe_pb2.ParamSpec()),
            "weight_filler: .* FillerParameter, not ParamS",
        ),
        (dict(weight_filler="xavier"), "weight_filler: .* FillerParameter, not 'xavier'"),
        (dict(param=[caffe_pb2.ParamSpec(), 1]), "param: .* ParamSpec, not 1"),
    ],
)
def test_messages_of_another_kind_are_refused(options, said):
    with pytest.raises(TypeError, match=said):
        L.InnerProduct(L.Input(), num_output=1, **options).to_proto()


def test_maps_of_coordinates_go_by_messages_too():
    data = L.Input(shape=dict(dim=[1, 1, 9, 9]))
    options = caffe_pb2.ConvolutionParameter(num_output=1, kernel_size=[3], stride=[2])
    up = L.Deconvolution(data, convolution_param=options)
    assert coord_map(up.fn) == coord_map(
        L.Deconvolution(data, convolution_param=dict(num_output=1, kernel_size=3, stride=2)).fn
    )
