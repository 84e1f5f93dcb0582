"""Curves in the square from 0 to 1, such as precision over recall, as SVG."""

import html

from .palette import color_of

_SIDE, _LEFT, _TOP, _LINE = 300, 44, 12, 16  # pixels
_TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)


def svg(curves, x, y):
    """The SVG text of a picture of curves.

    Parameters
    ----------
    curves : {name: (xs, ys)}, all from 0 to 1
    x, y : what the axes show
    """
    height = max(_TOP + _SIDE + 40, _TOP + _LINE * (len(curves) + 1))
    width = _LEFT + _SIDE + 40 + 7 * max((len(name) for name in curves), default=0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for tick in _TICKS:
        (left, low), (right, high) = _place(tick, 0), _place(0, tick)
        edges = _place(1, tick)[0], _place(tick, 1)[1]
        parts.append(
            f'<path d="M{right} {high}H{edges[0]}M{left} {low}V{edges[1]}" stroke="#ddd"/>'
        )
        parts.append(_text(left, low + 14, f"{tick:g}", "middle"))
        parts.append(_text(right - 6, high + 4, f"{tick:g}", "end"))
    parts.append(_text(*_place(0.5, -0.1), x, "middle"))
    at = _LEFT - 32, _TOP + _SIDE // 2
    parts.append(_text(*at, y, "middle", f' transform="rotate(-90 {at[0]} {at[1]})"'))
    for k, (name, (xs, ys)) in enumerate(curves.items()):
        color = "#" + bytes(color_of(k + 1).tolist()).hex()
        points = " ".join("{},{}".format(*_place(*at)) for at in zip(xs, ys, strict=True))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        )
        beside = _LEFT + _SIDE + 12, _TOP + _LINE * (k + 1)
        parts.append(f'<path d="M{beside[0]} {beside[1] - 4}h14" stroke="{color}"/>')
        parts.append(_text(beside[0] + 19, beside[1], name, "start"))
    return "\n".join([*parts, "</svg>"])


def _place(x, y):
    """The pixel of a place in the square."""
    return round(_LEFT + _SIDE * x, 1), round(_TOP + _SIDE * (1 - y), 1)


def _text(x, y, words, anchor, more=""):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{more}>{html.escape(words)}</text>'
