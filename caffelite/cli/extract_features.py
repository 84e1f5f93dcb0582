"""Store what blobs of a net hold, a record for each sample.

    caffelite extract_features net.caffemodel train_val.prototxt fc7 features_lmdb 10 lmdb
    caffelite extract_features net.caffemodel train_val.prototxt fc7,label features.h5 all hdf5

The arguments are those of Caffe's tool. The net runs in its TEST phase for so many batches; "all"
runs over its data set, each sample once. BLOBS and DATASETS are separated by commas, a DATASET for
each BLOB. lmdb and leveldb make databases of Datums with floats, whose keys are running numbers.
hdf5 and npz make files of arrays, called as the blobs are, and need memory for them; there, blobs
with the same DATASET come into one file, and a single DATASET takes all of them. All are made, or
none; what is there already is not replaced.

To train on features, let an HDF5Data layer have tops of the same names, and the file of --list as
its source:

    caffelite extract_features net.caffemodel net.prototxt fc7,label fc7.h5 all hdf5 --list fc7.txt
"""

from ..glog import on_terminal, start_logging
from ..json_text import json_text
from ..reading import integer
from ._flags import UsageError, int32
from ._nets import (
    add_missing_flag,
    add_python_flag,
    add_state_flags,
    open_with_data,
    running,
    use_device,
)

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("weights", metavar="WEIGHTS", help="the weights, .caffemodel or HDF5")
    flag("model", metavar="MODEL", help="the net's prototxt, with data layers")
    flag("blobs", metavar="BLOBS", help="the blobs, as fc7,prob")
    flag("datasets", metavar="DATASETS", help="what to make, one for each blob or for all")
    flag("batches", metavar="NUM_BATCHES", help='how many batches to run, or "all"')
    flag("kind", metavar="DB_TYPE", help="lmdb, leveldb, hdf5 or npz")
    flag("mode", metavar="CPU", nargs="?", help="CPU or GPU; all runs on the CPU")
    flag("gpu", metavar="DEVICE", nargs="?", help="taken and passed over")
    flag("--list", metavar="FILE", help="also make FILE, which HDF5Data finds the HDF5 file by")
    add_missing_flag(parser)
    flag("--threads", type=int32, metavar="N", help="threads to run on [all cores]")
    flag("--json", action="store_true", help="print JSON")
    add_state_flags(parser)
    add_python_flag(parser)


def run(args):
    from ..data.features import KINDS

    if args.kind not in KINDS:
        raise UsageError(f'DB_TYPE "{args.kind}": expected one of {", ".join(KINDS)}')
    places = _places(args)
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
    net = open_with_data(args, "extracting features")
    with running(net):
        _check(net, places, args)
        log.info("Extracting Features")
        counts = _extract(net, places, args, quiet)
    log.info("Successfully extracted the features!")
    made = [
        {"dataset": path, "blob": name, "shape": [counts[name], *net.blobs[name].shape[1:]]}
        for path, names in places.items()
        for name in names
    ]
    if args.json:
        print(json_text(made))
    else:
        for one in made:
            print(f"{one['dataset']}: {one['blob']}, {' x '.join(map(str, one['shape']))}")
    return 0


def _places(args):
    """{what to make: the blobs that it is to hold}"""
    from ..data.features import DATABASES

    blobs, datasets = args.blobs.split(","), args.datasets.split(",")
    for what, names in (("BLOBS", blobs), ("DATASETS", datasets)):
        single = what == "BLOBS" or args.kind in DATABASES
        if "" in names or (single and len(set(names)) < len(names)):
            raise UsageError(f"{what}: {','.join(names)}: expected different names")
    if len(datasets) == 1 and args.kind not in DATABASES:
        datasets *= len(blobs)
    if len(blobs) != len(datasets):
        raise UsageError(
            f"BLOBS names {len(blobs)} and DATASETS {len(datasets)}; expected as many of both"
            + (
                ", since a database holds one blob"
                if args.kind in DATABASES
                else ", or one for all"
            )
        )
    if args.list is not None:
        _check_listed(set(datasets), args)
    return {
        path: [blob for blob, place in zip(blobs, datasets, strict=True) if place == path]
        for path in datasets
    }


def _check_listed(datasets, args):
    if args.kind != "hdf5" or len(datasets) > 1:
        raise UsageError(
            "--list is for HDF5Data, which reads all its tops from one file: expected DB_TYPE hdf5 "
            f"and one DATASET, not {args.kind} and {args.datasets}"
        )
    if args.datasets.split() != [args.datasets]:
        raise UsageError(
            f'DATASETS "{args.datasets}": expected a name without white space, which separates '
            "the names in the file of --list"
        )


def _check(net, places, args):
    from ..data.features import DATABASES
    from ..errors import NetError, did_you_mean

    for name in _blobs(places):
        if name not in net.blobs:
            raise NetError(f'{args.model}: has no blob "{name}"{did_you_mean(name, net.blobs)}')
        if args.kind in DATABASES and len(net.blobs[name].shape) > 4:
            raise NetError(
                f'the blob "{name}" has the shape {net.blobs[name].shape}; a Datum has 3 axes at '
                "most for each sample: use hdf5 or npz"
            )
    rows = {name: _rows(net.blobs[name]) for name in _blobs(places)}
    if args.list is not None and len(set(rows.values())) > 1:
        raise NetError(
            "HDF5Data reads datasets with as many rows; the blobs have for each batch: "
            + ", ".join(f'"{name}" {count}' for name, count in rows.items())
        )


def _blobs(places):
    """All that are wanted, in turn."""
    return [name for names in places.values() for name in names]


def _rows(blob):
    """How many records a blob is; a number alone is one."""
    return (*blob.shape, 1)[0]


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
    for name in _blobs(places):
        rows = _rows(net.blobs[name])
        if rows != size:
            raise NetError(
                f'the blob "{name}" has {rows} rows for a batch of {size} samples, '
                "so all of them cannot be told apart; give NUM_BATCHES"
            )
    return -(-samples // size), samples


def _extract(net, places, args, quiet):
    """Run the net and store the blobs; returns the number of records of each."""
    from contextlib import ExitStack

    from ..atomic import write_atomically, written_together
    from ..data.features import KINDS
    from ._progress import make_bar

    batches, most = _extent(net, places, args)
    counts = dict.fromkeys(_blobs(places), 0)
    paths = [*places, *([args.list] if args.list is not None else [])]
    with written_together(*paths) as passing, ExitStack() as stack:
        if args.list is not None:
            write_atomically(passing[args.list], "".join(f"{p}\n" for p in places).encode())
        writers = {
            path: stack.enter_context(KINDS[args.kind](passing[path], names))
            for path, names in places.items()
        }
        bar = stack.enter_context(make_bar(batches, what="features")) if quiet else None
        for _ in range(batches):
            net._forward(0, len(net.layers) - 1)
            for path, names in places.items():
                for name in names:
                    values = net.blobs[name].data
                    rows = values.reshape(-1, *values.shape[1:])
                    rows = rows if most is None else rows[: most - counts[name]]
                    writers[path].write(name, rows)
                    counts[name] += len(rows)
            if bar:
                bar.update()
    return counts
