"""A source of picture files with pictures of labels, as nets for segmentation learn from."""

from contextlib import contextmanager

from ..errors import DataError
from ..proto.caffe_pb2 import ResizeParameter
from ..reading import lines
from .geometry import resized
from .image import GRAY_LABELS, decode
from .image_list import ImageListSource, picture_shape, read_picture


class ImagePairSource(ImageListSource):
    """Pairs of picture files that a text file lists; a sample is (pixels, labels).

    Labels are 1 x height x width, as stored. The parameters are those of ImageListSource, but each
    line is `NAME LABEL_NAME`, and `labels_as` says how pictures of labels are decoded: as
    GRAY_LABELS or INDICES. Labels are resized to the nearest pixel's. `root_of_labels` stands
    before their names, if given, and their sides are those of the picture by `label_divide_factor`.
    """

    def __init__(
        self, *args, labels_as=GRAY_LABELS, root_of_labels="", label_divide_factor=1, **options
    ):
        self.labels_as = labels_as
        self.root_of_labels, self.factor = root_of_labels, label_divide_factor
        super().__init__(*args, **options)
        self.size_of_labels = self.size and self._divided(self.size)

    def _divided(self, sides):
        return tuple(side // self.factor for side in sides)

    def _label_path(self, name):
        return self.root_of_labels + name if self.root_of_labels else self.path(name)

    def read_entries(self, list_path):
        return read_pairs(list_path)

    def read_entry(self, entry):
        picture, labels = self.path(entry[0]), self._label_path(entry[1])
        pixels = read_picture(picture, self.color, self.size)
        with naming_labels(labels):
            classes = decode(labels, self.labels_as)
        if self.size:
            classes = resized(classes, *self.size_of_labels, [ResizeParameter.NEAREST])
        self._check_alike(pixels.shape, classes.shape, labels)
        return pixels, classes

    def label_of_entry(self, entry):
        return self.read_entry(entry)[1]

    def shape_of_entry(self, entry):
        shape, labels = super().shape_of_entry(entry), self._label_path(entry[1])
        with naming_labels(labels):
            shape_of_labels = picture_shape(labels, self.labels_as, self.size_of_labels)
        self._check_alike(shape, shape_of_labels, labels)
        return shape

    def _check_alike(self, shape, shape_of_labels, labels):
        wanted = self._divided(shape[1:])
        if shape_of_labels[1:] != wanted:
            sizes = (" x ".join(map(str, size)) for size in (wanted, shape_of_labels[1:]))
            raise DataError('{} pixels, but {} labels in "{}"'.format(*sizes, labels))


def read_pairs(path):
    """[(name, name of its labels)] of a list, a line `NAME LABEL_NAME` for each pair."""
    pairs = [line.split() for line in lines(path, "a list of pairs of pictures")]
    while pairs and not pairs[-1]:
        del pairs[-1]
    for number, names in enumerate(pairs, 1):
        if len(names) != 2:
            raise DataError(
                f"{path}:{number}: {len(names)} words, expected the name of a picture and "
                "that of its labels"
            )
    if not pairs:
        raise DataError(f"{path}: lists no pictures")
    return [tuple(names) for names in pairs]


@contextmanager
def naming_labels(path):
    """Let a DataError say that it is of the picture of the labels."""
    try:
        yield
    except DataError as problem:
        raise DataError(f'labels "{path}": {problem}') from None
