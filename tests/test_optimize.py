"""caffelite.optimize: the values of a blob are what is learned."""

import numpy as np
import pytest

import caffelite
from caffelite import Net, optimize
from caffelite.errors import SolverError
from caffelite.proto import caffe_pb2
from caffelite.testing import text_format

SQUARES = """force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "t" type: "DummyData" top: "t" dummy_data_param {
  shape { dim: 2 dim: 3 } data_filler { value: 3 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "x" bottom: "t" top: "loss" }
"""

CLASSES = """force_backward: true
layer { name: "data" type: "Input" top: "data" input_param {
  shape { dim: 1 dim: 2 dim: 6 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.3 } } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param {
  pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "score" type: "InnerProduct" bottom: "pool" top: "score" inner_product_param {
  num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }
"""


def net(text=CLASSES, dtype=np.float32, phase=caffelite.TEST):
    param = text_format.Parse(text, caffe_pb2.NetParameter())
    return Net(param, phase, dtype=dtype, seed=3)


@pytest.mark.parametrize("solver, options", [
    ("SGD", dict(base_lr=0.5, momentum=0.5)),
    ("Adam", dict(base_lr=0.2, momentum=0.5, momentum2=0.5, lr_policy="poly", power=1)),
    ("AdamW", dict(base_lr=0.2, momentum=0.5, momentum2=0.5, lr_policy="cosine")),
])  # fmt: skip
def test_a_square_comes_to_its_minimum(solver, options):
    one = net(SQUARES, np.float64)
    losses = optimize(one, "x", iterations=200, solver=solver, **options)
    np.testing.assert_allclose(one.blobs["x"].data, 3, atol=2e-3)
    assert len(losses) == 200 and losses[0] == 3 * 9 / 2 and losses[-1] < 1e-5


def test_steps_are_those_of_the_update_rule():
    """By hand, for f(x) = w x: SGD with momentum moves by rate, then 1.5 times, 1.75 times it."""
    one, seen = net(SQUARES, np.float64), []

    def see(i, loss):
        seen.append((i, one.blobs["x"].data[0].copy()))

    weights = np.array([[1.0, 2, 3], [0, 0, 0]])
    optimize(one, "x", iterations=3, base_lr=0.5, solver="SGD", momentum=0.5, callback=see,
             loss={"x": weights})  # fmt: skip
    steps = np.cumsum([0.5, 0.75, 0.875])
    for (i, x), (k, step) in zip(seen, enumerate(steps, 1), strict=True):
        assert i == k
        np.testing.assert_allclose(x, -step * weights[0])
    assert not one.blobs["x"].data[1].any()


def test_lbfgs_comes_to_the_minimum_of_a_square_at_once():
    pytest.importorskip("scipy")
    one, seen = net(SQUARES, np.float64), []
    losses = optimize(one, "x", iterations=9, solver="LBFGS", memory=3,
                      callback=lambda *told: seen.append(told))  # fmt: skip
    np.testing.assert_allclose(one.blobs["x"].data, 3, atol=1e-6)
    assert losses[0] == 3 * 9 / 2 and len(losses) < 9 and seen == [*enumerate(losses, 1)]
    one.blobs["x"].data[...] = 0
    most = np.array([1.0, 2, 9])
    optimize(one, "x", iterations=9, solver="LBFGS", bounds=(-1, most))
    np.testing.assert_allclose(one.blobs["x"].data, [[1, 2, 3]] * 2, atol=1e-6)
    one.blobs["x"].data[...] = 0
    assert len(optimize(one, "x", iterations=9, solver="LBFGS", callback=lambda *_: True)) == 1


def test_lbfgs_says_where_the_loss_is_no_number():
    pytest.importorskip("scipy")
    with pytest.raises(SolverError, match="iteration 0: the loss is nan"):
        optimize(net(), "data", iterations=3, solver="LBFGS", loss={"score": np.nan})


def test_normalized_steps_are_of_one_size():
    """The gradient of 5 w x, divided by the mean of |5 w|, whatever the 5."""
    one, w = net(SQUARES, np.float64), np.array([[1.0, -2, 3], [0, 0, 0]])
    optimize(one, "x", iterations=1, base_lr=0.5, loss={"x": 5 * w}, normalize=True)
    np.testing.assert_allclose(one.blobs["x"].data, -0.5 * w)
    optimize(one, "x", iterations=1, base_lr=0.5, loss={"x": 0 * w}, normalize=True)
    np.testing.assert_allclose(one.blobs["x"].data, -0.5 * w)


