"""tools/scaling.py: trainings on many ranks, simulated and drawn."""

import json

import numpy as np
import pytest

from caffelite.parallel.cost import NETWORKS, Profile, step
from tools import scaling

PROFILE = Profile(1.0, ((1.0, 50_000_000), (1.0, 1_000_000)), 32, spread=0.02, gamma=1e-10)


def test_a_simulation_is_near_what_is_predicted():
    for ranks in (1, 16, 1024):
        network = NETWORKS["10gbe"]
        found = scaling.simulate(PROFILE, ranks, network, np.random.default_rng(0))
        assert found == pytest.approx(step(PROFILE, ranks, network).images_per_second, rel=0.01)


def test_a_faster_rank_waits_more_for_its_network():
    slow, fast = (scaling.curves(PROFILE.faster(k), ["10gbe", "edr"]) for k in (1, 20))
    for network in ("10gbe", "edr"):
        assert fast[network][-1] < slow[network][-1] < slow[network][0] == 1
    assert fast["10gbe"][-1] < fast["edr"][-1]


def test_a_report_becomes_a_table_and_a_picture(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    layers = [{"backward_ms": 5.0, "gradient_bytes": 1000}]
    facts = {"images": 2, "spread": 0.01, "seconds_to_add_a_byte": 1e-10}
    report = {"net": "tiny", "forward_ms": 5.0, "layers": layers, "scaling": facts}
    (tmp_path / "time.json").write_text(json.dumps(report))
    out = tmp_path / "scaling.svg"
    words = [str(tmp_path / "time.json"), "--images-per-second", "400", "--networks", "edr"]
    scaling.main([*words, "--spread", "0", "--out", str(out)])
    printed = capsys.readouterr().out
    assert "tiny, 2 images a rank, 400 images/s" in printed and " 1024  " in printed
    assert "Caffe-MPI 2.0, ResNet-50" in out.read_text()
