"""Solvers with players: nets of one file that train in turns, each against the others."""

import os

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.errors import CaffeliteError, SolverError
from caffelite.proto import caffe_pb2

NOISE = """
layer { name: "noise" type: "DummyData" top: "noise" dummy_data_param {
  shape { dim: 32 dim: 1 } data_filler { type: "gaussian" } } }
layer { name: "g_made" type: "InnerProduct" bottom: "noise" top: "made" inner_product_param {
  num_output: 1 weight_filler { value: 0.5 } } }
"""
CRITIC = """
layer { name: "d_ip1" type: "InnerProduct" bottom: "made" top: "ip1" param { name: "w1" }
  param { name: "b1" } inner_product_param { num_output: 8
  weight_filler { type: "xavier" } bias_filler { type: "uniform" min: -1 } } }
layer { name: "tanh" type: "TanH" bottom: "ip1" top: "ip1" }
layer { name: "d_score" type: "InnerProduct" bottom: "ip1" top: "score" param { name: "w2" }
  param { name: "b2" } inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }
layer { name: "one" type: "DummyData" top: "one" dummy_data_param {
  shape { dim: 32 dim: 1 } data_filler { value: 1 } } }
"""
OF_CRITIC = """
layer { name: "real" type: "DummyData" top: "real" dummy_data_param {
  shape { dim: 32 dim: 1 } data_filler { type: "gaussian" mean: 2 std: 0.5 } } }
layer { name: "d_ip1_real" type: "InnerProduct" bottom: "real" top: "ip1_real" param { name: "w1" }
  param { name: "b1" } inner_product_param { num_output: 8 } }
layer { name: "tanh_real" type: "TanH" bottom: "ip1_real" top: "ip1_real" }
layer { name: "d_score_real" type: "InnerProduct" bottom: "ip1_real" top: "score_real"
  param { name: "w2" } param { name: "b2" } inner_product_param { num_output: 1 } }
layer { name: "zero" type: "DummyData" top: "zero" dummy_data_param {
  shape { dim: 32 dim: 1 } } }
layer { name: "d_real" type: "SigmoidCrossEntropyLoss" bottom: "score_real" bottom: "one"
  top: "d_real" }
layer { name: "d_fake" type: "SigmoidCrossEntropyLoss" bottom: "score" bottom: "zero"
  top: "d_fake" }
""".replace("layer {", 'layer { include { stage: "critic" }')
OF_MAKER = """
layer { name: "g_loss" type: "SigmoidCrossEntropyLoss" bottom: "score" bottom: "one" top: "g_loss"
  include { stage: "maker" } }
"""
NET = NOISE + CRITIC + OF_CRITIC + OF_MAKER
PLAYERS = 'player { name: "critic" layer: "d_*" } player { name: "maker" layer: "g_*" }'


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def solver(text="", players=PLAYERS, net=NET):
    kind = "" if "type:" in text else 'type: "Adam" momentum: 0.5'
    param = text_format.Parse(
        f'{kind} base_lr: 0.02 lr_policy: "exp" gamma: 0.995 random_seed: 1 '
        f'snapshot_prefix: "t/gan" {players} {text}',
        caffe_pb2.SolverParameter(),
    )
    text_format.Parse(net, param.net_param)
    return caffelite.get_solver(param)


def weights(one):
    return {name: [b.data.copy() for b in blobs] for name, blobs in one.net.params.items()}


def test_a_generator_learns_where_the_numbers_are():
    one, events = solver(), []
    one.add_listener(events.append)
    one.step(400)
    made = [one.net.forward() and one.net.blobs["made"].data.mean() for _ in range(20)]
    assert np.mean(made) == pytest.approx(2, abs=0.5)
    assert set(events[-1]["losses"]) == {"critic", "maker"}
    assert events[-1]["loss"] == events[-1]["losses"]["maker"]
    np.testing.assert_allclose(events[-1]["losses"]["critic"], 2 * np.log(2), atol=0.2)


@pytest.mark.parametrize("mover", ["critic", "maker"])
def test_a_player_moves_its_own_layers_alone(mover):
    other = {"critic": "maker", "maker": "critic"}[mover]
    still = f'name: "{other}" solver {{ base_lr: 0 }}'
    one = solver(players=PLAYERS.replace(f'name: "{other}"', still))
    before = weights(one)
    one.step(3)
    moved = {
        name
        for name, blobs in weights(one).items()
        if not all(map(np.array_equal, blobs, before[name]))
    }
    assert moved == ({"g_made"} if mover == "maker" else {"d_ip1", "d_score"})


def test_a_turn_is_what_the_passes_by_hand_come_to():
    """The critic learns by real and made numbers, then the maker through the new critic."""
    one, twin = solver('type: "SGD"'), solver('type: "SGD"')
    one.step(1)
    critic, maker = (player.net for player in twin.players)
    for net in (critic, maker):
        net.clear_param_diffs()
        net.forward_backward()
        own = "d_" if net is critic else "g_"
        for entry in net.learnable:
            if entry.layer.startswith(own):
                entry.blob.data[...] -= np.float32(0.02) * entry.blob.diff
    for name, blobs in weights(twin).items():
        for blob, expected in zip(blobs, weights(one)[name], strict=True):
            np.testing.assert_allclose(blob, expected, rtol=1e-6, err_msg=name)


