"""Curves as text, for terminals: a letter a curve, in color where that is wanted."""

import math

from ._color import paint

_COLORS = ("blue", "red", "green", "magenta", "yellow", "cyan")
_MARKS = "*o+x#@%&"
_MARGIN = 11  # columns for the numbers of the y axis


def lines(title, curves, width=80, height=12, log=False):
    """The lines of one panel: title, plot, x axis, and what each mark stands for."""
    scale = math.log10 if log else float
    columns = max(width - _MARGIN - 2, 20)
    shown = [
        [(x, scale(y)) for x, y in zip(c.x, c.y, strict=True) if not log or y > 0] for c in curves
    ]
    points = [point for curve in shown for point in curve]
    if not points:
        return [title, "nothing above 0 to show on a logarithmic axis"]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    cells = {}
    for k, curve in enumerate(shown):
        for column, y in _sampled(curve, left, right, columns):
            row = round(_share(y, low, high) * (height - 1)) if high > low else height // 2
            cells[row, column] = k
    result = [paint(title, "bold")]
    for row in reversed(range(height)):
        share = row / (height - 1)
        value = low * (1 - share) + high * share
        label = f"{_power(value) if log else value:.4g}" if row % 4 == 3 or row == 0 else ""
        marks = (_mark(cells.get((row, column))) for column in range(columns))
        result.append(f"{label:>{_MARGIN}} │{''.join(marks)}".rstrip())
    result.append(" " * (_MARGIN + 1) + "└" + "─" * columns)
    ends = f"{left:g}", f"{right:g}"
    result.append(" " * (_MARGIN + 2) + ends[0] + ends[1].rjust(columns - len(ends[0])))
    for k, curve in enumerate(curves):
        last = f"{curve.y[-1]:.4g}" if curve.y else ""
        result.append(f"{' ' * (_MARGIN + 2)}{_mark(k)} {curve.run} {curve.phase}, last {last}")
    return result


def _share(value, low, high):
    """How far from low to high a value is, from 0 to 1; no difference is too large for a float."""
    if math.isinf(high - low):
        value, low, high = value / 2, low / 2, high / 2
    return (value - low) / (high - low)


def _power(exponent):
    """10^exponent, or what is as good where that rounds to more than a float can be."""
    return math.pow(10, min(exponent, 308.25))


def _mark(k):
    return " " if k is None else paint(_MARKS[k % len(_MARKS)], _COLORS[k % len(_COLORS)])


def _sampled(points, left, right, columns):
    """(column, y) in each column from the first to the last point, along straight lines."""

    def column_of(x):
        return round(_share(x, left, right) * (columns - 1)) if right > left else 0

    for (x, y), (next_x, next_y) in zip(points, [*points[1:], *points[-1:]], strict=True):
        start, stop = column_of(x), column_of(next_x)
        for column in range(start, max(stop, start + 1)):
            share = (column - start) / (stop - start) if stop > start else 0
            yield column, y * (1 - share) + share * next_y
