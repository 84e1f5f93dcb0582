"""Nets that say something of each pixel of a picture."""

from __future__ import annotations

import logging
import math
from typing import Any, NamedTuple

import numpy as np

from .. import rng
from ..data.geometry import resized
from ..data.image_list import read_picture
from ..data.transform import DataTransformer
from ..errors import DataError, NetError
from ..layers.activation.sigmoid import Sigmoid
from ..net import memory
from ..net.receptive import receptive_fields
from ..proto import caffe_pb2
from ..types import Array, Path
from .answers.edges import Edges
from .answers.pixels import Pixels
from .picture_net import PictureNet
from .preprocessing import Preprocessing, subtract_from_channels
from .tiles import Axis, Tile, sampled
from .way_back import WayBack

log = logging.getLogger("caffelite")

BAND = 1 << 22  # values of an answer that are looked at at once


class Seen(NamedTuple):
    """What a net sees of a picture: values, the way back from them, the picture's sides."""

    values: Array  # channels x height x width
    way: WayBack
    height: int
    width: int
    name: str


class PixelNet(PictureNet):
    """A net with an answer for each pixel: FCN, SegNet, U-Net, DeepLab, HED and their kind.

    A picture is shown to it as large as it is where the net takes any size, mirrored at its edges
    where the net takes less than any size, or answers less than it sees. It is resized where `size`
    or the net's data say so, or where the net takes one size alone. The answer is brought back to
    the picture's size.

    Parameters
    ----------
    model, weights, preprocessing, options : as of a PictureNet, `crops` left out
    size : (height, width) that pictures are resized to
    tile : (height, width) of tiles that pictures are cut into, None for no tiles
    overlap : what tiles share, of both sides [what a value sees, at most a quarter of a tile]
    probabilities : whether `answer` gives those of all classes, too
    """

    def __init__(
        self,
        model: str,
        weights: Path,
        preprocessing: Preprocessing,
        size: tuple[int, int] | None = None,
        tile: tuple[int, int] | None = None,
        overlap: int | None = None,
        probabilities: bool = False,
        **options: Any,
    ) -> None:
        self.model, self.wanted, self.tile, self.overlap = model, size, tile, overlap
        self.probabilities = probabilities
        super().__init__(model, weights, preprocessing, **options)
        if self.output in self.net.outputs:
            self.net.economize(forward_only=True)

    def _transformer(self, preprocessing: Preprocessing, crops: str) -> tuple[Any, DataTransformer]:
        self.kind = self._kind()
        self.axes = self._axes()
        self._warn_of_overlap()
        transform = caffe_pb2.TransformationParameter()
        transform.CopyFrom(preprocessing.transform)
        for name in ("mirror", "crop_size", "crop_h", "crop_w", "force_color", "force_gray"):
            transform.ClearField(name)
        if self.wanted or self.tile:
            transform.ClearField("resize_param")
        told = preprocessing.size if preprocessing.shape is None else None  # not that of its data
        size = self.wanted or (None if self.tile else told)
        if not all(axis.takes_any for axis in self.axes):
            size = self._own_size(size)
            if transform.HasField("resize_param"):
                height, width = self.shape[1:]
                transform.resize_param.height, transform.resize_param.width = height, width
        if transform.HasField("resize_param"):
            size = None
        subtract_from_channels(transform)
        return size, DataTransformer(transform, train=False)

    def _own_size(self, size: tuple[int, int] | None) -> tuple[int, int] | None:
        """The size of pictures for a net that takes one size alone."""
        own = self.shape[1], self.shape[2]
        for flag, given in (
            ("tile", self.tile),
            ("resize", self.wanted and not self.tile and size),
        ):
            if given and tuple(given) != own:
                raise NetError(
                    f"{self.model}: takes {own[0]} x {own[1]} pixels alone, not {given[0]} x "
                    f"{given[1]}; give --{flag} {own[0]}x{own[1]}, or another size in the net"
                )
        return size if self.tile else own

    def _kind(self) -> type:
        layer, shape = self.answering()
        if len(shape) == 4 and shape[1] == 1 and layer.applies == Sigmoid.type:
            return Edges
        if Pixels.fits(layer, shape) or (len(shape) == 4 and shape[1] == 3):
            return Pixels
        raise NetError(
            f'{self.model}: "{self.output}", of {layer.at}, has the shape {shape}; expected scores '
            "of classes, labels of an ArgMax along axis 1, or one plane of a Sigmoid, height x "
            "width; --output names another blob, and caffelite predict says what other nets answer"
        )

    @property
    def classes(self) -> int:
        """How many it tells apart, 1 where its answer does not say."""
        return self.answering()[1][1]

    def _axes(self) -> tuple[Axis, Axis]:
        """What the net's layers tell of sizes: of heights, of widths."""
        fields = receptive_fields(self.net.nodes)
        strides = [reach.stride for reaches in fields.values() for reach in reaches[:2]]
        period = math.lcm(*(math.ceil(stride) for stride in strides if stride))
        maker = next(node for node in reversed(self.net.nodes) if self.output in node.top_names)
        reaches = [*fields.get(maker, [])[:2], None, None]
        own = list(self.shape[1:])

        def counting(axis):
            def count(size):
                sides = [*own[:axis], size, *own[axis + 1 :]]
                try:
                    return self._take(*sides)[axis]
                except NetError:
                    return None

            return count

        rows, columns = (Axis(own[i], counting(i), reaches[i], period) for i in (0, 1))
        self._take(*own)
        return rows, columns

    def _take(self, height: int, width: int) -> tuple[int, int]:
        """Let the net take so many pixels; returns the height and width of its answer."""
        self.net.blobs[self.input].reshape(1, self.shape[0], height, width)
        self.net.reshape()
        rows, columns = self.net.blobs[self.output].shape[2:]
        return rows, columns

    def _warn_of_overlap(self) -> None:
        told = []  # (overlap, that with which tiles answer what the whole does) of each axis
        for axis, tile in zip(self.axes, self.tile or (), strict=False):
            exact = axis.exact_overlap(tile)
            overlap = axis.usual_overlap(tile) if self.overlap is None else self.overlap
            told.append((overlap, math.inf if exact is None else exact))
        if any(overlap < exact for overlap, exact in told):
            most = max(exact for _, exact in told)
            log.warning(
                "tiles overlap by %d, so that near where they meet the answer may differ from "
                "that to the whole picture; %s",
                min(overlap for overlap, _ in told),
                f"--overlap {most} makes it the whole's"
                if most < math.inf
                else "a value sees all of it",
            )

    def look(self, picture: str | Array) -> Seen:
        """What the net sees of a picture: a file, or uint8 pixels, 3 x height x width, blue
        first."""
        name, way = picture if isinstance(picture, str) else "a picture", WayBack()
        try:
            if isinstance(picture, str):
                pixels = read_picture(picture, self.shape[0] == 3)
            else:
                pixels = self._read(picture)
            height, width = pixels.shape[1:]
            if self.size:
                pixels = resized(pixels, *self.size)
            (pixels,) = self.transformer.prepare(pixels, rng.generator(0), way)
            self.transformer.output_shape(pixels.shape)
            self._check_memory(pixels.shape[1:], (height, width))
        except DataError as problem:
            raise DataError(f"{name}: {problem}") from None
        values = np.empty((1, *pixels.shape), np.float32)
        self.transformer.transform([pixels], rng.generator(0), values)
        return Seen(values[0], way, height, width, name)

    def _tiles(self, sides: tuple[int, ...]) -> list[list[Tile]]:
        """The tiles of each axis for what is seen of a picture."""
        tile = self.tile or (None, None)
        if self.tile is None and not all(axis.takes_any for axis in self.axes):
            return [[Tile(0, side, 0, side)] for side in sides]
        return [
            axis.cover(side, of, self.overlap)
            for axis, side, of in zip(self.axes, sides, tile, strict=True)
        ]

    def _check_memory(self, sides: tuple[int, ...], picture: tuple[int, int]) -> None:
        """A DataError where the net needs more memory for a picture than there is."""
        largest = [tiles[0].size for tiles in self._tiles(sides)]
        kept, free = self._kept(sides, picture), memory.available()
        try:
            self._take(*largest)
            needed = kept + 4 * memory.to_come(self.net.nodes)
        except NetError:  # more values than a blob can have
            needed = math.inf
        if needed <= free:
            return
        of = "tiles of " if self.tile else ""
        takes = "more than a blob can hold" if needed == math.inf else f"{needed / 1e9:.1f} GB"
        if kept > free / 2:
            without = " without --probabilities, or" * self.probabilities
            way = (
                f"{kept / 1e9:.1f} GB of it are the answer and the picture, in tiles, too: they "
                f"take less{without} as a smaller picture"
            )
        else:
            smaller = "smaller " * bool(self.tile)
            way = f"cut into {smaller}tiles they take less: --tile {self._tile_for(free - kept)}"
        raise DataError(
            f"{picture[0]} x {picture[1]} pixels, which the net sees in {of}{largest[0]} x "
            f"{largest[1]}, take {takes} of memory, and {free / 1e9:.1f} GB are free; {way}"
        )

    def _kept(self, sides: tuple[int, ...], picture: tuple[int, int]) -> int:
        """The bytes of what the net sees of a picture, and of the answer to all of it."""
        planes = 1 + 2 * self.classes * self.probabilities  # once more as the bytes of a file
        return 4 * (self.shape[0] * math.prod(sides) + planes * math.prod(picture))

    def _tile_for(self, free: float) -> int:
        """A side of tiles that fits in half of the memory."""
        own = self._take(*self.shape[1:]) and 4 * memory.size(self.net.nodes, "data")
        side = math.sqrt(free / 2 * self.shape[1] * self.shape[2] / own)
        period = max(axis.period for axis in self.axes)
        return max(int(side) // period, 1) * period

    def answer(self, seen: Seen) -> tuple[Array, Array | None]:
        """(height x width labels, or the plane of an edge net; probabilities if they are wanted)"""
        labels = np.empty((seen.height, seen.width), np.float32 if self.kind is Edges else np.int32)
        scores = None
        rows, columns = self._tiles(seen.values.shape[1:])
        for row in rows:
            for column in columns:
                answer = self._answer_of(seen, row, column)
                if self.probabilities and scores is None:
                    scores = np.empty((len(answer), *labels.shape), np.float32)
                self._put(answer, seen, (row, column), labels, scores)
        return labels, scores

    def _answer_of(self, seen, row, column):
        """What the net answers to a tile, classes x height x width."""
        height, width = seen.values.shape[1:]
        try:
            self._take(row.size, column.size)
            part = seen.values[:, row.places(height)[:, None], column.places(width)]
            self.net.blobs[self.input].data[0] = part
            self.net.forward()
            answer = self.net.blobs[self.output].data[0]
        except MemoryError:
            raise DataError(
                f"{seen.name}: {row.size} x {column.size} pixels at once take more memory than "
                f"there is; cut it into tiles: --tile {min(row.size, column.size) // 2}"
            ) from None
        if not np.isfinite(answer).all():
            raise NetError(
                f'{seen.name}: the net answers numbers in "{self.output}" that are not finite; are '
                "its weights those of a training that diverged?"
            )
        return answer

    def _put(self, answer, seen, tiles, labels, scores):
        """Bring the answer to a tile to its places in the picture."""
        (rows, at_rows), (columns, at_columns) = (
            self._span(seen, axis, tile) for axis, tile in enumerate(tiles)
        )
        if self._tells_labels(answer):
            at_rows, at_columns = np.rint(at_rows), np.rint(at_columns)
        band = max(1, BAND // max(1, len(answer) * len(at_columns)))
        for first in range(0, len(at_rows), band):
            planes = sampled(answer, at_rows[first : first + band], at_columns)
            to = slice(rows.start + first, rows.start + first + planes.shape[1]), columns
            labels[to] = planes[0] if len(planes) == 1 else planes.argmax(axis=0)
            if scores is not None:
                scores[(slice(None), *to)] = self._probabilities(planes)

    def _span(self, seen, axis, tile):
        """(which rows or columns of the picture a tile answers, where in its answer these lie)"""
        length = (seen.height, seen.width)[axis]
        size = seen.values.shape[1 + axis]
        factor, shift = seen.way.factor[1 - axis], seen.way.shift[1 - axis]
        places = ((np.arange(length) + 0.5) / length * factor + shift) * size - 0.5
        places = places.round(6)  # whole numbers where nothing was resized
        first = np.searchsorted(places, tile.low - 0.5) if tile.low else 0
        last = np.searchsorted(places, tile.high - 0.5) if tile.high < size else length
        return slice(first, last), self.axes[axis].answers_at(places[first:last], tile).round(6)

    def _tells_labels(self, answer):
        """Whether the answer is labels, which are not to be mixed."""
        return len(answer) == 1 and self.kind is Pixels

    def _probabilities(self, planes):
        """Probabilities of classes, of what the net's last layer makes."""
        if self.answering()[0].applies:  # a Softmax or Sigmoid has made them
            return planes
        powers = np.exp(planes - planes.max(axis=0))
        return powers / powers.sum(axis=0)
