"""Pages of samples, as they are stored and as a net sees them: what `caffelite browse` shows."""

import math
import threading
from collections import Counter
from http import HTTPStatus

import numpy as np

from .. import rng
from ..data.boxes import Boxes
from ..data.datum_pairs import DatumPairSource
from ..data.image_list import ImageListSource
from ..data.pixel_labels import BoxesAndPixels, PixelLabels
from ..errors import DataError
from ..pictures import page
from ..predict.answers.boxes import draw_boxes
from ..predict.answers.pixels import Pixels
from ..reading import integer
from .server import HEADERS, TYPES, Handler, Refusal

MOST_READ = 1 << 30  # bytes of records, to count classes or to look for one
PER_PAGE = 60
FEW = 10


class Samples:
    """The samples of a source, page by page; one thread at a time reads them.

    Parameters
    ----------
    source : of samples (pixels, label); see `caffelite.data.source`
    title : what the pages are called
    names : of the classes
    transformer : a DataTransformer for `draws` more pictures of each sample, or None
    per_page : samples on a page
    follower : a function: the Follower of a sample's label and its pixels' shape, if it has one, as
        the data layer of a net has it; None for what the label itself tells
    """

    def __init__(
        self,
        source,
        title,
        names=(),
        transformer=None,
        draws=2,
        per_page=PER_PAGE,
        follower=None,
    ):
        self.follower = follower
        self.source, self.title, self.names = source, title, names
        self.transformer, self.draws, self.per_page = transformer, draws, per_page
        self.counts, self.counted = Counter(), 0  # samples by class, of the first `counted`
        self.start = 0, None  # what the first page shows: from which sample on, of which class
        self._lock = threading.Lock()

    def most_read(self):
        """How many samples are read at most to find out about labels."""
        if isinstance(self.source, ImageListSource):  # it knows them all
            return len(self.source)
        return min(len(self.source), MOST_READ // max(1, math.prod(self.source.shape(0))))

    def count(self, progress=iter):
        """Count the samples of each class, as far as `most_read` allows; `progress` wraps them.

        Where the first FEW have no class, none has: labels may be pictures, or values.
        """
        for number in progress(range(self.most_read())):
            label = self._label(number)
            self.counted += 1
            if label is not None:
                self.counts[label] += 1
            elif self.counted == FEW and not self.counts:
                return

    def _label(self, number):
        """The class of a sample, or None where that is no whole number, or is damaged."""
        try:
            label = self.source.label(number)
        except DataError:
            return None
        return int(label) if isinstance(label, (int, np.integer)) else None

    def label_of(self, word):
        """The class that a word names, by its name or its number."""
        if word in self.names:
            return self.names.index(word)
        return integer(word, "class", least=-(2**31), error=DataError)

    def page(self, first=0, label=None, links=True):
        """The bytes of a page of samples from number `first` on, of the class `label` if given.

        `links` lead to other pages of a server.
        """
        with self._lock:
            found, end = self._find(first, label)
            parts = [page.lines([*self._facts(), *self._shown(first, label)])]
            if links and self.counts:
                parts.append(page.links(self._classes()))
            elif self.counts:
                rows = [(self._name(k), str(n)) for k, n in sorted(self.counts.items())]
                parts.append(page.table(("class", "samples"), rows, 1))
            parts.append(page.gallery([self._figure(number) for number in found]))
            if links:
                parts.append(page.links(self._others(first, end, label)))
            elif end < len(self.source):
                parts.append(page.lines([f"more follow, from sample {end} on"]))
            return page.page(self.title, parts)

    def _find(self, first, label):
        """(the numbers of the samples for a page, the number to go on from)"""
        if label is None:
            end = min(first + self.per_page, len(self.source))
            return range(first, end), end
        found, end = [], min(first + self.most_read(), len(self.source))
        for number in range(first, end):
            if self._label(number) == label:
                found.append(number)
                if len(found) == self.per_page:
                    return found, number + 1
        return found, end

    def _facts(self):
        yield f"{len(self.source)} samples"
        if self.counts and self.counted < len(self.source):
            yield f"classes are counted in the first {self.counted}"
        if self.counts:
            span = sorted({min(self.counts.values()), max(self.counts.values())})
            yield f"{len(self.counts)} classes, of {' to '.join(map(str, span))} samples"
        if self.transformer:
            yield "above as they are stored; below as the net sees them, mean and scale taken back"

    def _shown(self, first, label):
        if first or label is not None:
            of_class = "" if label is None else f", of class {self._name(label)}"
            yield f"shown from sample {first} on{of_class}"

    def _classes(self):
        yield "all", "?first=0"
        for label, count in sorted(self.counts.items()):
            yield f"{self._name(label)} ({count})", f"?class={label}"

    def _others(self, first, end, label):
        of_class = "" if label is None else f"&class={label}"
        if first and label is None:
            yield "previous", f"?first={max(0, first - self.per_page)}"
        if first:
            yield "from the start", f"?first=0{of_class}"
        if end < len(self.source):
            yield "next", f"?first={end}{of_class}"

    def _name(self, label):
        named = isinstance(label, int) and 0 <= label < len(self.names)
        return f"{label} {self.names[label]}" if named else str(label)

    def _figure(self, number):
        name = self.source.name(number)
        try:
            pixels, label = self.source.sample(number)
            seen = list(self.seen(pixels, number, label)) if self.transformer else []
        except DataError as problem:
            return page.figure(None, name, [problem])
        shown, facts = [pixels, *seen], [" x ".join(map(str, pixels.shape))]
        follower = self._follow(label, pixels.shape)
        if follower is not None:
            shown[:1] = [pixels] * (of_pixels(follower) is not None) + [marked(pixels, follower)]
            facts[:0] = self._told(follower)
        elif label is not None:
            label = label.tolist() if hasattr(label, "tolist") else label
            facts.insert(0, f"label {self._name(label)}")
        return page.figure(shown, name, facts)

    def _follow(self, label, shape):
        """What belongs to places of a picture and moves along, or None; see `seen`."""
        if self.follower is not None:
            return self.follower(label, shape)
        if isinstance(self.source, DatumPairSource):
            boxes, labels = label
            pixels = PixelLabels(labels[0])
            return BoxesAndPixels(boxes, pixels) if isinstance(boxes, Boxes) else pixels
        if isinstance(label, Boxes):
            return label.copy()
        return PixelLabels(label[0]) if np.ndim(label) == 3 else None

    def _told(self, follower):
        """What a picture's boxes are, and which share of its pixels each class has."""
        if isinstance(follower, Boxes):
            yield from map(self._box, follower.rows())
        pixels = of_pixels(follower)
        if pixels is not None:
            labels, counts = np.unique(pixels.labels, return_counts=True)
            for label, share in list(zip(labels.tolist(), counts / counts.sum(), strict=True))[
                :FEW
            ]:
                name = "void" if label == pixels.void else self._name(int(label))
                yield f"{name}: {100 * share:.3g} %"

    def _box(self, row):
        """A row of Boxes in words."""
        corners = ", ".join(f"{value:.3g}" for value in row[3:7])
        return f"{self._name(int(row[1]))}: {corners}{' difficult' if row[7] else ''}"

    def seen(self, pixels, number, label=None):
        """What the transformer makes of a sample, several times, from 0 to 255 where that was so.

        Of several crops the first is shown, boxes with frames, labels of pixels in colors.
        """
        made = self.transformer
        for draw in range(self.draws):
            boxes = self._follow(label, pixels.shape)
            images = made.prepare(pixels, rng.generator(draw, 5, number), boxes)
            shape = made.output_shape(images[0].shape)
            out = np.empty((made.crops_per_sample, *shape), np.float32)
            made.transform(
                images, rng.generator(draw, 0, number), out, None if boxes is None else [boxes]
            )
            made.finish(out[0], rng.generator(draw, 6, number), boxes)
            stored = self._as_stored(out[0], pixels.dtype)
            yield stored if boxes is None else marked(stored, boxes)

    def _as_stored(self, values, dtype):
        if dtype != np.uint8 or not self.transformer.scale:
            return values
        values = values / self.transformer.scale
        if self.transformer.mean is not None:
            values += self.transformer.mean.mean(axis=(1, 2), keepdims=True)
        return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def of_pixels(follower):
    """The PixelLabels among what follows a picture, or None."""
    return getattr(follower, "pixels", follower if isinstance(follower, PixelLabels) else None)


def marked(pixels, follower):
    """Blue, green and red of a picture, in the colors of its pixels' classes, if these have labels.

    Around each box is a frame in the color of its class.
    """
    planes = pixels[2::-1] if len(pixels) in (3, 4) else np.repeat(pixels[:1], 3, axis=0)
    if planes.dtype != np.uint8:
        return pixels
    picture, labels = planes.transpose(1, 2, 0), of_pixels(follower)
    if labels is not None:
        picture = Pixels(labels.picture()[0].astype(int)).overlay(picture)
    boxes = follower if isinstance(follower, Boxes) else Boxes()
    height, width = pixels.shape[1:]
    places = boxes.corners[:, [1, 0, 3, 2]] * (height, width, height, width)
    told = [(place, label, "") for place, label in zip(places, boxes.labels.tolist(), strict=True)]
    return draw_boxes(picture, told).transpose(2, 0, 1)[::-1]


class Pages(Handler):
    """Serves the pages of Samples, by ?first=NUMBER&class=NUMBER."""

    headers_sent = HEADERS | {
        "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    }

    def _get(self, name, given):
        if name:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is no such page")
        samples = self.server.data
        if not given:
            return TYPES[".html"], samples.page(*samples.start)
        last = len(samples.source) - 1
        first = integer(given.get("first", "0"), "first", least=0, most=last)
        label = samples.label_of(given["class"]) if "class" in given else None
        return TYPES[".html"], samples.page(first, label)

    def _post(self, name, given):
        raise Refusal(HTTPStatus.NOT_FOUND, "there is nothing to be sent")
