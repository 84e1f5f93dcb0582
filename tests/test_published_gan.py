"""A GAN as scripts of pycaffe train it, with a solver each for the data, the generator and the
discriminator, beside the same as players of one solver.

The script copies pictures from net to net, calls forward and backward by itself, lets gradients of
true and made pictures add up, moves the discriminator's gradient at its pictures to the generator's
output, and calls apply_update (samson-wang/dcgan.caffe).
"""

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite as caffe
from caffelite.proto import caffe_pb2

BATCH, NOISE = 8, 5
NAMED = 'param {{ name: "{0}_w" lr_mult: 1 }} param {{ name: "{0}_b" lr_mult: 0 }}'
STILL = 'param { name: "d_bn_%d" lr_mult: 0 }'
SMALL = 'weight_filler { type: "gaussian" std: 0.2 }'
MAKER = f"""
layer {{ name: "reshape" type: "Reshape" bottom: "feat" top: "feat_maps" reshape_param {{
  shape {{ dim: {BATCH} dim: {NOISE} dim: 1 dim: 1 }} }} }}
layer {{ name: "g_up1" type: "Deconvolution" bottom: "feat_maps" top: "g_up1"
  convolution_param {{ num_output: 6 kernel_size: 4 {SMALL} }} }}
layer {{ name: "g_bn" type: "BatchNorm" bottom: "g_up1" top: "g_bn"
  batch_norm_param {{ moving_average_fraction: 0.95 }} }}
layer {{ name: "g_relu" type: "ReLU" bottom: "g_bn" top: "g_bn" }}
layer {{ name: "g_up2" type: "Deconvolution" bottom: "g_bn" top: "generated"
  convolution_param {{ num_output: 2 pad: 1 kernel_size: 4 stride: 2 {SMALL} }} }}
"""


def judge(data, end="", include=""):
    """The discriminator up to its score, whose layers share weights by name with others of it."""
    still = " ".join(STILL % k for k in range(3))
    return f"""
layer {{ name: "d_conv1{end}" type: "Convolution" bottom: "{data}" top: "d_conv1{end}" {include}
  {NAMED.format("d_conv1")} convolution_param {{
    num_output: 6 pad: 1 kernel_size: 4 stride: 2 {SMALL} }} }}
layer {{ name: "d_relu1{end}" type: "ReLU" bottom: "d_conv1{end}" top: "d_conv1{end}" {include}
  relu_param {{ negative_slope: 0.2 }} }}
layer {{ name: "d_conv2{end}" type: "Convolution" bottom: "d_conv1{end}" top: "d_conv2{end}"
  {include} {NAMED.format("d_conv2")} convolution_param {{
    num_output: 4 pad: 1 kernel_size: 4 stride: 2 {SMALL} }} }}
layer {{ name: "d_bn{end}" type: "BatchNorm" bottom: "d_conv2{end}" top: "d_bn{end}" {include}
  {still} batch_norm_param {{ moving_average_fraction: 0.95 }} }}
layer {{ name: "d_relu2{end}" type: "ReLU" bottom: "d_bn{end}" top: "d_bn{end}" {include}
  relu_param {{ negative_slope: 0.2 }} }}
layer {{ name: "d_score{end}" type: "InnerProduct" bottom: "d_bn{end}" top: "d_score{end}"
  {include} {NAMED.format("d_score")} inner_product_param {{ num_output: 1 {SMALL} }} }}
"""


def loss(name, score, label, include=""):
    return (
        f'layer {{ name: "{name}" type: "SigmoidCrossEntropyLoss" bottom: "{score}" '
        f'bottom: "{label}" top: "{name}" {include} }}\n'
    )


def given(name, *shape):
    dims = " ".join(f"dim: {size}" for size in shape)
    return (
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ '
        f"shape {{ {dims} }} }} }}\n"
    )


