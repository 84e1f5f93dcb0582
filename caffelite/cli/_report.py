"""caffelite test --report: how well a net does over its whole data set."""

import csv
import io
import os

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError
from ._nets import open_with_data, running, use_device
from ._progress import make_bar


def run(args):
    """Run the net of `caffelite test` and print the report; returns the exit code."""
    for flag in ("html", "confusion", "curves"):
        path = getattr(args, flag)
        folder = os.path.dirname(path or "")
        if folder and not os.path.isdir(folder):  # to find out behind a run of hours is too late
            raise UsageError(f"--{flag}: {folder} is no folder")
    if args.curves and not args.curves.lower().endswith(".svg"):
        raise UsageError(f"--curves {args.curves}: expected an ending of .svg")
    quiet = on_terminal()
    log = start_logging(quiet)
    use_device(args)
    net = open_with_data(args, "testing")
    with running(net):
        names = _names(net, args.labels)
        measures = _measure(net, args, quiet, log)
        reports = [measure.report() for measure in measures]
        samples = _Samples(net, reports)
        if args.html:
            _write_page(args, zip(measures, reports, strict=True), names, samples)
    if args.confusion:
        _write_confusion(args.confusion, reports, names)
    if args.curves:
        _write_curves(args.curves, zip(measures, reports, strict=True), names)
    if args.json:
        print(json_text(reports))
        return 0
    pairs = zip(measures, reports, strict=True)
    texts = ("\n".join(one.lines(names, samples.name, report)) for one, report in pairs)
    print("\n\n".join(texts))
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
            f"{args.model}: in phase TEST, no layer compares scores with labels, values with "
            "targets, or boxes with true ones: Accuracy, SoftmaxWithLoss, EuclideanLoss, "
            "DetectionEvaluate, ..."
        )
    for measure in measures:
        measure.take_threshold(args.threshold)
    known = data_set(net)
    if not known and args.iterations is None:
        raise UsageError("how many samples the net's data have is not known: give --iterations")
    size = known[1] if known else measures[0].batch_size(net)
    count = known[0] if known else args.iterations * size
    batches = min(-(-count // size), args.iterations or count)
    log.info("Running for %d iterations.", batches)
    bar = make_bar(batches, what=net.name or "testing") if quiet else None
    try:
        for first in range(0, batches * size, size):
            batch = Batch.run(net, min(count - first, size), first, size)
            for measure in measures:
                measure.add(batch)
            if bar:
                bar.update()
    finally:
        if bar:
            bar.close()
    return measures


class _Samples:
    """The samples that reports tell of: names and pictures by number, from the net's data.

    In the reports, each gets its name.
    """

    def __init__(self, net, reports):
        told = [one for report in reports for one in _told(report)]
        self.numbers = sorted({one["number"] for one in told})
        layer = next((layer for layer in net.layers if layer.pass_size is not None), None)
        self.source = layer.idle_source() if layer and self.numbers else None
        self.names = {k: self._name(k) for k in self.numbers}
        for one in told:
            one["name"] = self.names[one["number"]]

    def _name(self, number):
        return self.source.name(number) if self.source else f"sample {number}"

    def name(self, number):
        return self.names[number]

    def pictures(self):
        """{number: pixels} of the samples that are pictures."""
        import numpy as np

        found = {}
        for number in self.numbers if self.source else ():
            first = self.source.sample(number)[0]
            if isinstance(first, np.ndarray) and first.ndim == 3 and min(first.shape[1:]) > 1:
                found[number] = first
        return found


def _told(report):
    return [one for kind in ("worst", "suspicious") for one in report.get(kind, ())]


def _write_page(args, measured, names, samples):
    """The report as a page, with the pictures of single samples."""
    from ..atomic import write_atomically
    from ..pictures import page
    from ..pictures.unit_curves import svg

    pictures, parts = samples.pictures(), []
    parts.append(page.lines([f"weights: {args.weights or 'those of the net'}"]))
    for measure, report in measured:
        parts += [page.heading(measure.heading()), page.lines(measure.facts(report))]
        for section in measure.sections(report, names):
            if section.title:
                parts.append(page.subheading(section.title))
            if section.numbers is None:
                parts.append(page.table(section.header, section.rows, section.left, section.heat))
                continue
            figures = []
            for number, row in zip(section.numbers, section.rows, strict=True):
                facts = [f"{k}: {v}" for k, v in zip(section.header, row, strict=True)]
                picture = _marked(pictures.get(number), measure.marks(number))
                figures.append(page.figure(picture, samples.name(number), facts))
            parts.append(page.gallery(figures))
        for title, curves in measure.curves(report, names).items():
            parts += [page.subheading(title), svg(*curves)]
    write_atomically(args.html, page.page(f"Report on {args.model}", parts))


def _marked(picture, marks):
    """The pixels of a sample, channels x height x width, with boxes."""
    import numpy as np

    from ..predict.answers.boxes import draw_boxes

    if picture is None or not marks:
        return picture
    sides = np.tile(picture.shape[1:], 2)
    planes = np.broadcast_to(picture, (3, *picture.shape[1:]))[::-1].transpose(1, 2, 0)
    told = [(tuple(np.array(box) * sides), color, "") for box, color in marks]
    return draw_boxes(planes, told).transpose(2, 0, 1)[::-1]


def _write_curves(path, measured, names):
    """The first of the pictures of curves that measures have."""
    from ..atomic import write_atomically
    from ..errors import NetError
    from ..pictures.unit_curves import svg

    found = [one for m, report in measured for one in m.curves(report, names).values()]
    if not found:
        raise NetError(
            "--curves: no layer compares boxes with true ones, as DetectionEvaluate does"
        )
    write_atomically(path, svg(*found[0]).encode())


def _write_confusion(path, reports, names):
    """The confusion matrix, as a picture or as CSV; of several, the main classifier's, the last."""
    from ..atomic import write_atomically
    from ..errors import NetError
    from ..measures.accuracy import class_names
    from ..pictures.confusion import svg

    scored = [report for report in reports if "confusion" in report]
    if not scored:
        raise NetError("--confusion: the net has no scores of classes, only values and targets")
    confusion = scored[-1]["confusion"]
    if confusion is None:
        raise NetError(f"--confusion: {scored[-1]['classes']} classes are too many for a matrix")
    names = class_names(names, len(confusion))
    if path.lower().endswith(".svg"):
        write_atomically(path, svg(confusion, names).encode())
        return
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["label \\ answer", *names])
    writer.writerows([name, *row] for name, row in zip(names, confusion, strict=True))
    write_atomically(path, text.getvalue().encode())
