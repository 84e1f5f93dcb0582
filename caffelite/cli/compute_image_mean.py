"""Compute the mean picture of a database, for mean_file.

    caffelite compute_image_mean data/train_lmdb data/mean.binaryproto

The means of the channels, for mean_value, are printed. OUT may be left out.
"""

from ..json_text import json_text


def add_arguments(parser):
    flag = parser.add_argument
    flag("db", metavar="DB", help="a database of pictures, all of one size, or shards")
    flag("out", metavar="OUT", nargs="?", help="the .binaryproto file to make")
    flag("--backend", default="lmdb", choices=("lmdb", "leveldb", "tar"), help="[lmdb]")
    flag("--pca", action="store_true", help="print how the colors vary, too")
    flag("--json", action="store_true", help="print JSON, all of it")


def run(args):
    from tqdm import tqdm

    from ..data import binaryproto
    from ..data.annotated import open_database
    from ..data.datum import DATABASES
    from ..data.image import gray_hint
    from ..data.statistics import Statistics
    from ..errors import DataError
    from ..glog import on_terminal

    source = open_database(args.db, DATABASES[args.backend])
    statistics, shape = Statistics(), source.sample(0)[0].shape
    for number in tqdm(range(len(source)), args.db, leave=False, disable=not on_terminal()):
        pixels, _ = source.sample(number)
        if pixels.shape != shape:
            raise DataError(
                f"{source.name(number)}: has the shape {pixels.shape}, expected {shape}, that of "
                "the first; a mean picture needs all to be of one size"
                f"{gray_hint(pixels.shape, shape)}"
            )
        statistics.add(pixels)
    if args.out:
        binaryproto.write(args.out, statistics.mean())
    if args.json:
        print(json_text(statistics.report()))
        return 0
    print(f"Number of channels: {shape[0]}")
    for channel, value in enumerate(statistics.channel_means()):
        print(f"mean_value channel [{channel}]: {value:g}")
    if args.pca:
        for value, vector in zip(*_transposed(statistics.colors()), strict=True):
            print(f"eigenvalue {value:g}: ({', '.join(f'{x:g}' for x in vector)})")
    return 0


def _transposed(colors):
    """Eigenvalues, and a vector for each."""
    return colors[0], colors[1].T
