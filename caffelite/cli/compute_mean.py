"""Compute the mean picture of an LMDB, for mean_file; also called compute_image_mean.

    caffelite compute_mean data/train_lmdb data/mean.binaryproto

The means of the channels, for mean_value, are printed. OUT may be left out.
"""

from ._flags import UsageError


def add_arguments(parser):
    flag = parser.add_argument
    flag("db", metavar="DB", help="an LMDB of pictures, all of one size")
    flag("out", metavar="OUT", nargs="?", help="the .binaryproto file to make")
    flag("--backend", default="lmdb", help="lmdb is the only one")


def run(args):
    import numpy as np
    from tqdm import tqdm

    from ..data import binaryproto
    from ..data.datum import DatumSource
    from ..errors import DataError

    if args.backend != "lmdb":
        raise UsageError(f'--backend "{args.backend}": lmdb is the only one')
    source = DatumSource(args.db)
    total = np.zeros(source.read(0)[0].shape)
    for index in tqdm(range(len(source)), args.db, leave=False, disable=None):
        pixels, _ = source.read(index)
        if pixels.shape != total.shape:
            raise DataError(
                f"{source.name(index)}: has the shape {pixels.shape}, expected {total.shape}, that "
                "of the first; a mean picture needs all to be of one size"
            )
        total += pixels
    mean = (total / len(source)).astype(np.float32)
    if args.out:
        binaryproto.write(args.out, mean[None])
    print(f"Number of channels: {len(mean)}")
    for channel, value in enumerate(mean.mean(axis=(1, 2), dtype=np.float64)):
        print(f"mean_value channel [{channel}]: {value:g}")
    return 0
