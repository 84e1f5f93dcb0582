"""Find boxes in pictures, or say what is in given windows of them.

    caffelite detect street.jpg --model deploy.prototxt --weights ssd.caffemodel
    caffelite detect pictures --model ssd.prototxt --weights ssd.caffemodel --labelmap voc.prototxt
    caffelite detect windows.csv scores.csv --model deploy.prototxt --weights net.caffemodel

A PICTURE is a file, a folder, a pattern, or a list, .txt, with a name in each line. The net ends in
a layer that finds boxes, such as SSD's DetectionOutput, YoloDetectionOutput or
Yolov3DetectionOutput, which tells what its numbers mean; a net for training does as well: what
DetectionLoss, RegionLoss, Yolov3 or EvalDetection reads tells it, too. A net that ends in the 1470
numbers of the first YOLO has --layout. stdout gets a line for each box, in pixels of the upright
picture: score, xmin, ymin, xmax, ymax, name; or JSON. --csv makes a table of all boxes, --voc a
folder with an XML file for each picture, as PASCAL VOC has them (`caffelite dataset FOLDER --root
PICTURES` reads it), --draw pictures with the boxes and their names. --labelmap has the names of the
classes: a label map, or a line a class.

What pictures go through (mean, scale, size) is found as caffelite classify finds it, flags override
it. resize_param of the net's data, or of its Input, says whether a picture is squeezed to the net's
size or keeps its proportions, with borders; boxes are moved back. Without, it is squeezed.

Nets of py-faster-rcnn and R-FCN are taken as they are; --cfg and --set say their settings. Fast
R-CNN, R-CNN and SPP-net take regions: those that `caffelite regions PICTURES DB` has found, in
--regions.

WINDOWS is what R-CNN asks about: CSV whose first line names its columns: filename, xmin, ymin, xmax
and ymax, in any order; they are places in the upright picture. If it ends in .txt, it has a
picture's name in each line, for which selective search proposes windows; that takes the module
selective_search_ijcv_with_python, which runs Matlab. OUT is CSV with filename, ymin, xmin, ymax,
xmax and a score for each class; if it ends in .h5, it is what Caffe's detect.py writes, the table
"df" of pandas, and needs the extra [pandas]. A window is warped to the net's input with
--context_pad pixels of the picture around it, and the mean beyond the picture's edge. Of a mean
picture, the means of its channels are subtracted. A net whose input has 1 channel is shown gray
pictures.

A picture that cannot be read is named on stderr, the others are answered, and the exit code is 1;
with --skip-bad it is 0.
"""

from ._flags import UsageError, finite, int32
from ._nets import (
    add_device_flags,
    add_missing_flag,
    add_python_flag,
    add_settings_flags,
    add_state_flags,
)
from ._pictures import add_draw_flag, add_preprocessing_flags, add_skip_flag

READS_NETS = True
OF_PICTURES = ("labelmap", "threshold", "layout", "csv", "voc", "output", "resize", "regions")
CONTEXT = 16  # pixels


def add_arguments(parser):
    flag = parser.add_argument
    words = "a picture, a folder or a pattern; or WINDOWS, .csv or .txt, and OUT, .csv or .h5"
    flag("pictures", nargs="+", metavar="PICTURE", help=words)
    flag("--model", required=True, metavar="FILE", help="the net's prototxt")
    flag("--weights", required=True, metavar="FILE", help="its weights")
    add_missing_flag(parser)
    flag("--labelmap", metavar="FILE", help="names of the classes [those of the net's data]")
    words = "the least score of boxes that are told [0.3]"
    flag("--threshold", type=finite, metavar="X", help=words)
    words = "how the first YOLO's 1470 numbers lie where no layer says it [cells, as in darknet]"
    flag("--layout", choices=("cells", "planes"), help=words)
    flag("--csv", metavar="FILE", help="make a table of the boxes")
    flag("--voc", metavar="FOLDER", help="make an XML file for each picture")
    flag("--regions", metavar="DB", help="regions of the pictures, for a net that takes some")
    flag("--output", metavar="BLOB", help="where the boxes are [the last that have some]")
    words = f"pixels around a window of WINDOWS [{CONTEXT}]"
    flag("--context_pad", type=int32, metavar="N", help=words)
    add_preprocessing_flags(parser)
    add_skip_flag(parser)
    add_draw_flag(parser)
    flag("--json", action="store_true", help="print JSON")
    add_state_flags(parser)
    add_device_flags(parser)
    add_python_flag(parser)
    add_settings_flags(parser, set_too=True)


def run(args):
    if args.set:
        raise UsageError(f"--set {args.set[0]}: expected TEST.NAME=VALUE, one of the settings")
    first, *others = args.pictures
    asks_windows = len(others) == 1 and not others[0].lower().endswith(".txt")
    if first.lower().endswith(".csv") or (first.lower().endswith(".txt") and asks_windows):
        from . import _windows

        if len(others) != 1:
            raise UsageError("expected WINDOWS and OUT, and no more")
        _refuse(args, OF_PICTURES, "is for pictures, not for WINDOWS and OUT")
        args.windows, args.out = args.pictures
        args.context_pad = CONTEXT if args.context_pad is None else args.context_pad
        return _windows.run(args)
    from . import _boxes

    _refuse(args, ["context_pad"], "is for WINDOWS, not for pictures")
    return _boxes.run(args)


def _refuse(args, names, why):
    for name in names:
        if getattr(args, name) is not None:
            raise UsageError(f"--{name} {why}")
