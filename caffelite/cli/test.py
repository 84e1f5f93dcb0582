"""Run a net in its TEST phase and print the means of its outputs, or a report of how well it does.

    caffelite test train_val.prototxt --weights lenet_iter_1000.caffemodel
    caffelite test train_val.prototxt --weights lenet_iter_1000.caffemodel --report
    caffelite test truth_table.prototxt --allow-missing --iterations 1

The net runs once over its whole data set, if its sources know how many samples they have; else, or
with --iterations, over so many batches. stdout gets a line "NAME = MEAN" for each value of each
output, or JSON; stderr the log lines that Caffe writes, or on a terminal a bar. Of the rows that a
DetectionEvaluate makes that is their mean average precision (SSD's "Integral"). The last batch of a
data set is as small as what is left, and counts by its samples, so that each sample counts once.
Without --weights, --allow-missing runs the net with what its own file gives: blobs and fillers.

With --report, the net runs over its whole data set, each sample counts once, and stdout gets what
its losses and Accuracy layers compare, those of each head by themselves. Of scores and labels: the
top-1 and top-5 accuracy (equal scores count as wrong, as in the layer Accuracy); precision, recall
and F1 of each class, and their means; which class is taken for which; the samples with the highest
loss, and those whose label looks wrong, since the net is surer of another class than it is on the
whole of that class's own samples. Where every pixel has a label: their accuracy, the mean accuracy
of classes, and the mean, the frequency-weighted and each class's intersection over union, all over
the whole set, as in FCN's score.py. Of several labels a sample (SigmoidCrossEntropyLoss): average
precision, F1 and the best threshold of each. Of values and targets: the errors. Of a detector with
a DetectionEvaluate layer: the average precision of each class by the rules of VOC2007, VOC2012, SSD
and COCO; of boxes whose score reaches --threshold precision, recall, and what is taken for what,
the background included; the pictures with most that is wrong; where it finds boxes in regions (of
a Proposal, say), how many true ones are among the 10, 50, 100, ... best. --html makes a page of it
that holds the pictures of the samples that are named, --curves draws precision over recall of each
class, and the recall of regions, --confusion FILE.svg draws which class is taken for which, and
another FILE gets that as CSV.

A generator is reported on by what a classifier, --judge with --judge-weights, says of as many
pictures as there are test pictures, found in train_val.prototxt beside the net: the share of each
class, the mean probability of the likeliest class, the Frechet distance of the features that scores
are made of to those of test pictures, beside that of training pictures to these, the median
distance to the nearest training picture, beside that of test pictures, and the share that is of the
class asked for.

    caffelite test models/dcgan/deploy.prototxt --weights dcgan.caffemodel --report \\
        --judge models/lenet/train_val.prototxt --judge-weights lenet.caffemodel
"""

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError, finite, int32
from ._nets import (
    add_device_flags,
    add_missing_flag,
    add_net_flags,
    add_set_flag,
    add_settings_flags,
    model_of,
    open_with_data,
    running,
    use_device,
)

READS_NETS = True
CAFFES = 50  # batches that are run where nobody says how many


def add_arguments(parser):
    add_net_flags(parser)
    add_set_flag(parser, "layer[data].data_param.batch_size=100")
    add_settings_flags(parser)
    flag = parser.add_argument
    flag("--weights", metavar="FILE", help="the weights, .caffemodel or HDF5")
    add_missing_flag(parser)
    flag("--iterations", type=int32, metavar="N", help="batches to run [all, or 50]")
    flag("--report", action="store_true", help="tell how well the net does over its whole data set")
    flag(
        "--confusion",
        metavar="FILE",
        help="write the confusion matrix, .svg or .csv; implies --report",
    )
    flag("--html", metavar="FILE", help="write the report as a page; implies --report")
    flag("--curves", metavar="FILE", help="draw precision over recall, .svg; implies --report")
    words = "the least score of boxes that count in the report of a detector [0.3]"
    flag("--threshold", type=finite, metavar="X", help=words)
    flag("--labels", metavar="FILE", help="names for --report, a line a class [beside the data]")
    flag("--judge", metavar="FILE", help="the classifier that a generator is reported on by")
    flag("--judge-weights", metavar="FILE", help="its weights")
    flag("--json", action="store_true", help="print JSON")
    add_device_flags(parser)


def run(args):
    args.model = model_of(args)
    if bool(args.judge) != bool(args.judge_weights):
        raise UsageError("--judge and --judge-weights belong together")
    if args.iterations is not None and args.iterations < 1:
        raise UsageError(f"--iterations must be at least 1, not {args.iterations}")
    if not (args.weights or args.allow_missing):
        raise UsageError("expected --weights, or --allow-missing for what the net's file gives")
    if args.judge:
        from . import _judged

        return _judged.run(args)
    if args.report or args.confusion or args.html or args.curves:
        from . import _report

        return _report.run(args)
    from ..measures import of_tests, read_by
    from ._progress import make_bar, numbers

    quiet = on_terminal()
    log = start_logging(quiet)
    use_device(args)
    net = open_with_data(args, "testing")
    measures = of_tests(net)
    net.economize(forward_only=True, keep=read_by(measures))
    sizes = _batches(net, args.iterations)
    log.info("Running for %d iterations.", len(sizes))
    bar = make_bar(len(sizes), what=net.name or "testing") if quiet else None
    try:
        with running(net):
            _run(net, measures, sizes, log, bar)
    finally:
        if bar:
            bar.close()
    means = measures[0]
    figures = {name: value for one in measures for name, value in one.figures().items()}
    log.info("Loss: %g", means.loss)
    _log_figures(net, figures, log)
    if args.json:
        found = {"iterations": means.batches, "loss": means.loss}
        print(json_text({**found, "outputs": {name: v.tolist() for name, v in figures.items()}}))
    else:
        for name, value in numbers(figures):
            print(f"{name} = {value}")
    return 0


def _batches(net, iterations):
    """How many samples each batch to run has, or None for as many as the net says."""
    from ..net.batches import whole_set

    known = None if iterations else whole_set(net)
    if known is None:
        return [None] * (iterations or CAFFES)
    count, size = known
    whole, rest = divmod(count, size)
    return [size] * whole + [rest] if rest else [None] * whole


def _run(net, measures, sizes, log, bar):
    """Let the measures, means first, take in the batches; each is logged."""
    from ..errors import NetError
    from ..measures import Batch
    from ..net.batches import set_batch_size

    for number, size in enumerate(sizes):
        if size is not None:
            set_batch_size(net, size)
        try:
            batch = Batch.run(net, size)
        except NetError as problem:
            if number == 0 or size == sizes[0]:
                raise
            log.warning("The last %d samples are left out: %s", size, problem)
            break
        for measure in measures:
            measure.add(batch)
        for name in measures[0].blobs:
            for value in batch.blobs[name].flat:
                log.info("Batch %d, %s = %g", number, name, value)
        if bar:
            bar.update()


def _log_figures(net, figures, log):
    for name, mean in figures.items():
        weight = net.blob_loss_weights.get(name, 0)
        for value in mean.flat:
            part = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
            log.info("%s = %g%s", name, value, part)
