"""Store what blobs of a net hold, a record for each sample.

    caffelite extract_features net.caffemodel train_val.prototxt fc7 features_lmdb 10 lmdb
    caffelite extract_features net.caffemodel train_val.prototxt fc7,label fc7.npz,label.npz all npz

The arguments are those of Caffe's tool. The net runs in its TEST phase for so many batches; "all"
runs over its data set, each sample once. BLOBS and DATASETS are separated by commas, a DATASET for
each BLOB. lmdb and leveldb make databases of Datums with floats, whose keys are running numbers;
hdf5 and npz make files of one array, called as the blob is, and need memory for it. All are made,
or none; what is there already is not replaced.
"""

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ..reading import integer
from ._flags import UsageError, int32
from ._nets import add_missing_flag, add_python_flag, add_state_flags, open_net, running, use_device


def add_arguments(parser):
    flag = parser.add_argument
    flag("weights", metavar="WEIGHTS", help="the weights, .caffemodel or HDF5")
    flag("model", metavar="MODEL", help="the net's prototxt, with data layers")
    flag("blobs", metavar="BLOBS", help="the blobs, as fc7,prob")
    flag("datasets", metavar="DATASETS", help="what to make, one for each blob")
    flag("batches", metavar="NUM_BATCHES", help='how many batches to run, or "all"')
    flag("kind", metavar="DB_TYPE", help="lmdb, leveldb, hdf5 or npz")
    flag("mode", metavar="CPU", nargs="?", help="CPU or GPU; all runs on the CPU")
    flag("gpu", metavar="DEVICE", nargs="?", help="taken and passed over")
    add_missing_flag(parser)
    flag("--threads", type=int32, metavar="N", help="threads to run on [all cores]")
    flag("--json", action="store_true", help="print JSON")
    add_state_flags(parser)
    add_python_flag(parser)


def run(args):
    from ..data.features import KINDS

    places = _places(args)
    if args.kind not in KINDS:
        raise UsageError(f'DB_TYPE "{args.kind}": expected one of {", ".join(KINDS)}')
    if args.batches != "all":
        given = args.batches
        try:
            args.batches = integer(given, "NUM_BATCHES", least=1, error=UsageError)
        except UsageError:
            raise UsageError(
                f'NUM_BATCHES "{given}": expected a number from 1 on, or all'
            ) from None
    if args.mode not in (None, "CPU", "GPU"):
        raise UsageError(f'"{args.mode}": expected CPU or GPU')
    args.gpu = (args.gpu or "0") if args.mode == "GPU" else None
    quiet = on_terminal()
    log = start_logging(quiet)
    use_device(args)
    net = open_net(args.model, "TEST", args, weights=args.weights, writes=True)
    with running(net):
        _check(net, places, args)
        log.info("Extracting Features")
        counts = _extract(net, places, args, quiet)
    log.info("Successfully extracted the features!")
    made = [
        {"dataset": path, "blob": name, "shape": [counts[name], *net.blobs[name].shape[1:]]}
        for name, path in places.items()
    ]
    if args.json:
        print(json_text(made))
    else:
        for one in made:
            print(f"{one['dataset']}: {one['blob']}, {' x '.join(map(str, one['shape']))}")
    return 0


def _places(args):
    """{blob: the dataset to make of it}"""
    blobs, datasets = args.blobs.split(","), args.datasets.split(",")
    if len(blobs) != len(datasets):
        raise UsageError(
            f"BLOBS names {len(blobs)} and DATASETS {len(datasets)}; expected as many of both"
        )
    for what, names in (("BLOBS", blobs), ("DATASETS", datasets)):
        if len(set(names)) < len(names) or "" in names:
            raise UsageError(f"{what}: {','.join(names)}: expected different names")
    return dict(zip(blobs, datasets, strict=True))


def _check(net, places, args):
    from ..data.features import DATABASES
    from ..errors import NetError, did_you_mean

    for name in places:
        if name not in net.blobs:
            raise NetError(f'{args.model}: has no blob "{name}"{did_you_mean(name, net.blobs)}')
        if args.kind in DATABASES and len(net.blobs[name].shape) > 4:
            raise NetError(
                f'the blob "{name}" has the shape {net.blobs[name].shape}; a Datum has 3 axes at '
                "most for each sample: use hdf5 or npz"
            )


def _extent(net, places, args):
    """(batches to run, records to store of each blob; None for all)"""
    from ..errors import NetError
    from ..net.batches import data_set

    if args.batches != "all":
        return args.batches, None
    known = data_set(net)
    if known is None:
        raise UsageError("how many samples the net's data have is not known: give NUM_BATCHES")
    samples, size = known
    for name in places:
        if net.blobs[name].num != size:
            raise NetError(
                f'the blob "{name}" has {net.blobs[name].num} rows for a batch of {size} samples, '
                "so all of them cannot be told apart; give NUM_BATCHES"
            )
    return -(-samples // size), samples


def _extract(net, places, args, quiet):
    """Run the net and store the blobs; returns the number of records of each."""
    from contextlib import ExitStack

    from ..atomic import written_together
    from ..data.features import KINDS
    from ._progress import make_bar

    batches, most = _extent(net, places, args)
    counts = dict.fromkeys(places, 0)
    with written_together(*places.values()) as passing, ExitStack() as stack:
        writers = {
            name: stack.enter_context(KINDS[args.kind](passing[path], name))
            for name, path in places.items()
        }
        bar = stack.enter_context(make_bar(batches, what="features")) if quiet else None
        for _ in range(batches):
            net._forward(0, len(net.layers) - 1)
            for name, writer in writers.items():
                values = net.blobs[name].data
                rows = values.reshape(-1, *values.shape[1:])
                rows = rows if most is None else rows[: most - counts[name]]
                writer.write(rows)
                counts[name] += len(rows)
            if bar:
                bar.update()
    return counts
