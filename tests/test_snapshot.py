"""Snapshots: whole pairs of a model and its state, or an error that says what is wrong."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite import lock
from caffelite.cli import main
from caffelite.errors import CaffeliteError, WeightsError
from caffelite.proto import caffe_pb2
from caffelite.solver import restoring

NET = """
layer { name: "data" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } data_filler { type: "gaussian" } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "y" top: "y" }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
FORMS = pytest.mark.parametrize("ending", ["", ".h5"])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def param(ending="", text=""):
    form = "HDF5" if ending else "BINARYPROTO"
    defaults = f"""
        base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 max_iter: 6 random_seed: 3
        snapshot_prefix: "s" snapshot_format: {form} net_param {{ {NET} }}
    """
    solver = text_format.Parse(defaults, caffe_pb2.SolverParameter())
    return text_format.Merge(text, solver)


def solver(ending="", text=""):
    return caffelite.get_solver(param(ending, text))


def trained(steps, ending="", text=""):
    made = solver(ending, text)
    made.step(steps)
    return made


def all_of(one):
    """Everything of a solver that a restore changes."""
    blobs = [entry.blob.data.copy() for entry in one.net.learnable]
    histories = [past.copy() for history in one.history for past in history.values()]
    positions = [layer.position for layer in one.net.layers]
    return blobs, histories, positions, one.seed, one.iter, one.current_step


def refused(path, message, **more):
    """Check that restoring fails, with the message, and leaves a solver as it was."""
    other = trained(1, text="random_seed: 8")
    before = all_of(other)
    with pytest.raises(CaffeliteError, match=message):
        other.restore(path, **more)
    np.testing.assert_equal(all_of(other), before)


# A state and its model


@FORMS
def test_a_model_of_another_run_is_refused(ending, caplog):
    """As after a kill, when a run has written its model over that of the run before."""
    trained(2, ending).snapshot()
    (trained(2, ending, "random_seed: 7").net.save_hdf5 if ending else
     trained(2, ending, "random_seed: 7").net.save)(f"s_iter_2.caffemodel{ending}")  # fmt: skip
    state = f"s_iter_2.solverstate{ending}"
    refused(state, f"caffemodel{ending}: holds other weights than {state} was written with")
    other = solver()
    other.restore(state, allow_other_weights=True)
    assert other.iter == 2 and "going on with these weights" in caplog.text


@FORMS
def test_a_state_looks_beside_itself_first(ending):
    os.mkdir("a")
    one = trained(2, ending)
    _, state = one.snapshot()
    for kind in ("caffemodel", "solverstate"):
        os.rename(f"s_iter_2.{kind}{ending}", f"a/s_iter_2.{kind}{ending}")
    trained(2, ending, "random_seed: 7").snapshot()  # where the state says that its model is
    other = solver()
    other.restore(f"a/{state}")
    np.testing.assert_equal(all_of(other), all_of(one))
    os.remove(f"a/s_iter_2.caffemodel{ending}")
    refused(f"a/{state}", f"s_iter_2.caffemodel{ending}: holds other weights than a/{state}")


def test_states_of_caffe_load_as_before(caplog):
    os.mkdir("a")
    one = trained(2)
    model, path = one.snapshot()
    state = caffe_pb2.SolverState.FromString(Path(path).read_bytes())
    caffe = caffe_pb2.SolverState(iter=2, learned_net=model, history=state.history)
    Path("a", path).write_bytes(caffe.SerializeToString())
    caplog.clear()
    other = solver()
    other.restore(f"a/{path}")
    np.testing.assert_equal(all_of(other)[:2], all_of(one)[:2])
    assert not [r for r in caplog.records if r.levelname == "WARNING"]
    trained(2, text="random_seed: 7").net.save(f"a/{model}")
    other = solver()
    other.restore(f"a/{path}")
    np.testing.assert_equal(all_of(other)[:2], all_of(one)[:2])
    assert f"a/{path} names {model}, which is taken, as in Caffe, and not a/{model}" in caplog.text


def of_caffe(path):
    """The same state as Caffe writes it, which does not tell the type of the solver."""
    state = caffe_pb2.SolverState.FromString(Path(path).read_bytes())
    caffe = caffe_pb2.SolverState(iter=2, learned_net=state.learned_net, history=state.history)
    Path("of_caffe.solverstate").write_bytes(caffe.SerializeToString())
    return "of_caffe.solverstate"


ONE = ("AdaGrad", "RMSProp"), ("AdaGrad", "SGD"), ("SGD", "AdaGrad"), ("RMSProp", "Nesterov")
TWO = ("Adam", "AdaDelta"), ("AdaDelta", "AdamW")


