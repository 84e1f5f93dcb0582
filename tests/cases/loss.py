from functools import partial

import numpy as np

from caffelite.testing import case

from ..reference import loss as ref

SCORES = [(4, 5), (4,)]
MAP = [(2, 5, 3, 4), (2, 1, 3, 4)]
WEIGHTED = [*MAP, (2, 1, 3, 4)]
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
for ignore in (-1, 2):
    weights = [0.5, 1, 2, 3, 0.25]
    fields = f"weight_by_label_freqs: true class_weighting: {weights} ignore_label: {ignore}"
    case(
        "SoftmaxWithLoss",
        MAP,
        loss(fields),
        labels=(1, 5),
        expect=partial(ref.softmax_with_loss, ignore=ignore, weights=weights),
    )
case(
    "SoftmaxWithLoss",
    MAP,
    loss("weight_by_label_freqs: true class_weighting: [1, 2]"),
    error="class_weighting has 2 entries, expected 5",
)
case("SoftmaxWithLoss", WEIGHTED, labels=(1, 5), expect=ref.weighted_softmax_loss)
case(
    "SoftmaxWithLoss",
    WEIGHTED,
    loss("ignore_label: 2"),
    labels=(1, 5),
    expect=partial(ref.weighted_softmax_loss, ignore=2),
)
case(
    "SoftmaxWithLoss",
    [(2, 3), (2,), (2,)],
    values={0: [0, 1, 2, 0, 0, 0], 1: [1, 255], 2: [4, 0]},  # of what weighs nothing, any label
    golden=np.log(1 + np.exp(1) + np.exp(-1)),
)
case(
    "SoftmaxWithLoss",
    [(2, 3), (2,), (2,)],
    values={1: [1, 0], 2: [1, np.nan]},
    error='bottom[2] "x2" holds the weight nan at [1]: expected a number',
)
case("SoftmaxWithLoss", [*MAP, (2, 1, 3, 2)], error="expected 24 weights, not 12")
case(
    "SoftmaxWithLoss",
    SCORES,
    loss("label_smoothing: 0.1"),
    error="label_smoothing is not an option of SoftmaxWithLoss",
)
case(
    "SigmoidCrossEntropyLoss",
    [(4, 5)] * 2,
    loss("weight_by_label_freqs: true"),
    error="weight_by_label_freqs is not an option of SigmoidCrossEntropyLoss",
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
    error='bottom[1] "x1" holds the label 5 at [2]: label >= number of outputs; expected 0 to '
    '4, for the 5 outputs of bottom[0] "x0"',
)
case("SoftmaxWithLoss", SCORES, values=labels(0, -1, 4, 1), error="label -1 at [1]: label below 0")
case("SoftmaxWithLoss", SCORES, values=labels(0, np.nan, 4, 1), error="label nan at [1]: no number")
case(
    "SoftmaxWithLoss",
    MAP,
    loss("ignore_label: 255"),
    values=labels(*range(255, 231, -1)),
    error="label 254 at [0, 0, 0, 1]: label >= number of outputs; expected 0 to 4, "
    'or 255 to ignore a sample, for the 5 outputs of bottom[0] "x0"',
)
case("SoftmaxWithLoss", [(4, 5), (3,)], error='bottom[1] "x1" has shape (3,), expected 4 samples')
case("SoftmaxWithLoss", [(4, 5), (4, 2)], error="expected 4 labels, not 8")
case("SoftmaxWithLoss", [(), ()], error='bottom[0] "x0" has shape (), expected at least one axis')
case("SoftmaxWithLoss", SCORES, "softmax_param { axis: 2 }", error="axis: 2 is out of range")
case("SoftmaxWithLoss", SCORES, "softmax_param { engine: CUDNN }", error="engine: CUDNN")
case("SoftmaxWithLoss", SCORES, labels=(1, 5), error='bottom[1] "x1" has no gradient')

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
case("Accuracy", [(2, 2), (2,)], values={0: [1, 2], 1: [1.9, 0.9]}, golden=0.5)  # labels cut off
case("Accuracy", SCORES, "accuracy_param { ignore_label: 3 }", values=labels(3), golden=0)
case(
    "Accuracy",
    [(5, 3), (5,)],
    "accuracy_param { ignore_label: 255 }",
    tops=2,
    values={0: [3, 1, 2, 1, 3, 2, 3, 2, 1, 1, 2, 3, 3, 2, 1], 1: [0, 0, 255, 2, 1]},
    golden=[2 / 4, [1 / 2, 0 / 1, 1 / 1]],
)
case("Accuracy", SCORES, values=labels(0, 5, 1, 1), error="holds the label 5 at [1]")
case("Accuracy", SCORES, values=labels(0, 1, 1, -1), error="label -1 at [3]: label below 0")
case("Accuracy", SCORES, "accuracy_param { top_k: 6 }", error="top_k is 6, expected 1 to 5")
case("Accuracy", SCORES, "accuracy_param { top_k: 0 }", error="top_k is 0, expected 1 to 5")
case("Accuracy", SCORES, "accuracy_param { axis: 2 }", error="axis: 2 is out of range")
case("Accuracy", [(4, 5), (4, 2)], error="expected 4 labels, not 8")
case("Accuracy", SCORES, labels=(1, 5), error="this layer type has no gradient")

