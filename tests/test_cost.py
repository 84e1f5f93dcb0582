"""The model of synchronous training, and caffelite time --ranks."""

import json
from dataclasses import replace

import numpy as np
import pytest

from caffelite.cli import main
from caffelite.cli._scaling import _ranks
from caffelite.errors import CaffeliteError
from caffelite.parallel import links
from caffelite.parallel.cost import (
    EXCHANGES,
    MB,
    NETWORKS,
    Network,
    Profile,
    doubling,
    of_report,
    ring,
    slowest,
    step,
    tree,
)

SLOW = Network(alpha=1e-3, beta=1e-6)  # a MB takes a second
GAMMA = 1e-7


def test_costs_by_hand():
    n = 1e6
    assert sum(ring(2, n, SLOW, GAMMA)) == pytest.approx(2 * (0.001 + 0.5) + 0.05)
    assert sum(ring(4, n, SLOW, GAMMA)) == pytest.approx(6 * (0.001 + 0.25) + 0.075)
    assert sum(doubling(2, n, SLOW, GAMMA)) == pytest.approx(1.001 + 0.1)
    assert sum(doubling(8, n, SLOW, GAMMA)) == pytest.approx(3 * (1.001 + 0.1))
    assert sum(doubling(3, n, SLOW, GAMMA)) == pytest.approx(3 * 1.001 + 2 * 0.1)
    assert sum(tree(2, n, SLOW, GAMMA)) == pytest.approx(2 * 1.001 + 0.1)
    assert sum(tree(5, n, SLOW, GAMMA)) == pytest.approx(6 * 1.001 + 3 * 0.1)
    for cost in EXCHANGES.values():
        assert sum(cost(1, n, SLOW, GAMMA)) == 0


def test_a_ring_takes_what_its_messages_take():
    """Messages one by one: in each turn, every rank sends a slice on; a sum waits for its slice."""
    ranks, size = 5, 1000
    clocks = np.zeros(ranks)
    for turn in range(2 * (ranks - 1)):
        sent = clocks + SLOW.alpha + size / ranks * SLOW.beta
        clocks = np.roll(sent, 1)
        if turn < ranks - 1:
            clocks += size / ranks * GAMMA
    assert clocks.max() == pytest.approx(sum(ring(ranks, size, SLOW, GAMMA)))


def test_small_sums_go_by_doubling_and_large_ones_round_the_ring():
    for size, expected in ((100, ("doubling",)), (4 * MB, ("ring",))):
        made = Profile(1.0, ((1.0, size),), 16)
        assert step(made, 64, NETWORKS["10gbe"]).by == expected


def test_what_comes_early_is_hidden_behind_layers_below():
    n = 1_000_000  # 1.001 s by doubling, with two ranks
    made = Profile(2.0, ((1.0, n), (5.0, 0), (0.5, n)), 8)
    found = step(made, 2, SLOW, "doubling", bucket=n)
    assert found.exchange == pytest.approx(2 * 1.001)
    assert found.exposed == pytest.approx(1.001), "that of the lowest layer"
    assert found.seconds == pytest.approx(2 + 6.5 + 1.001)
    assert found.images_per_second == pytest.approx(16 / found.seconds)
    assert found.of_linear == pytest.approx(8.5 / found.seconds)
    together = step(made, 2, SLOW, "doubling", bucket=2 * n)
    assert together.exposed == pytest.approx(2.001), "both set out at the end"
    late = step(replace(made, backward=((1.0, n), (0.3, n), (0.2, n))), 2, SLOW, "doubling", n)
    assert late.seconds == pytest.approx(3 + 3 * 1.001), "one bucket after the other"


def test_sums_take_the_cores_time():
    n = 1_000_000
    made = Profile(2.0, ((1.0, n), (5.0, 0), (0.5, 0)), 8, gamma=GAMMA)
    found = step(made, 2, SLOW, "doubling", bucket=n)
    assert found.seconds == pytest.approx(2 + 6.5 + 0.1) and found.exposed == pytest.approx(0.1)


def test_a_layer_of_many_buckets_sets_out_in_parts():
    made = Profile(1.0, ((1.0, 10 * MB),), 1)
    found = step(made, 4, SLOW, "ring", bucket=4 * MB)
    assert found.exchange == pytest.approx(3 * sum(ring(4, 10 / 3 * MB, SLOW, 0)))


