"""Building a net and looking at it leaves every file as it was; what forward writes is whole."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
import tests.cases
from caffelite.cli import main
from caffelite.errors import CaffeliteError
from caffelite.testing import cases
from caffelite.view.net_file import NetFile
from caffelite.view.page_data import PageData
from caffelite.view.runs import Runs
from caffelite.view.weights import Weights

h5py = pytest.importorskip("h5py")

ROOT = Path(__file__).parent.parent
SMALL = 8_000  # bytes of a prototxt that is built in the default run

INPUT = """layer { name: "in" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }"""
DATABASE = """layer { name: "d" type: "Data" top: "data" top: "label"
  data_param { source: "samples_lmdb" batch_size: 2 backend: LMDB } }"""
PICTURES = """layer { name: "i" type: "ImageData" top: "picture" top: "of"
  image_data_param { source: "list.txt" batch_size: 2 } }
layer { name: "quiet" type: "Silence" bottom: "picture" bottom: "of" }"""
ROWS = """layer { name: "h" type: "HDF5Data" top: "rows"
  hdf5_data_param { source: "h5.txt" batch_size: 2 } }
layer { name: "quiet2" type: "Silence" bottom: "rows" }"""
BODY = """layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }"""
LOSS = """layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }"""
OUTPUT = """layer { name: "out" type: "HDF5Output" bottom: "ip" bottom: "label"
  hdf5_output_param { file_name: "out.h5" } }"""


def tree(folder):
    """{name: (bytes, time of the last change)} of all that a folder holds."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        facts = path.lstat()
        content = path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(folder))] = content, facts.st_mtime_ns, facts.st_mode
    return found


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with nets that read all kinds of data and write out.h5, which is precious."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    caffelite.set_random_seed(1)
    shutil.copytree(ROOT / "tests/golden/caffe/data/raw_lmdb", "samples_lmdb")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("cat.png")
    Path("list.txt").write_text("cat.png 1\n")
    with h5py.File("rows.h5", "w") as file:
        file["rows"] = np.zeros((4, 2), np.float32)
    Path("h5.txt").write_text("rows.h5\n")
    Path("train_val.prototxt").write_text("\n".join([DATABASE, PICTURES, ROWS, BODY, LOSS, OUTPUT]))
    Path("deploy.prototxt").write_text("\n".join([INPUT, BODY, OUTPUT.replace("label", "ip")]))
    Path("solver.prototxt").write_text(
        'net: "train_val.prototxt" lr_policy: "fixed" base_lr: 0.01 max_iter: 2 display: 1 '
        'test_iter: 1 test_interval: 1 snapshot: 1 snapshot_prefix: "deep/down/s"'
    )
    for name, weights in (("train_val", "trained"), ("deploy", "deployed")):
        net = caffelite.Net(f"{name}.prototxt", caffelite.TEST)
        net.save(f"{weights}.caffemodel")
        net.close()
    Path("run.jsonl").write_text('{"event": "train", "iteration": 1, "loss": 1, "time": 1}\n')
    Path("out.h5").write_bytes(b"the work of a week")
    return tmp_path


LOOKS = [
    "summary train_val.prototxt",
    "summary train_val.prototxt --plan --phase TRAIN --json",
    "summary train_val.prototxt --wiring",
    "draw train_val.prototxt OUT/net.svg",
    "draw train_val.prototxt OUT/net.dot --phase ALL --shapes",
    "lint train_val.prototxt solver.prototxt",
    "time --model train_val.prototxt --iterations 1",
    "classify cat.png --model deploy.prototxt --weights deployed.caffemodel",
    "visualize filters OUT/a.png --weights trained.caffemodel",
    "visualize features OUT/b.png --model deploy.prototxt --weights deployed.caffemodel "
    "--picture cat.png",
    "browse samples_lmdb --model train_val.prototxt --html OUT/page.html",
    "diff trained.caffemodel deployed.caffemodel",
    "parse_log run.jsonl OUT",
    "plot run.jsonl",
    "layers HDF5Output",
    "models",
    "doctor",
    "convert trained.caffemodel OUT/w.h5 --model train_val.prototxt",
    "upgrade deploy.prototxt OUT/new.prototxt",
    "compute_image_mean samples_lmdb OUT/mean.binaryproto --backend lmdb",
]


