"""Flags that say which net is meant, and what several commands ask of a net."""

import contextlib
import logging
import os
import sys

from ..errors import CaffeliteError
from ..reading import integer, utf8
from ._flags import UsageError, int32

PHASES = ("TRAIN", "TEST")


def add_net_flags(parser):
    """The net's file and the state that its include and exclude rules look at."""
    parser.add_argument("net", nargs="?", metavar="MODEL", help="the net's prototxt")
    parser.add_argument("--model", metavar="FILE", help="the same, as a flag")
    add_state_flags(parser)
    add_python_flag(parser)


def model_of(args):
    """The net's file, given as MODEL or by --model."""
    if bool(args.net) == bool(args.model):
        raise UsageError("expected one net's prototxt: MODEL, or --model MODEL")
    return args.net or args.model


def add_set_flag(parser, example):
    """--set."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help=f"set a field, as {example}; may be given several times",
    )


def changed(param, changes):
    """A NetParameter with the fields of --set, which may begin with "net."."""
    from ..proto.assign import assign

    for words in changes:
        assign(param, words.removeprefix("net."), "the net")
    return param


def add_state_flags(parser):
    """--level and --stage."""
    parser.add_argument("--level", type=int32, default=0, metavar="N", help="level of the net [0]")
    parser.add_argument(
        "--stage", default="", metavar="A,B", help="stages of the net, separated by commas"
    )


def add_python_flag(parser):
    """--allow-python."""
    parser.add_argument(
        "--allow-python",
        action="append",
        default=[],
        metavar="MODULE",
        help="a Python module that the net's Python layers may import; may be given several times",
    )


def add_settings_flags(parser, set_too=False):
    """--cfg, and --set where there is no other."""
    words = "settings of py-faster-rcnn or R-FCN, YAML, for detectors in two stages"
    parser.add_argument("--cfg", metavar="FILE", help=words)
    if set_too:
        words = "one of these, as TEST.NMS=0.4; may be given several times"
        parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=words)


def _use_settings(args):
    """Let --cfg, and what --set says of TRAIN. and TEST., be the settings; args.set loses them."""
    given = [words for words in args.set if _is_setting(words)]
    if not (args.cfg or given):
        return
    from ..layers.detection._rcnn_settings import rcnn_settings

    if args.cfg:
        rcnn_settings.read(args.cfg)
    for words in given:
        rcnn_settings.assign(words)
    args.set = [words for words in args.set if words not in given]


def _is_setting(words):
    return words.startswith(("TRAIN.", "TEST.", "PIXEL_MEANS="))


def add_sample_flag(parser):
    """--data-shape."""
    parser.add_argument(
        "--data-shape",
        metavar="C,H,W",
        help="what to take for the shape of samples whose data is not there, or N,C,H,W for that "
        "of a batch [as the deploy net beside it says]",
    )


def sample(args, path):
    """What to take for samples of the net at `path` whose data is not there: a Sample, or None."""
    from ..net.missing_data import Sample, sample_of_deploy

    if args.data_shape is None:
        return sample_of_deploy(path)
    sizes = args.data_shape.split(",")
    if len(sizes) not in (3, 4):
        raise UsageError(
            f"--data-shape: expected C,H,W such as 3,224,224, or N,C,H,W, not {args.data_shape!r}"
        )
    how = {"least": 1, "most": 2**20 - 1, "error": UsageError}
    batch, *shape = (
        integer(size, "--data-shape: C,H,W such as 3,224,224", **how) for size in ["1", *sizes][-4:]
    )
    return Sample(tuple(shape), "--data-shape", batch if len(sizes) == 4 else 0)


def add_device_flags(parser):
    """--threads, and --gpu, which Caffe's command lines bring along."""
    parser.add_argument("--threads", type=int32, metavar="N", help="threads to run on [all cores]")
    parser.add_argument("--gpu", metavar="IDS", help="taken and passed over: all runs on the CPU")


def add_missing_flag(parser):
    """--allow-missing."""
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="let layers that the weights lack keep what their fillers gave them",
    )


def prepare(args):
    """What goes before all else: the threads, before kernels are imported, and users' modules.

    Modules are searched for from here, too. Those of --allow-python are but allowed.
    """
    if getattr(args, "threads", None) is not None:
        set_threads(args.threads)
    if hasattr(args, "cfg"):
        _use_settings(args)
    allowed = getattr(args, "allow_python", [])
    if not (args.own or allowed):
        return
    from .. import own_code

    own_code.search(os.getcwd())
    for module in (*args.own, *allowed):
        own_code.allow_python(module)
    for module in args.own:
        own_code.import_own(module)


def use_device(args):
    """Log what runs the net."""
    log = logging.getLogger("caffelite")
    if args.gpu:
        words, several = "there is no GPU support here, running on the CPU", args.gpu.count(",")
        if several:
            words += f"; mpiexec -n {several + 1} caffelite train ... trains in as many processes"
        log.warning("-gpu %s: %s", args.gpu, words)
    log.info("Use CPU.")


