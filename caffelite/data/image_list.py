"""A source of picture files with labels, which a text file lists, as ImageData reads them."""

import logging
import re

from .. import rng
from ..errors import DataError
from ..reading import integer, lines
from .geometry import at_least, resized, resized_shape
from .image import decode, decoded_shape
from .order import LabelOrder, Order
from .source import Source

log = logging.getLogger("caffelite")

_LABEL = re.compile(r"\s*([+-]?\d+)", re.ASCII)


class ImageListSource(Source):
    """The picture files that a text file lists; a sample is (pixels, label).

    Parameters
    ----------
    list_path
        text file with a line `NAME LABEL` for each picture
    root_folder
        what stands before each name, as it is: with a slash at its end if it is a folder
    color
        whether to decode to 3 channels, else 1
    size
        (height, width) to resize to, or None
    shuffle
        take another order in each pass, by the attribute `seed` and the number of the pass
    rand_skip
        if not 0, start at one of the first `rand_skip` places, by `seed`
    label_shuffle
        take the pictures in a LabelOrder
    least
        (height, width) that each picture has at least, resized in proportion if it has not, or None
    """

    classes = ()  # names of the classes that labels count, if they have some

    def __init__(
        self,
        list_path,
        root_folder="",
        color=True,
        size=None,
        shuffle=False,
        rand_skip=0,
        label_shuffle=False,
        least=None,
    ):
        self.list_path, self.root_folder = list_path, root_folder
        self.color, self.size, self.rand_skip = color, size, rand_skip
        self.least = least if size is None else None
        self.order = LabelOrder(self._labels, list_path) if label_shuffle else Order(shuffle)
        self.entries = self.read_entries(list_path)
        if rand_skip > len(self.entries):
            raise DataError(
                f"{list_path}: rand_skip: {rand_skip}, but it lists {len(self.entries)} pictures "
                "only"
            )

    def __len__(self):
        return self.order.pass_size(len(self.entries))

    def sample(self, number):
        """(pixels, label) of picture `number`."""
        with self.named(number):
            return self.read_entry(self.entries[self._line(number)])

    def shape(self, number):
        """The shape of pixels of picture `number`, of which only the head is read."""
        with self.named(number):
            return self.shape_of_entry(self.entries[self._line(number)])

    def read_entries(self, list_path):
        """What the lines of the list say."""
        return read_list(list_path)

    def read_entry(self, entry):
        """(pixels, label) of what a line says."""
        name, label = entry
        pixels = read_picture(self.path(name), self.color, self.size)
        return resized(pixels, *self._size_of(pixels.shape)), label

    def path(self, name):
        """Where the picture of a name lies."""
        return self.root_folder + name

    def shape_of_entry(self, entry):
        """The shape of pixels of what a line names."""
        shape = picture_shape(self.path(entry[0]), self.color, self.size)
        return resized_shape(shape, *self._size_of(shape))

    def _size_of(self, shape):
        return at_least(shape, *self.least) if self.least else shape[1:]

    def name(self, number):
        line = self._line(number)
        return f'{self.list_path}:{line + 1}: "{self.path(self.entries[line][0])}"'

    def _line(self, number):
        if self.rand_skip:
            number += int(rng.generator(self.seed, 4).integers(self.rand_skip))
        return self.order.index(number, len(self.entries), self.seed)

    def _labels(self):
        return [label for _, label in self.entries]


def read_list(path, strict=False):
    """[(name, label)] of a list: a line splits at its last space; no number there means 0.

    That is warned about, or, `strict`, an error.
    """
    entries, odd = [], []
    for number, line in enumerate(lines(path, "a list of pictures with labels"), 1):
        line = line.removesuffix("\n")
        name, space, text = line.rpartition(" ")
        found = _LABEL.match(text)
        label = integer(found[1], f"{path}:{number}", "the label") if found else 0
        if not space or not found or found.end() < len(text.rstrip()):
            odd.append(f'{path}:{number}: expected a label, a whole number, at the end of "{line}"')
        entries.append((name if space else line, label))
    if entries in ([], [("", 0)]):
        raise DataError(f"{path}: lists no pictures")
    if odd and strict:
        raise DataError(odd[0])
    if odd:
        log.warning("%s; what is there counts as Caffe reads it (%d such lines)", odd[0], len(odd))
    return entries


def read_picture(path, color=True, size=None):
    """Pixels of a picture file, channels x height x width, resized to `size` if given."""
    pixels = decode(path, color)
    return pixels if size is None else resized(pixels, *size)


def picture_shape(path, color=True, size=None):
    """The shape of what `read_picture` gives."""
    shape = decoded_shape(path, color)
    return shape if size is None else resized_shape(shape, *size)
