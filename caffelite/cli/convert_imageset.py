"""Make a database of the pictures in a list.

    caffelite convert_imageset --resize_height 256 --resize_width 256 pictures/ list.txt train_lmdb

LIST has a line NAME LABEL for each picture; ROOT stands before each name, as it is. Pictures that
cannot be read are skipped with a warning, as Caffe does; -noskip_bad makes them an error. The
database is what Caffe's convert_imageset makes; "caffelite dataset" does more, and checks more.
"""

import argparse
import os
import sys
from collections import Counter

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError, int32


def add_arguments(parser):
    flag = parser.add_argument
    flag("root", metavar="ROOT/", help="folder of the pictures, with a slash at its end")
    flag("list", metavar="LIST", help="text file that lists them, with their labels")
    flag("db", metavar="DB", help="the database to make")
    flag("--gray", action="store_true", help="store 1 channel, not blue, green and red")
    flag("--palette_indices", action="store_true", help="... of labels: the indices of a palette")
    flag("--shuffle", action="store_true", help="store them in random order")
    flag("--backend", default="lmdb", choices=("lmdb", "leveldb"), help="[lmdb]")
    flag("--resize_width", type=int32, default=0, metavar="N", help="resize to this width")
    flag("--resize_height", type=int32, default=0, metavar="N", help="... and height [as they are]")
    flag("--check_size", action="store_true", help="all must have the size of the first")
    flag("--encoded", action="store_true", help="store files, not pixels")
    flag(
        "--encode_type", default="", metavar="TYPE", help="png, jpg, ...: store files of this type"
    )
    flag(
        "--skip_bad",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="skip pictures that cannot be read [true]",
    )
    flag("--json", action="store_true", help="print JSON")


def run(args):
    import numpy as np
    from tqdm import tqdm

    from ..data.datum_encoder import DatumEncoder
    from ..data.image import INDICES, format_of
    from ..data.image_list import read_list
    from ..data.leveldb import new_leveldb
    from ..data.lmdb import LmdbWriter

    if (args.resize_width > 0) != (args.resize_height > 0):
        raise UsageError("give both --resize_width and --resize_height, or neither")
    if args.encode_type:
        format_of(args.encode_type)
    log = start_logging(on_terminal(), lambda line: tqdm.write(line, file=sys.stderr))
    entries = read_list(args.list)
    if args.shuffle:
        order = np.random.default_rng().permutation(len(entries))
        entries = [entries[i] for i in order]
    encoder = DatumEncoder(
        color=INDICES if args.palette_indices else not args.gray,
        size=(args.resize_height, args.resize_width) if args.resize_height > 0 else None,
        encoded=args.encoded or bool(args.encode_type),
        kind=args.encode_type,
    )
    entries = tqdm(entries, args.db, leave=False, disable=not on_terminal())
    pictures = encoder.encode_all(entries, lambda name: args.root + name)
    new_database = LmdbWriter if args.backend == "lmdb" else new_leveldb
    with new_database(args.db) as database:
        stored = _store(args, pictures, database, log)
    report = {"database": args.db, "pictures": stored, "skipped": len(entries) - stored}
    skipped = f", {report['skipped']} skipped" if report["skipped"] else ""
    print(json_text(report) if args.json else f"{args.db}: {stored} pictures{skipped}")
    return 0


def _store(args, pictures, database, log):
    """Put the pictures that can be read into the database; returns their number."""
    from ..errors import DataError

    stored, size, channels = 0, None, Counter()
    for number, (name, _, datum, pixels, problem) in enumerate(pictures):
        if problem is not None:
            if not args.skip_bad:
                raise DataError(f'{args.list}: "{args.root + name}": {problem}')
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
        channels[len(pixels)] += 1
        if stored % 1000 == 0:
            log.info("Processed %d files.", stored)
    if stored == 0:
        raise DataError(f"{args.list}: none of its pictures can be read from {args.root}")
    if len(channels) > 1:
        counts = ", ".join(f"{count} of {number}" for number, count in sorted(channels.items()))
        log.warning(
            "%s: pictures differ in their channels (%s), stored as they are by --encoded: write "
            "force_color: true, or force_gray, in the transform_param of layers that read it",
            *(args.db, counts),
        )
    return stored
