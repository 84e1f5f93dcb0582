"""A color for each class, the same in every picture."""

import numpy as np

from ..data.image import lettered


def color_of(labels):
    """The colors that PASCAL VOC gives labels, ... x 3, red first; 0 is black.

    Bit 3 k + c of a label is bit 7 - k of channel c.
    """
    labels = np.asarray(labels, int)[..., None]
    channels = np.arange(3)
    bits = [((labels >> (3 * k + channels)) & 1) << (7 - k) for k in range(8)]
    return np.bitwise_or.reduce(bits).astype(np.uint8)


def legend(names, width):
    """A picture of that width: a line of names, each on the color of its label, or several.

    `names` are (label, name).
    """
    words = [lettered([name], color=color_of(label % 256)) for label, name in names]
    lines, line, room = [], [], 0
    for word in words:
        word = word[:, :width]
        if line and word.shape[1] > room:
            lines.append(line)
            line = []
        room = (room if line else width) - word.shape[1]
        line.append(word)
    lines += [line] * bool(line)
    height = max((len(word) for word in words), default=0)
    picture = np.zeros((height * len(lines), width, 3), np.uint8)
    for number, line in enumerate(lines):
        left = 0
        for word in line:
            space = picture[number * height : (number + 1) * height, left : left + word.shape[1]]
            space[...] = word[0, -1]
            space[: len(word)] = word
            left += word.shape[1]
    return picture