@pytest.mark.parametrize("command", LOOKS)
def test_looking_changes_no_file(command, folder, tmp_path_factory, capfd):
    words = command.replace("OUT", str(tmp_path_factory.mktemp("made"))).split()
    if words[-1].endswith(".svg") and not shutil.which("dot"):
        pytest.importorskip("pygraphviz")
    before = tree(folder)
    code = main(words)
    assert code in (0, 1), capfd.readouterr().err
    if words[0] not in ("lint", "diff"):
        assert code == 0, capfd.readouterr().err
    assert tree(folder) == before


def test_viewing_changes_no_file(folder):
    state = caffelite.proto.caffe_pb2.NetState()
    data = PageData(
        NetFile("train_val.prototxt"),
        state,
        weights=Weights("trained.caffemodel"),
        runs=Runs(["run.jsonl"], "."),
    )
    before = tree(folder)
    text = data.net()["text"]
    for phase in ("TRAIN", "TEST"):
        drawn = data.graph(text, phase)
        assert [layer["problem"] for layer in drawn["layers"]] == [""] * len(drawn["layers"])
    data.lint(text), data.weights("ip"), data.runs(), data.compare("0")
    assert tree(folder) == before


def test_building_and_closing_changes_no_file(folder):
    before = tree(folder)
    for phase in (caffelite.TRAIN, caffelite.TEST):
        for name in ("train_val", "deploy"):
            caffelite.Net(f"{name}.prototxt", phase).close()
    solver = caffelite.get_solver("solver.prototxt")
    for net in (solver.net, *solver.test_nets):
        net.close()
    assert tree(folder) == before


def test_building_any_layer_changes_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = [ROOT / "tests" / "golden" / "caffe", tests.cases.data.output.parent, tmp_path]
    before = [tree(place) for place in places]
    for row in cases:
        try:
            row.build()[0].close()
        except CaffeliteError:
            assert row.error
    assert [tree(place) for place in places] == before