def kind(type):
    return f'type: "{type}" momentum: {0 if type in ("AdaGrad", "RMSProp") else 0.5} delta: 0.1'


@FORMS
@pytest.mark.parametrize(("written", "wanted"), [*ONE, *TWO])
def test_histories_of_another_rule_are_refused(ending, written, wanted):
    _, path = trained(2, ending, kind(written)).snapshot()
    other = solver(ending, kind(wanted))
    with pytest.raises(CaffeliteError, match=f"by a solver of the type {written}, which keeps"):
        other.restore(path)
    assert other.iter == 0


@pytest.mark.parametrize(
    ("written", "wanted"), [("SGD", "Nesterov"), ("Nesterov", "SGD"), ("Adam", "AdamW")]
)
def test_histories_that_mean_the_same_are_gone_on_with(written, wanted):
    _, path = trained(2, text=kind(written)).snapshot()
    other = solver(text=kind(wanted))
    other.restore(path)
    assert other.iter == 2


@pytest.mark.parametrize(("written", "wanted"), [("SGD", "AdaGrad"), ("Nesterov", "RMSProp")])
def test_squares_below_0_are_refused_whoever_wrote_them(written, wanted):
    _, path = trained(2, text=kind(written)).snapshot()
    with pytest.raises(CaffeliteError, match=f"values below 0 where {wanted} keeps"):
        solver(text=kind(wanted)).restore(of_caffe(path))


def test_momentum_of_one_sign_is_warned_of(caplog, monkeypatch):
    monkeypatch.setattr(restoring, "MANY", 5)
    _, path = trained(2, text=kind("AdaGrad")).snapshot()
    solver(text=kind("SGD")).restore(of_caffe(path))
    assert "no value below 0 where SGD keeps momentum" in caplog.text
    caplog.clear()
    _, path = trained(3, text=kind("SGD")).snapshot()
    solver(text=kind("SGD")).restore(of_caffe(path))
    assert "below 0" not in caplog.text


def test_changed_weights_are_gone_on_with_when_that_is_meant(caplog):
    """By a program that keeps fields it does not know, so the model's checksum is wrong, too."""
    model, path = trained(2).snapshot()
    message = caffe_pb2.NetParameter.FromString(Path(model).read_bytes())
    message.layer[1].blobs[1].data[0] = 5
    Path(model).write_bytes(message.SerializeToString())
    refused(path, f"{model}: its weights are others than were saved in it")
    caplog.clear()
    other = solver()
    other.restore(path, allow_other_weights=True)
    assert other.net.params["ip"][1].data[0] == 5
    assert "it is taken as it is" in caplog.text and "other weights than" in caplog.text
    Path("solver.prototxt").write_text(text_format.MessageToString(param()))
    words = ["train", "-solver=solver.prototxt", f"-snapshot={path}"]
    assert main(words) == 1
    assert main([*words, "--allow-other-weights"]) == 0
    assert main([*words[:2], "--allow-other-weights"]) == 2


def test_no_flipped_bit_of_a_state_goes_on_from_another_one():
    one = trained(2)
    _, path = one.snapshot()
    expected, content, other = all_of(one), Path(path).read_bytes(), solver()
    harmless = 0
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        Path(path).write_bytes(flipped)
        before = all_of(other)
        try:
            other.restore(path)
        except CaffeliteError:
            np.testing.assert_equal(all_of(other), before)
            continue
        harmless += 1  # in what says that the checksum or the digest is one
        np.testing.assert_equal(all_of(other), expected)
        other.step(1)
    assert harmless < 20


def test_no_flipped_bit_of_values_in_an_hdf5_state_loads():
    h5py = pytest.importorskip("h5py")
    _, path = trained(2, ".h5").snapshot()
    with h5py.File(path) as file:
        places = [
            (file[name].id.get_offset(), size) for name, size in (("history/1", 8), ("iter", 4))
        ]
    content = Path(path).read_bytes()
    for at in [place + i for place, size in places for i in range(size)]:
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        Path(path).write_bytes(flipped)
        refused(path, "holds something else than was saved in it|damaged")


TWICE = """
    layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: 2 dim: 3 } } }
    layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param {
        num_output: 3 weight_filler { type: "xavier" } } }
    layer { name: "ip" type: "InnerProduct" bottom: "y" top: "z" inner_product_param {
        num_output: 3 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "Reduction" bottom: "z" top: "loss" loss_weight: 1 }
"""