TARGETS = {1: lambda generator, shape: generator.uniform(0, 1, shape)}
THIRDS = {1: lambda generator, shape: generator.integers(0, 3, shape)}  # 0, 1 or 2

case(
    "SigmoidCrossEntropyLoss",
    [(4, 3, 2)] * 2,
    values=TARGETS,
    expect=ref.sigmoid_cross_entropy_loss,
)
case(
    "SigmoidCrossEntropyLoss",
    [(4, 6), (4, 2, 3)],
    values=TARGETS,
    expect=ref.sigmoid_cross_entropy_loss,
)
for mode in MODES:
    case(
        "SigmoidCrossEntropyLoss",
        [(4, 3, 2)] * 2,
        loss(f"normalization: {mode} ignore_label: 2"),
        values=THIRDS,
        expect=partial(ref.sigmoid_cross_entropy_loss, ignore=2, normalization=mode),
    )
for normalize, mode in (("true", "VALID"), ("false", "BATCH_SIZE")):
    case(
        "SigmoidCrossEntropyLoss",
        [(4, 6)] * 2,
        loss(f"normalize: {normalize} ignore_label: 0"),
        values=THIRDS,
        expect=partial(ref.sigmoid_cross_entropy_loss, ignore=0, normalization=mode),
    )
case(
    "SigmoidCrossEntropyLoss",
    [(1, 3)] * 2,
    values={0: [900, -900, 0], 1: [1, 0, 0.5]},
    golden=np.log(2),
)
case(
    "SigmoidCrossEntropyLoss",
    [(4, 6)] * 2,
    loss("normalization: PRE_FIXED pre_fixed_normalizer: 8"),
    values=TARGETS,
    expect=lambda x, t: ref.sigmoid_cross_entropy_loss(x, t) * 4 / 8,
)
case(
    "SigmoidCrossEntropyLoss",
    [(4, 3)] * 2,
    loss("ignore_label: 0"),
    values={1: [-0.5, 0.9, 1.1, -1.2, 0.4]},
    expect=partial(ref.sigmoid_cross_entropy_loss, ignore=0),
)
case(
    "SigmoidCrossEntropyLoss",
    [(4, 1, 3, 5)] * 2,
    loss("class_balanced: true"),
    values=THIRDS,
    expect=ref.balanced_cross_entropy_loss,
)
case(
    "SigmoidCrossEntropyLoss",
    [(4, 1, 3, 5), (4, 3, 5)],
    loss("class_balanced: true ignore_label: 2"),
    values=THIRDS,
    expect=partial(ref.balanced_cross_entropy_loss, ignore=2),
)
case(
    "SigmoidCrossEntropyLoss",  # by hand: one edge among four pixels, then a picture without any
    [(2, 1, 2, 2)] * 2,
    loss("class_balanced: true"),
    values={0: np.zeros(8), 1: [1, 0, 0, 0, 0, 0, 0, 0]},
    golden=(3 / 4 + 3 * 1 / 4) * np.log(2) / 2,
)
case("HingeLoss", [(4, 3), (4,)], loss("class_balanced: true"), error="is not an option of Hinge")
case("SigmoidCrossEntropyLoss", [(4, 3), (4, 2)], error="expected 12 targets, one per score")
case("SigmoidCrossEntropyLoss", [(4, 3), (3, 4)], error="expected 4 samples")
case(
    "SigmoidCrossEntropyLoss", [(4, 3)] * 2, values=TARGETS, error='bottom[1] "x1" has no gradient'
)