def set_threads(count):
    """Run on so many threads."""
    if count < 1:
        raise UsageError(f"--threads: expected at least 1, not {count}")
    if "numba" not in sys.modules:
        os.environ["NUMBA_NUM_THREADS"] = str(count)
    import numba
    import threadpoolctl

    if count > numba.config.NUMBA_NUM_THREADS:
        raise UsageError(f"--threads: expected at most {numba.config.NUMBA_NUM_THREADS} here")
    numba.set_num_threads(count)
    threadpoolctl.threadpool_limits(count)


def stages(args):
    """The list that --stage stands for; as in Caffe, of nothing the stage "" alone."""
    return utf8(args.stage, "--stage").split(",")


def open_net(path, phase, args, weights=None, writes=False, force_backward=False):
    """The net of a prototxt in the phase "TRAIN" or "TEST", at the level and stages of `args`.

    Only where the command `writes` do layers write their files: others are there to look. `weights`
    have to hold all of its layers, unless --allow-missing says otherwise.
    """
    from ..net import Net
    from ..net.weights import check_weights

    file, param = _in_state(path, phase, args)
    if weights is not None:
        check_weights(weights)
    param.force_backward |= force_backward
    net = Net.from_param(param, file)
    if not writes:
        net.only_look()
    if weights is not None:
        net.copy_from(weights, missing="warn" if args.allow_missing else "refuse")
    return net


def open_for_shapes(path, phase, args):
    """The net of a prototxt for whoever runs nothing: data that is not there becomes an Input.

    --data-shape, or the deploy net beside the file, tells its shape.
    """
    try:
        return open_net(path, phase, args)
    except CaffeliteError as problem:
        from ..net import Net
        from ..net.one_by_one import with_inputs

        net, measured, missing = measured_net(path, phase, args)
        if not missing or any(top["shape"] is None for i in missing for top in measured[i]["top"]):
            raise problem
        return Net.from_param(with_inputs(net, measured), path)


def measured_net(path, phase, args):
    """(FilteredNet, what each of its layers comes to, the places of those whose data is not there).

    See `one_by_one.measure`.
    """
    from ..net.one_by_one import measure

    net = filtered_net(path, phase, args)
    measured = measure(net.layers, net.source, net.state, sample(args, path), path)
    return net, measured, [i for i, layer in enumerate(measured) if layer["missing"]]


def open_with_data(args, what):
    """The net of --model in phase TEST, which brings the samples along that `what` needs."""
    from ..errors import NetError

    net = open_net(args.model, "TEST", args, weights=args.weights, writes=True)
    if net.inputs and not any(layer.role in ("source", "dummy") for layer in net.layers):
        beside = os.path.join(os.path.dirname(args.model), "train_val.prototxt")
        give = beside if os.path.isfile(beside) else "one with data layers, as it is trained with"
        raise NetError(
            f"{args.model}: is a net for use, not for {what}: nobody fills its input "
            f'"{net.inputs[0]}"; give {give}, or ask caffelite classify about pictures'
        )
    for layer in net.layers:
        if why := layer.uneven_pass():
            logging.getLogger("caffelite").warning(
                "%s: %s in phase TEST, to let each count once", layer.at, why
            )
    return net


def tell_other_classes(net, log):
    """Warn where a loss has other outputs than the data have names of classes beside them."""
    from ..data.dataset import read_names
    from ..net.unsplit import without_splits

    nodes = list(without_splits(net.nodes))
    files = {top: node.layer.class_names() for node, _ in nodes for top in node.top_names}
    for node, bottoms in nodes:
        file = files.get(bottoms[1]) if node.layer.compares == "classes" else None
        if not file or node.layer.role != "loss":
            continue
        names, shape = read_names(file), node.bottom_blobs[0].shape
        if len(shape) > 1 and shape[1] != len(names):
            log.warning(
                '%s: bottom[0] "%s" has %d outputs, but %s names %d classes; "caffelite init NAME '
                '--data %s" makes a net for as many as there are',
                *(node.layer.at, bottoms[0], shape[1], file, len(names)),
                os.path.dirname(file) or ".",
            )


def filtered_net(net, phase, args):
    """A FilteredNet of what `open_net` would build of a file or NetParameter, however wrong."""
    from ..lint.filtered_net import FilteredNet

    _, param = _in_state(net, phase, args)
    return FilteredNet(param, param.state)


def _in_state(path, phase, args):
    """(file, NetParameter) with the state that is asked for, and what --set changes."""
    from ..net.arguments import read_network
    from ..proto import caffe_pb2

    file, param = read_network(path)
    changed(param, getattr(args, "set", []))
    param.state.phase = caffe_pb2.Phase.Value(phase)
    param.state.level = args.level
    param.state.stage.extend(stages(args))
    return file, param


@contextlib.contextmanager
def running(*nets):
    """Close the nets behind a run; one that fails leaves none of the files that layers write."""
    try:
        yield
    except BaseException:
        for net in nets:
            net.discard()
        raise
    finally:
        for net in nets:
            net.close()
