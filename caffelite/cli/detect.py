"""Say what is in windows of pictures, as R-CNN does.

    caffelite detect windows.csv scores.csv --model deploy.prototxt --weights net.caffemodel

WINDOWS is CSV whose first line names its columns: filename, xmin, ymin, xmax and ymax, in any
order; they are places in the upright picture. If it ends in .txt, it has a picture's name in each
line, for which selective search proposes windows; that takes the module
selective_search_ijcv_with_python, which runs Matlab. OUT is CSV with filename, ymin, xmin, ymax,
xmax and a score for each class; if it ends in .h5, it is what Caffe's detect.py writes, the table
"df" of pandas, and needs the extra [pandas].

A window is warped to the net's input with --context_pad pixels of the picture around it, and the
mean beyond the picture's edge. What pictures go through (mean, scale) is found as caffelite
classify finds it; of a mean picture, the means of its channels are subtracted. Flags override it.
A net whose input has 1 channel is shown gray pictures.

A picture that cannot be read is named on stderr, the others are answered, and the exit code is 1;
with --skip-bad it is 0.
"""

import os

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError, int32
from ._nets import (
    add_device_flags,
    add_missing_flag,
    add_python_flag,
    add_state_flags,
    use_device,
)
from ._pictures import Drawing, add_draw_flag, add_mean_flags, add_skip_flag, preprocessing_of

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("windows", metavar="WINDOWS", help="the windows, .csv, or the pictures, .txt")
    flag("out", metavar="OUT", help="the file to make, .csv or .h5")
    flag(
        "--model", required=True, metavar="FILE", help="the net's prototxt, for use: with an Input"
    )
    flag("--weights", required=True, metavar="FILE", help="its weights")
    add_missing_flag(parser)
    flag("--context_pad", type=int32, default=16, metavar="N", help="pixels around a window [16]")
    add_mean_flags(parser)
    add_skip_flag(parser)
    add_draw_flag(parser)
    flag("--json", action="store_true", help="print JSON")
    add_state_flags(parser)
    add_device_flags(parser)
    add_python_flag(parser)
    parser.set_defaults(resize=None)  # windows have the size of the net's input


def run(args):
    from ..data.detections import TABLES, read_windows

    kind = os.path.splitext(args.out)[1].lower()
    if kind not in TABLES:
        raise UsageError(f"{args.out}: expected an ending of {' or '.join(TABLES)}")
    if args.context_pad < 0:
        raise UsageError(f"--context_pad must be at least 0, not {args.context_pad}")
    log = start_logging(quiet=True)
    use_device(args)
    from tqdm import tqdm

    from ..atomic import written_together
    from ..predict.runner import Predictions, WindowPredictor
    from ..pycaffe.detector import proposals
    from ..reading import lines

    if args.windows.lower().endswith(".txt"):
        windows = proposals(
            line.removesuffix("\n")
            for line in lines(args.windows, "names of pictures, a line each")
        )
    else:
        windows = read_windows(args.windows)
    detector = _detector(args, log)
    count = sum(map(len, windows.values()))
    bar = tqdm(total=count, desc="windows", leave=False, disable=not on_terminal())
    predictor = WindowPredictor(detector, windows, bar.update)
    drawing = Drawing(args.draw, predictor, windows) if args.draw else None
    counts = {"windows": 0, "pictures": 0}
    with written_together(args.out) as passing, TABLES[kind](passing[args.out]) as table, bar:
        predictions = Predictions(predictor, list(windows), args.skip_bad, predictor.skip)
        for found in predictions:
            table.add(found.answer.rows(found.path))
            counts["windows"] += len(found.answer.boxes)
            counts["pictures"] += 1
            if drawing:
                drawing.draw(found)
    told = "{file}: {windows} windows in {pictures} pictures"
    report = {"file": args.out, **counts}
    print(json_text(report) if args.json else told.format(**report))
    predictions.finish()
    return 0


def _detector(args, log):
    import numpy as np

    from ..errors import DataError, NetError
    from ..net.weights import check_weights
    from ..predict.preprocessing import subtract_from_channels
    from ..pycaffe.detector import Detector

    check_weights(args.weights)
    transform = preprocessing_of(args, args.model, log).transform
    subtract_from_channels(transform)
    detector = Detector(
        args.model,
        args.weights,
        input_scale=transform.scale,
        raw_scale=255,
        allow_missing=args.allow_missing,
    )
    name = detector.inputs[0]
    channels = int(detector.crop_dims[2])
    if channels not in (1, 3):
        shape = detector.blobs[name].shape
        raise NetError(
            f'{args.model}: the input "{name}" has the shape {shape}, expected 1 channel or 3'
        )
    mean = np.array(transform.mean_value)
    if mean.size not in (0, 1, channels):
        expected = "1" + ", or 3 for blue, green and red" * (channels == 3)
        raise DataError(f"mean_value: {mean.size} values, expected {expected}")
    if channels == 3:
        detector.transformer.set_channel_swap(name, (2, 1, 0))
    if mean.size:
        detector.transformer.set_mean(name, np.broadcast_to(mean, channels))
    detector.configure_crop(args.context_pad)
    return detector
