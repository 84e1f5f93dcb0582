"""LRCN's nets in small, written as its prototxts are, and the calls of its scripts on them."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.solver import get_solver

T, N, WORDS = 4, 3, 11
FILL = 'weight_filler { type: "uniform" min: -0.5 max: 0.5 } bias_filler { type: "constant" }'

DATA = f"""
name: "lrcn"
layer {{
  name: "data" type: "ImageData" top: "data" top: "label"
  include {{ phase: TRAIN  not_stage: 'trainval' }}
  transform_param {{ mirror: true crop_size: 6 mean_value: 104 mean_value: 117 mean_value: 123 }}
  image_data_param {{ source: "pictures.txt" batch_size: {N} new_height: 8 new_width: 8 }}
}}
layer {{
  name: "data" type: "HDF5Data" top: "cont_sentence" top: "input_sentence" top: "target_sentence"
  include {{ phase: TRAIN  not_stage: 'trainval' }}
  hdf5_data_param {{ source: "sentences.txt" batch_size: {T} }}
}}
layer {{ name: "silence" type: "Silence" bottom: "label" }}
"""
LOOK = f"""
layer {{
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param {{ lr_mult: 0 }} param {{ lr_mult: 0 }}
  include {{ stage: "freeze-convnet" }}
  convolution_param {{ num_output: 2 kernel_size: 3 {FILL} }}
}}
layer {{
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param {{ lr_mult: 0.1 decay_mult: 1 }} param {{ lr_mult: 0.2 decay_mult: 0 }}
  exclude {{ stage: "freeze-convnet" }}
  convolution_param {{ num_output: 2 kernel_size: 3 {FILL} }}
}}
layer {{
  name: "fc8" type: "InnerProduct" bottom: "conv1" top: "fc8"
  inner_product_param {{ num_output: 5 {FILL} }}
}}
"""
EMBED = f"""
layer {{
  name: "embedding" type: "Embed" bottom: "input_sentence" top: "embedded_input_sentence"
  param {{ lr_mult: 1 }}
  embed_param {{ bias_term: false input_dim: {WORDS} num_output: 6
    weight_filler {{ type: "uniform" min: -0.5 max: 0.5 }} }}
}}
"""


def lstm(name, bottom, static="", rule=""):
    seen = f'bottom: "{static}"' if static else ""
    return f"""
layer {{
  name: "{name}" type: "LSTM" bottom: "{bottom}" bottom: "cont_sentence" {seen} top: "{name}" {rule}
  recurrent_param {{ num_output: 7 {FILL} }}
}}"""


def predict(bottom, rule=""):
    return f"""
