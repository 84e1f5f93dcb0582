"""What scripts written for pycaffe do: nets, blobs, solvers and the functions around them."""

import gc
import importlib
import inspect
import pkgutil
import subprocess
import sys
import time
import weakref

import numpy as np
import pytest

import caffelite as caffe

SMALL = """
name: "small"
force_backward: true
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 5 dim: 2 dim: 3 dim: 4 } data_filler { type: "gaussian" }
  shape { dim: 5 } data_filler { type: "constant" value: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 11 kernel_size: 2 pad: 3 weight_filler { type: "gaussian" std: 1 }
  bias_filler { type: "constant" value: 2 } } param { decay_mult: 1 } param { decay_mult: 0 } }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip_blob" inner_product_param {
  num_output: 13 weight_filler { type: "gaussian" std: 2.5 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip_blob" bottom: "label" top: "loss" }
"""

DEPLOY = """
force_backward: true
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "double" type: "Power" bottom: "data" top: "twice" power_param { scale: 2 } }
layer { name: "out" type: "InnerProduct" bottom: "twice" top: "score" inner_product_param {
  num_output: 2 weight_filler { type: "gaussian" } bias_filler { type: "constant" value: 1 } } }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, text):
    path.write_text(text)
    return str(path)


@pytest.fixture
def small(folder):
    return write(folder / "small.prototxt", SMALL)


@pytest.fixture
def deploy(folder):
    return caffe.Net(write(folder / "deploy.prototxt", DEPLOY), caffe.TEST)


# Making nets


def test_every_form_of_the_constructor(small):
    first = caffe.Net(small, caffe.TRAIN)
    first.save("w.caffemodel")
    first.save_hdf5("w.h5")
    nets = [
        caffe.Net(small, caffe.TRAIN, weights="w.caffemodel"),
        caffe.Net(small, caffe.TRAIN, 0, [], "w.caffemodel"),
        caffe.Net(network_file=small, phase=caffe.TRAIN, level=0, stages=None, weights="w.h5"),
        caffe.Net(phase=caffe.TRAIN, network_file=small, weights="w.h5"),
    ]
    with pytest.warns(DeprecationWarning):
        nets.append(caffe.Net(small, "w.caffemodel", caffe.TRAIN))
    nets.append(caffe.Net(small, caffe.TRAIN))
    nets[-1].load_hdf5("w.h5")
    for net in nets:
        for name, blobs in first.params.items():
            for i, blob in enumerate(blobs):
                np.testing.assert_array_equal(net.params[name][i].data, blob.data)


def test_missing_files_are_runtime_errors(small):
    with pytest.raises(RuntimeError, match=r"none.prototxt"):
        caffe.Net("none.prototxt", caffe.TEST)
    with pytest.raises(RuntimeError, match=r"none.caffemodel"):
        caffe.Net(small, caffe.TEST, weights="none.caffemodel")


LEVELS = """
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 } } }
layer { name: "always" type: "InnerProduct" bottom: "x" top: "a" include { phase: TRAIN }
  inner_product_param { num_output: 1 } }
layer { name: "deep" type: "InnerProduct" bottom: "x" top: "b"
  include { phase: TRAIN min_level: 1 stage: "A" } include { phase: TEST stage: "B" }
  inner_product_param { num_output: 1 } }
