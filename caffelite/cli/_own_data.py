"""`caffelite init NAME --data DIR`: what there is in DIR, and the nets and solvers that fit it."""

import math
import os
import re
from collections import Counter
from dataclasses import dataclass, field

from ..errors import DataError

_TEST = re.compile(r"test|val", re.IGNORECASE)
_TRAIN = re.compile(r"train", re.IGNORECASE)
_MARKS = {"data.mdb": "LMDB", "CURRENT": "LEVELDB"}  # a file of each kind of database
_FEW = 10_000  # iterations
_LOOKED_AT = 200  # samples whose pixels are read for shapes and means


@dataclass
class Part:
    """The samples for training, or those for testing."""

    path: str
    kind: str  # LMDB, LEVELDB, TAR or list
    counts: Counter = field(default_factory=Counter)  # samples by label
    shapes: set = field(default_factory=set)  # of some
    means: list = field(default_factory=list)  # of their channels

    @property
    def samples(self):
        return self.counts.total()


class Data:
    """What a folder has: the parts `train` and `test`, the `labels` file or "", and `classes`.

    With `classes` given, the data have to agree.
    """

    def __init__(self, folder, classes=None):
        from ..data.dataset import read_names

        self.train = _part(folder, "training", _TRAIN, None)
        self.test = _part(folder, "testing", _TEST, _TRAIN)
        labels = os.path.join(folder, "labels.txt")
        self.labels = labels if os.path.isfile(labels) else ""
        names = read_names(labels) if self.labels else []
        for part in (self.train, self.test):
            _look(part)
        self.classes = _checked((self.train, self.test), names, classes, labels)

    def doubts(self):
        """Lines about classes that cannot be learned, or are not tested."""
        for part, what in ((self.train, "learned"), (self.test, "tested")):
            missing = [label for label in range(self.classes) if not part.counts[label]]
            if missing:
                some = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
                yield (
                    f"{part.path}: {len(missing)} of {self.classes} classes have no samples, and "
                    f"cannot be {what}: {some}"
                )

    def class_weights(self):
        """samples / (classes * samples of the class): all classes together weigh the same.

        Where there are none of a class, its weight is 1.
        """
        counts = [self.train.counts[label] for label in range(self.classes)]
        return [self.train.samples / (self.classes * count) if count else 1 for count in counts]


def _part(folder, purpose, wanted, other):
    try:
        names = sorted(os.listdir(folder))
    except OSError as problem:
        raise DataError(f"{folder}: cannot be read: {problem.strerror}") from None
    found = []
    for name, first in _with_shards_together(names):
        path, kind = os.path.join(folder, name), _kind(os.path.join(folder, first))
        if kind and wanted.search(name) and not (other and other.search(name)):
            found.append(Part(path, kind))
    labels = [part.path for part in found if part.path.endswith("_labels_lmdb")]
    if labels:
        raise DataError(
            f"{labels[0]}: holds pictures of labels, and --data fits classifiers: let the Data "
            f'layer of a net read it as label_source: "{labels[0]}", beside source: '
            f'"{labels[0].removesuffix("_labels_lmdb")}_lmdb", and give the layer of the scores as '
            "many outputs as there are classes"
        )
    if len(found) != 1:
        said = ", ".join(part.path for part in found) or "none"
        words = wanted.pattern.replace("|", " or ")
        raise DataError(
            f"{folder}: expected one database or list for {purpose}, with {words} in its name, "
            f"found {said}; `caffelite dataset PICTURES --test 0.2 --out DIR` makes them"
        )
    return found[0]


def _with_shards_together(names):
    """Yield (name, name): of a file, twice; of shards, what names all of them, and the first."""
    from ..data.shards import pattern_of, shard_names

    groups = {}
    for name in names:
        found = re.fullmatch(r"([^{}]*-)\d{4}(\.tar)?", name)
        groups.setdefault(f"{found[1]}{{}}{found[2] or ''}" if found else name, []).append(name)
    for key, group in groups.items():
        if key != group[0] and group == shard_names(key, len(group)):
            yield pattern_of(key, len(group)), group[0]
        else:
            yield from zip(group, group, strict=True)


