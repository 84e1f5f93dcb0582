"""Make an LMDB of the pictures in a list.

    caffelite convert_imageset --resize_height 256 --resize_width 256 pictures/ list.txt train_lmdb

LIST has a line NAME LABEL for each picture; ROOT stands before each name, as it is. Pictures that
cannot be read are skipped, with a warning.
"""

import os
import sys

from ..glog import on_terminal, start_logging
from ._flags import UsageError


def add_arguments(parser):
    flag = parser.add_argument
    flag("root", metavar="ROOT/", help="folder of the pictures, with a slash at its end")
    flag("list", metavar="LIST", help="text file that lists them, with their labels")
    flag("db", metavar="DB", help="the database to make")
    flag("--gray", action="store_true", help="store 1 channel, not blue, green and red")
    flag("--shuffle", action="store_true", help="store them in random order")
    flag("--backend", default="lmdb", help="lmdb is the only one")
    flag("--resize_width", type=int, default=0, metavar="N", help="resize to this width")
    flag("--resize_height", type=int, default=0, metavar="N", help="... and height [as they are]")
    flag("--check_size", action="store_true", help="all must have the size of the first")
    flag("--encoded", action="store_true", help="store files, not pixels")
    flag(
        "--encode_type", default="", metavar="TYPE", help="png, jpg, ...: store files of this type"
    )


def run(args):
    import numpy as np
    from tqdm import tqdm

    from ..data.image import format_of
    from ..data.image_list import read_list
    from ..data.lmdb import LmdbWriter

    if args.backend != "lmdb":
        raise UsageError(f'--backend "{args.backend}": lmdb is the only one')
    if (args.resize_width > 0) != (args.resize_height > 0):
        raise UsageError("give both --resize_width and --resize_height, or neither")
    if args.encode_type:
        format_of(args.encode_type)
    entries = read_list(args.list)
    if args.shuffle:
        order = np.random.default_rng().permutation(len(entries))
        entries = [entries[i] for i in order]
    log = start_logging(on_terminal(), lambda line: tqdm.write(line, file=sys.stderr))
    with LmdbWriter(args.db) as database:
        stored = _store(args, tqdm(entries, args.db, leave=False, disable=None), database, log)
    print(f"{args.db}: {stored} pictures")
    return 0


def _store(args, entries, database, log):
    """Put the pictures that can be read into the database; returns their number."""
    from ..errors import DataError

    stored, size = 0, None
    for number, (name, label) in enumerate(entries):
        try:
            datum = _datum(args, args.root + name, label)
        except DataError as problem:
            log.warning('%s: skipped "%s": %s', args.list, args.root + name, problem)
            continue
        if args.check_size and not datum.encoded:
            size = size or len(datum.data)
            if len(datum.data) != size:
                raise DataError(
                    f'"{args.root + name}": has {len(datum.data)} values, expected {size}, as the '
                    "first picture has; --resize_width and --resize_height make all alike"
                )
        key = b"%08d_" % number + os.fsencode(name)
        database.put(key, datum.SerializeToString())
        stored += 1
        if stored % 1000 == 0:
            log.info("Processed %d files.", stored)
    if stored == 0:
        raise DataError(f"{args.list}: none of its pictures can be read from {args.root}")
    return stored


def _datum(args, path, label):
    """The Datum of one picture: pixels, or a file as it is, or a file made anew."""
    from ..data.datum import from_pixels
    from ..data.image import encode
    from ..data.image_list import read_picture
    from ..proto.caffe_pb2 import Datum

    ending = os.path.splitext(path)[1][1:].lower()
    kind = args.encode_type.lower() or (ending if args.encoded else "")
    size = (args.resize_height, args.resize_width) if args.resize_height else None
    pixels = read_picture(path, not args.gray, size)
    if not kind:
        datum = from_pixels(pixels, label)
        datum.encoded = False
        return datum
    if size is None and ending.replace("jpeg", "jpg") == kind.replace("jpeg", "jpg"):
        with open(path, "rb") as file:
            return Datum(data=file.read(), label=label, encoded=True)
    return Datum(data=encode(pixels, kind), label=label, encoded=True)