layer {{
  name: "predict" type: "InnerProduct" bottom: "{bottom}" top: "predict" {rule}
  param {{ lr_mult: 1 decay_mult: 1 }} param {{ lr_mult: 2 decay_mult: 0 }}
  inner_product_param {{ num_output: {WORDS} axis: 2 {FILL} }}
}}"""


LOSS = """
layer {
  name: "cross_entropy_loss" type: "SoftmaxWithLoss"
  bottom: "predict" bottom: "target_sentence" top: "cross_entropy_loss"
  loss_weight: 20 loss_param { ignore_label: -1 } softmax_param { axis: 2 }
}
"""
SEEN, FIRST = "embedded_input_sentence", 'include { stage: "unfactored" }'
TRAINED = "".join(
    [
        *(DATA, LOOK, EMBED),
        lstm("lstm1", SEEN, "fc8", FIRST),
        lstm("lstm2", "lstm1", "", 'include { stage: "unfactored" stage: "2-layer" }'),
        lstm("lstm1", SEEN, "", 'include { stage: "factored" }'),
        lstm("lstm2", "lstm1", "fc8", 'include { stage: "factored" }'),
        predict("lstm1", 'exclude { stage: "2-layer" }'),
        predict("lstm2", 'include { stage: "2-layer" }'),
        LOSS,
    ]
)
WORD = "".join(
    [
        'name: "word_to_preds"\n',
        'input: "cont_sentence" input_shape { dim: 1 dim: 5 }\n',
        'input: "input_sentence" input_shape { dim: 1 dim: 5 }\n',
        'input: "image_features" input_shape { dim: 5 dim: 5 }\n',
        EMBED,
        lstm("lstm1", SEEN),
        lstm("lstm2", "lstm1", "image_features"),
        predict("lstm2"),
        'layer { name: "probs" type: "Softmax" bottom: "predict" top: "probs" softmax_param { axis: 2 } }',  # noqa: E501
    ]
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two batches of pictures, and chunks of T steps x N sentences, with cont as float."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for k in range(2 * N):
        Image.fromarray(random.integers(0, 256, (9, 10, 3), np.uint8)).save(f"{k}.png")
    Path("pictures.txt").write_text("".join(f"{k}.png 0\n" for k in range(2 * N)))
    words = random.integers(1, WORDS, (2 * T, N))
    with h5py.File("sentences.h5", "w") as file:
        cont = np.ones((2 * T, N), np.float32)
        cont[[0, T]] = 0
        file["cont_sentence"] = cont
        file["input_sentence"] = words.astype(np.float32)
        target = np.roll(words, -1, axis=0).astype(np.float32)
        target[T - 1 :: T] = -1
        file["target_sentence"] = target
    Path("sentences.txt").write_text("sentences.h5\n")
    Path("lrcn.prototxt").write_text(TRAINED)
    Path("word.prototxt").write_text(WORD)
    return tmp_path


def solver_of(*stages):
    state = " ".join(f'stage: "{stage}"' for stage in stages)
    Path("solver.prototxt").write_text(
        f'net: "lrcn.prototxt" train_state {{ {state} }} base_lr: 0.01 lr_policy: "step"\n'
        "gamma: 0.5 stepsize: 20000 momentum: 0.9 max_iter: 40 clip_gradients: 10\n"
        'random_seed: 1701 snapshot_prefix: "s"\n'
    )
    return get_solver("solver.prototxt")


@pytest.mark.parametrize(
    "stages, layers",
    [
        (("factored", "2-layer"), {"lstm1": 3, "lstm2": 4}),
        (("unfactored", "2-layer"), {"lstm1": 4, "lstm2": 3}),
        (("unfactored",), {"lstm1": 4}),
        (("freeze-convnet", "factored", "2-layer"), {"lstm1": 3, "lstm2": 4}),
    ],
)
def test_its_variants_train_by_stages(folder, stages, layers):
    """A static input is one blob more; several stages of one rule must all be there."""
    solver = solver_of(*stages)
    found = {name: len(blobs) for name, blobs in solver.net.params.items() if "lstm" in name}
    assert found == layers
    before = solver.net.params["conv1"][0].data.copy()
    solver.step(1)
    moved = (solver.net.params["conv1"][0].data != before).any()
    assert moved == ("freeze-convnet" not in stages)
    assert solver.net.blobs["predict"].shape == (T, N, WORDS)


def test_what_it_learns_goes_to_the_net_for_words(folder):
    """The calls of captioner.py: reshape to some captions, then a word of each after the other."""
    solver = solver_of("factored", "2-layer")
    solver.step(2)
    solver.net.save("w.caffemodel")
    net = caffelite.Net("word.prototxt", "w.caffemodel", caffelite.TEST)
    for name in ("cont_sentence", "input_sentence"):
        net.blobs[name].reshape(1, N)
    net.blobs["image_features"].reshape(N, *net.blobs["image_features"].data.shape[1:])
    net.reshape()
    trained = solver.net
    trained.forward()
    said = trained.blobs["predict"].data
    for t in range(T):
        net.forward(
            image_features=trained.blobs["fc8"].data,
            cont_sentence=trained.blobs["cont_sentence"].data[t : t + 1],
            input_sentence=trained.blobs["input_sentence"].data[t : t + 1],
        )
        np.testing.assert_allclose(net.blobs["predict"].data[0], said[t], rtol=1e-4, atol=1e-6)
        assert net.blobs["probs"].data.sum(axis=2) == pytest.approx(1)


def test_one_word_by_an_array_of_one(folder):
    """predict_single_word gives cont and word as arrays of one axis, where the blob has two."""
    net = caffelite.Net("word.prototxt", caffelite.TEST)
    for name in ("cont_sentence", "input_sentence"):
        net.blobs[name].reshape(1, 1)
    net.blobs["image_features"].reshape(1, 5)
    net.reshape()
    features = np.ones((1, 5), np.float32)
    first = []
    for cont in (0, 1, 0):
        net.forward(
            image_features=features,
            cont_sentence=np.array([cont]),
            input_sentence=np.array([3]),
        )
        first.append(net.blobs["probs"].data[0, 0, :].copy())
    np.testing.assert_array_equal(first[0], first[2])
    assert abs(first[0] - first[1]).max() > 1e-4


ACTIVITY = f"""
input: "data" input_dim: 12 input_dim: 3 input_dim: 4 input_dim: 4
input: "clip_markers" input_dim: 12 input_dim: 1 input_dim: 1 input_dim: 1
layer {{ name: "fc6" type: "InnerProduct" bottom: "data" top: "fc6"
  inner_product_param {{ num_output: 5 {FILL} }} }}