def _kind(path):
    """LMDB, LEVELDB, TAR, list, or "" for what is none of them."""
    if path.endswith((".txt", ".tar")):
        kind = "list" if path.endswith(".txt") else "TAR"
        return kind if os.path.isfile(path) else ""
    for mark, kind in _MARKS.items():
        if os.path.isfile(os.path.join(path, mark)):
            return kind
    return ""


def _look(part):
    """Count the samples of a Part by label, and learn the shapes and means of some."""
    from ..data.dataset import LabeledListSource
    from ..data.datum import DATABASES, DatumSource
    from ..data.statistics import Statistics

    if part.kind == "list":
        source = LabeledListSource(part.path)
        labels = [label for _, label in source.entries]
    else:
        source = DatumSource(part.path, database=DATABASES[part.kind.lower()])
        labels = source.labels()
    part.counts, statistics = Counter(labels), Statistics()
    for number in range(0, len(labels), math.ceil(len(labels) / _LOOKED_AT)):
        pixels, _ = source.sample(number)
        part.shapes.add(pixels.shape)
        if len({shape[0] for shape in part.shapes}) == 1:
            statistics.add(pixels)
    part.means = [round(float(mean), 2) for mean in statistics.channel_means()]
    source.close()


def _checked(parts, names, classes, labels):
    """How many classes there are: --classes, or what the data have; a DataError if they differ."""
    there = {label for part in parts for label in part.counts}
    if classes and names and len(names) != classes:
        raise DataError(
            f"{labels}: names {len(names)} classes, not {classes}: leave out --classes, or make "
            "the data anew"
        )
    count = classes or len(names) or max(there) + 1
    if count < 2:
        raise DataError(f"{parts[0].path}: has one class; a classifier needs two to tell apart")
    for part in parts:
        wrong = sorted(label for label in part.counts if not 0 <= label < count)
        if wrong:
            from_1 = min(there) == 1 and max(there) == count
            hint = "; labels count from 0, these from 1" if from_1 else ""
            raise DataError(
                f"{part.path}: has the label {wrong[-1]}, expected 0 to {count - 1} for {count} "
                f"classes{hint}"
            )
    return count


# The nets


def feed(net, deploy, data, start):
    """Let a train_val net read the data, and the input of `deploy` be what it then gives.

    `start` is the folder from which paths count. Returns the batch sizes of training and testing.
    """
    from ..layers.base import layer_class
    from ..proto.caffe_pb2 import TEST, TRAIN

    (shape,) = (
        layer.input_param.shape[0].dim
        for layer in deploy.layer
        if layer_class(layer.type).role == "input"
    )
    batches = {}
    for layer in net.layer:
        if layer_class(layer.type).role != "source":
            continue
        if not layer.HasField("data_param"):
            raise DataError(
                f'layer "{layer.name}" ({layer.type}) reads no pictures, --data has some'
            )
        phase = TEST if any(rule.phase == TEST for rule in layer.include) else TRAIN
        part = data.test if phase == TEST else data.train
        batches[phase] = min(layer.data_param.batch_size, part.samples)
        _fit_means(layer.transform_param, data.train)
        resize = _fit_size(layer.transform_param, data.train, shape)
        read = _read_list if part.kind == "list" else _read_database
        read(layer, part, os.path.relpath(part.path, start), batches[phase], resize)
    return batches[TRAIN], batches[TEST]


def vary(net, data, balanced, any_turn, any_color):
    """Let the layers that read pictures for training show classes equally often, and vary more."""
    from ..layers.base import layer_class
    from ..proto.caffe_pb2 import TEST

    for layer in net.layer:
        source = layer_class(layer.type).role == "source"
        if not source or any(rule.phase == TEST for rule in layer.include):
            continue
        if balanced:
            options = getattr(layer, layer_class(layer.type).options_field)
            options.ClearField("shuffle")
            options.balanced_batches = True
        transform = layer.transform_param
        if any_turn:
            transform.mirror = transform.mirror_vertical = True
            if not transform.HasField("warp_param"):  # all of them warped would be smoother
                transform.warp_param.prob = 0.5
            transform.warp_param.rotation = 180
        if any_color:
            transform.distort_param.invert_prob = 0.5
            if len(data.train.means) == 3:
                transform.distort_param.random_order_prob = 1