def test_steps_and_bounds_of_weights():
    text = 'player { name: "critic" layer: "d_*" steps: 5 solver { clip_weights: 0.01 } }'
    one = solver(players=text + 'player { name: "maker" }')
    one.step(2)
    critic, maker = one.players
    assert (critic.net.layers[0].position, maker.net.layers[0].position) == (10, 2)
    for name, blobs in weights(one).items():
        largest = max(abs(blob).max() for blob in blobs)
        assert (largest <= np.float32(0.01)) == name.startswith("d_")


def test_schedules_of_players_follow_an_end_that_is_set_later():
    one = solver("max_iter: 4 display: 1")
    for player in one.players:
        player.param.lr_policy, player.param.power = "poly", 1
    one.param.max_iter = 100
    one.step(3)
    rates = [player.move(one.iter, 0, 0) for player in one.players]
    assert rates == pytest.approx([0.02 * 0.97] * 2)


def test_a_resumed_run_ends_with_the_same_bits():
    text = "max_iter: 8 snapshot: 3"
    whole = solver(text)
    whole.solve()
    for iteration in (8, 6):
        resumed = solver(text)
        assert resumed.resume() == f"t/gan_iter_{iteration}.solverstate"
        resumed.step(8 - iteration)
        np.testing.assert_equal(weights(resumed), weights(whole))
        np.testing.assert_equal(resumed.history, whole.history)
        assert [ly.position for player in resumed.players for ly in player.net.layers] == [
            ly.position for player in whole.players for ly in player.net.layers
        ]
        os.remove(f"t/gan_iter_{iteration}.solverstate")


SAMPLES = """
layer { name: "noise" type: "Input" top: "noise" input_param { shape { dim: 8 dim: 1 } } }
layer { name: "kind" type: "Input" top: "kind" input_param { shape { dim: 8 } } }
layer { name: "g_made" type: "InnerProduct" bottom: "noise" top: "made" inner_product_param {
  num_output: 1 } }
layer { name: "shade" type: "Embed" bottom: "kind" top: "shade" embed_param { num_output: 1
  input_dim: 3 bias_term: false weight_filler { type: "constant" } } blobs {
  shape { dim: 3 dim: 1 } data: 0 data: 10 data: 20 } }
layer { name: "sum" type: "Eltwise" bottom: "made" bottom: "shade" top: "sum" }
layer { name: "picture" type: "Reshape" bottom: "sum" top: "picture" reshape_param {
  shape { dim: 2 dim: 1 dim: 2 dim: 2 } } }
"""


def test_samples_are_drawn_of_the_same_noise():
    with open("samples.prototxt", "w") as file:
        file.write(SAMPLES)
    text = 'sample_net: "samples.prototxt" sample_interval: 2'
    one, events = solver(text), []
    one.add_listener(events.append)
    one.step(4)
    drawn = [event["file"] for event in events if event["event"] == "picture"]
    assert drawn == ["t/gan_samples_iter_2.png", "t/gan_samples_iter_4.png"]
    with open(drawn[-1], "rb") as file:
        kept = file.read()
    net = one._samples.net
    assert net.blobs["kind"].data.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert len(np.unique(net.blobs["noise"].data)) == 8
    again = solver(text)
    again.step(4)
    with open(drawn[-1], "rb") as file:
        assert file.read() == kept


BAD = {
    "a name twice": (PLAYERS.replace("maker", "critic"), NET, "given twice"),
    "no name": (PLAYERS.replace("maker", ""), NET, "expected a name"),
    "steps": (PLAYERS.replace("maker", 'maker" steps: 0 layer: "x'), NET, "at least 1, not 0"),
    "what is of all": (
        PLAYERS.replace('maker"', 'maker" solver { max_iter: 3 }'),
        NET,
        "max_iter is of the solver as a whole",
    ),
    "a rate": (PLAYERS.replace('maker"', 'maker" solver { momentum: 2 }'), NET, "below 1, not 2"),
    "all without layers": ('player { name: "a" } player { name: "b" }', NET, "name no layer"),
    "nothing to train": (PLAYERS.replace("g_*", "e_*"), NET, "no weights that it trains"),
    "two trainers": (PLAYERS.replace("g_*", "*"), NET, '"critic" and "maker"; expected one'),
    "no trainer": (PLAYERS.replace("d_*", "d_s*"), NET, '"d_ip1" is trained by nobody'),
    "no loss": (PLAYERS, NOISE + CRITIC + OF_CRITIC, 'player "maker": its net has no loss'),
    "not in the last's net": (
        'player { name: "maker" layer: "g_*" } player { name: "critic" layer: "d_*" }',
        NET.replace('bottom: "noise"', 'bottom: "noise" include { stage: "maker" }').replace(
            'layer { name: "d_ip1"',
            'layer { name: "still" type: "DummyData" top: "made" include { stage: "critic" } '
            'dummy_data_param { shape { dim: 32 dim: 1 } } } layer { name: "d_ip1"',
        ),
        'the net of the last player, "critic", lacks',
    ),
    "shared by mistake": (
        PLAYERS,
        NET.replace('bottom: "noise"', 'bottom: "noise" param { name: "w2" }').replace(
            "num_output: 8", "num_output: 1"
        ),
        'shares weights by the name in param with "g_made"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_players_that_do_not_fit_are_refused(case):
    players, net, words = BAD[case]
    with pytest.raises(CaffeliteError, match=words):
        solver(players=players, net=net)


def test_a_loss_that_is_no_number_names_the_player():
    one = solver()
    one.players[0].net.layer_dict["d_score"].blobs[0].data[...] = np.nan
    with pytest.raises(SolverError, match='player "critic" is nan'):
        one.step(1)
