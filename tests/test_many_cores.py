"""How evenly 16 threads would share the work of the nets of models/, by plans alone."""

import math
from pathlib import Path

import pytest

import caffelite
from caffelite.kernels import depthwise_weight as depthwise
from caffelite.kernels import (
    direct,
    direct_turned,
    folded,
    gemm,
    phases,
    pointwise,
    spread,
    thinned,
    turned,
    winograd_line,
    winograd_line_weight,
)
from caffelite.kernels._tiles import TILE_ROWS
from caffelite.kernels.plan import plan_convolution
from caffelite.proto.text import read_net
from tools import benchmark_nets

MODELS = Path(__file__).parent.parent / "models"
THREADS, BATCH = 16, 8
LARGE = 1 << 29
"""Multiplications of a large layer: some 10 ms of one core."""
MOST = 1.3
"""Times its even share that the slowest thread may have: with four pieces each, a quarter more."""


def pieces(plan):
    """How many pieces of the work may go to one thread or another."""
    tiles = -(-getattr(plan, "outputs", 1) // TILE_ROWS)
    if isinstance(plan, phases.Plan):
        return min(pieces(part.convolution) for part in plan.made)
    if isinstance(plan, folded.Plan | thinned.Plan):
        return pieces(plan.convolution)
    if isinstance(plan, direct.Plan):
        return plan.items * tiles
    if isinstance(plan, pointwise.Plan):
        return plan.blocks * plan.group * tiles
    if isinstance(plan, winograd_line.Plan):
        return winograd_line.POINTS * plan.group * plan.panels
    if isinstance(plan, winograd_line_weight.Plan):
        return winograd_line.POINTS * plan.forward.group * plan.panels * plan.cuts
    if isinstance(plan, direct_turned.Plan):
        return plan.batch * plan.blocks * plan.groups
    if isinstance(plan, turned.Plan):
        return plan.tiles * plan.group * plan.panels
    if isinstance(plan, depthwise.Plan):
        return plan.group * plan.outputs
    return plan.parts if isinstance(plan, spread.Plan) else plan.items


def rounds(pieces):
    """Pieces of the thread that has most of them."""
    return -(-pieces // THREADS)


def excess(plan):
    """The largest part of the work that a thread has, times the number of threads."""
    return rounds(pieces(plan)) * THREADS / pieces(plan)


def convolutions(net, param):
    """(name, shapes of x, w and y, geometry, what is computed) of a net's large ones."""
    mults = {ly.name: [p.lr_mult for p in ly.param] or [1] for ly in param.layer}
    for node in net.nodes:
        layer = node.layer
        if layer.type in ("Convolution", "DepthwiseConvolution", "Deconvolution"):
            x, y = node.bottom_blobs[0].shape, node.top_blobs[0].shape
            back = layer.type == "Deconvolution"
            x, y = (y, x) if back else (x, y)
            w, geometry = layer.weight_shape(), tuple(map(tuple, layer.geometry[:3]))
            wanted = {"input_gradient" if back else "forward"}
            if x[1] > 3:  # nobody asks for the gradient of a picture
                wanted.add("forward" if back else "input_gradient")
            if mults.get(layer.name, [1])[0]:
                wanted.add("weight_gradient")
            if math.prod(y) * math.prod(w[1:]) >= LARGE:
                yield layer.name, (x, w, y, *geometry, layer.group), wanted


def products(net):
    """(name, rows, columns) of the large matrix products of a net's InnerProducts."""
    for node in net.nodes:
        if node.layer.type == "InnerProduct":
            outputs = node.layer.options.num_output
            inputs = node.layer.weight.count // outputs
            samples = node.top_blobs[0].count // outputs
            if samples * inputs * outputs >= LARGE:
                for m, n in (samples, outputs), (samples, inputs), (outputs, inputs):
                    yield node.layer.name, m, n


@pytest.mark.slow
def test_sixteen_threads_have_even_shares_of_every_large_layer():
    seen, wrong = set(), []
    for folder in sorted(path.parent.name for path in MODELS.glob("*/deploy.prototxt")):
        path = MODELS / folder / "deploy.prototxt"
        text = path.read_text()
        if 'type: "LSTM"' in text:  # as many steps and streams as it has
            param = read_net(path)
        else:
            batch = 1 if "Proposal" in text else BATCH
            param = benchmark_nets.in_memory(folder, caffelite.TEST, batch)
        net = caffelite.Net(param, caffelite.TEST)
        for name, problem, wanted in convolutions(net, param):
            for kept in (False, True):
                plan = plan_convolution(*problem, 4, threads=THREADS, kept=kept)
                for product in ("forward",) if kept else wanted:
                    part = getattr(plan, product)
                    seen.add((product, part.way))
                    if excess(part) > MOST:
                        wrong.append(f"{folder} {name} {product} {part}")
        for name, m, n in products(net):
            row_parts, column_parts = gemm._split(m, n, THREADS)
            panels = [-(-m // TILE_ROWS), -(-n // 32)]
            most = -(-panels[0] // row_parts) * -(-panels[1] // column_parts)
            seen.add("gemm")
            if most * THREADS > MOST * math.prod(panels):
                wrong.append(f"{folder} {name} ({m} x {n}): {row_parts} x {column_parts}")
    assert not wrong, "\n".join(wrong)
    assert {"gemm", ("forward", "winograd"), ("weight_gradient", "direct")} < seen


def test_shares_are_uneven_where_they_are():
    x, w, y = (1, 16, 100, 100), (3 * TILE_ROWS, 16, 3, 3), (1, 3 * TILE_ROWS, 100, 100)
    plan = plan_convolution(x, w, y, (1, 1), (1, 1), (1, 1), 1, 4, threads=THREADS)
    few = plan.weight_gradient._replace(items=THREADS + 1)
    assert excess(few) == 2 * THREADS / (THREADS + 1)