"""


@pytest.mark.parametrize(
    ("phase", "state", "layers"),
    [
        (caffe.TRAIN, {}, {"always"}),
        (caffe.TRAIN, {"level": 1}, {"always"}),
        (caffe.TRAIN, {"level": 1, "stages": ["A"]}, {"always", "deep"}),
        (caffe.TEST, {"stages": ["A"]}, set()),
        (caffe.TEST, {"stages": ["C", "B"]}, {"deep"}),
    ],
)
def test_levels_and_stages_choose_layers(folder, phase, state, layers):
    net = caffe.Net(write(folder / "levels.prototxt", LEVELS), phase, **state)
    assert set(net.params) == layers


# Looking at nets


def test_blobs_and_params_are_live_views_that_outlive_the_net(small):
    net = caffe.Net(small, caffe.TRAIN)
    params = [blob for blobs in net.params.values() for blob in blobs]
    arrays = [blob.data for blob in [*params, *net.blobs.values()]]
    params[0].data[0, 0] = 7
    assert (net.params["conv"][0].data[0, 0] == 7).all()
    total = sum(array.sum() for array in arrays)
    del net
    assert sum(array.sum() for array in arrays) == total


def test_memory_goes_with_the_net(small):
    net = caffe.Net(small, caffe.TEST)
    gone = [weakref.ref(net), *(weakref.ref(b) for bs in net.params.values() for b in bs)]
    gc.disable()
    del net
    gc.enable()
    assert [ref() for ref in gone] == [None] * 5, "at once, without the garbage collector"


def test_what_a_net_tells_of_itself(small):
    net = caffe.Net(small, caffe.TRAIN)
    assert list(net._layer_names) == ["data", "conv", "ip", "loss"]
    assert [layer.type for layer in net.layers][1:] == [
        "Convolution",
        "InnerProduct",
        "SoftmaxWithLoss",
    ]
    assert list(net.layer_dict) == net._layer_names and net.layer_dict["ip"] is net.layers[2]
    assert list(net.params) == ["conv", "ip"]
    assert [len(net.params[n]) for n in net.params] == [2, 2]
    assert len(net.layers[1].blobs) == 2 and len(net.layers[3].blobs) == 0
    assert list(net.blobs) == net._blob_names == ["data", "label", "conv", "ip_blob", "loss"]
    assert (net.inputs, net.outputs) == ([], ["loss"])
    assert net.top_names["data"] == ["data", "label"] and net.bottom_names["data"] == []
    assert net.bottom_names["loss"] == ["ip_blob", "label"]
    assert net.blob_loss_weights == {**dict.fromkeys(net.blobs, 0.0), "loss": 1.0}


def test_internals_speak_of_blobs_by_number(deploy):
    names = deploy._blob_names
    for i, layer in enumerate(deploy._layer_names):
        assert [names[k] for k in deploy._top_ids(i)] == deploy.top_names[layer]
        assert [names[k] for k in deploy._bottom_ids(i)] == deploy.bottom_names[layer]
    assert [names[k] for k in deploy._inputs] == deploy.inputs == ["data"]
    assert [names[k] for k in deploy._outputs] == deploy.outputs == ["score"]
    assert deploy._blobs[deploy._inputs[0]] is deploy.blobs["data"]


def test_splits_and_anonymous_tops_are_blobs_too(folder):
    text = SMALL.replace('top: "loss"', "").replace("loss", "Loss", 1)
    text += 'layer { name: "r" type: "ReLU" bottom: "ip_blob" top: "relu" }'
    net = caffe.Net(write(folder / "net.prototxt", text), caffe.TRAIN)
    assert "ip_blob_ip_0_split_1" in net.blobs and "(automatic)" in net.blobs
    assert net.outputs == ["relu"]


def test_the_blob_has_legacy_sizes():
    blob = caffe.Blob((2, 3))
    assert (blob.num, blob.channels, blob.height, blob.width, blob.count) == (2, 3, 1, 1, 6)
    assert blob.shape[1] == 3 and list(blob.shape) == [2, 3] and tuple(blob.shape[:1]) == (2,)
    blob.reshape()
    assert blob.data.shape == () and blob.count == 1
    with pytest.raises(RuntimeError):
        blob.reshape(n=3)


# Running nets


def test_forward_and_backward_of_the_whole_net(small):
    net = caffe.Net(small, caffe.TRAIN)
    assert net.forward()["loss"].shape == ()
    net.backward()
    assert np.abs(net.blobs["data"].diff).sum() > 0


def test_ranges_of_layers_are_named_by_their_ends(small):
    net = caffe.Net(small, caffe.TRAIN)
    net.forward()
    ends = net.forward(start="conv", end="ip", blobs=["data"])
    assert set(ends) == {"ip_blob", "data"}
    assert ends["ip_blob"] is net.blobs["ip_blob"].data
    assert set(net.backward(start="loss", end="ip")) == {"conv"}
    assert set(net.backward(start="ip", diffs=["conv"])) == {"conv"}
    for run in (net.forward, net.backward):
        with pytest.raises(ValueError, match="nothing"):
            run(start="nothing")
        with pytest.raises(ValueError, match="nothing"):
            run(end="nothing")


def test_internal_forward_returns_the_loss(small):
    net = caffe.Net(small, caffe.TRAIN)
    loss = net._forward(0, len(net.layers) - 1)
    assert loss == pytest.approx(net.blobs["loss"].data.item())
    net._backward(len(net.layers) - 1, 1)
    assert net._forward(1, 2) == 0


def test_inputs_are_keywords(deploy):
    x = np.arange(12.0).reshape(4, 3)
    w, b = (blob.data for blob in deploy.params["out"])
    np.testing.assert_allclose(deploy.forward(data=x)["score"], 2 * x @ w.T + b, rtol=1e-5)
    deploy.forward(data=np.ones((4, 1)))
    assert (deploy.blobs["data"].data == 1).all(), "broadcast, as numpy assigns"
    dy = np.arange(8.0).reshape(4, 2)
    np.testing.assert_allclose(deploy.backward(score=dy)["data"], 2 * dy @ w, rtol=1e-5)
    for wrong in ({"data": x[:3, :2]}, {"data": x[:0]}, {"nothing": x}, {"data": x, "score": dy}):
        with pytest.raises(Exception, match=r"forward|shape"):
            deploy.forward(**wrong)
    with pytest.raises(Exception, match=r"forward_all takes any number.*reshape"):
        deploy.forward(data=x[0])
    for wrong in ({"score": dy[:3]}, {"data": x}):
        with pytest.raises(Exception, match=r"backward|shape"):
            deploy.backward(**wrong)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_forward_takes_another_batch_size(deploy, count):
    x = np.random.default_rng(0).random((count, 3))
    w, b = (blob.data for blob in deploy.params["out"])
    np.testing.assert_allclose(deploy.forward(data=x)["score"], 2 * x @ w.T + b, rtol=1e-5)
    assert deploy.backward(score=np.ones((count, 2)))["data"].shape == (count, 3)
    assert deploy.forward(data=np.ones((4, 3)))["score"].shape == (4, 2)


def test_a_net_that_takes_no_other_batch_size_says_so_and_stays_as_it_is(folder):
    net = caffe.Net(
        write(
            folder / "fixed.prototxt",
            DEPLOY + 'layer { name: "rows" type: "Reshape" bottom: "score" top: "rows" '
            "reshape_param { shape { dim: 8 dim: 1 } } }",
        ),
        caffe.TEST,
    )
    before = net.forward(data=np.ones((4, 3)))["rows"].copy()
    with pytest.raises(
        Exception, match=r"\(4, 3\) to \(3, 3\).*rows.*forward_all takes any number"
    ):
        net.forward(data=np.ones((3, 3)))
    np.testing.assert_array_equal(net.forward(data=np.ones((4, 3)))["rows"], before)


@pytest.mark.parametrize("count", [3, 4, 10])
def test_any_number_of_samples_goes_through_in_batches(deploy, count):
    x = np.random.default_rng(count).standard_normal((count, 3)).astype("f4")
    dy = np.random.default_rng(1).standard_normal((count, 2)).astype("f4")
    w, b = (blob.data for blob in deploy.params["out"])
    out = deploy.forward_all(data=x, blobs=["twice"])
    assert set(out) == {"score", "twice"} and out["score"].shape == (count, 2)
    np.testing.assert_allclose(out["score"], 2 * x @ w.T + b, rtol=1e-4, atol=1e-5)
    outs, diffs = deploy.forward_backward_all(data=x, score=dy, diffs=["twice"])
    np.testing.assert_allclose(outs["score"], out["score"])
    np.testing.assert_allclose(diffs["twice"], dy @ w, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(diffs["data"], 2 * dy @ w, rtol=1e-4, atol=1e-5)
    deploy.forward(data=np.zeros((4, 3)))
    np.testing.assert_allclose(out["twice"], 2 * x, err_msg="copies, not views")


def test_the_last_batch_is_filled_up_with_zeros(deploy):
    batches = list(deploy._batch({"data": np.ones((6, 3)), "other": np.ones((6, 2, 1))}))
    assert len(batches) == 2
    assert batches[1]["other"].shape == (4, 2, 1)
    assert batches[1]["data"].sum(axis=1).tolist() == [3, 3, 0, 0]


@pytest.mark.parametrize(
    "wrong", [{}, {"nothing": np.ones((4, 3))}, {"data": np.ones((0, 3))}, {"data": [[1, 2]] * 4}]
)
def test_batches_of_something_else_are_refused(deploy, wrong):
    with pytest.raises(Exception, match=r"forward_all takes|at least 1|shape"):
        deploy.forward_all(**wrong)


def test_unequal_numbers_of_samples_are_refused(folder):
    text = 'layer { name: "s" type: "Eltwise" bottom: "a" bottom: "b" top: "y" }'
    for name in "ba":
        shape = "input_param { shape { dim: 2 dim: 3 } }"
        text = f'layer {{ name: "{name}" type: "Input" top: "{name}" {shape} }}' + text
    net = caffe.Net(write(folder / "net.prototxt", text), caffe.TEST)
    assert net.forward_all(a=np.ones((3, 3)), b=np.ones((3, 3)))["y"].tolist() == [[2] * 3] * 3
    with pytest.raises(RuntimeError, match="as many samples"):
        net.forward_all(a=np.ones((3, 3)), b=np.ones((2, 3)))


def test_a_scalar_loss_comes_once_a_batch(folder):
    text = DEPLOY + 'layer { name: "sum" type: "Reduction" bottom: "score" top: "sum" }'
    net = caffe.Net(write(folder / "net.prototxt", text), caffe.TEST)
    out = net.forward_all(data=np.ones((6, 3)))
    assert out["sum"].shape == (2,)


def test_reshaping_takes_a_new_batch_size_through(deploy):
    deploy.blobs["data"].reshape(7, 3)
    deploy.reshape()
    assert deploy.blobs["score"].data.shape == (7, 2)
    assert deploy.forward(data=np.zeros((7, 3)))["score"].tolist() == [[1, 1]] * 7


def test_callbacks_get_the_number_of_a_layer(deploy):
    seen = []
    for moment in ("before_forward", "after_forward", "before_backward", "after_backward"):
        getattr(deploy, moment)(lambda index, moment=moment: seen.append((moment, index)))
    deploy.forward(start="double")
    deploy.backward(end="out")
    order = ["before_forward", "after_forward"] * 2 + ["before_backward", "after_backward"]
    assert seen == list(zip(order, [1, 1, 2, 2, 2, 2], strict=True))


def test_diffs_of_params_are_cleared_on_demand(small):
    net = caffe.Net(small, caffe.TRAIN)
    net.forward()
    net.backward()
    once = net.params["ip"][0].diff.copy()
    net.backward()
    np.testing.assert_allclose(net.params["ip"][0].diff, 2 * once, rtol=1e-5)
    net.clear_param_diffs()
    assert all((blob.diff == 0).all() for blobs in net.params.values() for blob in blobs)


def test_nets_share_weights(small):
    one, two = (caffe.Net(small, caffe.TRAIN) for _ in range(2))
    two.share_with(one)
    one.params["conv"][0].data[...] = 3
    assert (two.params["conv"][0].data == 3).all()
    assert two.params["conv"][0].diff is not one.params["conv"][0].diff


def test_memory_data_serves_arrays(folder, deploy):
    text = """
    layer { name: "in" type: "MemoryData" top: "data" top: "label"
      memory_data_param { batch_size: 2 channels: 1 height: 2 width: 3 } }
    layer { name: "y" type: "Power" bottom: "data" top: "y" power_param { shift: 1 } }
    """
    net = caffe.Net(write(folder / "memory.prototxt", text), caffe.TEST)
    data = np.random.default_rng(0).random((4, 1, 2, 3), np.float32)
    net.set_input_arrays(data, np.arange(4, dtype=np.float32))
    for rows in ([0, 1], [2, 3], [0, 1]):
        out = net.forward()
        np.testing.assert_array_equal(out["y"], data[rows] + 1)
        assert out["label"].ravel().tolist() == rows
    for shape, labels in (((3, 1, 2, 3), 3), ((4, 1, 3, 2), 4), ((4, 1, 2, 3), 3)):
        with pytest.raises(RuntimeError):
            net.set_input_arrays(np.zeros(shape, "f4"), np.zeros(labels, "f4"))
    with pytest.raises(RuntimeError, match="first layer is a MemoryData"):
        deploy.set_input_arrays(data, np.zeros(4, "f4"))


# Solvers

SOLVER = """
net: "small.prototxt" test_iter: 2 test_interval: 10 base_lr: 0.01 weight_decay: 0.0005
lr_policy: "inv" gamma: 0.0001 power: 0.75 display: 100 max_iter: 10
snapshot_after_train: false snapshot_prefix: "model" random_seed: 3
"""
CLASSES = {
    "SGD": caffe.SGDSolver,
    "Nesterov": caffe.NesterovSolver,
    "AdaGrad": caffe.AdaGradSolver,
    "RMSProp": caffe.RMSPropSolver,
    "AdaDelta": caffe.AdaDeltaSolver,
    "Adam": caffe.AdamSolver,
}


@pytest.fixture
def solver_file(small, folder):
    return write(folder / "solver.prototxt", SOLVER)


@pytest.fixture
def solver(solver_file):
    return caffe.get_solver(solver_file)


@pytest.mark.parametrize("kind", CLASSES)
def test_get_solver_goes_by_type_and_classes_by_themselves(small, folder, kind):
    path = write(folder / "typed.prototxt", SOLVER + f'type: "{kind}"')
    assert type(caffe.get_solver(path)) is CLASSES[kind]
    for other, solver_class in CLASSES.items():
        solver = solver_class(path)
        assert solver.type == other
        solver.step(1)


def test_a_class_runs_its_own_rule_whatever_type_says(small, folder):
    plain = caffe.get_solver(write(folder / "adam.prototxt", SOLVER + 'type: "Adam"'))
    forced = caffe.AdamSolver(write(folder / "sgd.prototxt", SOLVER + 'type: "SGD"'))
    for solver in (plain, forced):
        solver.step(2)
    np.testing.assert_array_equal(plain.net.params["ip"][0].data, forced.net.params["ip"][0].data)


def test_solving_counts_iterations(solver):
    assert solver.iter == 0 and len(solver.test_nets) == 1
    assert isinstance(solver.net, caffe.Net)
    solver.step(3)
    assert solver.iter == 3
    solver.solve()
    assert solver.iter == 10
    assert solver.lr == pytest.approx(0.01 * (1 + 0.0001 * 10) ** -0.75)


def test_apply_update_is_one_step_from_the_diffs_at_hand(solver):
    solver.param.weight_decay = 0
    net = solver.net
    before = net.params["ip"][0].data.copy()
    net.params["ip"][0].diff[...] = 2
    solver.apply_update()
    assert solver.iter == 1
    np.testing.assert_allclose(net.params["ip"][0].data, before - 0.02, rtol=1e-5)
    assert (net.params["ip"][0].diff != 0).all(), "diffs are not cleared"


def test_options_that_may_be_looked_at_and_changed(solver):
    assert (solver.param.max_iter, solver.param.display) == (10, 100)
    assert solver.param.layer_wise_reduce is True
    solver.param.base_lr = 0.5
    assert solver.lr == pytest.approx(0.5)


def test_snapshots_restore_a_solver(solver_file, solver):
    solver.step(4)
    solver.snapshot()
    again = caffe.get_solver(solver_file)
    again.restore("model_iter_4.solverstate")
    assert again.iter == 4
    for net in (again.net, caffe.Net("small.prototxt", caffe.TEST)):
        net.copy_from("model_iter_4.caffemodel")
        np.testing.assert_array_equal(net.params["ip"][0].data, solver.net.params["ip"][0].data)
    resumed = caffe.get_solver(solver_file)
    resumed.solve("model_iter_4.solverstate")
    assert resumed.iter == 10


def shares(solver):
    """Whether the test net computes with the train net's weights, now."""
    (test,) = solver.test_nets
    (ours, *_), (theirs, *_) = test.params["ip"], solver.net.params["ip"]
    return np.array_equal(ours.data, theirs.data)


