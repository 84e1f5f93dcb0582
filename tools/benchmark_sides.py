"""What benchmark.py races: a net in caffelite and its twin in PyTorch, with the same methods."""

import time

import caffelite
from caffelite.proto import caffe_pb2
from caffelite.proto.caffe_pb2 import TEST, TRAIN
from tools.benchmark_nets import fill, samples

RATE, MOMENTUM, DECAY = 1e-6, 0.9, 5e-4  # the rate does not matter, as long as nothing diverges


class Caffelite:
    """caffelite's side."""

    def __init__(self, param, update):
        if update:
            self.solver = caffelite.get_solver(
                caffe_pb2.SolverParameter(
                    net_param=param,
                    base_lr=RATE,
                    lr_policy="fixed",
                    momentum=MOMENTUM,
                    weight_decay=DECAY,
                    solver_mode=caffe_pb2.SolverParameter.CPU,
                )
            )
            self.net = self.solver.net
        else:
            self.net = caffelite.Net(param, param.state.phase)
        self.net.economize(forward_only=param.state.phase == TEST)  # as the command line does
        fill(self.net)
        for name, values in samples(param).items():
            self.net.blobs[name].data[...] = values

    def values(self):
        """{layer: [values of its learnable blobs]}."""
        return {name: [b.data for b in blobs] for name, blobs in self.net.params.items()}

    def outputs(self):
        """{blob: what forward gave}."""
        return {name: self.net.blobs[name].data for name in self.net.outputs}

    def forward(self):
        self.net.forward()

    def backward(self):
        self.net.clear_param_diffs()
        self.net.backward()

    def update(self):
        self.solver.apply_update()

    def layer_times(self, train):
        """{layer: [ms forward, ms backward]} of one pass; a fused step's are those of its first."""
        net = self.net
        times = {layer.name: [0.0, 0.0] for layer in net.layers}
        net.clear_param_diffs()
        for step in net.steps:
            first = net.layers[step.first].name
            times[first][0] = milliseconds(net._forward, step.first, step.last)
        for step in reversed(net.steps) if train else ():
            first = net.layers[step.first].name
            times[first][1] = milliseconds(net._backward, step.last, step.first)
        return times


class PyTorch:
    """PyTorch's side."""

    def __init__(self, param, update, values=None, in_place=True):
        import torch

        from tools.torch_twin import Twin

        self.torch = torch
        self.twin = Twin(param, in_place=in_place).train(param.state.phase == TRAIN)
        if values:
            self.twin.load(values)
        self.inputs = {name: torch.from_numpy(x) for name, x in samples(param).items()}
        self.gradients = torch.enable_grad if self.twin.training else torch.inference_mode
        parameters = self.twin.parameters()
        self.optimizer = torch.optim.SGD(parameters, RATE, MOMENTUM, weight_decay=DECAY)

    def forward(self):
        with self.gradients():
            self.made = self.twin(**self.inputs)
            self.loss = self.twin.loss(self.made)

    def outputs(self):
        return {name: made.numpy() for name, made in self.made.items()}

    def backward(self):
        self.optimizer.zero_grad()
        self.loss.backward()

    def update(self):
        self.optimizer.step()

    def layer_times(self, train):
        """{layer: [ms forward, ms backward]}, each layer with its own piece of autograd.

        What adding up the gradients of a blob's readers takes is under "Split".
        """
        from tools.torch_twin import by_top

        blobs, tape = dict(self.inputs), []
        times = {"Split": [0.0, 0.0]}
        with self.gradients():
            for name, module, bottoms, tops in self.twin.steps:
                xs = [self._leaf(blobs[b], train and b not in self.inputs) for b in bottoms]
                start = time.perf_counter()
                made = module(*xs)
                times[name] = [(time.perf_counter() - start) * 1e3, 0.0]
                blobs.update(by_top(tops, made))
                tape.append((name, bottoms, xs, tops[0], blobs[tops[0]]))
        if train:
            self.optimizer.zero_grad()
            self._layers_backward(tape, times)
        return times

    def _leaf(self, blob, wants):
        return blob.detach().requires_grad_(wants) if blob.is_floating_point() else blob

    def _layers_backward(self, tape, times):
        diffs = {
            top: self.torch.tensor(float(weight)) for top, weight in self.twin.loss_weights.items()
        }
        for name, bottoms, xs, top, y in reversed(tape):
            if top not in diffs:  # labels
                continue
            times[name][1] = milliseconds(y.backward, diffs.pop(top))
            for bottom, x in zip(bottoms, xs, strict=True):
                if x.grad is not None and bottom in diffs:
                    times["Split"][1] += milliseconds(diffs[bottom].add_, x.grad)
                elif x.grad is not None:
                    diffs[bottom] = x.grad


SIDES = {"caffelite": Caffelite, "PyTorch": PyTorch}


def milliseconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return (time.perf_counter() - start) * 1e3
