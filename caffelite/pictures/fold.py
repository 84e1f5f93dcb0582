"""Which boxes of a net's picture can be drawn as one: repeated blocks, and scopes of names.

A box is a layer with those that work in place on its top. Boxes stand in the order of the file, so
that those in a row can always become one.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..proto import caffe_pb2

LEAST = 3  # boxes in a block; shorter ones are as quickly read unfolded
LONGEST = 200

_SCOPE = re.compile(
    r"[^/.]*[/.]"
)  # of inception_4a/1x1 and of layer1.0.conv1, all but the last word


@dataclass(frozen=True)
class Fold:
    """Boxes in a row that become one: `count` blocks of `period` boxes from box `first` on.

    `names` has one for each block.
    """

    first: int
    period: int
    count: int
    names: list

    def title(self):
        """What it stands for."""
        return f"{self.count} × the same block" if self.count > 1 else self.names[0]


class Edge(NamedTuple):
    """A box reads the blob `name` of another; `far` ones are named, not drawn."""

    tail: int
    head: int
    name: str
    far: bool = False


def chosen(how, boxes, edges):
    """The Folds of boxes as `dot_text` wants them, none within another; see `repeated_blocks`."""
    found = {
        "repeats": lambda: repeated_blocks(boxes, edges),
        "scopes": lambda: _outermost(scopes([box[0].name for box in boxes])),
        None: list,
    }
    if how == "fewest":
        return max(found["repeats"](), found["scopes"](), key=_saved)
    return found[how]()


def _saved(folds):
    """How many boxes fewer there are with these folds."""
    return sum(fold.period * fold.count - 1 for fold in folds)


def _outermost(folds):
    kept, end = [], 0
    for fold in folds:
        if fold.first >= end:
            kept.append(fold)
            end = fold.first + fold.period
    return kept


def in_lines(words, width=36, most=8):
    """Words in lines of about `width` letters; of more than `most`, the first ones and the last."""
    shown = [*words[: most - 2], "…", words[-1]] if len(words) > most else list(words)
    lines = []
    for word in shown:
        if lines and len(lines[-1]) + len(word) + 2 <= width:
            lines[-1] += f", {word}"
        else:
            lines.append(word)
    return lines


def repeated_blocks(boxes, edges):
    """The Folds of blocks that are alike in all but names and numbers of outputs.

    Parameters
    ----------
    boxes : for each box, the LayerParameters in it
    edges : Edges between them
    """
    wiring, last = [[] for _ in boxes], {}
    for tail, head, name, far in edges:
        wiring[head].append(name if far else tail - head)
        if not far:
            last[tail, name] = head
    cuts = [0] * (len(boxes) + 1)
    for (tail, _), head in last.items():
        for box in range(tail + 1, head + 1):
            cuts[box] += 1
    signatures = [(*map(_signature, box), *wires) for box, wires in zip(boxes, wiring, strict=True)]
    return [
        Fold(
            first,
            period,
            count,
            [
                _name_of(boxes[start : start + period])
                for start in range(first, first + period * count, period)
            ],
        )
        for first, period, count in repeats(signatures, cuts)
    ]


def _signature(param):
    """A layer's type and options without what differs from one block to the next."""
    rest = caffe_pb2.LayerParameter(type=param.type)
    for field, value in param.ListFields():
        if field.name.endswith("_param") and field.message_type:
            getattr(rest, field.name).CopyFrom(value)
            for name in ("num_output", "weight_filler", "bias_filler", "filler"):
                if name in field.message_type.fields_by_name:
                    getattr(rest, field.name).ClearField(name)
    return rest.SerializeToString(deterministic=True)


def _name_of(boxes):
    """What the names of all layers of a block begin with; if that is nothing, what it ends with."""
    names = [param.name for box in boxes for param in box]
    first, last = min(names), max(names)
    same = [a == b for a, b in zip(first, last, strict=False)]
    prefix = first[: [*same, False].index(False)].rstrip("_-./")
    return prefix if len(prefix) > 1 else boxes[-1][0].name


def scopes(names):
    """The Folds of the scopes that the boxes' names are in; of two, one may hold the other.

    Of boxes in a row called a/x, a/b/y, a/b/z, ..., all are in the scope a/, and some in a/b/. A
    scope that is left and entered again has several Folds.
    """
    words = [_SCOPE.findall(name) for name in names]
    found, open_ = [], []  # open: (scope, box that it begins at)
    for box, scope in enumerate([*words, []]):
        kept = 0
        while kept < min(len(open_), len(scope)) and open_[kept][0] == scope[kept]:
            kept += 1
        for depth in range(len(open_) - 1, kept - 1, -1):
            start = open_[depth][1]
            if box - start >= LEAST:
                name = "".join(word for word, _ in open_[: depth + 1])
                found.append(Fold(start, box - start, 1, [name]))
        del open_[kept:]
        open_ += [(word, box) for word in scope[kept:]]
    kept = {}  # the innermost scope for boxes that several hold alone
    for fold in found:
        kept.setdefault((fold.first, -fold.period), fold)
    return [kept[at] for at in sorted(kept)]


def repeats(signatures, cuts):
    """[(first, period, count)]: `count` blocks of `period` boxes from box `first` on, none twice.

    Of two that overlap, the one with more blocks is kept, or, where that saves far fewer boxes,
    the one with longer blocks. Where a repetition could start at several boxes, it starts where it
    cuts the fewest blobs: `cuts[i]` go from a box before i to box i or a later one.
    """
    numbers = {}
    codes = np.array([numbers.setdefault(s, len(numbers)) for s in signatures])
    found = [
        _aligned(start, length, period, cuts)
        for period in range(LEAST, min(len(codes) // 2, LONGEST) + 1)
        for start, length in _runs(codes[period:] == codes[:-period])
        if length >= period
    ]
    free, kept = np.ones(len(codes), bool), []
    for first, period, count in sorted(found, key=lambda f: (-(f[2] - 1) * f[1] ** 0.5, f[1])):
        boxes = slice(first, first + period * count)
        if free[boxes].all():
            free[boxes] = False
            kept.append((first, period, count))
    return sorted(kept)


def _runs(same):
    """(start, length) of each run of trues."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]])))
    return zip(steps[::2].tolist(), (steps[1::2] - steps[::2]).tolist(), strict=True)


def _aligned(start, length, period, cuts):
    """The repetition in `length` boxes, from `start` on, that are like those a period later."""
    count, spare = divmod(length + period, period)
    ends = [cuts[first] + cuts[first + count * period] for first in range(start, start + spare + 1)]
    return start + int(np.argmin(ends)), period, count