NORM_L2 = "hinge_loss_param { norm: L2 }"
case("HingeLoss", SCORES, labels=(1, 5), expect=ref.hinge_loss)
case("HingeLoss", SCORES, NORM_L2, labels=(1, 5), expect=partial(ref.hinge_loss, power=2))
case("HingeLoss", [(4, 5, 1, 2), (4, 1, 1, 1)], labels=(1, 10), expect=ref.hinge_loss)
case("HingeLoss", SCORES, values=labels(0, 1, 5, 1), error="holds the label 5 at [2]")
case("HingeLoss", SCORES, values=labels(0, 1, -2, 1), error="label -2 at [2]: label below 0")
case("HingeLoss", [(4, 5), (4, 2)], error="expected one label for each of 4 samples")
case("HingeLoss", [(4, 5), (5,)], error="expected 4 samples on its first axis")
case("HingeLoss", [(4,), (4,)], labels=(1, 1), expect=ref.hinge_loss)
case("HingeLoss", SCORES, labels=(1, 5), error='bottom[1] "x1" has no gradient')

MATRIX = [(1, 1, 5, 5)]
case("InfogainLoss", SCORES + MATRIX, labels=(1, 5), expect=ref.infogain_loss)
case("InfogainLoss", MAP + [(5, 5)], labels=(1, 5), expect=ref.infogain_loss)
case(
    "InfogainLoss",
    SCORES + MATRIX,
    values={2: np.eye(5)},
    labels=(1, 5),
    expect=lambda x, t, h: ref.softmax_with_loss(x, t),
)
case(
    "InfogainLoss",
    [(2, 3, 5), (2, 3)] + MATRIX,
    "infogain_loss_param { axis: -1 } softmax_param { axis: 1 }",
    labels=(1, 5),
    expect=partial(ref.infogain_loss, axis=2),
)
for mode in MODES:
    case(
        "InfogainLoss",
        MAP + MATRIX,
        loss(f"normalization: {mode} ignore_label: 2"),
        labels=(1, 5),
        expect=partial(ref.infogain_loss, ignore=2, normalization=mode),
    )
case(
    "InfogainLoss",
    SCORES + MATRIX,
    labels=(1, 5),
    tops=2,
    expect=lambda x, t, h: [ref.infogain_loss(x, t, h), ref.softmax(x)],
    fixed_tops=[1],
)
case(
    "InfogainLoss",
    SCORES + MATRIX,
    loss("normalization: PRE_FIXED pre_fixed_normalizer: 8"),
    labels=(1, 5),
    expect=lambda x, t, h: ref.infogain_loss(x, t, h) * 4 / 8,
)
case(
    "InfogainLoss",
    MAP + MATRIX,
    'infogain_loss_param { source: "not read" }' + loss("ignore_label: 2"),
    labels=(1, 5),
    expect=partial(ref.infogain_loss, ignore=2),
)
case(
    "InfogainLoss",
    [(1, 2), (1,), (2, 2)],
    values={0: [0, 800], 1: [0], 2: [1, 0, 0, 1]},
    golden=-np.log(1e-20),
    gradient=False,
)
case("InfogainLoss", SCORES + MATRIX, loss("normalize: true"), error="normalize is the old form")
case("InfogainLoss", SCORES, error="H is missing; give it as bottom[2], or a file of it as source")
case("InfogainLoss", SCORES, 'infogain_loss_param { source: "no" }', error="no: cannot be read")
case("InfogainLoss", SCORES + [(4, 5)], error='bottom[2] "x2" has shape (4, 5), expected 5 x 5')
case("InfogainLoss", SCORES + MATRIX, values=labels(0, 1, 5, 1), error="holds the label 5 at [2]")
case("InfogainLoss", [(4, 5), (4, 2)] + MATRIX, error="expected 4 labels, not 8")
case(
    "InfogainLoss",
    SCORES + MATRIX,
    "infogain_loss_param { axis: 2 }",
    error="axis: 2 is out of range",
)
case("InfogainLoss", SCORES + MATRIX, labels=(1, 5), error='bottom[1] "x1" has no gradient')

