"""Curves as a picture, with matplotlib."""

import io

from ..errors import missing_extra
from .curves import is_loss

# Told apart by people with any kind of color vision.  Okabe, Ito 2008
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def picture(panels, x, log, kind):
    """The bytes of a picture: the panels of `curves.panels` below each other, over one x axis."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise missing_extra("matplotlib", "plot") from None
    style = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with rc_context({**style, "svg.hashsalt": "caffelite"}):
        figure = Figure(figsize=(8, 0.6 + 2.3 * len(panels)), layout="constrained")
        every = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, curves) in zip(every, panels.items(), strict=True):
            _draw(axes, name, curves, log)
        every[-1].set_xlabel(x)
        data = io.BytesIO()
        # without the date, so that the same curves give the same bytes
        dateless = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        figure.savefig(data, format=kind, dpi=120, metadata=dateless.get(kind))
    return data.getvalue()


def _draw(axes, name, curves, log):
    runs = list(dict.fromkeys(curve.run for curve in curves))
    both = len({curve.phase for curve in curves}) > 1
    for curve in curves:
        color = _COLORS[runs.index(curve.run) % len(_COLORS)]
        test = curve.phase == "test"
        look = {"marker": "o", "markersize": 3.5, "linewidth": 1.6} if test else {"linewidth": 1}
        faint = {"alpha": 0.55} if both and not test else {}
        label = f"{curve.run}, {curve.phase}" if both else curve.run
        axes.plot(curve.x, curve.y, color=color, label=label, **look, **faint)
        if curve.band:
            axes.fill_between(curve.x, *curve.band, color=color, alpha=0.15, linewidth=0)
    axes.set_title(name, loc="left", fontsize=10, fontweight="bold")
    axes.grid(alpha=0.25, linewidth=0.6)
    if log and is_loss(name):
        axes.set_yscale("log")
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=8)
