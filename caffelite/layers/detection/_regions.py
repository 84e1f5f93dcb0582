"""What layers share that tell a detector in two stages what to learn: true boxes, and draws."""

import numpy as np

from ...kernels import boxes as geometry
from ._priors import told

BACKGROUND, IGNORED = 0, -1


def one_picture(layer, index, shape):
    """Raise unless a bottom is of a single picture."""
    if shape[0] != 1:
        raise layer.shape_error(
            index,
            shape,
            "1 on its first axis: true boxes do not tell pictures apart; to learn from several at "
            "once, write iter_size in the solver",
        )


def read_true_boxes(layer, index, blob):
    """The rows of a bottom, (G, 5): xmin, ymin, xmax, ymax, class; each is checked."""
    name, rows = layer.param.bottom[index], blob.data
    if rows.ndim < 2 or rows.shape[1] != 5 or rows.size != 5 * len(rows):
        raise layer.shape_error(index, rows.shape, "(boxes, 5): xmin, ymin, xmax, ymax, class")
    rows = rows.reshape(-1, 5).astype(np.float64)
    if not len(rows):
        raise layer.error(
            f'bottom[{index}] "{name}" has no row: the picture has no true box, and nothing can be '
            "learnt from it; leave such pictures out of the data",
            blob=name,
        )
    bad = ~np.isfinite(rows).all(axis=1)
    bad |= (geometry.area(rows[:, :4], pixels=True) <= 0) | ~(rows[:, 4] >= 1)
    if bad.any():
        row = int(np.argmax(bad))
        raise layer.error(
            f'bottom[{index}] "{name}": row {row} is {told(rows[row])}, expected a box and its '
            "class, from 1 on",
            blob=name,
        )
    return rows


def four_numbers(layer, name, default):
    """An option's four numbers, one for each of a box; four times the default if it is missing."""
    numbers = tuple(getattr(layer.options, name)) or (default,) * 4
    if len(numbers) != 4:
        raise layer.error(f"{name} has {len(numbers)} entries, expected 4: of x, y, width, height")
    return numbers


def threshold(number):
    """What a float32 option was written as: 0.3, not 0.300000012, which 0.3 would not reach."""
    return float(str(np.float32(number)))


def chosen(candidates, most, draw):
    """The candidates, or if there are more than `most`, so many of them at random, in order."""
    most = max(most, 0)
    if len(candidates) <= most:
        return candidates
    return np.sort(draw.choice(candidates, most, replace=False))
