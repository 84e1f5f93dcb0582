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

With --model and --weights, a net proposes them, as that of a Faster R-CNN that is trained in turns:

    caffelite regions data/train_lmdb out_lmdb --model rpn_test.pt --weights rpn.caffemodel

It ends in a Proposal layer, whose options, or --cfg and --set TEST.RPN_POST_NMS_TOP_N=2000, say how
many; what it finds boxes with need not be there. What pictures go through before is found, and said
otherwise, as for caffelite detect.
"""

import argparse
import os
import sys
import time

from ..errors import DataError
from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ..reading import integer
from ._flags import UsageError
from ._nets import (
    add_device_flags,
    add_missing_flag,
    add_python_flag,
    add_settings_flags,
    add_state_flags,
    stages,
    use_device,
)
from ._pictures import add_preprocessing_flags, preprocessing_of

READS_NETS = True

LMDB = "data.mdb"  # the file in such a database
MODES = ("fast", "quality", "single")


def _processes(text):
    return integer(text, "", least=1, most=256, error=argparse.ArgumentTypeError)


def add_arguments(parser):
    flag = parser.add_argument
    flag("source", metavar="SOURCE", help="a database of pictures, or picture files")
    flag("out", metavar="OUT", help="the database of regions to make")
    flag("--mode", choices=MODES, help="how thorough selective search is [fast]")
    flag("--processes", type=_processes, metavar="N", help="pictures searched at once [1]")
    flag("--model", metavar="FILE", help="a net that proposes regions")
    flag("--weights", metavar="FILE", help="its weights")
    add_missing_flag(parser)
    add_preprocessing_flags(parser)
    add_state_flags(parser)
    add_device_flags(parser)
    add_python_flag(parser)
    add_settings_flags(parser, set_too=True)
    flag("--json", action="store_true", help="print JSON")


def run(args):
    from tqdm import tqdm

    from ..data import regions

    if os.path.lexists(args.out):
        raise UsageError(f"{args.out}: is there already; remove it, or choose another name")
    if bool(args.model) != bool(args.weights):
        raise UsageError("--model and --weights belong together: a net that proposes regions")
    if args.set:
        raise UsageError(f"--set {args.set[0]}: expected TEST.NAME=VALUE, one of the settings")
    log = start_logging(quiet=True, write=lambda line: tqdm.write(line, file=sys.stderr))
    pictures = _pictures(args.source)
    opened = pictures()
    count = len(opened)
    opened.close()
    search = _proposer(args, pictures, log) if args.model else _selective_search(args, pictures)
    bar = tqdm(total=count, desc=args.out, leave=False, disable=not on_terminal())
    recall, found, begun = regions.Recall(), 0, time.perf_counter()

    def records():
        nonlocal found
        for own in search:
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


def _selective_search(args, pictures):
    from ..data.selective_search import search_all

    return search_all(pictures, args.mode or MODES[0], args.processes or 1)


def _proposer(args, pictures, log):
    """What a net proposes of each picture; it is there before the first one is asked for."""
    from ..data.selective_search import Searched
    from ..predict.box_net import RegionNet

    for name in ("mode", "processes"):
        if getattr(args, name) is not None:
            raise UsageError(f"--{name} is for selective search, not for --model")
    use_device(args)
    net = RegionNet(
        args.model,
        args.weights,
        preprocessing_of(args, args.model, log),
        level=args.level,
        stages=stages(args),
        allow_missing=args.allow_missing,
    )
    opened = pictures()

    def found():
        for number in range(len(opened)):
            own = opened.picture(number)
            try:
                corners = net.propose(own.pixels)
            except DataError as problem:
                raise DataError(f"{opened.name(number)}: {problem}") from None
            if not len(corners):
                raise DataError(f"{opened.name(number)}: {args.model} proposes no region")
            yield Searched(own.key, own.checksum, own.boxes, corners)
        opened.close()

    return found()


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