layer {{ name: "reshape-data" type: "Reshape" bottom: "fc6" top: "fc6-reshape"
  reshape_param {{ shape {{ dim: 4 dim: 3 dim: 5 }} }} }}
layer {{ name: "reshape-cm" type: "Reshape" bottom: "clip_markers" top: "reshape-cm"
  reshape_param {{ shape {{ dim: 4 dim: 3 }} }} }}
layer {{ name: "lstm1" type: "LSTM" bottom: "fc6-reshape" bottom: "reshape-cm" top: "lstm1"
  recurrent_param {{ num_output: 6 {FILL} }} }}
layer {{ name: "fc8-final" type: "InnerProduct" bottom: "lstm1" top: "fc8-final"
  inner_product_param {{ num_output: 7 axis: 2 {FILL} }} }}
layer {{ name: "probs" type: "Softmax" bottom: "fc8-final" top: "probs"
  softmax_param {{ axis: 2 }} }}
"""


def test_a_clip_is_classified_by_forward_all(folder):
    """classify_video.py: frames of a clip, its crops side by side; the answer has fewer rows."""
    Path("activity.prototxt").write_text(ACTIVITY)
    net = caffelite.Net("activity.prototxt", caffelite.TEST)
    frames = np.random.default_rng(1).standard_normal((12, 3, 4, 4)).astype(np.float32)
    markers = np.ones((12, 1, 1, 1))
    markers[:3] = 0
    out = net.forward_all(data=frames, clip_markers=markers)
    again = net.forward_all(data=frames, clip_markers=markers)
    assert out["probs"].shape == (4, 3, 7)
    np.testing.assert_array_equal(out["probs"], again["probs"])
    assert np.mean(out["probs"], 1).shape == (4, 7)


class Clips(caffelite.Layer):
    """Frames of clips, all streams' of a step together, as sequence_input_layer.py gives them."""

    streams = 2

    def setup(self, bottom, top):
        self.random = np.random.default_rng(2)

    def reshape(self, bottom, top):
        for blob, shape in zip(top, ((3, 4, 4), (), ()), strict=True):
            blob.reshape(T * self.streams, *shape)

    def forward(self, bottom, top):
        label = self.random.integers(0, 2, self.streams)
        top[1].data[...] = np.tile(label, T)
        top[2].data[...] = np.repeat(np.arange(T) > 0, self.streams)
        noise = self.random.standard_normal(top[0].shape)
        top[0].data[...] = noise + 2 * top[1].data[:, None, None, None]

    def backward(self, top, propagate_down, bottom):
        pass


class ClipsForTests(Clips):
    streams = N


RULES = {
    "Clips": "include: { phase: TRAIN }",
    "ClipsForTests": 'include: { phase: TEST stage: "test-on-test" }',
}


def each_phase(layer_of):
    """A layer for training and one of the same name for tests, told apart by their rules."""
    return "".join(layer_of(globals()[name], rule) for name, rule in RULES.items())


def clips(of, rule):
    tops = 'top: "data" top: "label" top: "clip_markers"'
    param = f'python_param {{ module: "{__name__}" layer: "{of.__name__}" }}'
    return f'layer {{ name: "data" type: "Python" {tops} {param} {rule} }}\n'


def by_steps(name, bottom, top, *more):
    def layer(of, rule):
        dims = " ".join(f"dim: {size}" for size in (T, of.streams, *more))
        ends = f'bottom: "{bottom}" top: "{top}" reshape_param {{ shape {{ {dims} }} }}'
        return f'layer {{ name: "{name}" type: "Reshape" {ends} {rule} }}\n'

    return each_phase(layer)


def printed(of, rule):
    """A Split of one top that nothing reads, so that the net's output has the labels."""
    top = "reshape-label-print-train" if of is Clips else "reshape-label-print-test"
    ends = f'bottom: "reshape-label" top: "{top}"'
    return f'layer {{ name: "reshape-label-print" type: "Split" {ends} {rule} }}\n'


