"""A source of picture files with pictures of labels, as nets for segmentation learn from."""

from contextlib import contextmanager

from ..errors import DataError
from ..proto.caffe_pb2 import ResizeParameter
from ..reading import lines
from .geometry import resized
from .image import decode
from .image_list import ImageListSource, picture_shape, read_picture


class ImagePairSource(ImageListSource):
    """Pairs of picture files that a text file lists; a sample is (pixels, labels).

    Labels are 1 x height x width, as stored. The parameters are those of ImageListSource, but each
    line is `NAME LABEL_NAME`. Labels are resized to the nearest pixel's.
    """

    def read_entries(self, list_path):
        pairs = [line.split() for line in lines(list_path)]
        while pairs and not pairs[-1]:
            del pairs[-1]
        for number, names in enumerate(pairs, 1):
            if len(names) != 2:
                raise DataError(
                    f"{list_path}:{number}: {len(names)} words, expected the name of a picture and "
                    "that of its labels"
                )
        if not pairs:
            raise DataError(f"{list_path}: lists no pictures")
        return [tuple(names) for names in pairs]

    def read_entry(self, entry):
        picture, labels = map(self.path, entry)
        pixels = read_picture(picture, self.color, self.size)
        with _naming_labels(labels):
            classes = decode(labels, color=False)
        if self.size:
            classes = resized(classes, *self.size, [ResizeParameter.NEAREST])
        _check_alike(pixels.shape, classes.shape, labels)
        return pixels, classes

    def shape_of_entry(self, entry):
        shape, labels = super().shape_of_entry(entry), self.path(entry[1])
        with _naming_labels(labels):
            shape_of_labels = picture_shape(labels, color=False, size=self.size)
        _check_alike(shape, shape_of_labels, labels)
        return shape


@contextmanager
def _naming_labels(path):
    """Let a DataError say that it is of the picture of the labels."""
    try:
        yield
    except DataError as problem:
        raise DataError(f'labels "{path}": {problem}') from None


def _check_alike(shape, shape_of_labels, labels):
    if shape[1:] != shape_of_labels[1:]:
        sizes = (" x ".join(map(str, size[1:])) for size in (shape, shape_of_labels))
        raise DataError('{} pixels, but {} labels in "{}"'.format(*sizes, labels))
