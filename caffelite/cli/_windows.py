"""caffelite detect WINDOWS OUT: what is in given windows of pictures."""

import os

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError
from ._nets import use_device
from ._pictures import Drawing, preprocessing_of


def run(args):
    """Answer what is in the windows that args.windows names; returns the exit code."""
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
