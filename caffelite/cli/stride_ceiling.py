"""Tell how well any net could do whose scores have a stride: the ceiling of FCN-32s, 16s, 8s.

    caffelite stride_ceiling data/scenes_test_ink_lmdb
    caffelite stride_ceiling data/scenes_test_ink_lmdb --strides 32,16,8,4 --count 100
    caffelite stride_ceiling VOC2012/SegmentationClass --count 50

LABELS is a database of label pictures, a list of pairs, or a folder, as for class_weighting. Scores
of one cell of stride x stride pixels each, upsampled bilinearly to the labels' size, are fitted to
the labels themselves, without any net: what they reach, no net of this stride is likely to
surpass. Printed is their mean intersection over union, over all pictures, twice: by cross entropy,
the loss with which such nets learn, and by overlap, where steps that raise the overlap itself
follow. The second is higher, and nearer to the best there is; a net may come to lie between.
"""

from ..json_text import json_text
from ._flags import UsageError, int32
from .class_weighting import add_label_flags, only_void, read_labels

STEPS = 40, 80  # by cross entropy, by overlap


def add_arguments(parser):
    add_label_flags(parser)
    flag = parser.add_argument
    flag("--strides", default="32,16,8", metavar="S,...", help="strides of scores [32,16,8]")
    flag("--count", type=int32, metavar="N", help="look at the first N pictures [all]")
    flag("--json", action="store_true", help="print JSON")


def run(args):
    from functools import partial

    from tqdm import tqdm

    from ..glog import on_terminal
    from ..measures._stride_ceiling import StrideCeiling

    strides = _strides(args.strides)
    if args.count is not None and args.count < 1:
        raise UsageError(f"--count must be at least 1, not {args.count}")
    pictures = list(read_labels(args, args.count))
    if all((labels == args.void).all() for labels in pictures):
        raise only_void(args)
    found = []
    for stride in strides:
        bar = partial(tqdm, desc=f"stride {stride}", leave=False, disable=not on_terminal())
        by_entropy, by_overlap = StrideCeiling(pictures, stride, args.void).fit(*STEPS, bar)
        found.append({"stride": stride, "by_cross_entropy": by_entropy, "by_overlap": by_overlap})
    if args.json:
        print(json_text({"pictures": len(pictures), "ceilings": found}))
        return 0
    print(f"mean IU of the best scores for {len(pictures)} pictures of labels in {args.labels}")
    for one in found:
        print(
            f"stride {one['stride']}: {one['by_cross_entropy']:.3f} by cross entropy, "
            f"{one['by_overlap']:.3f} by overlap"
        )
    return 0


def _strides(text):
    words = text.split(",")
    if not all(word.isdecimal() and 0 < int(word) <= 1024 for word in words):
        raise UsageError(f"--strides {text}: expected numbers from 1 to 1024, with commas between")
    return [int(word) for word in words]
