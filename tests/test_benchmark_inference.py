"""tools/benchmark_inference.py: what others make of a net is the same, and then it is timed."""

import json
import math
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from google.protobuf import text_format

from caffelite.proto import caffe_pb2
from tools import benchmark_inference, benchmark_machine
from tools.benchmark_engines import ENGINES

for module in ("cv2", "onnxruntime", "onnx", "torch"):
    pytest.importorskip(module)


@pytest.fixture(autouse=True)
def threads():
    before = numba.get_num_threads()
    yield
    benchmark_machine.set_threads(before)


def run(*flags):
    words = ["--nets", "lenet", "--batches", "2", "--threads", "1", "--seconds", "0"]
    return benchmark_inference.main([*words, *flags])


def test_all_engines_agree_and_are_timed(capsys, tmp_path):
    file = tmp_path / "figures.json"
    (row,) = run("--json", str(file), "--layers", "2")
    assert set(row["medians"]) == set(ENGINES) and not row["hindered"]
    assert all(len(ms) >= benchmark_inference.ROUNDS for ms in row["ms"].values())
    for name, difference in row["differences"].items():
        assert 0 <= difference < 1e-5, name
        assert row["ratios"][name] == row["medians"][name] / row["medians"]["caffelite"]
    about, head, units, line, *more = capsys.readouterr().out.splitlines()
    assert "cores" in about and "floats" in about and "onnxruntime" in about
    assert head.split()[3:7] == ["caffelite", "OpenCV", "ONNX", "Runtime"]
    assert line.split()[:3] == ["lenet", "2", "1"]
    assert [len(text) for text in (head, units)] == [len(line)] * 2
    assert any("Convolution" in each for each in more)
    assert sum("geometric mean" in each for each in more) == len(ENGINES) - 1
    figures = json.loads(file.read_text())
    assert figures["kernels"] in about
    assert figures["results"][0]["medians"] == row["medians"]


DETECTOR = """
layer { name: "in" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "c_mbox_loc" type: "Convolution" bottom: "conv1" top: "c_mbox_loc"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 } }
layer { name: "loc_perm" type: "Permute" bottom: "c_mbox_loc" top: "loc_perm"
  permute_param { order: [0, 2, 3, 1] } }
layer { name: "loc" type: "Flatten" bottom: "loc_perm" top: "loc" }
layer { name: "c_mbox_conf" type: "Convolution" bottom: "conv1" top: "c_mbox_conf"
  convolution_param { num_output: 42 kernel_size: 3 pad: 1 } }
layer { name: "conf_perm" type: "Permute" bottom: "c_mbox_conf" top: "conf_perm"
  permute_param { order: [0, 2, 3, 1] } }
layer { name: "conf_flat" type: "Flatten" bottom: "conf_perm" top: "conf_flat" }
layer { name: "conf" type: "Reshape" bottom: "conf_flat" top: "conf"
  reshape_param { shape { dim: 0 dim: -1 dim: 21 } } }
layer { name: "prob" type: "Softmax" bottom: "conf" top: "prob" softmax_param { axis: 2 } }
layer { name: "scores" type: "Flatten" bottom: "prob" top: "scores" }
layer { name: "priors" type: "PriorBox" bottom: "conv1" bottom: "data" top: "priors"
  prior_box_param { min_size: 6 max_size: 9 flip: true clip: false offset: 0.5
    variance: [0.1, 0.1, 0.2, 0.2] } }
layer { name: "boxes" type: "DetectionOutput" bottom: "loc" bottom: "scores" bottom: "priors"
  top: "boxes" detection_output_param { num_classes: 21 share_location: true
  background_label_id: 0 nms_param { nms_threshold: 0.45 top_k: 50 }
  code_type: CENTER_SIZE keep_top_k: 40 confidence_threshold: 0.02 } }
"""