WATCHED = "".join(
    [
        each_phase(clips),
        f"""layer {{ name: "fc6" type: "InnerProduct" bottom: "data" top: "fc6"
          inner_product_param {{ num_output: 5 {FILL} }} }}""",
        by_steps("reshape-data", "fc6", "fc6-reshape", 5),
        by_steps("reshape-label", "label", "reshape-label"),
        each_phase(printed),
        by_steps("reshape-cm", "clip_markers", "reshape-cm"),
        f"""
        layer {{ name: "lstm1" type: "LSTM" bottom: "fc6-reshape" bottom: "reshape-cm" top: "lstm1"
          recurrent_param {{ num_output: 6 {FILL} }} }}
        layer {{ name: "lstm1-drop" type: "Dropout" bottom: "lstm1" top: "lstm1-drop"
          dropout_param {{ dropout_ratio: 0.5 }} }}
        layer {{ name: "fc8-final" type: "InnerProduct" bottom: "lstm1-drop" top: "fc8-final"
          param {{ lr_mult: 10 decay_mult: 1 }} param {{ lr_mult: 20 decay_mult: 0 }}
          inner_product_param {{ num_output: 7 axis: 2 {FILL} }} }}
        layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc8-final" bottom: "reshape-label"
          top: "loss" softmax_param {{ axis: 2 }} }}
        layer {{ name: "accuracy" type: "Accuracy" bottom: "fc8-final" bottom: "reshape-label"
          top: "accuracy" accuracy_param {{ axis: 2 }} }}
        """,
    ]
)


def test_the_net_of_clips_trains_and_is_tested(folder):
    """Its training and its tests have layers of the same names, and other numbers of clips."""
    Path("clips.prototxt").write_text(WATCHED)
    Path("clips_solver.prototxt").write_text(
        "net: \"clips.prototxt\" test_iter: 5 test_state: { stage: 'test-on-test' }\n"
        'test_interval: 100 base_lr: 0.01 lr_policy: "step" gamma: 0.1 stepsize: 10000\n'
        "max_iter: 100 momentum: 0.9 weight_decay: 0.005 solver_mode: GPU device_id: 0\n"
        'random_seed: 1701 average_loss: 1000 clip_gradients: 5 snapshot_prefix: "clips"\n'
    )
    solver = get_solver("clips_solver.prototxt")
    (tested,) = solver.test_nets
    tested.share_with(solver.net)
    assert solver.net.blobs["lstm1"].shape == (T, 2, 6)
    assert tested.blobs["lstm1"].shape == (T, N, 6)
    before = np.mean([tested.forward()["accuracy"] for _ in range(5)])
    solver.step(100)
    found = [{key: value.copy() for key, value in tested.forward().items()} for _ in range(5)]
    assert np.mean([one["accuracy"] for one in found]) > max(0.9, before)
    assert set(found[0]) == {"reshape-label-print-test", "loss", "accuracy"}


def test_states_that_a_script_carries_are_those_that_the_net_keeps(folder):
    """expose_hidden: h and c come in and go out as blobs, behind what is seen at each step."""
    inputs = 'input: "x" input_shape { dim: 2 dim: 3 dim: 6 } input: "cont_sentence" ' + (
        'input_shape { dim: 2 dim: 3 } input: "seen" input_shape { dim: 3 dim: 5 }'
    )
    states = 'input: "{0}_0" input_shape {{ dim: 1 dim: 3 dim: 7 }}'
    own = inputs + lstm("lstm1", "x", "seen")
    carried = inputs + "".join(states.format(name) for name in "hc")
    carried += lstm("lstm1", "x", "seen", 'bottom: "h_0" bottom: "c_0" top: "h_T" top: "c_T"')
    carried = carried.replace("num_output: 7", "num_output: 7 expose_hidden: true")
    Path("own.prototxt").write_text(own)
    Path("carried.prototxt").write_text(carried)
    keeps = caffelite.Net("own.prototxt", caffelite.TEST)
    keeps.save("w.caffemodel")
    carries = caffelite.Net("carried.prototxt", "w.caffemodel", caffelite.TEST)
    random = np.random.default_rng(3)
    state = {"h_0": np.zeros((1, 3, 7)), "c_0": np.zeros((1, 3, 7))}
    for first in (0, 1, 1):
        cont = np.ones((2, 3), np.float32)
        cont[0] = first
        given = {
            "x": random.standard_normal((2, 3, 6)).astype(np.float32),
            "cont_sentence": cont,
            "seen": random.standard_normal((3, 5)).astype(np.float32),
        }
        out = carries.forward(**given, **state)
        assert set(out) == {"lstm1", "h_T", "c_T"}
        np.testing.assert_array_equal(out["lstm1"], keeps.forward(**given)["lstm1"])
        np.testing.assert_array_equal(out["h_T"][0], out["lstm1"][-1])
        state = {"h_0": out["h_T"].copy(), "c_0": out["c_T"].copy()}