@pytest.mark.parametrize("most", [SMALL, pytest.param(None, marks=pytest.mark.long)])
def test_building_any_shipped_net_changes_no_file(most, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [*ROOT.glob("models/*/*.prototxt"), *ROOT.glob("solvers/*.prototxt")]
    files = [path for path in files if most is None or path.stat().st_size <= most]
    assert len(files) > 20
    before = tree(ROOT / "models")
    for path in files:
        for phase in (caffelite.TRAIN, caffelite.TEST):
            try:
                if "solver" in path.parts[-2] or "solver" in path.name:
                    caffelite.get_solver(str(path))
                else:
                    caffelite.Net(path, phase).close()
            except CaffeliteError:  # the data are not there
                pass
    assert tree(ROOT / "models") == before
    assert tree(tmp_path) == {}


# What does write


def rows_of(path="out.h5"):
    with h5py.File(path) as file:
        return len(file["data"]), len(file["label"])


def only_whole(folder):
    """No file under a passing name, and no lock."""
    return not [name for name in os.listdir(folder) if name.endswith((".part", ".lock"))]


@pytest.mark.parametrize(
    "command, rows",
    [
        ("test --model train_val.prototxt --weights trained.caffemodel --iterations 3", 6),
        ("extract_features trained.caffemodel train_val.prototxt ip made.npz 2 npz", 4),
    ],
)
def test_commands_that_run_a_net_write_its_file(command, rows, folder, capfd):
    assert main(command.split()) == 0, capfd.readouterr().err
    assert rows_of() == (rows, rows)
    assert only_whole(folder)


def test_training_writes_the_file_of_its_net(folder, capfd):
    text = Path("train_val.prototxt").read_text()
    Path("train_val.prototxt").write_text(
        text.replace(OUTPUT, OUTPUT[:-1] + "include { phase: TRAIN } }")
    )
    assert main(["train", "--solver", "solver.prototxt"]) == 0, capfd.readouterr().err
    assert rows_of() == (6, 6)  # two iterations, and the loss that is shown at the end
    assert only_whole(folder)


def test_a_layer_of_both_phases_writes_for_one_of_them(folder, capfd):
    """Its rows of training and of tests would stand one among the other."""
    assert main(["train", "--solver", "solver.prototxt"]) == 1
    assert "include { phase: TEST }" in capfd.readouterr().err.splitlines()[-1]
    assert Path("out.h5").read_bytes() == b"the work of a week"
    assert only_whole(folder)


def test_a_run_that_fails_leaves_the_file_of_before(folder, capfd):
    words = "extract_features trained.caffemodel train_val.prototxt ip none/such/x.npz 2 npz"
    Path("none").write_text("no folder")
    assert main(words.split()) == 1
    assert Path("out.h5").read_bytes() == b"the work of a week"
    assert only_whole(folder)


def make():
    return caffelite.Net("deploy.prototxt", caffelite.TEST)


def test_a_file_has_one_writer(folder):
    one, other = make(), make()
    one.forward()
    with pytest.raises(CaffeliteError, match=r'cannot write "out.h5": .*is writing it'):
        other.forward()
    one.close()
    assert rows_of() == (2, 2)
    other.forward()
    other.forward()
    other.close()
    assert rows_of() == (4, 4)


def test_a_file_has_one_writing_process(folder):
    """Its rows would be those of whoever ends last; what a killed one left is removed."""
    code = """
from caffelite import TEST, Net
net = Net("deploy.prototxt", TEST)
net.forward()
print(flush=True)
input()
"""
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    other.stdout.readline()
    net = make()
    with pytest.raises(CaffeliteError, match=f"another process writes it, process {other.pid}"):
        net.forward()
    other.kill()
    other.communicate()
    assert not only_whole(folder)
    net.forward()
    net.close()
    assert rows_of() == (2, 2)
    assert only_whole(folder)


def test_forgetting_a_net_finishes_its_file(folder):
    net = make()
    net.forward()
    assert Path("out.h5").read_bytes() == b"the work of a week"
    del net
    assert rows_of() == (2, 2)
    assert only_whole(folder)


def test_a_net_that_is_looked_at_writes_nothing(folder):
    net = make()
    net.only_look()
    before = tree(folder)
    net.forward()
    net.close()
    assert tree(folder) == before


ENDS = {
    "well": ("", 4),
    "exit": ("sys.exit(3)", 4),
    "closed": ("net.close(); raise ValueError", 4),
    "error": ("raise ValueError", None),
    "interrupt": ("raise KeyboardInterrupt", None),
    "kill": ("os.kill(os.getpid(), signal.SIGKILL)", None),
    "fork": ("child = os.fork()\nif child: os.waitpid(child, 0)", 4),
    "fork, child alone": ("if os.fork(): os._exit(0)", None),
    "fork, forgotten": ("child = os.fork()\nif child: os.waitpid(child, 0)\nelse: del net", 4),
}
SCRIPT = f"""
import os, shutil, signal, sys
import h5py
from caffelite import TEST, Net
ends = {ENDS}
for name, (end, _) in ends.items():
    shutil.copytree("start", name)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        continue
    os.chdir(name)
    net = Net("deploy.prototxt", TEST)
    net.forward()
    net.forward()
    exec(end)
    break
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="ends are tried in forked processes")
def test_the_end_of_a_program_finishes_its_file_if_all_went_well(folder):
    Path("start").mkdir()
    output = OUTPUT.replace('"ip"', '"data"').replace('"label"', '"data"')
    Path("start/deploy.prototxt").write_text(INPUT + output)
    shutil.copy("out.h5", "start")
    subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True)
    for name, (_, rows) in ENDS.items():
        if rows:
            assert rows_of(f"{name}/out.h5") == (rows, rows), name
        else:
            assert Path(f"{name}/out.h5").read_bytes() == b"the work of a week", name
        assert only_whole(name) or name in ("kill", "fork, child alone"), name


def test_a_batch_that_cannot_be_written_gives_up_the_file(folder, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    net = make()
    net.forward()
    with monkeypatch.context() as patch:
        patch.setattr(h5py.Dataset, "resize", full)
        with pytest.raises(CaffeliteError, match=r'cannot write "out.h5": .*No space left'):
            net.forward()
    with pytest.raises(CaffeliteError, match="an earlier batch could not be written"):
        net.forward()
    net.close()
    assert Path("out.h5").read_bytes() == b"the work of a week"
    assert only_whole(folder)


def test_a_file_that_cannot_take_its_place_is_kept_and_named(folder):
    net = make()
    net.forward()
    Path("out.h5").unlink()
    Path("out.h5").mkdir()
    with pytest.raises(CaffeliteError, match=r'cannot write "out.h5": .* to hold is in (.*part)'):
        net.close()
    [kept] = folder.glob(".out.h5.*.part")
    assert rows_of(kept) == (2, 2)