def _fit_means(transform, train):
    """The data's own means, where it were those of other data, or of other channels."""
    if transform.mean_file or len(transform.mean_value) not in (0, 1, len(train.means)):
        transform.ClearField("mean_file")
        transform.mean_value[:] = train.means


def _fit_size(transform, train, shape):
    """(height, width) to resize pictures to, or None; where that is not needed, `shape` may change.

    Where a net takes crops, they are 7/8 of the pictures' sides, as Caffe's nets have it; pictures
    which are not much larger stay as they are.
    """
    sizes = {tuple(of[1:]) for of in train.shapes}
    crop = transform.crop_size and (transform.crop_size, transform.crop_size)
    crop = crop or (transform.crop_h, transform.crop_w)
    shape[1] = len(train.means)
    if all(crop):
        fits = all(
            c <= side <= 1.25 * c for size in sizes for c, side in zip(crop, size, strict=True)
        )
        return None if fits else tuple(round(8 / 7 * c) for c in crop)
    if len(sizes) > 1:
        return tuple(shape[2:])
    shape[2:] = next(iter(sizes))
    return None


def _read_database(layer, part, path, batch_size, resize):
    options = layer.data_param
    options.source, options.batch_size = path, batch_size
    options.backend = options.DB.Value(part.kind)
    if resize:
        transform = layer.transform_param.resize_param
        transform.height, transform.width = resize


def _read_list(layer, part, path, batch_size, resize):
    from ..layers.data.image_data import ImageData
    from ..proto.caffe_pb2 import TEST

    layer.type, options = ImageData.type, layer.image_data_param
    layer.ClearField("data_param")
    options.source, options.batch_size = path, batch_size
    options.root_folder = os.path.join(os.path.dirname(path), "")
    options.is_color = len(part.means) == 3
    options.shuffle = all(rule.phase != TEST for rule in layer.include)
    if resize:
        options.new_height, options.new_width = resize


# The solver


def epochs_for(samples, from_nothing):
    """How many passes: as many as show 60,000 samples where all is learned, else 30."""
    return min(100, max(10, round(60_000 / samples))) if from_nothing else 30


def keep_up(net, iterations):
    """Let statistics be those of the last few batches where a training has too few for a long mean.

    By default a batch counts for a thousandth in them, so that they come a thousand iterations
    late; what is tested then is not what was learned.
    """
    from ..layers.base import layer_class

    for layer in net.layer if iterations < _FEW else ():
        options = getattr(layer, layer_class(layer.type).options_field or "", None)
        if hasattr(options, "moving_average_fraction"):
            if not options.HasField("moving_average_fraction"):
                options.moving_average_fraction = 0.9


def schedule(solver, data, batches, epochs):
    """Let a solver train for so many epochs, and test on all samples for testing.

    Its steps come at the same share of the training as before. `batches` are the sizes of those of
    training and of testing.
    """
    from ..solver.policies import POLICIES

    epoch = math.ceil(data.train.samples / batches[0])
    longer = epochs * epoch / solver.max_iter
    solver.base_lr = float(f"{solver.base_lr / solver.iter_size:.6g}")
    solver.ClearField("iter_size")
    for name in ("stepsize", "warmup_iter", "rampup_interval"):
        if getattr(solver, name):
            setattr(solver, name, max(1, round(longer * getattr(solver, name))))
    solver.stepvalue[:] = sorted({max(1, round(longer * value)) for value in solver.stepvalue})
    solver.stageiter[:] = [max(1, round(longer * value)) for value in solver.stageiter]
    stretched = POLICIES[solver.lr_policy].longer
    if stretched:
        solver.gamma = stretched(solver.gamma, longer)
    solver.max_iter = epochs * epoch
    solver.test_iter[:] = [math.ceil(data.test.samples / batches[1])]
    solver.test_interval = epoch * max(1, epochs // 20)
    solver.snapshot = solver.test_interval * 5
    solver.display = min(epoch, max(solver.display, 20))
    solver.average_loss = solver.display
    solver.test_initialization = False
