"""the digits of mnist-5k, large or small somewhere on 48 x 48

Each digit is drawn anew, 16 to 36 pixels high or wide, at a place of chance on a black picture.
Where it is, `boxes-5k` tells. Places and sizes are the same ones always. They need the
extra [demo].
"""

OPTIONS: dict[str, dict] = {}
WHAT = "digits"


def parts():
    """{"train": source, "test": source}; a sample is (pixels, label)."""
    from ..arrays import ArraySource
    from ._placed import placed

    return {
        part: ArraySource(pictures[:, None], labels)
        for part, (pictures, _, labels) in placed().items()
    }