LIKELY = {0: lambda generator, shape: generator.uniform(0.1, 0.9, shape)}
case(
    "MultinomialLogisticLoss",
    SCORES,
    values=LIKELY,
    labels=(1, 5),
    expect=ref.multinomial_logistic_loss,
)
case(
    "MultinomialLogisticLoss",
    [(4, 5, 1, 2), (4, 1, 1, 1)],
    values=LIKELY,
    labels=(1, 10),
    expect=ref.multinomial_logistic_loss,
)
case(
    "MultinomialLogisticLoss",
    [(1, 2), (1,)],
    values={0: [0, 1], 1: [0]},
    golden=-np.log(1e-20),
    gradient=False,
)
case("MultinomialLogisticLoss", SCORES, values=labels(0, 1, 5, 1), error="label 5 at [2]")
case("MultinomialLogisticLoss", [(4, 5), (4, 2)], error="one label for each of 4 samples")
case(
    "MultinomialLogisticLoss",
    SCORES,
    values=LIKELY,
    labels=(1, 5),
    error='bottom[1] "x1" has no gradient',
)

case("FocalLoss", SCORES, labels=(1, 5), expect=ref.focal_loss)
case(
    "FocalLoss",
    MAP,
    "focal_loss_param { alpha: 2 gamma: 0.5 }" + loss("ignore_label: 2 normalization: BATCH_SIZE"),
    labels=(1, 5),
    tops=2,
    expect=lambda x, t: [
        ref.focal_loss(x, t, ignore=2, normalization="BATCH_SIZE", alpha=2, gamma=0.5),
        ref.softmax(x),
    ],
    fixed_tops=[1],
)
case(
    "FocalLoss",
    SCORES,
    "focal_loss_param { alpha: 1 gamma: 0 }",
    labels=(1, 5),
    expect=ref.softmax_with_loss,
)
for gamma in (0, 0.5, 2):  # a probability of 1, and the smallest
    case(
        "FocalLoss",
        [(2, 2), (2,)],
        f"focal_loss_param {{ alpha: 1 gamma: {gamma} }}",
        values={0: [800, 0, 0, 800], 1: [0]},
        golden=-np.log(np.float32(1.17549435e-38)) / 2,
        gradient=False,
    )
case(
    "FocalLoss",
    SCORES,
    loss("normalization: PRE_FIXED pre_fixed_normalizer: 8"),
    labels=(1, 5),
    expect=lambda x, t: ref.focal_loss(x, t) * 4 / 8,
)
case(
    "FocalLoss",
    MAP,
    loss("weight_by_label_freqs: true class_weighting: [2, 2, 2, 2, 2]"),
    labels=(1, 5),
    expect=lambda x, t: 2 * ref.focal_loss(x, t),
)
FOCAL = "focal_loss_param {{ {} }}".format
case("FocalLoss", SCORES, FOCAL("alpha: 0"), error="alpha is 0, expected a number above 0")
case("FocalLoss", SCORES, FOCAL("gamma: -1"), error="gamma is -1, expected at least 0")
case("FocalLoss", SCORES, FOCAL("type: LINEAR"), error="type: LINEAR is not computed")
case("FocalLoss", SCORES, labels=(1, 5), error='bottom[1] "x1" has no gradient')

FIXED = (
    "center_loss_param { num_output: 5 axis: %d } param { lr_mult: 0 }"  # no gradient, but a step
)
case("CenterLoss", [(4, 3), (4,)], FIXED % 1, labels=(1, 5), expect=ref.center_loss)
case("CenterLoss", [(4, 2, 3), (4, 1)], FIXED % 1, labels=(1, 5), expect=ref.center_loss)
case(
    "CenterLoss",
    [(2, 4, 3), (2, 4)],
    FIXED % -1,
    labels=(1, 5),
    expect=lambda x, t, c: ref.center_loss(x.reshape(-1, 3), t, c),
)
case("CenterLoss", [(4, 3), (4,)], error="num_output is missing or 0")
case("CenterLoss", [(4, 3), (4, 2)], FIXED % 1, error="expected 4 labels, one per sample")
case("CenterLoss", [(4, 3), (3,)], FIXED % 1, error="expected 4 samples")
case("CenterLoss", [(4, 3), (4,)], FIXED % 2, error="axis: 2 is out of range")
case("CenterLoss", [(4, 3), (4,)], FIXED % 1, values=labels(0, 5), error="holds the label 5 at [1]")
case("CenterLoss", [(4, 3), (4,)], FIXED % 1, labels=(1, 5), error='bottom[1] "x1" has no gradient')

