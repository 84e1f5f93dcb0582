"""The language models of models/ beside the same nets in PyTorch."""

from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.data import text
from caffelite.data.datum import write_database
from caffelite.models.program import program
from caffelite.proto.caffe_pb2 import SolverParameter

MODELS = Path(__file__).parent.parent / "models"
MOMENTUM, CLIP = 0.9, 1.0
FEW = {"streams": 2, "steps": 5, "units": 6, "rate": 0.5}  # and the sizes that the nets have
# At ten times the rate losses jump, and what rounding changes grows from step to step.
MANY = {"streams": 8, "steps": 50, "units": 256, "rate": 0.05}


def net_of(name, size):
    """The net for training without dropout, which draws other masks than PyTorch's."""
    param = program(MODELS / name / "net.py").train_val()
    kept = [layer for layer in param.layer if layer.type != "Dropout"]
    del param.layer[:]
    param.layer.extend(kept)
    for layer in param.layer:
        layer.data_param.batch_size = size["steps"] * (layer.type == "Data")
        for field in ("recurrent_param", "gru_param"):
            if layer.HasField(field):
                getattr(layer, field).num_output = size["units"]
        if layer.type != "Data":
            layer.ClearField("data_param")
    return param


def solver_of(name, size, iterations):
    """Of a text that is one long stream beside others, from its start."""
    symbols = [symbol for topic in text.topics() for symbol in topic.symbols]
    symbols = symbols[: size["streams"] * size["steps"] * iterations]
    assert len(symbols) == size["streams"] * size["steps"] * iterations
    texts = [text.Text("one", symbols)]
    sizes = {part: size[part] for part in ("streams", "steps")}
    source = text.Streams("here", texts, text.Vocabulary.of(texts), **sizes)
    write_database("data/text_train_lmdb", source)
    return caffelite.get_solver(
        SolverParameter(
            net_param=net_of(name, size),
            base_lr=size["rate"],
            momentum=MOMENTUM,
            lr_policy="fixed",
            clip_gradients=CLIP,
            random_seed=1,
            display=0,
            max_iter=iterations,
        )
    )


class Twin:
    """The same in PyTorch, with the weights of our net."""

    def __init__(self, kind, params, units, rate):
        self.rate = rate
        torch = self.torch = pytest.importorskip("torch")
        weights = {
            name: [torch.from_numpy(b.data.copy()) for b in blobs] for name, blobs in params.items()
        }
        self.embed = weights["embed"][0].requires_grad_()
        self.layers, self.kind = [], kind
        for number in (1, 2):
            w, b, u, *c = weights[f"{kind.lower()}{number}"]
            module = getattr(torch.nn, kind)(w.shape[1], units)
            b_hidden = torch.zeros_like(b)
            if kind == "LSTM":  # rows i, f, o, g here, i, f, g, o there; forget_bias is 1
                w, b, u = (
                    torch.cat([*x.split(units)[:2], *x.split(units)[:1:-1]]) for x in (w, b, u)
                )
                b[units : 2 * units] += 1
            if kind == "GRU":
                b_hidden[2 * units :] = c[0]
            names = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"
            with torch.no_grad():
                for field, values in zip(names, (w, u, b, b_hidden), strict=True):
                    getattr(module, field).copy_(values)
            self.layers.append(module)
        self.scores = [blob.requires_grad_() for blob in weights["scores"]]
        self.states = [None, None]
        self.learned = [self.embed, *self.scores]
        for module in self.layers:
            of_hidden = [module.bias_hh_l0] if kind == "GRU" else []
            self.learned += [
                module.weight_ih_l0,
                module.weight_hh_l0,
                module.bias_ih_l0,
                *of_hidden,
            ]
        self.history = [torch.zeros_like(each) for each in self.learned]

    def step(self, symbols, labels, goes_on):
        """Its loss; then a step of SGD, as the solver's."""
        torch = self.torch
        x = self.embed[symbols]
        for k, module in enumerate(self.layers):
            x, state = module(x, self.states[k] if goes_on else None)
            self.states[k] = (
                tuple(s.detach() for s in state) if self.kind == "LSTM" else state.detach()
            )
        scores = x @ self.scores[0].T + self.scores[1]
        loss = torch.nn.functional.cross_entropy(
            scores.flatten(0, 1), labels.flatten(), ignore_index=-1
        )
        gradients = list(torch.autograd.grad(loss, self.learned))
        if self.kind == "GRU":  # of n alone there are two biases here
            for at in (6, 10):
                gradients[at][: -self.layers[0].hidden_size] = 0
        norm = float(sum((g**2).sum() for g in gradients)) ** 0.5
        factor = min(1, CLIP / norm)
        with torch.no_grad():
            for each, old, new in zip(self.learned, self.history, gradients, strict=True):
                old.mul_(MOMENTUM).add_(new, alpha=self.rate * factor)
                each.sub_(old)
        return float(loss)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    "size, iterations",
    [(FEW, 8), pytest.param(MANY, 200, marks=pytest.mark.slow)],
    ids=["few steps of few units", "200 steps of the net as it is"],
)
def test_losses_follow_pytorch(kind, size, iterations, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    solver = solver_of(f"char-{kind.lower()}", size, iterations)
    twin = Twin(kind, solver.net.params, size["units"], size["rate"])
    ours, theirs = [], []
    for step in range(iterations):
        solver.step(1)
        blobs = solver.net.blobs
        symbols, labels = (torch.from_numpy(blobs[b].data).long() for b in ("data", "label"))
        theirs.append(twin.step(symbols, labels, goes_on=step > 0))
        ours.append(float(blobs["loss"].data))
    np.testing.assert_allclose(ours, theirs, 0, 1e-3)
    assert ours[-1] < ours[0] - 0.1
