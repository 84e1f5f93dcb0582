"""Which class is taken for which, as a picture: SVG."""

import html

import numpy as np

MOST_NUMBERS = 25  # classes of which the shares are written, too
_SIDE = 640  # pixels of the matrix, about


def svg(matrix, names):
    """The SVG text of a confusion matrix: a row for each label, a column for each answer.

    The darker a cell is, the more of its row's label are answered so; shares are in percent.
    """
    matrix = np.asarray(matrix, float)
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    count = len(names)
    cell = max(4, min(34, _SIDE // count))
    letter = max(3, min(11, cell - 1))
    left = 26 + int(0.62 * letter * max(map(len, names)))
    width, height = left + count * cell + 10, left + count * cell + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="{letter}">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        _text(left, 12, "label \\ answer, % of the label's", "start", ' font-size="11"'),
    ]
    for k, name in enumerate(names):
        middle = left + k * cell + cell // 2
        parts.append(_text(left - 4, middle + letter // 3, name, "end"))
        at = middle + letter // 3, left - 4
        parts.append(_text(*at, name, "start", f' transform="rotate(-90 {at[0]} {at[1]})"'))
    for i, j in np.argwhere(shares > 0).tolist():
        parts += _cell(left + j * cell, left + i * cell, cell, shares[i, j], count <= MOST_NUMBERS)
    parts.append(
        f'<rect x="{left}" y="{left}" width="{count * cell}" height="{count * cell}" '
        'fill="none" stroke="#888"/>'
    )
    return "\n".join([*parts, "</svg>"])


def _cell(x, y, side, share, is_written):
    yield (
        f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="rgb(30,80,170)" '
        f'fill-opacity="{share:.3f}"/>'
    )
    if is_written and share >= 0.005:
        color = "#fff" if share > 0.5 else "#222"
        words = f"{100 * share:.0f}"
        yield _text(x + side // 2, y + side // 2 + 4, words, "middle", f' fill="{color}"')


def _text(x, y, words, anchor, more=""):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{more}>{html.escape(words)}</text>'
