"""Find regions of pictures that may hold an object, once, and keep them.

    caffelite regions data/scenes_train_lmdb data/scenes_train_regions_lmdb --processes 2
    caffelite regions data/scenes_train_lmdb data/regions_lmdb --mode quality
    caffelite regions pictures found_lmdb

SOURCE is a database of pictures, or picture files: a folder, a pattern, or a list, .txt, with a
name in each line. OUT is a database with the regions of each picture, under the key of its record,
or the name of its file. It is there whole, or not at all. `RoIData` reads it beside the pictures
(roi_data_param { regions: "OUT" }), caffelite detect has --regions for the one of files.

The regions are those of selective search, which needs the extra [detection]: --mode fast, quality
with more of them, or single with fewer. How many of the true boxes have a region that overlaps them
by a half is told where there are true boxes.
"""

import argparse
import os
import sys
import time

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ..reading import integer
from ._flags import UsageError

LMDB = "data.mdb"  # the file in such a database
MODES = ("fast", "quality", "single")


def _processes(text):
    return integer(text, "", least=1, most=256, error=argparse.ArgumentTypeError)


def add_arguments(parser):
    flag = parser.add_argument
    flag("source", metavar="SOURCE", help="a database of pictures, or picture files")
    flag("out", metavar="OUT", help="the database of regions to make")
    flag("--mode", choices=MODES, default="fast", help="how thorough selective search is [fast]")
    flag("--processes", type=_processes, default=1, metavar="N", help="pictures at once [1]")
    flag("--json", action="store_true", help="print JSON")


def run(args):
    from tqdm import tqdm

    from ..data import regions
    from ..data.selective_search import search_all

    if os.path.lexists(args.out):
        raise UsageError(f"{args.out}: is there already; remove it, or choose another name")
    start_logging(quiet=True, write=lambda line: tqdm.write(line, file=sys.stderr))
    pictures = _pictures(args.source)
    opened = pictures()
    count = len(opened)
    opened.close()
    bar = tqdm(total=count, desc=args.out, leave=False, disable=not on_terminal())
    recall, found, begun = regions.Recall(), 0, time.perf_counter()

    def records():
        nonlocal found
        for own in search_all(pictures, args.mode, args.processes):
            recall.add(own.regions, own.boxes)
            found += len(own.regions)
            yield own.key, own.checksum, own.regions
            bar.update()

    with bar:
        regions.write_regions(args.out, records())
    told = {
        "regions": args.out,
        "pictures": count,
        "regions_of_a_picture": round(found / count, 1),
        "seconds_of_a_picture": round((time.perf_counter() - begun) / count, 4),
    }
    if recall.boxes:
        told |= {"boxes": recall.boxes, "recall": round(recall.found / recall.boxes, 4)}
    print(json_text(told) if args.json else "\n".join(_lines(told)))
    return 0


def _pictures(source):
    """A function that opens the pictures, in any process."""
    from functools import partial

    from ..data import regions
    from ..predict.picture_files import find

    if os.path.isfile(os.path.join(source, LMDB)):
        return partial(regions.DatabasePictures, source)
    return partial(regions.FilePictures, find([source]))


def _lines(told):
    yield (
        f"{told['regions']}: {told['pictures']} pictures, {told['regions_of_a_picture']:g} regions "
        f"each, {told['seconds_of_a_picture']:g} s each"
    )
    if "recall" in told:
        yield (
            f"recall {told['recall']:.4f}: of {told['boxes']:,} true boxes, those that a region "
            "overlaps by 0.5 or more"
        )
