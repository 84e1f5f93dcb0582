"""Run a net in its TEST phase and print the means of its outputs, or a report of how well it does.

    caffelite test --model train_val.prototxt --weights lenet_iter_1000.caffemodel --iterations 10
    caffelite test --model train_val.prototxt --weights lenet_iter_1000.caffemodel --report
    caffelite test --model truth_table.prototxt --allow-missing --iterations 1

stdout gets a line "NAME = MEAN" for each value of each output, or JSON; stderr the log lines that
Caffe writes, or on a terminal a bar. Without --weights, --allow-missing runs the net with what its
own file gives: blobs and fillers.

With --report, the net runs over its whole data set, each sample counts once, and stdout gets what
its losses and Accuracy layers compare, those of each head by themselves. Of scores and labels: the
top-1 and top-5 accuracy (equal scores count as wrong, as in the layer Accuracy); precision, recall
and F1 of each class, and their means; which class is taken for which; the samples with the highest
loss, and those whose label looks wrong, since the net is surer of another class than it is on the
whole of that class's own samples. Of several labels a sample (SigmoidCrossEntropyLoss): average
precision, F1 and the best threshold of each. Of values and targets: the errors. --html makes a page
of it that holds the pictures of the samples that are named.
"""

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ._flags import UsageError, int32
from ._nets import (
    add_device_flags,
    add_missing_flag,
    add_net_flags,
    open_with_data,
    running,
    use_device,
)

READS_NETS = True


def add_arguments(parser):
    add_net_flags(parser)
    flag = parser.add_argument
    flag("--weights", metavar="FILE", help="the weights, .caffemodel or HDF5")
    add_missing_flag(parser)
    flag("--iterations", type=int32, metavar="N", help="batches to run [50; with --report all]")
    flag("--report", action="store_true", help="tell how well the net does over its whole data set")
    flag("--confusion", metavar="FILE", help="write the confusion matrix as CSV; implies --report")
    flag("--html", metavar="FILE", help="write the report as a page; implies --report")
    flag("--labels", metavar="FILE", help="names for --report, a line a class [beside the data]")
    flag("--json", action="store_true", help="print JSON")
    add_device_flags(parser)


def run(args):
    if args.iterations is not None and args.iterations < 1:
        raise UsageError(f"--iterations must be at least 1, not {args.iterations}")
    if not (args.weights or args.allow_missing):
        raise UsageError("expected --weights, or --allow-missing for what the net's file gives")
    if args.report or args.confusion or args.html:
        from . import _report

        return _report.run(args)
    from ._progress import make_bar, numbers

    iterations = 50 if args.iterations is None else args.iterations
    quiet = on_terminal()
    log = start_logging(quiet)
    use_device(args)
    net = open_with_data(args, "testing")
    net.economize(forward_only=True)
    log.info("Running for %d iterations.", iterations)
    bar = make_bar(iterations, what=net.name or "testing") if quiet else None
    try:
        with running(net):
            means = _average(net, iterations, log, bar)
    finally:
        if bar:
            bar.close()
    _log_means(net, means, log)
    if args.json:
        found = means.report()
        print(json_text({"iterations": found.pop("batches"), **found}))
    else:
        for name, value in numbers(means.figures()):
            print(f"{name} = {value}")
    return 0


def _average(net, iterations, log, bar):
    """The Means over the batches, each of which is logged."""
    from ..measures import Batch
    from ..measures.means import Means

    means = Means(net)
    for number in range(iterations):
        batch = Batch.run(net)
        means.add(batch)
        for name in net.outputs:
            for value in batch.blobs[name].flat:
                log.info("Batch %d, %s = %g", number, name, value)
        if bar:
            bar.update()
    return means


def _log_means(net, means, log):
    log.info("Loss: %g", means.loss)
    for name, mean in means.figures().items():
        weight = net.blob_loss_weights[name]
        for value in mean.flat:
            part = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
            log.info("%s = %g%s", name, value, part)