def test_boxes_are_the_same(monkeypatch, capsys):
    param = text_format.Parse(DETECTOR, caffe_pb2.NetParameter())
    param.state.phase = caffe_pb2.TEST
    monkeypatch.setattr("tools.benchmark_nets.in_memory", lambda *_: param)
    (row,) = run()
    assert set(row["differences"]) == {"OpenCV", "PyTorch"}
    assert 0 < max(row["differences"].values()) < 1e-4
    assert "ONNX Runtime" in row["hindered"]
    assert "ONNX Runtime does not run it" in capsys.readouterr().out


class Made:
    def __init__(self, **outputs):
        self.made = {name: np.array(values) for name, values in outputs.items()}

    def outputs(self):
        return self.made


def differences(ours, theirs):
    return benchmark_inference.hold_together({"caffelite": Made(y=ours), "another": Made(y=theirs)})


def test_what_differs_is_not_timed():
    assert differences([1.0, 2.0], [1.0, 2.001]) == {"another": pytest.approx(5e-4)}
    with pytest.raises(SystemExit, match="y of another is not caffelite's"):
        differences([1.0, 2.0], [1.0, 2.01])
    with pytest.raises(SystemExit, match="y of another is not caffelite's"):
        differences([1.0, 2.0], [1.0, math.nan])
    with pytest.raises(SystemExit, match=r"the shape \(3,\), not \(2,\)"):
        differences([1.0, 2.0], [1.0, 2.0, 3.0])


def test_boxes_may_come_in_another_order_but_not_be_others():
    rows = np.array([[0, 1, 0.9, 0.1, 0.1, 0.2, 0.2], [0, 2, 0.8, 0.3, 0.3, 0.4, 0.4]])
    filled = np.concatenate([rows[::-1], np.zeros((1, 7))])  # as OpenCV does
    assert differences(rows[None, None], filled[None, None]) == {"another": 0}
    for theirs in (rows[:1], rows + [0, 1, 0, 0, 0, 0, 0], rows + [0, 0, 0, 0, 0, 0, 0.01]):
        for pair in ((rows, theirs), (theirs, rows)):
            with pytest.raises(SystemExit, match="is not caffelite's"):
                differences(*(each[None, None] for each in pair))


def test_means_and_worst():
    rows = [
        {"net": "a", "batch": 1, "ratios": {"X": 2.0}, "ms": {"caffelite": [1, 3], "X": [4]}},
        {"net": "b", "batch": 8, "ratios": {"X": 0.5}, "ms": {"caffelite": [1, 3], "X": [1]}},
        {"net": "c", "batch": 8, "ratios": {}, "ms": {"caffelite": [1]}},
    ]
    (text,) = benchmark_inference.conclusion(rows, ["caffelite", "X", "Y"])
    assert text == (
        "X / caffelite: geometric mean 1.00 over 2 rows, worst 0.50 (b, batch 8); "
        "of the shortest times 2.00"
    )


@pytest.mark.long
def test_memory_is_that_of_processes_of_their_own(capsys):
    (row,) = run("--memory")
    assert set(row["MB"]) == set(ENGINES)
    for name, peak in row["MB"].items():
        assert 20 < peak["MB of imports"] < peak["MB"] < 1000, name
    assert f"{row['MB']['OpenCV']['MB']:.0f} (" in capsys.readouterr().out


def test_avx2_starts_the_program_anew(monkeypatch, capsys):
    started = []
    monkeypatch.setattr(os, "execve", lambda *words: started.append(words))
    benchmark_machine.as_avx2(["tool.py", "--avx2"])
    ((program, words, environment),) = started
    assert program == sys.executable and words[1:] == ["tool.py", "--avx2"]
    code = "from caffelite.kernels._vectors import *; print(VECTOR_BYTES, REGISTERS)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert done.stdout.split() == [b"32", b"16"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    benchmark_machine.as_avx2(["tool.py", "--avx2"])
    assert len(started) == 1 and "AVX2 only" in capsys.readouterr().out
