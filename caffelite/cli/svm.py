"""Train the support vector machines of R-CNN or SPP-net, and their regression of boxes.

    caffelite svm models/rcnn-digits/train_val.prototxt rcnn.caffemodel rcnn_svm.caffemodel

MODEL is a net for training, whose data are RoIData with regions. In phase TEST it ends in
RoIDetectionOutput, which reads scores and codes of boxes of two InnerProduct layers: what these
read are features. WEIGHTS are of the net that makes the features, which was trained before. The net
goes once over the regions and the true boxes of the training set, as tests see them; features are
kept on disk meanwhile, in --folder. Then a support vector machine is trained for each class, of its
true boxes and of the regions that overlap each of them by less than 0.3, of which those are taken
that the machine finds hard; and for each class a ridge regression, which moves regions that overlap
a box of it by 0.6 or more. All of these become the weights of the two layers. OUT has them, and
those of WEIGHTS, for caffelite test and detect; scores are distances from a machine's border, so
that detect --threshold 0 suits them.

It needs the extra [detection]. Girshick et al. 2014 (R-CNN), He et al. 2014 (SPP-net).
"""

import os
import sys
import tempfile
import time

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError, above_0, int32
from ._nets import add_device_flags, add_python_flag, use_device

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("model", metavar="MODEL", help="the net's prototxt, with RoIData")
    flag("weights", metavar="WEIGHTS", help="the weights, .caffemodel or HDF5")
    flag("out", metavar="OUT", help="the .caffemodel to make")
    flag("--cost", type=above_0, default=1e-3, metavar="C", help="of the machines [0.001]")
    flag("--decay", type=above_0, default=1000.0, metavar="X", help="of the regression [1000]")
    flag("--seed", type=int32, default=1, metavar="N", help="of what is drawn [1]")
    flag("--folder", metavar="FOLDER", help="where features are kept meanwhile [beside OUT]")
    flag("--json", action="store_true", help="print JSON")
    add_device_flags(parser)
    add_python_flag(parser)


def run(args):
    from tqdm import tqdm

    from ..predict.machines import box_regression, support_vectors
    from ..predict.region_features import FeatureNet

    if not args.out.endswith((".caffemodel", ".h5")):
        raise UsageError(f"OUT: {args.out}: expected a name that ends in .caffemodel or .h5")
    start_logging(quiet=True, write=lambda line: tqdm.write(line, file=sys.stderr))
    use_device(args)
    shown = {"leave": False, "disable": not on_terminal()}
    folder = args.folder or os.path.dirname(os.path.abspath(args.out))
    took = {}
    net = FeatureNet(args.model, args.weights)
    with tempfile.TemporaryDirectory(prefix=".features-", dir=folder) as place:
        with _timed(took, "features"):
            pictures = len(net)
            found = net.write(place, lambda rows: tqdm(rows, "features", pictures, **shown))
        with _timed(took, "machines"):
            svm = support_vectors(found, args.cost, args.seed, lambda labels: tqdm(labels, **shown))
        with _timed(took, "boxes"):
            boxes = box_regression(found, args.decay)
        told = {
            "weights": args.out,
            "pictures": pictures,
            "regions": int((found.true == 0).sum()),
            "true_boxes": int((found.true > 0).sum()),
            "near": len(found.labels),
            "seconds": {name: round(seconds, 1) for name, seconds in took.items()},
        }
        net.save(args.out, svm, boxes)
    print(json_text(told) if args.json else "\n".join(_lines(told)))
    return 0


class _timed:
    def __init__(self, took, name):
        self.took, self.name = took, name

    def __enter__(self):
        self.begun = time.perf_counter()

    def __exit__(self, *problem):
        self.took[self.name] = time.perf_counter() - self.begun


def _lines(told):
    yield (
        f"{told['weights']}: of {told['pictures']:,} pictures, {told['regions']:,} regions, "
        f"{told['true_boxes']:,} true boxes; boxes of {told['near']:,} that overlap one by 0.6"
    )
    yield "seconds: " + ", ".join(f"{name} {value:g}" for name, value in told["seconds"].items())
