"""Slow, obvious twins of caffelite/data."""

import numpy as np


def transform(image, mean=0.0, scale=1.0, corner=(0, 0), size=None, flip=False):
    """out[c, h, w] = (image[c, top + h, left + w] - mean there) * scale, with w counted from the
    right if flipped. `mean` broadcasts against the image."""
    mean = np.broadcast_to(mean, image.shape)
    height, width = size or image.shape[1:]
    out = np.empty((len(image), height, width))
    for c, h, w in np.ndindex(*out.shape):
        at = c, corner[0] + h, corner[1] + w
        out[c, h, width - 1 - w if flip else w] = (float(image[at]) - mean[at]) * scale
    return out


def round_away(x):
    """To the nearest whole number, halves away from 0, as C's round."""
    return int(np.sign(x) * np.floor(abs(float(x)) + 0.5))


def crop_window(picture, window, size, pad, square, flip, resize):
    """A window (x1, y1, x2, y2) of C x H x W as size x size, with context; 0 where there is none.

    Both axes go the same way: the interval grows about its centre, what leaves the picture is cut
    off, and the rest is resized by as much as the whole would be.
    """
    f = np.float32
    lengths = [window[2] - window[0] + 1, window[3] - window[1] + 1]
    spans, places = [], []
    for axis, length in enumerate(lengths):
        first, last = window[axis], window[axis + 2]
        fill, before = size, 0
        if pad or square:
            half = f(max(lengths) if square else length) / f(2)
            growth = f(size) / f(size - 2 * pad)
            centre = f(first) + f(length) / f(2)
            first, last = round_away(centre - half * growth), round_away(centre + half * growth)
            scale = f(size) / f(last - first + 1)
            limit = picture.shape[2 - axis]
            cut = max(0, -first), max(0, last - limit + 1)
            first, last = first + cut[0], last - cut[1]
            before = round_away(f(cut[int(axis == 0 and flip)]) * scale)
            fill = min(round_away(f(last - first + 1) * scale), size - before)
        spans.append(slice(first, last + 1))
        places.append(slice(before, before + fill))
    part = resize(picture[:, spans[1], spans[0]], *(p.stop - p.start for p in reversed(places)))
    out = np.zeros((len(picture), size, size))
    out[:, places[1], places[0]] = part[:, :, ::-1] if flip else part
    return out