def test_test_nets_use_the_weights_of_now(solver_file, solver):
    """Also before the first test, and however weights came."""
    assert shares(solver)
    solver.step(4)
    solver.snapshot()
    again = caffe.get_solver(solver_file)
    again.restore("model_iter_4.solverstate")
    assert again.net.params["ip"][0].data.any() and shares(again)
    again.test_nets[0].share_with(caffe.Net("small.prototxt", caffe.TEST))
    again.restore("model_iter_4.solverstate")
    assert shares(again)
    again = caffe.get_solver(solver_file)
    again.net.copy_from("model_iter_4.caffemodel")
    assert shares(again)
    np.testing.assert_array_equal(
        again.test_nets[0].params["ip"][0].data, solver.net.params["ip"][0].data
    )


def test_weights_can_be_shared_with_a_net_outside(solver):
    net = caffe.Net("small.prototxt", caffe.TEST)
    solver.share_weights(net)
    solver.step(1)
    np.testing.assert_array_equal(net.params["ip"][0].data, solver.net.params["ip"][0].data)


def test_callbacks_run_around_each_iteration(solver):
    seen = []
    solver.add_callback(lambda: seen.append("start"), lambda: seen.append("gradients"))
    solver.step(2)
    assert seen == ["start", "gradients"] * 2


