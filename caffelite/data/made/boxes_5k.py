"""where the digits of placed-5k are: left, top, right, bottom

A sample has four channels of one value, in pixels from the upper left corner, in the order of
`placed-5k`: two Data layers that read both, a batch alike, give pictures and their boxes. They need
the extra [demo].
"""

OPTIONS: dict[str, dict] = {}
WHAT = "boxes"


def parts():
    """{"train": source, "test": source}; a sample is (the box, label)."""
    from ..arrays import ArraySource
    from ._placed import placed

    return {
        part: ArraySource(boxes[:, :, None, None], labels)
        for part, (_, boxes, labels) in placed().items()
    }
