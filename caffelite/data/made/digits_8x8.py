"""1,797 small real digits that pip brings along, 8 x 8

They are those of scikit-learn, about 180 of each digit, with values from 0 to 16; 1,437 are for
training, 360 for testing, 36 of each. The split and the order are the same ones always. They need
the extra [demo].
"""

from . import BORDER

OPTIONS = {"pad": BORDER}
WHAT = "digits"


def parts(pad=0):
    """{"train": source, "test": source}; a sample is (pixels, label)."""
    from ._digits import as_sources, packaged, split

    digits = packaged("sklearn", "datasets/data/digits.csv.gz", 1797, 8)
    return as_sources(split(*digits, 36), pad)