def test_nets_outlive_their_solver(solver):
    nets = [solver.net, *solver.test_nets]
    del solver
    assert all(np.isfinite(net.forward()["loss"]) for net in nets)


# The module


def test_all_names_of_pycaffe_are_there():
    names = """Net SGDSolver NesterovSolver AdaGradSolver RMSPropSolver AdaDeltaSolver AdamSolver
        NCCL Timer Layer Classifier Detector NetSpec layers params to_proto io TRAIN TEST
        __version__ set_mode_cpu set_mode_gpu set_device set_random_seed get_solver
        layer_type_list init_log log solver_count set_solver_count solver_rank set_solver_rank
        set_multiprocess has_nccl"""
    missing = [name for name in names.split() if not hasattr(caffe, name)]
    assert not missing
    assert (caffe.TRAIN, caffe.TEST) == (0, 1)
    assert set(names.split()) - {"__version__"} <= set(dir(caffe))


def test_one_import_is_enough():
    code = """
import sys
for use in sys.argv[1:]:
    for module in [m for m in sys.modules if m.split(".")[0] == "caffelite"]:
        del sys.modules[module]
    import caffelite as caffe
    eval(use)
"""
    uses = [
        "caffe.proto.caffe_pb2.NetParameter()",
        "caffe.io.Transformer",
        "caffe.net_spec.Top",
        "caffe.classifier.Classifier",
        "caffe.detector.Detector",
        "caffe.draw.draw_net_to_file",
        "caffe.coord_map.crop",
        "caffe.pycaffe.Net",
        "caffe._caffe.Net",
        "caffe.layers.InnerProduct",
        "caffe.params.Pooling.MAX",
    ]
    subprocess.run([sys.executable, "-c", code, *uses], check=True)