TRIPLETS = [(6, 2, 3)] * 3
case("TripletLoss", TRIPLETS, expect=ref.triplet_loss)
case(
    "TripletLoss",
    [(5, 4)] * 3,
    "triplet_loss_param { margin: 2.5 }",
    expect=partial(ref.triplet_loss, margin=2.5),
)
case("TripletLoss", [(2, 1)] * 3, values={0: [0], 1: [2, 1], 2: [1, 3]}, golden=(1 + 4 - 1) / 4)
case("TripletLoss", [(5, 4), (5, 4), (5, 3)], error='"x2" has shape (5, 3), expected (5, 4)')
case("TripletLoss", [(5, 4), (4, 4), (5, 4)], error="expected 5 samples")

PIXELS = [(2, 5, 3, 4), (2, 1, 3, 4)]
case("SegAccuracy", PIXELS, labels=(1, 5), expect=ref.seg_accuracy)
case(
    "SegAccuracy",
    PIXELS,
    "seg_accuracy_param { ignore_label: 3 ignore_label: 255 }",
    values={1: [0, 3, 1, 255, 0]},
    expect=partial(ref.seg_accuracy, ignore=(3, 255)),
)
case(  # of equal scores the last class; classes 2 and 3 are nowhere, and count as 1
    "SegAccuracy",
    [(1, 4, 1, 3), (1, 1, 1, 3)],
    values={0: [1, 1, 2, 1, 0, 2, 0, 0, 0, 0, 0, 0], 1: [1, 0, 0]},
    golden=[[[[2 / 3, (1 + 1 / 2) / 2, (1 / 2 + 1 / 2 + 1 + 1) / 4]]]],
)
case(
    "SegAccuracy",
    PIXELS,
    "seg_accuracy_param { ignore_label: 1 }",
    values=labels(1),
    golden=[[[[0, 0, 1]]]],
)
case("SegAccuracy", PIXELS, values=labels(0, 5), error="holds the label 5 at [0, 0, 0, 1]")
case(
    "SegAccuracy", [(2, 5, 3, 4), (2, 3, 4)], error="expected (2, 1, 3, 4), a label for each pixel"
)
case("SegAccuracy", [(2, 5, 3), (2, 1, 3)], error="expected 4 axes, (N, C, H, W), and a class")
case("SegAccuracy", PIXELS, labels=(1, 5), error="this layer type has no gradient")

PAIRS = [(8, 3), (8, 3), (8,)]
for options in ({}, {"margin": 3.5}, {"margin": 9, "legacy": True}):
    given = f"margin: {options.get('margin', 1)} legacy_version: {options.get('legacy', False)}"
    case(
        "ContrastiveLoss",
        PAIRS,
        f"contrastive_loss_param {{ {given.lower()} }}",
        labels=(2, 2),
        expect=partial(ref.contrastive_loss, **options),
        # the gradient of unlike pairs has d + 0.0001 where the derivative has d
        tolerance=1e-6 if options.get("legacy") else 1e-3,
    )
case(
    "ContrastiveLoss",
    [(8, 3, 1, 1), (8, 3), (8, 1, 1, 1)],
    labels=(2, 2),
    expect=ref.contrastive_loss,
    tolerance=1e-3,
)
case("ContrastiveLoss", [(4, 3), (4, 3), (4,)], values={1: [1], 0: [1], 2: [0, 1]}, golden=0.25)
case(  # a fraction is cut off
    "ContrastiveLoss", [(3, 1), (3, 1), (3,)], values={0: [0], 1: [0.25], 2: [0.9, -0.9, -1]},
    golden=(2 * 0.75**2 + 0.25**2) / 6, tolerance=1e-3,
)  # fmt: skip
case("ContrastiveLoss", [(8, 3), (8, 4), (8,)], error='"x1" has shape (8, 4), expected 3 channels')
case("ContrastiveLoss", [(8, 3), (7, 3), (8,)], error='"x1" has shape (7, 3), expected 8 samples')
case("ContrastiveLoss", [(8, 3), (8, 3), (7,)], error='"x2" has shape (7,), expected one number')
case("ContrastiveLoss", [(8, 3), (8, 3), (8, 2)], error='"x2" has shape (8, 2), expected one')
case("ContrastiveLoss", [(8, 3, 2, 1), (8, 3), (8,)], error='"x0" has shape (8, 3, 2, 1), expected')
case("ContrastiveLoss", [(8, 3), (8, 3, 1, 2), (8,)], error='"x1" has shape (8, 3, 1, 2), expected')

