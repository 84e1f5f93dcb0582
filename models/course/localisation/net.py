"""What digit it is and where: convolutions, and two heads of dense layers, a class and a box.

The box is left, top, right, bottom as shares of the picture's side.
"""

from caffelite.models.blocks import XAVIER, classify, conv, dense, max_pool, relu
from caffelite.models.program import Program, Samples, of_both_phases
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto.caffe_pb2 import TEST, TRAIN, NetParameter

RATES = [{"lr_mult": 1}, {"lr_mult": 1}]
BATCHES = (64, 100)

PICTURES = Samples(
    "data/placed_train_lmdb", "data/placed_test_lmdb", BATCHES, {"scale": 1 / 256}, "pictures"
)
BOXES = Samples(
    "data/boxes_train_lmdb", "data/boxes_test_lmdb", BATCHES, {"scale": 1 / 48}, "boxes", ("place",)
)


def net(n):
    n.conv1 = conv(n.data, 16, 5, XAVIER, param=RATES)
    n.relu1 = relu(n.conv1)
    n.pool1 = max_pool(n.relu1, 2, 2)
    n.conv2 = conv(n.pool1, 32, 5, XAVIER, param=RATES)
    n.relu2 = relu(n.conv2)
    n.pool2 = max_pool(n.relu2, 2, 2)
    n.conv3 = conv(n.pool2, 32, 3, XAVIER, param=RATES)
    n.relu3 = relu(n.conv3)
    n.ip1 = dense(n.relu3, 128, XAVIER, param=RATES)
    n.relu4 = relu(n.ip1)
    n.scores = dense(n.relu4, 10, XAVIER, param=RATES)
    classify(n, n.scores)
    n.ip2 = dense(n.relu3, 128, XAVIER, param=RATES)
    n.relu5 = relu(n.ip2)
    n.box = dense(n.relu5, 4, XAVIER, bias=0.5, param=RATES)


def iou(n, a, b):
    """Intersection over union of boxes, of layers: N x 1; all of it is for tests."""
    rule = {"include": {"phase": TEST}}
    ends = [L.Slice(box, axis=1, ntop=2, **rule) for box in (a, b)]
    (n.low, n.high), (n.true_low, n.true_high) = ends
    n.inner_low = L.Eltwise(n.low, n.true_low, operation=P.Eltwise.MAX, **rule)
    n.minus_high = L.Power(n.high, scale=-1, **rule)
    n.minus_true_high = L.Power(n.true_high, scale=-1, **rule)
    n.minus_inner_high = L.Eltwise(n.minus_high, n.minus_true_high, operation=P.Eltwise.MAX, **rule)
    n.inner_sides = L.Eltwise(n.minus_inner_high, n.inner_low, coeff=[-1, -1], **rule)
    n.sides = L.Eltwise(n.high, n.low, coeff=[1, -1], **rule)
    n.true_sides = L.Eltwise(n.true_high, n.true_low, coeff=[1, -1], **rule)
    for name in ("inner", "", "true"):
        start = f"{name}_" if name else ""
        n[f"{start}positive"] = L.ReLU(n[f"{start}sides"], **rule)
        width, height = L.Slice(
            n[f"{start}positive"], name=f"{start}width_height", axis=1, ntop=2, **rule
        )
        n[f"{start}width"], n[f"{start}height"] = width, height
        n[f"{start}area"] = L.Eltwise(width, height, operation=P.Eltwise.PROD, **rule)
    n.union = L.Eltwise(n.area, n.true_area, n.inner_area, coeff=[1, 1, -1], **rule)
    n.per_union = L.Power(n.union, power=-1, **rule)
    n.iou_of_each = L.Eltwise(n.inner_area, n.per_union, operation=P.Eltwise.PROD, **rule)
    n.iou = L.Reduction(n.iou_of_each, operation=P.Reduction.MEAN, **rule)
    n.hit = L.Threshold(n.iou_of_each, threshold=0.5, **rule)
    n.hits = L.Reduction(n.hit, operation=P.Reduction.MEAN, **rule)


class Localisation(Program):
    """Trained on two sources that run side by side: pictures with their classes, and boxes."""

    def train_val(self):
        n = NetSpec()
        sources = [layer for some in (PICTURES, BOXES) for layer in of_both_phases(some)]
        n.tops.update(PICTURES.layer(TRAIN) | BOXES.layer(TRAIN))
        net(n)
        n.true_box = L.Flatten(n.place)
        n.loss_of_box = L.EuclideanLoss(n.box, n.true_box, loss_weight=5)
        iou(n, n.box, n.true_box)
        rest = n.to_proto().layer[2:]
        return NetParameter(name=self.name, layer=[*sources, *rest])


program = Localisation("Localisation", net, None, (1, 1, 48, 48))