def test_importing_is_light():
    heavy = "numpy numba lmdb PIL google.protobuf"
    code = f"import sys, caffelite; print([m for m in {heavy.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_layer_types_are_sorted_and_contain_caffes():
    types = caffe.layer_type_list()
    assert types == sorted(types)
    assert {"Data", "Convolution", "Python", "SoftmaxWithLoss"} <= set(types)


def test_the_gpu_is_a_warning(caplog):
    caffe.set_mode_cpu()
    assert not caplog.records
    caffe.set_mode_gpu()
    caffe.set_device(0)
    assert [r.levelname for r in caplog.records] == ["WARNING"] * 2
    assert "running on the CPU" in caplog.text


def test_nothing_is_parallel_by_itself():
    assert (caffe.solver_count(), caffe.solver_rank(), caffe.has_nccl()) == (1, 0, False)
    caffe.set_solver_count(4)
    caffe.set_solver_rank(2)
    caffe.set_multiprocess(True)
    assert (caffe.solver_count(), caffe.solver_rank()) == (4, 2)
    caffe._caffe._solvers.clear()
    for make in (caffe.NCCL.new_uid, lambda: caffe.NCCL(None, "")):
        with pytest.raises(RuntimeError, match="GPUs.*mpiexec -n 4"):
            make()


