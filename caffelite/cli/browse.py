"""Look at the samples of a data set: pictures, labels, classes.

    caffelite browse data/train_lmdb
    caffelite browse pictures --class cat
    caffelite browse data/train_lmdb --model train_val.prototxt
    caffelite browse data/train_lmdb --label-pictures data/train_labels_lmdb
    caffelite browse data/train_lmdb --html samples.html

DATA is an LMDB, a LevelDB, a tar, or several of them by a pattern, as data/train_lmdb-*, a folder
with a folder of pictures for each class, a folder of pictures, or a list with a line NAME LABEL for
each picture; without it, what the data layer of --model reads is shown. With --model each sample
is shown as it is stored, and as the transform_param of the net's data layer changes it, --draws
times: crops, mirroring, noise and more, as in phase TRAIN. Mean and scale are taken back. Boxes
have frames; where pixels have labels, the picture is shown in their colors, too, those of PASCAL
VOC.

The pages open in the browser, from an address that only this machine has; Ctrl-C ends it. --html
writes one page into a file instead, which holds its pictures.
"""

import os

from ..glog import on_terminal, start_logging
from ._flags import UsageError, int32
from ._nets import PHASES, add_python_flag, add_state_flags, stages
from ._page import add_page_flags, check_port, serve

READS_NETS = True


def add_arguments(parser):
    flag = parser.add_argument
    flag("data", nargs="?", metavar="DATA", help="a database, a folder, or a list of pictures")
    flag("--model", metavar="FILE", help="show what this net's data layer makes of the samples")
    flag("--phase", default="TRAIN", type=str.upper, choices=PHASES, help="of the net [TRAIN]")
    flag("--draws", type=int32, default=2, metavar="N", help="pictures of what it makes [2]")
    flag("--labels", metavar="FILE", help="names of the classes, a line each [beside the data]")
    words = "a database of label pictures, one for each record of DATA"
    flag("--label-pictures", metavar="DB", help=words)
    flag("--root", metavar="DIR", help="where the names in a list start [where the list is]")
    flag("--class", dest="label", metavar="CLASS", help="show this class, a name or a number")
    flag("--first", type=int32, default=0, metavar="N", help="the sample to begin with [0]")
    flag("--count", type=int32, default=60, metavar="N", help="samples on a page [60]")
    flag("--html", metavar="FILE", help="write a page instead of serving pages")
    add_page_flags(parser)
    add_state_flags(parser)
    add_python_flag(parser)


def run(args):
    for name, least, most in (("draws", 0, 20), ("count", 1, 1000)):
        if not least <= getattr(args, name) <= most:
            raise UsageError(f"--{name}: expected {least} to {most}, not {getattr(args, name)}")
    if args.label_pictures and not args.data:
        raise UsageError("--label-pictures belongs to DATA, a database of pictures")
    if not (args.data or args.model):
        raise UsageError("expected DATA, or --model for what its data layer reads")
    check_port(args)
    start_logging(quiet=True)
    from tqdm import tqdm

    from ..view.samples import Pages, Samples

    layer = _layer(args) if args.model else None
    source = _open(args) if args.data else layer.open_source()
    if not 0 <= args.first < len(source):
        raise UsageError(f"--first: expected 0 to {len(source) - 1}, not {args.first}")
    names = _names(args, layer, source)
    transformer = layer.make_transformer() if layer else None
    title = args.data or f"{args.model}: {layer.name}"
    follower = layer.follower() if layer and not args.data else None
    samples = Samples(source, title, names, transformer, args.draws, args.count, follower)
    label = None if args.label is None else samples.label_of(args.label)
    samples.start = args.first, label
    samples.count(lambda all: tqdm(all, "labels", leave=False, disable=not on_terminal()))
    if args.html:
        from ..atomic import write_atomically

        write_atomically(args.html, samples.page(*samples.start, links=False))
        print(args.html)
        return 0
    return serve(args, samples, Pages)


def _open(args):
    """The source of the samples of DATA."""
    from .. import file_kind
    from ..data.annotated import open_database
    from ..data.dataset import open_pictures
    from ..data.datum import DATABASES
    from ..data.datum_pairs import DatumPairSource
    from ..data.image_folder import FlatFolderSource
    from ..data.shards import named

    is_list = args.data.endswith(".txt")
    kind = None if is_list else file_kind.of(named(args.data)[0])
    if kind and kind.name.lower() in DATABASES:
        pictures = open_database(args.data, DATABASES[kind.name.lower()])
        pair = args.label_pictures
        return DatumPairSource(pictures, pair) if pair else pictures
    if args.label_pictures:
        raise UsageError(f"--label-pictures is for two databases; {args.data} is none")
    if os.path.isdir(args.data) and not any(entry.is_dir() for entry in os.scandir(args.data)):
        return FlatFolderSource(args.data)
    return open_pictures(args.data, args.root, args.labels)


def _names(args, layer, source):
    """The names of the classes: of the file given, of class folders, of labels.txt beside."""
    from ..data.dataset import read_names
    from ..data.datum import DatumSource
    from ..data.datum_pairs import DatumPairSource

    beside = layer.class_names() if layer and not args.data else ""
    if isinstance(source, (DatumSource, DatumPairSource)) and args.data:
        beside = os.path.join(os.path.dirname(os.path.abspath(args.data)), "labels.txt")
    file = args.labels or (beside if os.path.isfile(beside) else "")
    return read_names(file) if file else list(getattr(source, "classes", ()))


def _layer(args):
    """The data layer of the net, which transforms pictures."""
    from ..errors import NetError
    from ..layers.base import create_layer
    from ..layers.data._prefetched import PrefetchedLayer
    from ..net.passes import filter_layers
    from ..predict.deploy import data_layer
    from ..proto import caffe_pb2
    from ..proto.text import read_net

    param = read_net(args.model)
    param.state.phase = phase = caffe_pb2.Phase.Value(args.phase)
    param.state.level = args.level
    param.state.stage.extend(stages(args))
    found = data_layer(filter_layers(param, args.model))
    layer = found and create_layer(found, phase=phase, file=args.model)
    if not isinstance(layer, PrefetchedLayer):
        raise NetError(
            f"{args.model}: in phase {args.phase}, has no layer that reads pictures and transforms "
            "them: Data, ImageData, ..."
        )
    return layer
