"""Find a detector's anchors: the sizes of boxes in a database, by k-means.

    caffelite anchors data/scenes_train_lmdb --count 5 --grid 13
    caffelite anchors data/scenes_train_lmdb --count 9 --size 416,416

DB holds AnnotatedDatums. The line with biases is for the region_loss_param, yolov3_param and output
layers of YOLO nets: widths and heights in cells of a grid (--grid), which YOLO v2 takes, or in
pixels of what the net sees (--size), which YOLO v3 takes; else in parts of a picture's sides.
Pictures count as squeezed to that size, as resize_mode: WARP does. The smallest area comes first.

Two sizes are as far from each other as 1 - IoU of boxes of these sizes with one middle; the average
IoU says how well boxes fit the best of the anchors. Same data and --seed, same anchors.
"""

import argparse

from ..json_text import json_text
from ..reading import integer
from ._flags import UsageError


def _count(least, most):
    how = {"least": least, "most": most, "error": argparse.ArgumentTypeError}
    return lambda text: integer(text, "", **how)


def add_arguments(parser):
    flag = parser.add_argument
    flag("db", metavar="DB", help="an LMDB of pictures with boxes")
    flag("--count", type=_count(1, 1000), default=5, metavar="N", help="anchors to find [5]")
    flag("--grid", metavar="N|W,H", help="cells of a side, for biases in cells")
    flag("--size", metavar="N|W,H", help="pixels of a side, for biases in pixels")
    flag("--seed", type=_count(0, 2**31 - 1), default=0, metavar="N", help="of the starts [0]")
    flag("--json", action="store_true", help="print JSON")


def run(args):
    from tqdm import tqdm

    from ..data import anchors
    from ..data.annotated import AnnotatedSource
    from ..errors import DataError
    from ..glog import on_terminal

    if args.grid and args.size:
        raise UsageError("give --grid, for biases in cells, or --size, for pixels; not both")
    width, height = _sides(args.grid or args.size or "1", "--grid" if args.grid else "--size")
    source = AnnotatedSource(args.db)
    sizes = anchors.sizes_of(
        source, lambda rows: tqdm(rows, args.db, leave=False, disable=not on_terminal())
    )
    if not len(sizes):
        raise DataError(f"{args.db}: its {len(source)} pictures have no boxes")
    found = anchors.cluster(sizes * (width, height), args.count, args.seed)
    biases = [round(float(value), 4) for value in found.sizes.reshape(-1)]
    told = {
        "boxes": len(sizes),
        "average_iou": round(found.average_iou, 4),
        "biases": biases,
        "shares": [round(float(share), 4) for share in found.shares],
    }
    print(json_text(told) if args.json else "\n".join(_lines(told)))
    return 0


def _sides(text, flag):
    """(width, height) of N or W,H."""
    parts = text.split(",")
    if len(parts) > 2:
        raise UsageError(f'{flag}: expected N or W,H, not "{text}"')
    sides = [integer(part, "", flag, least=1, most=1 << 16, error=UsageError) for part in parts]
    return sides[0], sides[-1]


def _lines(told):
    yield f"{told['boxes']:,} boxes, average IoU {told['average_iou']:.4f}"
    pairs = zip(told["biases"][::2], told["biases"][1::2], told["shares"], strict=True)
    for width, height, share in pairs:
        yield f"{width:>10g} x {height:<10g} best for {share:.1%}"
    yield " ".join(f"biases: {value:g}" for value in told["biases"])