BOX = (4, 6, 2)
case("SmoothL1Loss", [BOX] * 2, expect=ref.smooth_l1_loss)
case("SmoothL1Loss", [BOX] * 3, expect=ref.smooth_l1_loss)
case(
    "SmoothL1Loss",
    [BOX] * 4,
    "smooth_l1_loss_param { sigma: 3 }",
    expect=partial(ref.smooth_l1_loss, sigma=3),
)
for d, cost in ((0.05, 0.01125), (1, 0.944444)):
    case(
        "SmoothL1Loss",
        [(1, 1)] * 2,
        "smooth_l1_loss_param { sigma: 3 }",
        values={0: [d], 1: [0]},
        golden=cost,
    )
for mode, divisor in (("FULL", 8), ("VALID", 8), ("BATCH_SIZE", 4), ("NONE", 1), ("PRE_FIXED", 28)):
    case(
        "SmoothL1Loss",
        [BOX] * 3,
        loss(f"normalization: {mode} pre_fixed_normalizer: 28"),
        expect=partial(ref.smooth_l1_loss, divisor=divisor),
        batch_axis=None,
    )
case("SmoothL1Loss", [BOX] * 3, expect=ref.smooth_l1_losses, tops=2, fixed_tops=[1])
case("SmoothL1Loss", [(4,)] * 2, tops=2, error="expected axis 1, which the second top sums over")
case("SmoothL1Loss", [BOX, (4, 6, 1)], error='"x1" has shape (4, 6, 1), expected (4, 6, 2)')
case("SmoothL1Loss", [BOX, BOX, (4, 12)], error='"x2" has shape (4, 12), expected (4, 6, 2)')
case("SmoothL1Loss", [BOX] * 3 + [(4, 3)], error='"x3" has shape (4, 3), expected (4, 6, 2)')
case("SmoothL1Loss", [BOX] * 2, "smooth_l1_loss_param { sigma: 0 }", error="sigma is 0")
case("SmoothL1Loss", [BOX] * 3, error='bottom[2] "x2" has no gradient')


def of_boxes(generator, shape):
    """Weights of boxes, 0 or 1."""
    return generator.integers(0, 2, shape)


for mode, divisor in (("VALID", 8), ("FULL", 8), ("BATCH_SIZE", 4), ("NONE", 1), ("PRE_FIXED", 28)):
    case(
        "SmoothL1LossOHEM",
        [BOX] * 3,
        loss(f"normalization: {mode} pre_fixed_normalizer: 28"),
        expect=partial(ref.smooth_l1_loss, divisor=divisor),
        values={2: of_boxes},
        batch_axis=None,
    )
case(
    "SmoothL1LossOHEM",
    [BOX] * 3,
    loss("normalization: BATCH_SIZE"),
    expect=ref.smooth_l1_losses,
    values={2: of_boxes},
    tops=2,
    fixed_tops=[1],
)
case("SmoothL1LossOHEM", [BOX, (4, 6, 1)], error='"x1" has shape (4, 6, 1), expected (4, 6, 2)')
case("SmoothL1LossOHEM", [BOX] * 3, error='bottom[2] "x2" has no gradient')

OHEM = partial(case, "SoftmaxWithLossOHEM", [(6, 5, 2), (6, 1, 2)], labels=(1, 5))
OHEM(expect=ref.softmax_with_loss)
OHEM(expect=partial(ref.softmax_losses, tops=2), tops=2, fixed_tops=[1])
OHEM(expect=ref.softmax_losses, tops=3, fixed_tops=[1, 2])
OHEM(
    loss("ignore_label: 3 normalization: PRE_FIXED pre_fixed_normalizer: 1"),
    expect=partial(ref.softmax_losses, ignore=3, normalization="NONE"),
    tops=3,
    fixed_tops=[1, 2],
)
OHEM(values={1: [5]}, error="holds the label 5 at [0, 0, 0]: label >= number of outputs")

