"""all 70,000 digits of MNIST, 28 x 28, from the original files

--idx DIR holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
t10k-labels-idx1-ubyte, with .gz or without: 60,000 digits for training, 10,000 for testing.
"""

from . import BORDER, Option

OPTIONS = {
    "idx": Option("the directory of the original files", metavar="DIR", required=True),
    "pad": BORDER,
}
WHAT = "digits"

_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def parts(idx, pad=0):
    """{"train": source, "test": source}; a sample is (pixels, label)."""
    from ._digits import as_sources

    return as_sources({part: _read_pair(idx, *names) for part, names in _FILES.items()}, pad)


def _read_pair(folder, images_name, labels_name):
    from ...errors import DataError
    from ..idx import read_idx

    images, labels = read_idx(folder, images_name, 3), read_idx(folder, labels_name, 1)
    if len(images) != len(labels):
        raise DataError(
            f"{folder}: {images_name} holds {len(images)} images, "
            f"but {labels_name} {len(labels)} labels"
        )
    return images, labels
