"""Picture files with pictures of labels, from a text file that lists them."""

from ..errors import DataError
from ..proto.caffe_pb2 import ResizeParameter
from ..reading import lines
from .geometry import resized
from .image import decode
from .image_list import ImageListSource, read_picture


class ImagePairSource(ImageListSource):
    """(pixels, labels) of the k-th pair of a list; labels are 1 x height x width, as stored.

    The parameters are those of ImageListSource, but each line is `NAME LABEL_NAME`. Labels are
    resized to the nearest pixel's.
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
        picture, labels = (self.root_folder + name for name in entry)
        pixels, classes = read_picture(picture, self.color, self.size), decode(labels, color=False)
        if self.size:
            classes = resized(classes, *self.size, [ResizeParameter.NEAREST])
        if classes.shape[1:] != pixels.shape[1:]:
            sizes = (" x ".join(map(str, array.shape[1:])) for array in (pixels, classes))
            raise DataError('{} pixels, but {} labels in "{}"'.format(*sizes, labels))
        return pixels, classes