case("SoftmaxWithCrossEntropyLoss", [(4, 5)] * 2, expect=ref.softmax_with_cross_entropy_loss)
for normalize in ("true", "false"):
    case(
        "SoftmaxWithCrossEntropyLoss",
        [(2, 3, 5, 4)] * 2,
        f"softmax_param {{ axis: -2 }} {loss(f'normalize: {normalize}')}",
        expect=partial(
            ref.softmax_with_cross_entropy_loss, axis=2, by_position=normalize == "true"
        ),
    )
case(
    "SoftmaxWithCrossEntropyLoss",
    [(1, 2)] * 2,
    values={0: [0, 0], 1: [np.log(3), 0]},
    golden=0.130812,
)
PROBABLE = {1: lambda generator, shape: ref.softmax(generator.standard_normal(shape))}
TARGET = loss("target_is_prob: true")
case(
    "SoftmaxWithCrossEntropyLoss",
    [(2, 5, 3)] * 2,
    TARGET,
    values=PROBABLE,
    expect=lambda x, q: ref.softmax_with_cross_entropy_loss(x, np.log(q)),
)
case(  # Gaussian labels: a mean of 25 and a deviation of 1 on the ages 23 to 27
    "SoftmaxWithCrossEntropyLoss",
    [(1, 5)] * 2,
    TARGET,
    values={0: [0], 1: [0.054489, 0.244201, 0.402620, 0.244201, 0.054489]},
    golden=np.log(5) - 1.3719192,
)
case(
    "SoftmaxWithCrossEntropyLoss",
    [(2, 2)] * 2,
    TARGET,
    values={1: [0.5, 0.5, 0.5, 0.25]},
    error='bottom[1] "x1" adds up to 0.75 along axis 1 at [1], expected probabilities',
)
for unlikely in ([1.5, -0.5], [np.nan, 1]):
    case(
        "SoftmaxWithCrossEntropyLoss",
        [(2, 2)] * 2,
        TARGET,
        values={1: [0, 1, *unlikely]},
        error="along axis 1 at [1], expected probabilities: at least 0, and 1 in sum",
    )
WEIGHT = loss("target_is_weight: true")
case(
    "SoftmaxWithCrossEntropyLoss",
    [(2, 5, 3)] * 2,
    WEIGHT,
    values={1: lambda generator, shape: 3 * generator.random(shape)},
    expect=lambda x, q: np.sum(q * (np.log(q) - np.log(ref.softmax(x)))) / 6,
)
case(  # exp(-d^2 / 2) for d = -2 to 2, as it is
    "SoftmaxWithCrossEntropyLoss",
    [(1, 5)] * 2,
    WEIGHT,
    values={0: [0], 1: [0.135335, 0.606531, 1, 0.606531, 0.135335]},
    golden=2.483732 * np.log(5) - 2 * (0.606531 / 2 + 0.135335 * 2),
)
case(  # probabilities are weights
    "SoftmaxWithCrossEntropyLoss",
    [(2, 5)] * 2,
    loss("target_is_weight: true normalize: false"),
    values=PROBABLE,
    expect=lambda x, q: ref.softmax_with_cross_entropy_loss(x, np.log(q)),
)
for wrong in ([1.5, -0.5], [np.nan, 1], [np.inf, 1]):
    case(
        "SoftmaxWithCrossEntropyLoss",
        [(2, 2)] * 2,
        WEIGHT,
        values={1: [0, 0, *wrong]},
        error="along axis 1 at [1], expected weights: at least 0",
    )
case("SoftmaxWithLoss", SCORES, WEIGHT, error="target_is_weight is not an option of")
case("SoftmaxWithLoss", SCORES, TARGET, error="target_is_prob is not an option of SoftmaxWithLoss")
case("SoftmaxWithCrossEntropyLoss", [(4, 5), (4, 5, 1)], error="expected (4, 5), the shape of")
case(
    "SoftmaxWithCrossEntropyLoss",
    [(4, 5)] * 2,
    "softmax_param { axis: 2 }",
    error="axis: 2 is out of range",
)
case("SoftmaxWithCrossEntropyLoss", [(4, 5)] * 2, "softmax_param { engine: CUDNN }", error="CUDNN")
case("SoftmaxWithCrossEntropyLoss", [(4, 5)] * 2, error='bottom[1] "x1" has no gradient')