def test_jitter_rolls_what_the_net_sees_and_rolls_it_back():
    seen = []
    for jitter in (0, 2):
        one = net(SQUARES, np.float64)
        one.blobs["x"].data[...] = start = np.arange(6.0).reshape(2, 3)

        def look(x):
            seen.append(x.copy())
            return np.sum(x), np.eye(2, 3)

        optimize(one, "x", iterations=9, base_lr=0.5, loss={"x": look}, jitter=jitter, seed=4)
        assert one.blobs["x"].data.sum() == start.sum() - 9 * 0.5 * 2
    still, rolled = seen[:9], seen[9:]
    np.testing.assert_array_equal(still[1], start - 0.5 * np.eye(2, 3))
    assert any(x[0, 0] not in (start[0, 0], start[0, 0] - 0.5) for x in rolled[:2])
    assert sorted(rolled[0].flat) == sorted(start.flat)


def all_of(one):
    data = [blob.data.copy() for layer in one.layers for blob in layer.blobs]
    return data + [blob.diff.copy() for layer in one.layers for blob in layer.blobs]


@pytest.mark.parametrize("phase", [caffelite.TEST, caffelite.TRAIN])
def test_the_score_of_a_class_rises_and_nothing_else_moves(phase):
    one = net(phase=phase)
    for k, entry in enumerate(one.learnable):
        entry.blob.diff[...] = k + 1
    before = all_of(one)
    one.blobs["data"].data[...] = np.random.default_rng(0).normal(size=(1, 2, 6, 6))
    first = one.forward()["prob"][0, 3].copy()
    before[: len(before) // 2] = all_of(one)[: len(before) // 2]  # statistics have moved
    push = np.zeros((1, 5), np.float32)
    push[0, 3] = -1
    losses = optimize(one, "data", iterations=30, base_lr=0.1, solver="Adam", momentum=0.9,
                      loss={"score": push}, bounds=(-2, 2))  # fmt: skip
    np.testing.assert_equal(all_of(one), before)
    assert losses[-1] < losses[0] and one.forward()["prob"][0, 3] > first + 0.2
    assert abs(one.blobs["data"].data).max() == 2


def test_losses_at_several_blobs_add_up():
    """The gradient at the input against differences, of functions at three blobs in the net."""
    one = net(dtype=np.float64)
    x = one.blobs["data"]
    x.data[...] = start = np.random.default_rng(1).normal(size=x.shape)
    loss = {
        "score": lambda y: (np.sum(y**2) / 2, y),
        "conv": lambda y: (np.sum(y**3), 3 * y**2),
        "data": lambda y: (np.sum(np.cos(y)), -np.sin(y)),
    }

    def value():
        one.forward()
        return sum(function(one.blobs[name].data)[0] for name, function in loss.items())

    rate = 1e-3
    (at_start,) = optimize(one, "data", iterations=1, base_lr=rate, loss=loss)
    gradient = (start - x.data) / rate
    rate = one.blobs["data"].dtype.type(np.float32(rate)) / rate  # as the schema holds it
    direction = np.random.default_rng(2).normal(size=x.shape)
    values = []
    for step in (1e-6, -1e-6):
        x.data[...] = start + step * direction
        values.append(value())
    x.data[...] = start
    assert at_start == pytest.approx(value())
    slope = (values[0] - values[1]) / 2e-6
    assert np.vdot(gradient, direction) / rate == pytest.approx(slope, rel=1e-5)


def test_a_blob_inside_is_moved_as_the_layers_after_it_see_it():
    one = net()
    one.forward()
    data = one.blobs["data"].data.copy()
    optimize(
        one, "pool", iterations=20, base_lr=0.1, solver="Adam", loss={"prob": [[0, 0, -1, 0, 0]]}
    )
    assert one.forward(start="score")["prob"].argmax() == 2
    np.testing.assert_array_equal(one.blobs["data"].data, data)


def test_the_nets_own_losses_count_again_afterwards():
    one = net(SQUARES)
    assert one.forward()["loss"] == 13.5
    optimize(
        one,
        "x",
        iterations=2,
        base_lr=0.1,
        solver="Adam",
        loss={"x": lambda x: (np.sum(x), np.ones_like(x))},
    )
    assert one.forward_backward() > 13.5
    np.testing.assert_allclose(one.blobs["x"].diff, (one.blobs["x"].data - 3) / 2, rtol=1e-6)


def test_an_economized_net_gives_the_same():
    """Its diffs share memory, with which losses at blobs inside must not meddle."""
    moved = []
    for economize in (False, True):
        one = net()
        if economize:
            one.economize()
        one.blobs["data"].data[...] = np.random.default_rng(0).normal(size=(1, 2, 6, 6))
        loss = {"pool": lambda y: (np.sum(y**2), 2 * y), "score": 0.5, "prob": [[0, -1, 0, 0, 0]]}
        losses = optimize(one, "data", iterations=5, base_lr=0.1, loss=loss)
        moved.append((losses, one.blobs["data"].data.copy()))
    np.testing.assert_equal(*moved)


def test_a_blob_may_have_been_reshaped():
    one = net()
    one.blobs["data"].reshape(3, 2, 6, 6)
    one.blobs["data"].data[...] = np.random.default_rng(0).normal(size=(3, 2, 6, 6))
    losses = optimize(one, "data", iterations=3, base_lr=0.1, loss={"score": [[1, 0, 0, 0, 0]]})
    assert losses[2] < losses[0] and one.blobs["score"].shape == (3, 5)


def test_it_is_deterministic_and_ends_when_told():
    runs = []
    for _ in range(2):
        one = net()
        losses = optimize(one, "data", iterations=9, base_lr=0.1, solver="Adam", loss={"score": 1},
                          callback=lambda i, loss: i == 4)  # fmt: skip
        runs.append((losses, one.blobs["data"].data.copy()))
    assert len(runs[0][0]) == 4
    np.testing.assert_equal(*runs)


@pytest.mark.parametrize(
    "blob, more, message",
    [
        ("dota", {}, 'no blob "dota"; did you mean "data"'),
        ("data", {"loss": {"scores": 1}}, 'no blob "scores"; did you mean "score"'),
        ("data", {}, "no gradient of the net's own losses comes to blob \"data\".*force_backward"),
        ("score", {"loss": {"conv": 1}}, 'no gradient of "conv" comes to blob "score"'),
        ("data", {"solver": "adam"}, 'unknown solver type "adam"; did you mean "Adam"'),
        ("data", {"base_lr": None}, "Adam needs base_lr"),
        ("data", {"solver": "LBFGS"}, "LBFGS does not look at base_lr"),
        ("data", {"solver": "LBFGS", "base_lr": None, "jitter": 2}, "does not look at jitter"),
        ("data", {"solver": "LBFGS", "base_lr": None, "momentum": 0}, "not look at momentum"),
        ("data", {"solver": "LBFGS", "base_lr": None, "memory": 0}, "expected at least 1, not 0"),
        ("data", {"rms_decay": 0.5}, "Adam does not look at rms_decay"),
        ("data", {"solver": "SGD", "rate_in_history": False}, "does nothing without momentum"),
        ("data", {"regularization_type": "L1"}, "does nothing without weight_decay"),
        ("data", {"gamma": 0.5}, '"fixed" does not look at gamma'),
        ("data", {"lr_policy": "exp"}, '"exp" goes by gamma, which is not given'),
        ("data", {"snapshot": 5}, 'there is no option "snapshot" here'),
        ("data", {"momentum": 2}, "Adam: momentum must be"),
        ("data", {"loss": {"score": lambda y: (y, y)}}, r"not an array of the shape \(1, 5"),
        ("data", {"loss": {"score": np.ones(7)}}, r"has weights of the shape \(7,\)"),
        ("data", {"loss": {"score": lambda y: (0, y[0])}}, r"gradient has the shape \(5,\)"),
        ("data", {"loss": {}}, "expected {name of a blob: what counts of it}, not {}"),
        ("data", {"loss": abs}, "expected {name of a blob: what counts of it}, not <built-in"),
        ("data", {"loss": {"score": 1}, "bounds": (1, 0)}, r"expected \(least, most\), not \(1, 0"),
        ("data", {"loss": {"score": np.nan}}, "iteration 0: the loss is nan"),
    ],
)  # fmt: skip
def test_mistakes_are_named(blob, more, message):
    with pytest.raises(SolverError, match=message):
        optimize(net(), blob, **{"iterations": 2, "base_lr": 0.1, "solver": "Adam", **more})


def test_without_force_backward_it_says_so():
    with pytest.raises(SolverError, match="Write force_backward: true"):
        optimize(net(CLASSES.replace("force_backward: true", "")), "data", iterations=1,
                 base_lr=1, loss={"score": 1})  # fmt: skip


def test_gradients_of_weights_are_ready_for_training_alone():
    """Those that backward adds here go nowhere, and the training that comes after tells its own."""
    one, told = net(CLASSES, phase=caffelite.TRAIN), []
    one.on_gradients_ready(told.extend)
    optimize(one, "data", iterations=2, base_lr=1, loss={"score": 1})
    assert not told
    one.forward()
    one.blobs["prob"].diff[...] = 1
    one.backward()
    assert len(told) == 4