PICTURES, COLUMN = (BATCH, 2, 8, 8), (BATCH, 1)
HEAD = "force_backward: true\n"
GENERATOR = HEAD + given("feat", BATCH, NOISE) + MAKER
DISCRIMINATOR = (
    HEAD
    + given("data", *PICTURES)
    + given("label", *COLUMN)
    + judge("data")
    + loss("loss", "d_score", "label")
)
OF_D, OF_G = ('include { stage: "d" }', 'include { stage: "g" }')
PLAYERS = (
    given("feat", BATCH, NOISE)
    + given("data", *PICTURES).replace("top:", f"{OF_D} top:")
    + given("one", *COLUMN)
    + given("zero", *COLUMN).replace("top:", f"{OF_D} top:")
    + MAKER
    + judge("generated")
    + judge("data", "_real", OF_D)
    + loss("loss_fake", "d_score", "zero", OF_D)
    + loss("loss_real", "d_score_real", "one", OF_D)
    + loss("loss", "d_score", "one", OF_G)
)
ADAM = 'type: "Adam" base_lr: 0.002 lr_policy: "fixed" momentum: 0.5 momentum2: 0.999 '
ADAM += "snapshot_after_train: false display: 0 "
TURNS = 4


def solver(net, more=""):
    param = text_format.Parse(ADAM + more, caffe_pb2.SolverParameter())
    text_format.Parse(net, param.net_param)
    return caffe.get_solver(param)


@pytest.fixture
def fed():
    """[(noise, true pictures)] of each turn."""
    random = np.random.default_rng(3)
    return [
        (random.standard_normal((BATCH, NOISE)), random.standard_normal(PICTURES))
        for _ in range(TURNS)
    ]


def as_scripts_do(generator, discriminator, fed):
    """The losses of all passes."""
    made, judged, losses = generator.net, discriminator.net, []

    def judge_now(pictures, label):
        judged.blobs["data"].data[...] = pictures
        judged.blobs["label"].data[...] = label
        judged.forward()
        losses.append(float(judged.blobs["loss"].data))

    for noise, true in fed:
        made.blobs["feat"].data[...] = noise
        made.forward()
        pictures = made.blobs["generated"].data
        judge_now(true, 1)
        judged.clear_param_diffs()
        judged.backward()
        judge_now(pictures, 0)
        judged.backward()
        discriminator.apply_update()
        judge_now(pictures, 1)
        made.clear_param_diffs()
        judged.backward()
        made.blobs["generated"].diff[...] = judged.blobs["data"].diff
        made.backward()
        generator.apply_update()
    return losses


def test_it_comes_to_what_players_do(fed):
    generator, discriminator = solver(GENERATOR), solver(DISCRIMINATOR)
    players = solver(PLAYERS, 'player { name: "d" layer: "d_*" } player { name: "g" layer: "g_*" }')
    for net in (generator.net, discriminator.net):
        for name, blobs in net.params.items():
            for ours, theirs in zip(players.net.params[name], blobs, strict=True):
                ours.data[...] = theirs.data
    expected = []
    for noise, true in fed:
        for player in players.players:
            values = {"feat": noise, "data": true, "one": 1, "zero": 0}
            for name in player.net.inputs:
                player.net.blobs[name].data[...] = values[name]
        players.step(1)
        d, g = (player.net.blobs for player in players.players)
        expected += [float(d["loss_real"].data), float(d["loss_fake"].data), float(g["loss"].data)]
    assert generator.iter == discriminator.iter == 0
    np.testing.assert_allclose(as_scripts_do(generator, discriminator, fed), expected, rtol=1e-4)
    assert generator.iter == discriminator.iter == TURNS
    for net in (generator.net, discriminator.net):
        for name, blobs in net.params.items():
            if "bn" in name:
                continue  # statistics: the passes differ in their order, and in how many there are
            for k, blob in enumerate(blobs):
                ours = players.net.params[name][k].data
                np.testing.assert_allclose(blob.data, ours, rtol=1e-3, atol=1e-4, err_msg=name)
