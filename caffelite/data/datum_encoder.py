"""Picture files to Datums, as they are stored in databases; many at once, in order."""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .. import reading
from ..errors import DataError
from ..proto.caffe_pb2 import Datum, ResizeParameter
from .datum import from_pixels
from .geometry import Resize, resized, window, within
from .image import INDICES, decode
from .image import encode as to_file
from .image_list import read_picture

LOSSLESS = ("png", "bmp", "pgm", "tif", "tiff")


@dataclass
class DatumEncoder:
    """Makes a Datum of a picture file and its label.

    color : store blue, green and red (True), gray (False), or labels, as INDICES decodes them
    size : (height, width) to resize to, or None
    dims : in proportion, the least that the shorter side has, and the most that the longer one has,
        0 for none; a `size` goes before them
    cut : keep proportions, and cut off what is over on two sides, instead of squeezing
    border : keep proportions, and add a border, black, on two sides, instead of squeezing
    encoded : store files, not pixels
    kind : the files' type, "png", "jpg", ...; by default the one they have
    alike : make those files anew whose own channels are others than `color` says
    """

    color: bool | str = True
    size: tuple | None = None
    dims: tuple = (0, 0)
    cut: bool = False
    border: bool = False
    encoded: bool = False
    kind: str = ""
    alike: bool = False

    def encode(self, path, label, follower=None):
        """(the Datum of a picture file, the pixels that its readers will see).

        A `follower`, its PixelLabels, follows the picture into its size.
        """
        pixels = self._pixels(path, follower)
        if follower is not None:
            follower.finish((0, 0, 1, 1), False, pixels.shape[1:])
        if not self.encoded:
            datum = from_pixels(pixels, label)
            datum.encoded = False
            return datum, pixels
        ending = os.path.splitext(path)[1][1:].lower()
        kind = self.kind.lower() or ending
        if self.color is INDICES and (kind or "png") not in LOSSLESS:
            raise DataError(f"labels are not kept in a {kind} file; store png, or pixels")
        as_it_is = self.size is None and not any(self.dims) and self.color is not INDICES
        if as_it_is and ending.replace("jpeg", "jpg") == kind.replace("jpeg", "jpg"):
            data = reading.data(path)
            own = decode(data)
            if not self.alike or len(own) == len(pixels):
                return Datum(data=data, label=label, encoded=True), own
        data = to_file(pixels, kind)
        return Datum(data=data, label=label, encoded=True), decode(data)

    def _pixels(self, path, follower):
        if self.size is None and any(self.dims):
            pixels = decode(path, self.color)
            modes = [ResizeParameter.NEAREST] if self.color is INDICES else ()
            return resized(pixels, *within(pixels.shape, *self.dims), modes)
        if self.size is None or not (self.cut or self.border):
            return read_picture(path, self.color, self.size)
        modes = [ResizeParameter.NEAREST] if self.color is INDICES else ()
        pixels = decode(path, self.color)
        if self.border:
            mode = ResizeParameter.FIT_LARGE_SIZE_AND_PAD
            height, width = self.size
            param = ResizeParameter(
                height=height, width=width, resize_mode=mode, interp_mode=modes, pad_value=[0]
            )
            return Resize(param)(pixels, None, follower)
        return _cut(pixels, *self.size, modes, follower)

    def encode_all(self, entries, path_of, label=None):
        """Yield (name, label, Datum, pixels, problem) for each (name, label), in their order.

        path_of(name) is where the picture lies; a `label` is that of all Datums. A picture that
        cannot be read has a problem, a DataError, instead of Datum and pixels.
        """

        def one(entry):
            name, own = entry
            try:
                datum, pixels = self.encode(path_of(name), own if label is None else label)
                return name, own, datum, pixels, None
            except (DataError, OSError) as problem:
                return name, own, None, None, problem

        return in_order(one, entries)


def _cut(pixels, height, width, modes, follower):
    """As much of the picture's middle as has the proportions of height x width, in that size."""
    old_h, old_w = pixels.shape[1:]
    scale = max(height / old_h, width / old_w)
    h, w = max(1, round(height / scale)), max(1, round(width / scale))
    top, left = (old_h - h) // 2, (old_w - w) // 2
    middle = pixels[:, top : top + h, left : left + w]
    if follower is not None:
        follower.cut(window(top, left, h, w, pixels.shape))
    return resized(middle, height, width, modes)


def in_order(function, items):
    """function(item) for each item, in order, computed by threads a little ahead."""
    threads = os.cpu_count() or 1
    pool, waiting = ThreadPoolExecutor(threads), deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
