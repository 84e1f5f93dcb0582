"""A source of picture files with labels, which a text file lists, as ImageData reads them."""

import logging
import re

from .. import rng
from ..errors import DataError
from ..kept_bytes import path_of
from ..proto.caffe_pb2 import ResizeParameter
from ..reading import integer, lines
from ..reading import number as as_number
from .geometry import at_least, resized, resized_shape
from .image import INDICES, decode, decoded_shape
from .order import LabelOrder, order
from .source import Source

log = logging.getLogger("caffelite")

_LABEL = re.compile(r"\s*([+-]?\d+)", re.ASCII)
_BEHIND_A_TAB = re.compile(r"\t-?\d+\s*$")


class ImageListSource(Source):
    """The picture files that a text file lists; a sample is (pixels, label).

    Parameters
    ----------
    list_path
        text file with a line `NAME LABEL` for each picture
    root_folder
        what stands before each name, as it is: with a slash at its end if it is a folder
    color
        whether to decode to 3 channels, else 1, or INDICES, those of pictures with a palette
    size
        (height, width) to resize to, or None
    rand_skip
        if not 0, start at one of the first `rand_skip` places, by `seed`
    least
        (height, width) that each picture has at least, resized in proportion if it has not, or None
    label_count
        if not 0, each line is `NAME NUMBER ...` with so many numbers, which are the label: a tuple
    options
        those of `order`: take another one in each pass, by the attribute `seed` and the number of
        the pass
    """

    classes = ()  # names of the classes that labels count, if they have some

    def __init__(
        self,
        list_path,
        root_folder="",
        color=True,
        size=None,
        rand_skip=0,
        least=None,
        label_count=0,
        **options,
    ):
        self.list_path, self.root_folder = list_path, path_of(root_folder)
        self.color, self.size, self.rand_skip = color, size, rand_skip
        self.least = least if size is None else None
        self.label_count = label_count
        self.order = order(self._labels, list_path, **options)
        if label_count and isinstance(self.order, LabelOrder):
            raise DataError(
                f"{list_path}: {self.order.option} goes by classes, and with label_count labels "
                "are any numbers: write shuffle instead, or leave out label_count"
            )
        self.entries = self.read_entries(list_path)
        if rand_skip > len(self.entries):
            raise DataError(
                f"{list_path}: rand_skip: {rand_skip}, but it lists {len(self.entries)} pictures "
                "only"
            )

    def __len__(self):
        return self.order.pass_size(len(self.entries))

    def drawn_for(self):
        return len(self.entries) if self.order.shuffle else None

    def uneven_pass(self):
        if self._skipped and self.drawn_for() == len(self):
            return (
                f"begins at place {self._skipped} of a shuffled pass, by rand_skip, and goes on "
                "into the next one, so that some samples come twice and others never: leave out "
                "rand_skip"
            )
        return super().uneven_pass()

    def sample(self, number):
        """(pixels, label) of picture `number`."""
        with self.named(number):
            return self.read_entry(self.entries[self._line(number)])

    def shape(self, number):
        """The shape of pixels of picture `number`, of which only the head is read."""
        with self.named(number):
            return self.shape_of_entry(self.entries[self._line(number)])

    def label(self, number):
        return self.label_of_entry(self.entries[self._line(number)])

    def label_of_entry(self, entry):
        """The label in what a line says."""
        return entry[1]

    def read_entries(self, list_path):
        """What the lines of the list say."""
        return (
            read_numbers(list_path, self.label_count) if self.label_count else read_list(list_path)
        )

    def read_entry(self, entry):
        """(pixels, label) of what a line says."""
        name, label = entry
        pixels = read_picture(self.path(name), self.color, self.size)
        return resized(pixels, *self._size_of(pixels.shape), _modes(self.color)), label

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
        return self.order.index(self._skipped + number, len(self.entries), self.seed)

    @property
    def _skipped(self):
        """How many places come before that of number 0."""
        return int(rng.generator(self.seed, 4).integers(self.rand_skip)) if self.rand_skip else 0

    def _labels(self):
        return [label for _, label in self.entries]


def read_list(path, strict=False):
    """[(name, label)] of a list: a line splits at its last space; no number there means 0.

    That is warned about, or, `strict`, an error. A tab before the label will do, too, which is the
    end of a name that nobody finds to Caffe; so are lines at the end that are empty.
    """
    entries, odd = [], []
    rows = [line.removesuffix("\n") for line in lines(path, "a list of pictures with labels")]
    for number, line in enumerate(without_blank_end(rows), 1):
        name, space, text = line.rpartition("\t" if _BEHIND_A_TAB.search(line) else " ")
        found = _LABEL.match(text)
        label = integer(found[1], f"{path}:{number}", "the label") if found else 0
        if not space or not found or found.end() < len(text.rstrip()):
            odd.append(
                f'{path}:{number}: expected a label, a whole number, at the end of "{line}" '
                "(label_count of ImageData lets in others)"
            )
        entries.append((name if space else line, label))
    if not entries:
        raise DataError(f"{path}: lists no pictures")
    if odd and strict:
        raise DataError(odd[0])
    if odd:
        log.warning("%s; what is there counts as Caffe reads it (%d such lines)", odd[0], len(odd))
    return entries


def read_numbers(path, count):
    """[(name, numbers)] of a list: a line ends with `count` numbers, with spaces before each."""
    rows = without_blank_end([line.strip() for line in lines(path)])
    entries, words = [], "a number" if count == 1 else f"{count} numbers"
    for line_number, row in enumerate(rows, 1):
        at = f"{path}:{line_number}"
        name, *numbers = row.rsplit(maxsplit=count) or [""]
        if len(numbers) < count:
            raise DataError(f'{at}: expected the name of a picture and {words}, not "{row}"')
        entries.append((name, tuple(as_number(word, at, "the label", 1e38) for word in numbers)))
    if not entries:
        raise DataError(f"{path}: lists no pictures")
    return entries


def without_blank_end(rows):
    """The rows without blank ones behind the last, as editors leave them."""
    while rows and not rows[-1].strip():
        rows.pop()
    return rows


def read_picture(path, color=True, size=None):
    """Pixels of a picture file, channels x height x width, resized to `size` if given."""
    pixels = decode(path, color)
    return pixels if size is None else resized(pixels, *size, _modes(color))


def _modes(color):
    """How to resize: labels are not mixed."""
    return [ResizeParameter.NEAREST] if color is INDICES else ()


def picture_shape(path, color=True, size=None):
    """The shape of what `read_picture` gives."""
    shape = decoded_shape(path, color)
    return shape if size is None else resized_shape(shape, *size)