def test_all_wait_for_the_slowest():
    generator = np.random.default_rng(0)
    for ranks in (2, 8, 128, 1024):
        drawn = generator.standard_normal((4000, ranks)).max(axis=1).mean()
        assert slowest(ranks) == pytest.approx(drawn, rel=0.06)
    assert slowest(1) == 0
    made = Profile(1.0, ((1.0, 0),), 1, spread=0.1)
    assert step(made, 8, SLOW).of_linear == pytest.approx(1 / (1 + 0.1 * slowest(8)))
    assert step(made, 8, SLOW, late=2).seconds == pytest.approx(2.4)


def test_the_network_that_doctor_measured_is_kept(net, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(links, "user_cache", lambda: str(tmp_path / "cache"))
    assert main([*net, "--ranks", "2", "--network", "measured"]) == 1
    assert "mpiexec -n 2 caffelite doctor" in capsys.readouterr().err
    here, there = (True, 1e-6, 8e9), (False, 4e-6, 2e9)
    network = links.slowest([[None, here, there], [here, None, there], [there, there, None]])
    assert network == (4e-6, 1 / 2e9) and links.slowest([[None, here]]) == (1e-6, 1 / 8e9)
    assert links.keep(network) and links.measured() == network
    assert main([*net, "--ranks", "2", "--network", "measured"]) == 0
    assert "By measured:" in capsys.readouterr().out
    (tmp_path / "cache" / "network.json").write_text("{}")
    with pytest.raises(CaffeliteError, match="cannot be read as a network"):
        links.measured()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2,4,8", [2, 4, 8]),
        ("8,16,...,128", [8, 16, 32, 64, 128]),
        ("1,8,16,...,64", [1, 8, 16, 32, 64]),
        ("8,16,...,40", [8, 16, 24, 32, 40]),
        ("1,2,...,1024", [2**k for k in range(11)]),
    ],
)
def test_numbers_of_processes_may_go_on(text, found):
    assert _ranks(text) == found


NET = """
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 6 dim: 3 } shape { dim: 6 } } }
layer { name: "frozen" type: "InnerProduct" bottom: "data" top: "a" param { lr_mult: 0 }
  param { lr_mult: 0 } inner_product_param { num_output: 5 } }
layer { name: "one" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" }
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "two" type: "InnerProduct" bottom: "b" top: "c" param { name: "w" }
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "loss" }
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)
    return ["time", "net.prototxt", "--iterations", "3"]


def test_time_measures_what_the_model_takes(net, capsys):
    assert main([*net, "--ranks", "2,4,...,16", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    sizes = {layer["name"]: layer["gradient_bytes"] for layer in report["layers"]}
    # two layers share weights: their gradient is final when the lower one is done
    assert sizes == {"data": 0, "frozen": 0, "one": 4 * 25 + 4 * 5, "two": 4 * 5, "loss": 0}
    scaling = report["scaling"]
    assert scaling["images"] == 6 and scaling["gradient_bytes"] == 140
    assert scaling["seconds_to_add_a_byte"] > 0
    assert scaling["networks"].keys() == NETWORKS.keys()
    made = of_report(report)
    for name, rows in scaling["networks"].items():
        assert [row["ranks"] for row in rows] == [2, 4, 8, 16]
        for row in rows:
            again = step(made, row["ranks"], NETWORKS[name])
            assert 1e3 * again.seconds == pytest.approx(row["step_ms"])


def test_time_prints_a_table_of_one_network_or_of_all(net, capsys):
    assert main([*net, "--ranks", "2,4"]) == 0
    out = capsys.readouterr().out
    assert "processes  1gbe %  10gbe %" in out and "6 images a process" in out
    assert main([*net, "--ranks", "2", "--network", "5,0.5", "--exchange=tree", "--spread=0"]) == 0
    out = capsys.readouterr().out
    assert "By 5,0.5:" in out and out.rstrip().endswith("tree") and "vary by 0 %" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--ranks 0", "0"),
        ("--ranks 2,x", "x"),
        ("--ranks 8,...,128", "..."),
        ("--ranks 8,16,...,129", "no steps lead from 8 and 16 to 129"),
        ("--ranks 16,8,...,2", "numbers that grow"),
        ("--ranks 2 --network token-ring", "expected 1gbe"),
        ("--ranks 2 --network 1,0", "GB/s"),
        ("--ranks 2 --bucket 0", "MB"),
        ("--network fdr", "--network is for --ranks"),
        ("--spread 3", "--spread is for --ranks"),
    ],
)
def test_what_time_is_told_of_processes_has_to_make_sense(net, words, told, capsys):
    assert main([*net, *words.split()]) == 2
    assert told in capsys.readouterr().err
