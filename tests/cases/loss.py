from functools import partial

import numpy as np

from caffelite.testing import case

from ..reference import loss as ref

SCORES = [(4, 5), (4,)]
MAP = [(2, 5, 3, 4), (2, 1, 3, 4)]
MODES = ("FULL", "VALID", "BATCH_SIZE", "NONE")


def loss(fields):
    return f"loss_param {{ {fields} }}"


def labels(*values):
    return {1: values}


case("SoftmaxWithLoss", SCORES, labels=(1, 5), expect=ref.softmax_with_loss)
case("SoftmaxWithLoss", [(4, 5, 1, 1), (4, 1, 1, 1)], labels=(1, 5), expect=ref.softmax_with_loss)
case("SoftmaxWithLoss", MAP, labels=(1, 5), expect=ref.softmax_with_loss)
case(
    "SoftmaxWithLoss",
    [(2, 3, 5), (2, 3)],
    "softmax_param { axis: -1 }",
    labels=(1, 5),
    expect=partial(ref.softmax_with_loss, axis=2),
)
for mode in MODES:
    case(
        "SoftmaxWithLoss",
        MAP,
        loss(f"normalization: {mode} ignore_label: 2"),
        labels=(1, 5),
        expect=partial(ref.softmax_with_loss, ignore=2, normalization=mode),
    )
case(
    "SoftmaxWithLoss",
    [(2, 3, 5), (2, 3)],
    "softmax_param { axis: 2 }" + loss("normalization: BATCH_SIZE"),
    labels=(1, 5),
    expect=partial(ref.softmax_with_loss, axis=2, normalization="BATCH_SIZE"),
)
for normalize, mode in (("true", "VALID"), ("false", "BATCH_SIZE")):
    case(
        "SoftmaxWithLoss",
        MAP,
        loss(f"normalize: {normalize} ignore_label: 2"),
        labels=(1, 5),
        expect=partial(ref.softmax_with_loss, ignore=2, normalization=mode),
    )
case(
    "SoftmaxWithLoss",
    MAP,
    loss("normalize: false normalization: FULL"),
    labels=(1, 5),
    expect=partial(ref.softmax_with_loss, normalization="FULL"),
)
case(
    "SoftmaxWithLoss",
    SCORES,
    loss("normalization: PRE_FIXED pre_fixed_normalizer: 8"),
    labels=(1, 5),
    expect=lambda x, t: ref.softmax_with_loss(x, t) * 4 / 8,
)
case(
    "SoftmaxWithLoss",
    SCORES,
    labels=(1, 5),
    tops=2,
    expect=lambda x, t: [ref.softmax_with_loss(x, t), ref.softmax(x)],
    fixed_tops=[1],
)
case(
    "SoftmaxWithLoss",
    SCORES,
    loss("ignore_label: -1"),
    values=labels(-1, -1.7, -1, -1),
    expect=lambda x, t: 0,
)
case("SoftmaxWithLoss", SCORES, values=labels(0, 4.9, 2.5, 1), expect=ref.softmax_with_loss)
case(
    "SoftmaxWithLoss",
    [(1, 2), (1,)],
    values={0: [0, 800], 1: [0]},
    golden=-np.log(np.float32(1.17549435e-38)),
    gradient=False,
)
case(
    "SoftmaxWithLoss",
    SCORES,
    values=labels(0, 3, 5, 1),
    error='bottom[1] "x1" holds the label 5 at [2]: label >= number of outputs, which is 5 at '
    'bottom[0] "x0"; expected 0 to 4',
)
case("SoftmaxWithLoss", SCORES, values=labels(0, -1, 4, 1), error="label -1 at [1]: label below 0")
case("SoftmaxWithLoss", SCORES, values=labels(0, np.nan, 4, 1), error="holds the label nan at [1]")
case(
    "SoftmaxWithLoss",
    MAP,
    loss("ignore_label: 255"),
    values=labels(*range(255, 231, -1)),
    error="label 254 at [0, 0, 0, 1]: label >= number of outputs, which is 5 at "
    'bottom[0] "x0"; expected 0 to 4, or 255 to ignore a sample',
)
case("SoftmaxWithLoss", [(4, 5), (3,)], error='bottom[1] "x1" has shape (3,), expected 4 samples')
case("SoftmaxWithLoss", [(4, 5), (4, 2)], error="expected 4 labels, not 8")
case("SoftmaxWithLoss", [(), ()], error='bottom[0] "x0" has shape (), expected at least one axis')
case("SoftmaxWithLoss", SCORES, "softmax_param { axis: 2 }", error="axis: 2 is out of range")
case("SoftmaxWithLoss", SCORES, "softmax_param { engine: CUDNN }", error="engine: CUDNN")
case("SoftmaxWithLoss", SCORES, labels=(1, 5), error="there is no gradient for labels")

case("EuclideanLoss", [(4, 3, 2), (4, 3, 2)], expect=ref.euclidean_loss)
case("EuclideanLoss", [(4, 6, 1, 1), (4, 2, 3)], expect=ref.euclidean_loss)
case("EuclideanLoss", [(4, 3), (3, 4)], error='bottom[1] "x1" has shape (3, 4), expected 4 samples')
case("EuclideanLoss", [(4, 3), (4, 2)], error="expected 3 values per sample")
case("EuclideanLoss", [(), ()], error="expected at least one axis")


def one_top(**options):
    return lambda x, t: ref.accuracy(x, t, **options)[0]


case("Accuracy", [(20, 5), (20,)], labels=(1, 5), expect=one_top())
case("Accuracy", [(20, 5), (20,)], labels=(1, 5), tops=2, expect=ref.accuracy)
case("Accuracy", MAP, labels=(1, 5), tops=2, expect=ref.accuracy)
for k in (1, 3, 5):
    case(
        "Accuracy",
        [(20, 5), (20,)],
        f"accuracy_param {{ top_k: {k} }}",
        labels=(1, 5),
        expect=one_top(top_k=k),
    )
case(
    "Accuracy",
    [(2, 3, 5), (2, 3)],
    "accuracy_param { axis: -1 ignore_label: 2 }",
    labels=(1, 5),
    tops=2,
    expect=partial(ref.accuracy, axis=2, ignore=2),
)
case("Accuracy", [(3, 4), (3,)], values={0: [1.0], 1: [0, 1, 2]}, golden=0)  # ties are misses
case("Accuracy", [(1, 2), (1,)], values={0: [np.nan, 3], 1: [0]}, golden=1)  # as in Caffe
case("Accuracy", SCORES, "accuracy_param { ignore_label: 3 }", values=labels(3), golden=0)
case("Accuracy", SCORES, values=labels(0, 5, 1, 1), error="holds the label 5 at [1]")
case("Accuracy", SCORES, values=labels(0, 1, 1, -1), error="label -1 at [3]: label below 0")
case("Accuracy", SCORES, "accuracy_param { top_k: 6 }", error="top_k is 6, expected 1 to 5")
case("Accuracy", SCORES, "accuracy_param { top_k: 0 }", error="top_k is 0, expected 1 to 5")
case("Accuracy", SCORES, "accuracy_param { axis: 2 }", error="axis: 2 is out of range")
case("Accuracy", [(4, 5), (4, 2)], error="expected 4 labels, not 8")
case("Accuracy", SCORES, labels=(1, 5), error="this layer type has no gradient")
