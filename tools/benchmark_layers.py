"""Where the time of benchmark.py goes: both sides' layers one by one."""

from caffelite.proto.caffe_pb2 import TRAIN


def race(ours, theirs, repeats):
    """[{layer, type, shape, macs, ms: {side: [forward, backward]}}], the best of all passes."""
    passes = {"caffelite": [], "PyTorch": []}
    train = ours.net.phase == TRAIN
    for repeat in range(-1, repeats):
        for side, runner in zip(passes, (ours, theirs), strict=True):
            times = runner.layer_times(train)
            if repeat >= 0:
                passes[side].append(times)
    rows = []
    for node in [*ours.net.nodes, None]:
        layer = node.layer if node else None
        name = layer.name if layer else "Split"
        ms = {
            side: [min(times[name][way] for times in runs) for way in (0, 1)]
            for side, runs in passes.items()
            if name in runs[0]
        }
        rows.append({"layer": name, "type": layer.type if layer else "Split", "ms": ms})
        if layer:
            rows[-1]["shape"] = [list(shape) for shape in node.shapes[1]]
            rows[-1]["macs"] = [layer.macs(*node.shapes), backward_macs(node)]
    return rows


def backward_macs(node):
    """Multiply-adds of the gradients that the plan asks for: to the weights, to the bottom."""
    wanted = any(node.layer.param_propagate_down) + any(node.propagate_down)
    return node.layer.macs(*node.shapes) * wanted if node.needs_backward else 0