def test_layers_of_one_name_are_told_of_and_not_gone_on_from(caplog):
    made = [param(), param(), param()]
    for one in made:
        one.ClearField("net_param")
        text_format.Parse(TWICE, one.net_param)
    caffelite.get_solver(made[0]).solve()
    assert 'several layers with weights have the name "ip"' in caplog.text
    with pytest.raises(WeightsError, match='1 of the net\'s 2 layers .* "ip"'):
        caffelite.get_solver(made[1]).restore("s_iter_6.solverstate")
    caffelite.get_solver(made[2]).restore("s_iter_6.solverstate", allow_other_weights=True)


@pytest.mark.parametrize(
    ("net", "message"),
    [(TWICE, "HDF5 holds one layer of a name"), (NET.replace('"ip"', '"a/ip"'), "a/ip")],
)
def test_what_hdf5_cannot_hold_is_said_before_training(net, message):
    made = param(".h5")
    made.ClearField("net_param")
    text_format.Parse(net, made.net_param)
    one = caffelite.get_solver(made)
    with pytest.raises(WeightsError, match=message):
        one.solve()
    assert one.iter == 0


@FORMS
def test_a_restore_that_fails_changes_nothing(ending):
    """Whatever of it fails, and however late."""
    model, state = trained(2, ending).snapshot()
    content = Path(model).read_bytes()
    os.remove(model)
    refused(state, "cannot read the weights: No such file")
    Path(model).write_bytes(content[:-4])
    refused(state, "damaged|cannot be read")
    last = content.rindex(trained(2, ending).net.params["ip"][1].data.tobytes())
    flipped = bytearray(content)
    flipped[last] ^= 1
    Path(model).write_bytes(flipped)
    refused(state, "its weights are others than were saved in it")
    wider = text_format.MessageToString(param(ending)).replace("num_output: 2", "num_output: 3")
    wider = caffelite.get_solver(
        text_format.Parse(wider.replace("dim: 2", "dim: 3"), caffe_pb2.SolverParameter())
    )
    wider.net.save_hdf5(model) if ending else wider.net.save(model)
    refused(state, "holds the shape")


def test_the_model_takes_its_place_when_the_state_is_on_disk_too(monkeypatch):
    one, places = trained(2), []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (places.append((os.listdir(), b)),
                                                     replace(a, b)))  # fmt: skip
    paths = one.snapshot()
    assert [os.path.basename(there) for _, there in places] == list(paths)
    assert sum(name.endswith(".part") for name in places[0][0]) == 2
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "full")))
    one.step(1)
    with pytest.raises(CaffeliteError, match=r"s_iter_3.caffemodel: cannot be written: full"):
        one.snapshot()
    assert sorted(os.listdir()) == sorted(paths)


def killed_while_it_writes(one, replaced):
    """Let a process end by SIGKILL in one.snapshot(), once so many files are in their places."""
    child = os.fork()
    if not child:
        replace, done = os.replace, []

        def kill(*paths):
            if len(done) == replaced:
                os.kill(os.getpid(), signal.SIGKILL)
            done.append(replace(*paths))

        os.replace = kill
        try:
            one.snapshot()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
