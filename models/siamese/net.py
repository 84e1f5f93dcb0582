"""Two LeNets with the same weights put like digits close to each other, others apart.

Hadsell, Chopra, LeCun 2006; the layers of BVLC Caffe's examples/siamese.

lint: ignore linear-pair (none between ip2 and feat, as published)
"""

from caffelite.models.blocks import XAVIER, conv, dense, max_pool, relu
from caffelite.models.program import Program, mnist
from caffelite.net_spec import layers as L


def net(n):
    if "pairs" not in n.tops:
        branch(n, "")
        return
    n.data, n.data_p = L.Slice(n.pairs, name="slice_pair", axis=0, ntop=2)
    similar(n)
    branch(n, "")
    branch(n, "_p")
    n.loss = L.ContrastiveLoss(n.feat, n.feat_p, n.sim, margin=1)


def similar(n):
    """1 where the digits of a pair have the same label, 0 where not."""
    n.label, n.label_p = L.Slice(n.labels, name="slice_labels", axis=0, ntop=2)
    n.difference = L.Eltwise(n.label, n.label_p, coeff=[1, -1])
    n.distance = L.AbsVal(n.difference)
    n.differ = L.Threshold(n.distance, threshold=0.5)
    n.sim = L.Power(n.differ, scale=-1, shift=1)


def branch(n, end):
    """From a digit to two numbers; `end` is that of all names but those of the weights."""
    top = n[f"conv1{end}"] = conv(n[f"data{end}"], 20, 5, XAVIER, param=shared("conv1"))
    top = n[f"pool1{end}"] = max_pool(top, 2, 2)
    top = n[f"conv2{end}"] = conv(top, 50, 5, XAVIER, param=shared("conv2"))
    top = n[f"pool2{end}"] = max_pool(top, 2, 2)
    n[f"ip1{end}"] = dense(top, 500, XAVIER, param=shared("ip1"))
    top = n[f"relu1{end}"] = relu(n[f"ip1{end}"])
    top = n[f"ip2{end}"] = dense(top, 10, XAVIER, param=shared("ip2"))
    n[f"feat{end}"] = dense(top, 2, XAVIER, param=shared("feat"))


def shared(name):
    return [{"name": f"{name}_w", "lr_mult": 1}, {"name": f"{name}_b", "lr_mult": 2}]


program = Program(
    "mnist_siamese",
    net,
    mnist(128, name="pairs", tops=("pairs", "labels"), scale=1 / 256),
    (1, 1, 28, 28),
)