def test_a_seed_makes_nets_repeat_themselves(small):
    def weights():
        caffe.set_random_seed(5)
        return caffe.Net(small, caffe.TRAIN).params["ip"][0].data

    np.testing.assert_array_equal(weights(), weights())


def test_a_timer_tells_milliseconds():
    timer, before = caffe.Timer(), time.perf_counter()
    timer.start()
    time.sleep(0.02)
    timer.stop()
    assert 19 < timer.ms <= (time.perf_counter() - before) * 1e3


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ("init_log()", ["a line", "a warning"]),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ("init_log(); os.environ['GLOG_minloglevel'] = '1'", ["a warning"]),
                ("init_log(1)", ["a warning"]),
                ("init_log(2, True)", []),
                ("init_log(0, False)", []),
                ("init_log(); os.environ['GLOG_minloglevel'] = '2'", []),
                ("init_log(); os.environ['GLOG_minloglevel'] = 'all'", ["a line", "a warning"]),
            ]
        ),
    ],
)
def test_the_log_goes_to_stderr_as_from_caffe(call, shown):
    code = f"""
        import os, caffelite as caffe
        caffe.{call}
        caffe.log("a line")
        caffe.set_mode_gpu()
    """
    done = subprocess.run(
        [sys.executable, "-c", inspect.cleandoc(code)], capture_output=True, text=True, check=True
    )
    lines = done.stderr.splitlines()
    assert len(lines) == len(shown)
    for line, word in zip(lines, shown, strict=True):
        letter, text = {"a line": ("I", "] a line"), "a warning": ("W", "] set_mode_gpu:")}[word]
        assert line[0] == letter and text in line


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(m.name, marks=[] if m.name == "io" else pytest.mark.slow)
        for m in pkgutil.iter_modules(caffe.pycaffe.__path__)
    ],
)
def test_a_module_of_pycaffe_is_found_below_the_package_too(name):
    code = f"import caffelite.{name}, caffelite.pycaffe.{name}, caffelite, sys\n"
    code += (
        f"assert caffelite.{name} is caffelite.pycaffe.{name} is sys.modules['caffelite.{name}']"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_no_module_is_not_found_there():
    with pytest.raises(ModuleNotFoundError, match="caffelite.iodine"):
        importlib.import_module("caffelite.iodine")
