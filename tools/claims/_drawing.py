"""How the pictures of experiments are drawn: small files, the same bytes for the same figures."""

from caffelite.pictures.plot import picture


def curves(found):
    """The panels below each other; around each line a band from the least to the largest."""
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none"}):  # letters as text, not as outlines
        return picture(found.panels, found.x, False, "svg")
