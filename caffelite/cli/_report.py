"""caffelite test --report: how well a net does over its whole data set."""

import csv
import io
import json

from ..glog import on_terminal, start_logging
from ._flags import UsageError
from ._nets import open_net, running, use_device
from ._progress import make_bar
from ._table import table

MOST_SHOWN = 20  # classes or outputs that are shown one by one

_OF_A_CLASS = ("class", "samples", "right", "share")
_ERRORS = ("mean_error", "mean_absolute_error", "root_mean_square_error", "largest_error", "r2")


def run(args):
    """Run the net of `caffelite test` and print the report; returns the exit code."""
    quiet = on_terminal()
    log = start_logging(quiet)
    use_device(args)
    net = open_net(args.model, "TEST", args, weights=args.weights, writes=True)
    with running(net):
        names = _names(net, args.labels)
        measures = _measure(net, args, quiet, log)
    reports = [measure.report() for measure in measures]
    if args.confusion:
        _write_confusion(args.confusion, reports, names)
    if args.json:
        print(json.dumps(reports))
    else:
        print("\n\n".join("\n".join(_lines(report, names)) for report in reports))
    return 0


def _names(net, labels):
    """The names of the classes in the file `labels`, or in the one beside the net's data."""
    from ..data.dataset import read_names

    beside = (layer.class_names() for layer in net.layers)
    labels = labels or next(filter(None, beside), None)
    return read_names(labels) if labels else []


def _measure(net, args, quiet, log):
    from ..errors import NetError
    from ..measures import evaluation

    measures = evaluation.make_measures(net)
    if not measures:
        raise NetError(
            f"{args.model}: in phase TEST, no layer compares scores with labels, or values with "
            "targets: Accuracy, SoftmaxWithLoss, EuclideanLoss, ..."
        )
    known = evaluation.data_set(net)
    if not known and args.iterations is None:
        raise UsageError("how many samples the net's data have is not known: give --iterations")
    size = len(net.blobs[measures[0].second].data)
    left = known[0] if known else args.iterations * size
    batches = min(-(-left // size), args.iterations or left)
    log.info("Running for %d iterations.", batches)
    bar = make_bar(batches, what=net.name or "testing") if quiet else None
    try:
        for _ in range(batches):
            net._forward(0, len(net.layers) - 1)
            for measure in measures:
                measure.add(net, min(left, size))
            left -= size
            if bar:
                bar.update()
    finally:
        if bar:
            bar.close()
    return measures


def _lines(report, names):
    return _classes(report, names) if "scores" in report else _errors(report)


def _classes(report, names):
    yield f"{report['scores']} against {report['labels']}: {report['samples']} samples"
    if report["counted"] != report["samples"]:
        yield f"labels that count: {report['counted']}"
    for name in ("top_1", "top_5", "mean_per_class", "cross_entropy"):
        if name in report:
            yield f"{name} = {report[name]:.6g}"
    names = _named(names, report["classes"])
    counts = zip(report["labelled"], report["right"], report["per_class"], strict=True)
    rows = [
        (name, str(labelled), str(right), "-" if share is None else f"{share:.4f}")
        for name, (labelled, right, share) in zip(names, counts, strict=True)
    ]
    if len(rows) > MOST_SHOWN:
        yield from _worst(rows, report["confused"], names)
        return
    yield ""
    yield from table(_OF_A_CLASS, rows, left=1)
    yield ""
    yield "confusion (a row for each label, a column for each answer):"
    cells = [(n, *map(str, row)) for n, row in zip(names, report["confusion"], strict=True)]
    yield from table(("", *names), cells, left=1)


def _worst(rows, confused, names):
    """Of many classes, those that do worst, and the pairs that are confused most."""
    present = [row for row in rows if row[3] != "-"]
    yield ""
    yield f"the {MOST_SHOWN} classes that do worst:"
    yield from table(_OF_A_CLASS, sorted(present, key=lambda r: float(r[3]))[:MOST_SHOWN], left=1)
    yield ""
    yield "the pairs that are confused most:"
    pairs = [(names[label], names[answer], str(count)) for label, answer, count in confused]
    yield from table(("label", "answer", "samples"), pairs, left=2)


def _errors(report):
    yield f"{report['values']} against {report['targets']}: {report['samples']} samples"
    for name in _ERRORS:
        yield f"{name} = {_number(report[name])}"
    outputs = report["per_output"]
    if 1 < len(outputs) <= MOST_SHOWN:
        rows = [(str(k), *(_number(o[name]) for name in _ERRORS)) for k, o in enumerate(outputs)]
        yield ""
        yield from table(("output", *_ERRORS), rows, left=1)


def _number(value):
    return "-" if value is None else f"{value:.6g}"


def _named(names, count):
    """`count` names of classes: those given, then numbers."""
    return [*names[:count], *map(str, range(len(names), count))]


def _write_confusion(path, reports, names):
    """The confusion matrix as CSV; of several, the last, which is the main classifier's."""
    from ..atomic import write_atomically
    from ..errors import NetError

    scored = [report for report in reports if "scores" in report]
    if not scored:
        raise NetError("--confusion: the net has no scores of classes, only values and targets")
    confusion = scored[-1]["confusion"]
    if confusion is None:
        raise NetError(f"--confusion: {scored[-1]['classes']} classes are too many for a matrix")
    names = _named(names, len(confusion))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["label \\ answer", *names])
    writer.writerows([name, *row] for name, row in zip(names, confusion, strict=True))
    write_atomically(path, text.getvalue().encode())
