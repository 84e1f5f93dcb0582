"""Compute weights of classes from label pictures, by their median frequency, as for SegNet.

    caffelite class_weighting data/train_labels_lmdb
    caffelite class_weighting train.txt --root CamVid/ --void 11
    caffelite class_weighting VOC2012/SegmentationClass

LABELS is a database of label pictures, a list of pairs (a line NAME LABEL_NAME each, as
DenseImageData reads it), or a folder of label pictures, with a palette or gray. The frequency of a
class is its share of the pixels in the pictures where it occurs; its weight is the median of all
frequencies divided by its own, so that rare classes count for more. Pixels of the label --void do
not count; a class without any pixels gets 1. What is printed belongs into the loss_param of a
SoftmaxWithLoss layer.
"""

from ..json_text import json_text
from ._flags import UsageError, int32


def add_arguments(parser):
    add_label_flags(parser)
    parser.add_argument("--classes", type=int32, metavar="N", help="so many weights [as found]")
    parser.add_argument("--json", action="store_true", help="print JSON, with counts and shares")


def add_label_flags(parser):
    """The flags that say which label pictures are read."""
    flag = parser.add_argument
    flag("labels", metavar="LABELS", help="a database, a list of pairs, or a folder")
    flag("--root", default="", metavar="DIR", help="what stands before the names in a list")
    flag("--void", type=int32, default=255, metavar="K", help="the label that does not count [255]")


def run(args):
    from ..data.label_pictures import ClassPixels
    from ..errors import DataError

    if args.classes is not None and args.classes < 1:
        raise UsageError(f"--classes must be at least 1, not {args.classes}")
    pixels = ClassPixels()
    for labels in read_labels(args):
        pixels.add(labels, args.void)
    found = len(pixels.own)
    if not found:
        raise only_void(args)
    if args.classes is not None and args.classes < found:
        raise DataError(
            f"{args.labels}: has the label {found - 1}, but --classes says {args.classes}; labels "
            f"from 0 to {args.classes - 1} are expected, or --void {found - 1}"
        )
    count = args.classes or found
    weights = [*pixels.median_frequency_weights().tolist(), *[1.0] * (count - found)]
    if args.json:
        told = {"class_weighting": weights, "pixels": pixels.own.tolist()}
        print(json_text(told | {"pixels_around": pixels.around.tolist()}))
        return 0
    print("loss_param {\n  weight_by_label_freqs: true")
    for k, weight in enumerate(weights):
        none = "  # no pixel has it" * (k >= found or not pixels.own[k])
        print(f"  class_weighting: {weight:.6g}{none}")
    print(f"  ignore_label: {args.void}\n}}")
    return 0


def only_void(args):
    """The error of label pictures of which no pixel counts."""
    from ..errors import DataError

    return DataError(f"{args.labels}: no pixel has a label but {args.void}, which is void")


def read_labels(args, count=None):
    """Yield the labels of each picture, or of the first `count`, with a bar on a terminal."""
    from tqdm import tqdm

    from ..data.label_pictures import LabelPictures
    from ..glog import on_terminal

    source = LabelPictures(args.labels, args.root, args.void)
    numbers = range(len(source))[:count]
    for number in tqdm(numbers, args.labels, leave=False, disable=not on_terminal()):
        yield source.labels(number)
    source.close()
