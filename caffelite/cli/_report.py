"""caffelite test --report: how well a net does over its whole data set."""

import csv
import io

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError
from ._nets import open_with_data, running, use_device
from ._progress import make_bar


def run(args):
    """Run the net of `caffelite test` and print the report; returns the exit code."""
    quiet = on_terminal()
    log = start_logging(quiet)
    use_device(args)
    net = open_with_data(args, "testing")
    with running(net):
        names = _names(net, args.labels)
        measures = _measure(net, args, quiet, log)
    if args.confusion:
        _write_confusion(args.confusion, measures, names)
    if args.json:
        print(json_text([measure.report() for measure in measures]))
    else:
        print("\n\n".join("\n".join(measure.lines(names)) for measure in measures))
    return 0


def _names(net, labels):
    """The names of the classes in the file `labels`, or in the one beside the net's data."""
    from ..data.dataset import read_names

    beside = (layer.class_names() for layer in net.layers)
    labels = labels or next(filter(None, beside), None)
    return read_names(labels) if labels else []


def _measure(net, args, quiet, log):
    from ..errors import NetError
    from ..measures import Batch, of_net
    from ..net.batches import data_set

    measures = of_net(net)
    if not measures:
        raise NetError(
            f"{args.model}: in phase TEST, no layer compares scores with labels, or values with "
            "targets: Accuracy, SoftmaxWithLoss, EuclideanLoss, ..."
        )
    known = data_set(net)
    if not known and args.iterations is None:
        raise UsageError("how many samples the net's data have is not known: give --iterations")
    size = known[1] if known else len(net.blobs[measures[0].blobs[1]].data)
    left = known[0] if known else args.iterations * size
    batches = min(-(-left // size), args.iterations or left)
    log.info("Running for %d iterations.", batches)
    bar = make_bar(batches, what=net.name or "testing") if quiet else None
    try:
        for _ in range(batches):
            batch = Batch.run(net, min(left, size))
            for measure in measures:
                measure.add(batch)
            left -= size
            if bar:
                bar.update()
    finally:
        if bar:
            bar.close()
    return measures


def _write_confusion(path, measures, names):
    """The confusion matrix as CSV; of several, the last, which is the main classifier's."""
    from ..atomic import write_atomically
    from ..errors import NetError
    from ..measures.accuracy import class_names

    reports = [measure.report() for measure in measures]
    scored = [report for report in reports if "confusion" in report]
    if not scored:
        raise NetError("--confusion: the net has no scores of classes, only values and targets")
    confusion = scored[-1]["confusion"]
    if confusion is None:
        raise NetError(f"--confusion: {scored[-1]['classes']} classes are too many for a matrix")
    names = class_names(names, len(confusion))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["label \\ answer", *names])
    writer.writerows([name, *row] for name, row in zip(names, confusion, strict=True))
    write_atomically(path, text.getvalue().encode())