def st_loss(theta, rows, columns):
    """One place of one sample after another."""
    total = 0
    for sample, s, t in np.ndindex(len(theta), rows, columns):
        p = theta[sample].reshape(2, 3) @ (2 * s / rows - 1, 2 * t / columns - 1, 1)
        total += (np.maximum(0, abs(p) - 1) ** 2).sum() / 2
    return total / (len(theta) * rows * columns)


ST = "st_loss_param { output_H: 4 output_W: 3 }"
case("STLoss", [(5, 6)], ST, expect=partial(st_loss, rows=4, columns=3))
case("STLoss", [(2, 2, 3)], ST, expect=partial(st_loss, rows=4, columns=3))
# By hand: one of two samples reaches from 0 to 2 downwards, at 0, 0.5, 1 and 1.5
case("STLoss", [(2, 6)], ST, values={0: [1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0]}, golden=0.25 / 16,
     gradient=False)  # fmt: skip
for shape, options, error in [
    ((5, 4), ST, 'bottom[0] "x0" has shape (5, 4), expected (N, 6)'),
    ((5, 6), "", "output_H must be given"),
    ((5, 6), "st_loss_param { output_H: 4 }", "output_W must be given"),
    ((5, 6), "st_loss_param { output_H: 0 output_W: 3 }", "output_H: 0 is below 1"),
]:
    case("STLoss", [shape], options, error=error)


def loc_loss(x, threshold):
    return (np.maximum(0, abs(x) - threshold) ** 2).sum() / 2 / x.size


LOC = "loc_loss_param { threshold: 0.5 }"
case("LocLoss", [(4, 2)], LOC, expect=partial(loc_loss, threshold=0.5), kink=(-0.5, 0.5))
case("LocLoss", [(2, 3, 1)], LOC, expect=partial(loc_loss, threshold=0.5), kink=(-0.5, 0.5))
for options, error in [
    ("", "threshold must be given, a number above 0"),
    ("loc_loss_param { threshold: 0 }", "threshold is 0, expected a number above 0"),
    ("loc_loss_param { threshold: nan }", "threshold is nan"),
]:
    case("LocLoss", [(4, 2)], options, error=error)

case("TVLoss", [(2, 3, 4, 5)], batch_axis=None, expect=ref.tv_loss)
case("TVLoss", [(4, 5)], batch_axis=None, expect=ref.tv_loss)
for beta in (1, 2.5):
    case(
        "TVLoss",
        [(2, 3, 4, 5)],
        f"tv_loss_param {{ beta: {beta} }}",
        batch_axis=None,
        expect=partial(ref.tv_loss, beta=beta),
    )
case(  # the value that the layer's own test in the fork has
    "TVLoss",
    [(1, 3, 4, 10)],
    "tv_loss_param { beta: 2.5 }",
    values={0: np.arange(120) / 10},
    golden=82.0137624747,
)
case("TVLoss", [(3, 4)], "tv_loss_param { beta: 0 }", error="beta is 0, expected more than 0")
case("TVLoss", [(3,)], error="expected at least 2 axes")

case("StyleLoss", [(2, 3, 4, 5), (2, 3, 3)], expect=ref.style_loss)
case("StyleLoss", [(2, 3, 7), (1, 3, 3)], batch_axis=None, expect=ref.style_loss)
case(  # by hand: G = [[5, 11], [11, 25]], A = [[1, 0], [0, 1]] * 4, C = M = 2
    "StyleLoss",
    [(1, 2, 2), (1, 2, 2)],
    values={0: [1, 2, 3, 4], 1: [1, 0, 0, 1]},
    golden=(1 + 2 * 11**2 + 21**2) / (4 * 2**2 * 2**2),
)
case("StyleLoss", [(2, 3, 4), (2, 3, 4)], error="expected (1 or 2, 3, 3), for the channels of")
case("StyleLoss", [(2, 3, 4), (3, 3, 3)], error="expected (1 or 2, 3, 3), for the channels of")
case("StyleLoss", [(3,), (1, 3, 3)], error="has shape (3,), expected at least 2 axes")