@pytest.mark.parametrize("replaced, resumed", [(0, 2), (1, 2), (2, 3)])
@FORMS
def test_a_kill_while_a_pair_is_written_leaves_a_whole_one(ending, replaced, resumed):
    one = trained(2, ending)
    one.snapshot()
    expected = {2: all_of(one)}
    one.step(1)
    expected[3] = all_of(one)
    assert killed_while_it_writes(one, replaced) == (replaced < 2)
    other = solver()
    assert other.resume() == f"s_iter_{resumed}.solverstate{ending}"
    np.testing.assert_equal(all_of(other), expected[resumed])
    with other.holding_prefix():
        assert not [name for name in os.listdir() if name.endswith(".part")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_a_kill_between_files_that_replace_those_of_another_run_is_noticed(caplog):
    one, two = trained(1), trained(2, text="random_seed: 8")
    one.snapshot()
    expected = all_of(one)
    one.step(1)
    one.snapshot()
    assert killed_while_it_writes(two, 1)
    other = solver()
    assert other.resume() == "s_iter_1.solverstate"
    np.testing.assert_equal(all_of(other), expected)
    assert "s_iter_2.caffemodel: holds other weights than s_iter_2.solverstate" in caplog.text


# Two trainings at one prefix

ENDLESS = """
import caffelite
from google.protobuf import text_format
from caffelite.proto import caffe_pb2
param = text_format.Parse(open("solver.prototxt").read(), caffe_pb2.SolverParameter())
param.max_iter = 10**9
solver = caffelite.get_solver(param)
solver.add_listener(lambda event: event["event"] == "snapshot" and print(1, flush=True))
solver.solve()
"""


def test_a_prefix_is_of_one_training_at_a_time(capsys):
    Path("solver.prototxt").write_text(text_format.MessageToString(param("", "snapshot: 2")))
    words = ["train", "-solver=solver.prototxt"]
    other = subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline()
        assert main(words) == 1
        said = capsys.readouterr().err
        assert f'"s": another training writes its snapshots there (process {other.pid} on' in said
        with pytest.raises(CaffeliteError, match="another training writes its snapshots there"):
            solver().snapshot()
        elsewhere = solver(text='snapshot_prefix: "t"')
        elsewhere.solve()
    finally:
        other.kill()
        other.communicate()
    assert os.path.exists(".s.lock"), "nobody removed it, and nobody holds it"
    assert main(words) == 0
    assert not os.path.exists(".s.lock") and not os.path.exists(".t.lock")


def test_in_one_process_solvers_may_share_a_prefix():
    one, two = solver(), solver()
    with one.holding_prefix():
        two.snapshot()
        with two.holding_prefix():
            assert os.path.exists(".s.lock")
        assert os.path.exists(".s.lock")
    assert sorted(os.listdir()) == ["s_iter_0.caffemodel", "s_iter_0.solverstate"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_a_forked_process_does_not_hold_its_parents_prefix():
    with solver().holding_prefix():
        child = os.fork()
        if not child:
            try:
                solver().snapshot()
            except CaffeliteError:
                os._exit(3)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
        assert os.path.exists(".s.lock")


def test_where_the_file_system_has_no_locks_training_goes_on(monkeypatch, caplog):
    monkeypatch.setattr(
        lock, "_lock", lambda handle: (_ for _ in ()).throw(OSError(95, "no locks"))
    )
    trained(1).snapshot()
    assert "s.lock: cannot be locked: no locks" in caplog.text
    assert sorted(os.listdir()) == ["s_iter_1.caffemodel", "s_iter_1.solverstate"]


def test_what_killed_processes_left_half_written_is_removed(caplog):
    mine = [
        ".s_iter_2.caffemodel.a1_b2c3d.part",
        ".s_iter_12.solverstate.h5.abcdefgh.part",
        ".s_best.caffemodel.abcdefgh.part",
    ]
    others = [".s2_iter_2.caffemodel.abcdefgh.part", ".s_iter_x.caffemodel.abcdefgh.part", ".part"]
    for name in mine + others:
        Path(name).write_bytes(b"half")
    with caplog.at_level("INFO", "caffelite"):
        solver(text="max_iter: 1").solve()
    assert sorted(os.listdir()) == sorted([*others, "s_iter_1.caffemodel", "s_iter_1.solverstate"])
    assert f"Removed {mine[0]}, which a killed process left" in caplog.text


# --resume and --keep


def train(*words, text="snapshot: 2", ending=""):
    Path("solver.prototxt").write_text(text_format.MessageToString(param(ending, text)))
    return main(["train", "-solver=solver.prototxt", *words])


def kept(kind="solverstate"):
    return sorted(int(re.search(r"iter_(\d+)", p.name)[1]) for p in Path().glob(f"*.{kind}*"))


@FORMS
def test_resume_goes_on_from_the_latest_whole_pair(ending, capsys):
    whole = trained(6, ending)
    assert train("--resume", "--iterations=4", ending=ending) == 0
    assert 'snapshot_prefix "s": no snapshot there to resume from: starting afresh' in (
        capsys.readouterr().err
    )
    model = Path(f"s_iter_4.caffemodel{ending}")
    model.write_bytes(model.read_bytes()[:-4])
    assert train("--resume", ending=ending) == 0
    said = capsys.readouterr().err
    assert "passing it over" in said and f"Resuming from s_iter_2.solverstate{ending}" in said
    last = solver()
    assert last.resume() == f"s_iter_6.solverstate{ending}"
    np.testing.assert_equal(all_of(last)[:3], all_of(whole)[:3])


def test_resume_passes_over_what_only_has_the_name_of_a_state(caplog):
    trained(2).snapshot()
    os.symlink("nowhere", "s_iter_8.solverstate")
    os.mkdir("s_iter_9.solverstate")
    assert solver().resume() == "s_iter_2.solverstate"
    assert caplog.text.count("passing it over") == 2


def test_resume_does_not_write_over_snapshots_that_are_damaged(capsys):
    assert train("--iterations=2") == 0
    os.remove("s_iter_2.caffemodel")
    assert train("--resume") == 1
    said = capsys.readouterr().err
    assert "none of the 1 snapshots there can be gone on from" in said and "passing it over" in said
    assert kept() == [2]


def test_resume_tells_of_a_snapshot_of_a_later_time(caplog):
    trained(4).snapshot()
    trained(2).snapshot()
    os.utime("s_iter_4.solverstate", (1, 1))
    assert solver().resume() == "s_iter_4.solverstate"
    assert "s_iter_2.solverstate was written later; --snapshot goes on from it" in caplog.text


def test_weights_are_for_the_start_alone():
    trained(1, text="random_seed: 9").net.save("w.caffemodel")
    words = ("--resume", "--weights=w.caffemodel")
    assert train(*words, "--iterations=1") == 0
    first = solver()
    first.resume()
    expected = trained(1, text='weights: "w.caffemodel"')
    np.testing.assert_equal(all_of(first)[0], all_of(expected)[0])
    os.remove("w.caffemodel")
    assert train(*words) == 0
    assert train("--resume", "--snapshot=s_iter_6.solverstate") == 2


@FORMS
def test_keep_removes_this_runs_older_snapshots_alone(ending):
    trained(3, ending).snapshot()
    trained(4, ending, "random_seed: 8").snapshot()
    one = solver(ending, "snapshot: 1 test_iter: 1 test_interval: 2 early_stop: 9")
    one.keep = 2
    seen = []
    one.add_listener(lambda e: e["event"] == "snapshot" and seen.append(kept()))
    one.solve()
    assert seen == [[1, 3, 4], [1, 2, 3, 4], [2, 3, 4], [3, 4], [4, 5], [5, 6]]
    assert kept() == [5, 6] and os.path.exists(f"s_best.caffemodel{ending}")


def test_keep_goes_on_in_a_resumed_run_and_leaves_other_runs_alone():
    trained(1, text="random_seed: 8").snapshot()
    text = "snapshot: 2 max_iter: 12"
    assert train("--keep=2", "--iterations=6", text=text) == 0
    assert kept() == [1, 4, 6]
    trained(4, text="random_seed: 8").snapshot()  # another run takes the name over
    assert train("--keep=2", "--resume", "--iterations=8", text=text) == 0
    assert kept() == kept("caffemodel") == [1, 4, 6, 8]
    resumed = Path("s_iter_8.solverstate").read_bytes()
    for path in Path().glob("s_iter_*"):
        path.unlink()
    assert train("--keep=2", "--iterations=8", text=text) == 0
    assert Path("s_iter_8.solverstate").read_bytes() == resumed, "as if it had never stopped"
    assert train("--keep=0") == 2


def test_a_resumed_run_may_keep_fewer():
    text = "snapshot: 1 max_iter: 12"
    assert train("--keep=4", "--iterations=4", text=text) == 0
    assert kept() == [1, 2, 3, 4]
    assert train("--keep=1", "--resume", "--iterations=5", text=text) == 0
    assert kept() == kept("caffemodel") == [5]


def test_nothing_is_removed_if_the_new_pair_cannot_be_written(monkeypatch):
    one = trained(1)
    one.keep = 1
    one.snapshot()
    one.step(1)
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(CaffeliteError, match="cannot be written: full"):
        one.snapshot()
    assert kept() == [1] and [past.iter for past in one.written] == [1]


def test_shuffled_data_that_grew_meanwhile_are_told(caplog):
    table = Path("rows.csv")
    table.write_text("x,y\n" + "1,2\n" * 5)
    text = """net_param { layer { name: "rows" type: "CsvData" top: "x" top: "t"
        csv_data_param { source: "rows.csv" batch_size: 2 label: "y" shuffle: true } }
      layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
        inner_product_param { num_output: 1 } }
      layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" } }
      base_lr: 0.01 lr_policy: "fixed" max_iter: 6 snapshot_prefix: "s" """

    def made():
        return caffelite.get_solver(text_format.Parse(text, caffe_pb2.SolverParameter()))

    first = made()
    first.step(2)
    first.snapshot()
    made().restore("s_iter_2.solverstate")
    assert "samples" not in caplog.text
    table.write_text(table.read_text() + "3,4\n")
    made().restore("s_iter_2.solverstate")
    assert (
        'layer "rows" (CsvData): was of 5 samples when the snapshot was written, and is of 6 now'
        in caplog.text
    )
